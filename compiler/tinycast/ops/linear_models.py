"""LinearRegressor and LinearClassifier of ai.onnx.ml: a matrix product, then labels and post transforms."""

from __future__ import annotations

import numpy as np

from tinycast.ir.types import Array, Value
from tinycast.ops.dense import FullyConnected
from tinycast.ops.node import Node
from tinycast.ops.scores import (
    Transform,
    as_rows,
    best_label,
    both_classes,
    checked,
    label_above,
    read_labels,
    read_transform,
    transformed,
)


def float_attribute(node: Node, name: str) -> Array:
    """A list of floats, to the bit; empty where there is none."""
    attribute = node.onnx.attributes.get(name)
    return np.zeros(0, np.float32) if attribute is None else np.asarray(attribute.as_floats(), np.float32)


def linear_scores(node: Node, x: Value, matrix: Array, intercepts: Array) -> Value:
    """x @ matrix.T + intercepts: (N, F) to (N, rows of the matrix)."""
    if not intercepts.size:
        intercepts = np.zeros(len(matrix), np.float32)
    constants = [node.build.constant(matrix, "coefficients"), node.build.constant(intercepts, "intercepts")]
    return node.build.call(FullyConnected(), [x, *constants])


def _scores(node: Node, count: int) -> Value:
    x = as_rows(node, node.input(0))
    matrix, intercepts = float_attribute(node, "coefficients"), float_attribute(node, "intercepts")
    if not count or matrix.size != count * x.shape[1] or intercepts.size not in (0, count):
        node.reject(
            f"{matrix.size} coefficients and {intercepts.size} intercepts do not fit an input of shape {x.shape}"
        )
    return linear_scores(node, x, matrix.reshape(count, x.shape[1]), intercepts)


def import_linear_regressor(node: Node) -> Value:
    scores = _scores(node, node.int("targets", 1))
    transform = read_transform(node)
    if scores.shape[1] == 1 and transform is not Transform.PROBIT:
        return scores  # as in ONNX Runtime: of one score there is nothing to transform
    return transformed(node.build, scores, transform)


def import_linear_classifier(node: Node) -> tuple[Value, ...]:
    labels, transform = read_labels(node, "classlabels_ints"), read_transform(node)
    build = node.build
    scores = _scores(node, float_attribute(node, "intercepts").size)
    if scores.shape[1] > 1:
        return best_label(build, scores, labels), transformed(build, scores, transform)
    label = label_above(build, scores, 0.0, labels if len(labels) == 2 else (0, 1))
    if len(labels) != 2 or transform is Transform.PROBIT:
        return label, transformed(build, scores, transform)
    return label, both_classes(build, scores, transform)


IMPORTERS = {
    "ai.onnx.ml.LinearClassifier": checked(import_linear_classifier),
    "ai.onnx.ml.LinearRegressor": checked(import_linear_regressor),
}
