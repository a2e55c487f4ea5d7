"""Support vector machines of ai.onnx.ml, and distances (CDist of com.microsoft), which nearest neighbours need too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinycast.ir.graph import Routine, TensorType
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.linear_models import float_attribute, linear_scores
from tinycast.ops.node import Node
from tinycast.ops.pairwise import PairProbabilities, PairScores, PairVotes
from tinycast.ops.scores import (
    Terms,
    Transform,
    as_rows,
    best_label,
    both_classes,
    checked,
    read_labels,
    read_transform,
    transformed,
    two_scores,
)
from tinycast.ops.unary import Unary


@dataclass(frozen=True)
class SquaredDistances(Routine):
    """y[n, m] = the sum over k of (a[n, k] - b[m, k])^2."""

    runtime: ClassVar[frozenset[str]] = frozenset({"tc_distance.h"})

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType((inputs[0].shape[0], inputs[1].shape[0]), DType.FLOAT32),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        a, b = (array.astype(np.float64) for array in arrays)
        return (np.square(a[:, None, :] - b[None, :, :]).sum(2).astype(np.float32),)

    def macs(self, inputs: Sequence[Value], out: TensorType) -> int:
        return inputs[0].shape[0] * inputs[1].size

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        (rows, length), others = inputs[0].shape, inputs[1].shape[0]
        return f"""
for (int32_t n = 0; n < {rows}; ++n) {{
    for (int32_t m = 0; m < {others}; ++m) {{
        output_0[n * {others} + m] = tc_squared_distance(input_0 + n * {length}, input_1 + m * {length}, {length});
    }}
}}
"""


def import_distances(node: Node) -> Value:
    (y,) = node.build.call_all(SquaredDistances(), [node.input(0), node.input(1)])
    metric = node.text("metric", "sqeuclidean")
    if metric not in ("euclidean", "sqeuclidean"):
        node.reject(f"the metric {metric} is not supported", fix="use euclidean or sqeuclidean")
    return Terms(node.build).unary("Sqrt", y) if metric == "euclidean" else y


def _is_linear(node: Node) -> bool:
    return node.text("kernel_type", "LINEAR") == "LINEAR"


def _kernel(node: Node, x: Value, vectors: Array) -> Value:
    """The kernel function of each row of x and each vector."""
    terms, kind = Terms(node.build), node.text("kernel_type", "LINEAR")
    gamma, offset, degree = (*float_attribute(node, "kernel_params").tolist(), 0.0, 0.0, 0.0)[:3]
    if kind == "RBF":
        (squares,) = node.build.call_all(SquaredDistances(), [x, node.build.constant(vectors, "support_vectors")])
        return terms.unary("Exp", terms.multiply(squares, -gamma))
    products = linear_scores(node, x, vectors, np.zeros(0, np.float32))
    if kind == "LINEAR":
        return products
    inner = terms.add(terms.multiply(products, gamma), offset)
    if kind == "SIGMOID":
        return terms.unary("Tanh", inner)
    if kind != "POLY":
        node.reject(f"the kernel {kind} is not known")
    if degree not in (1.0, 2.0, 3.0, 4.0):
        return node.build.call(Unary("Pow", degree), [inner])
    power = inner
    for _ in range(int(degree) - 1):
        power = terms.multiply(power, inner)
    return power


def import_svm_regressor(node: Node) -> Value:
    x, count = as_rows(node, node.input(0)), node.int("n_supports", 0)
    coefficients, rho = float_attribute(node, "coefficients"), float_attribute(node, "rho")
    if count:
        vectors = float_attribute(node, "support_vectors").reshape(count, x.shape[1])
        if _is_linear(node):
            coefficients = (coefficients.astype(np.float64) @ vectors).astype(np.float32)
        else:
            x = _kernel(node, x, vectors)
    y = linear_scores(node, x, coefficients.reshape(1, -1), rho[:1])
    if not node.int("one_class", 0):
        return y
    terms = Terms(node.build)
    return terms.where(terms.is_above(y, 0.0), 1.0, -1.0)


def import_svm_classifier(node: Node) -> tuple[Value, ...]:
    labels, transform, build = read_labels(node, "classlabels_ints"), read_transform(node), node.build
    x, classes = as_rows(node, node.input(0)), len(labels)
    coefficients, rho = float_attribute(node, "coefficients"), float_attribute(node, "rho")
    vectors_per_class = node.ints("vectors_per_class", [])
    count = sum(vectors_per_class)
    if not count:
        scores = linear_scores(node, x, coefficients.reshape(classes, -1), np.repeat(rho[:1], classes))
        return best_label(build, scores, labels), transformed(build, scores, transform)
    vectors = float_attribute(node, "support_vectors").reshape(count, x.shape[1])
    pairs = PairScores(tuple(int(n) for n in np.cumsum([0, *vectors_per_class])))
    coefficients = coefficients[: (classes - 1) * count].reshape(classes - 1, count)
    rho = rho[: classes * (classes - 1) // 2]
    if _is_linear(node) and len(rho) < count:
        # Sums of products with vectors are products with the sums of the vectors: one vector a pair is left.
        (sums,) = pairs.reference_all([vectors.T, coefficients, np.zeros(len(rho))])
        scores = linear_scores(node, x, np.ascontiguousarray(sums.T), rho)
    else:
        constants = [build.constant(coefficients, "coefficients"), build.constant(rho, "rho")]
        (scores,) = build.call_all(pairs, [_kernel(node, x, vectors), *constants])
    (votes,) = build.call_all(PairVotes(classes), [scores])
    label = best_label(build, votes, labels)
    a, b = float_attribute(node, "prob_a"), float_attribute(node, "prob_b")
    if a.size:
        inputs = [scores, build.constant(a, "prob_a"), build.constant(b, "prob_b")]
        (probabilities,) = build.call_all(PairProbabilities(classes), inputs)
        return label, transformed(build, probabilities, transform)
    if classes > 2:
        return label, transformed(build, scores, transform)
    if transform is not Transform.NONE:
        return label, both_classes(build, scores, transform)
    return label, two_scores(build, Terms(build).unary("Neg", scores), scores)


IMPORTERS = {
    "ai.onnx.ml.SVMClassifier": checked(import_svm_classifier),
    "ai.onnx.ml.SVMRegressor": checked(import_svm_regressor),
    "com.microsoft.CDist": checked(import_distances),
}
