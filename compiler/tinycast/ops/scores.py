"""What classifiers and regressors of ai.onnx.ml make of their scores: labels, and ONNX's post transforms.

As ONNX Runtime does it, where ONNX's text leaves it open.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np

from tinycast.ir.graph import Builder
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.elementwise import Binary, BinaryFunction
from tinycast.ops.extrema import ArgExtremum, Extremum, ReduceExtremum
from tinycast.ops.gather import Gather
from tinycast.ops.logic import Cast, Logic, Where
from tinycast.ops.node import Imported, Importer, Node
from tinycast.ops.reduce import ReduceSum
from tinycast.ops.shape import Concat, Reshape
from tinycast.ops.softmax import Softmax
from tinycast.ops.unary import Unary


class Transform(Enum):
    """A post transform of ONNX; the numbers of TreeEnsemble are their places here."""

    NONE = "NONE"
    SOFTMAX = "SOFTMAX"
    LOGISTIC = "LOGISTIC"
    SOFTMAX_ZERO = "SOFTMAX_ZERO"
    PROBIT = "PROBIT"


_NEAR_ZERO = 1e-7  # SOFTMAX_ZERO leaves out what is closer to zero


class Terms:
    """Arithmetic on values, for what is composed of many operators."""

    def __init__(self, build: Builder) -> None:
        self.build = build

    def constant(self, number: float | Array, dtype: DType = DType.FLOAT32) -> Value:
        return self.build.constant(np.asarray(number, dtype.numpy))

    def binary(self, function: BinaryFunction, a: Value | float, b: Value | float) -> Value:
        operands = [v if isinstance(v, Value) else self.constant(v) for v in (a, b)]
        return self.build.call(Binary(function), operands)

    def add(self, a: Value | float, b: Value | float) -> Value:
        return self.binary(BinaryFunction.ADD, a, b)

    def subtract(self, a: Value | float, b: Value | float) -> Value:
        return self.binary(BinaryFunction.SUB, a, b)

    def multiply(self, a: Value | float, b: Value | float) -> Value:
        return self.binary(BinaryFunction.MUL, a, b)

    def divide(self, a: Value | float, b: Value | float) -> Value:
        return self.binary(BinaryFunction.DIV, a, b)

    def unary(self, function: str, x: Value) -> Value:
        return self.build.call(Unary(function), [x])

    def is_above(self, x: Value, bound: float) -> Value:
        return self.build.call(Logic("Greater"), [x, self.constant(bound)])

    def where(self, condition: Value, a: Value | float, b: Value | float) -> Value:
        operands = [v if isinstance(v, Value) else self.constant(v) for v in (a, b)]
        return self.build.call(Where(), [condition, *operands])


def checked(importer: Importer) -> Importer:
    """The importer, which refuses a node whose attributes have lengths or numbers that do not fit together."""

    def refuse(node: Node) -> Imported:
        try:
            return importer(node)
        except (IndexError, ValueError) as error:
            node.reject(f"its attributes do not fit together ({error})", fix="export the model again")

    return refuse


def as_rows(node: Node, x: Value) -> Value:
    """The operand as float32 with rows: ONNX takes a vector for one row, and integers for floats."""
    if x.dtype is not DType.FLOAT32:
        x = node.build.call(Cast(DType.FLOAT32), [x])
    return x if len(x.shape) == 2 else node.build.call(Reshape((1, x.size)), [x])


def read_transform(node: Node) -> Transform:
    """The attribute post_transform, a name or (of TreeEnsemble) a number."""
    if node.kind == "TreeEnsemble":
        return list(Transform)[node.int("post_transform", 0)]
    return Transform(node.text("post_transform", "NONE"))


def transformed(build: Builder, scores: Value, transform: Transform) -> Value:
    """The post transform of each row of (N, K) scores."""
    terms = Terms(build)
    if transform is Transform.LOGISTIC:
        return terms.unary("Sigmoid", scores)
    if transform is Transform.SOFTMAX:
        return build.call(Softmax(1), [scores])
    if transform is Transform.SOFTMAX_ZERO:
        largest = build.call(ReduceExtremum(Extremum.MAX, (1,)), [scores])
        counts = terms.is_above(terms.unary("Abs", scores), _NEAR_ZERO)
        power = terms.unary("Exp", terms.subtract(scores, largest))
        total = build.call(ReduceSum((1,)), [terms.where(counts, power, 0.0)])
        small = terms.multiply(scores, terms.unary("Exp", terms.unary("Neg", largest)))
        return terms.divide(terms.where(counts, power, small), total)
    return _probit(terms, scores) if transform is Transform.PROBIT else scores


def _probit(terms: Terms, x: Value) -> Value:
    """The inverse of the normal distribution: Winitzki's approximation of the inverse error function, a = 0.147."""
    u = terms.subtract(terms.multiply(x, 2.0), 1.0)
    log = terms.unary("Log", terms.multiply(terms.subtract(1.0, u), terms.add(u, 1.0)))
    v = terms.add(terms.multiply(log, 0.5), 2.0 / (3.14159 * 0.147))
    under = terms.subtract(terms.multiply(v, v), terms.multiply(log, 1.0 / 0.147))
    size = terms.unary("Sqrt", terms.subtract(terms.unary("Sqrt", under), v))
    return terms.multiply(terms.multiply(terms.where(terms.is_above(u, 0.0), 1.0, -1.0), size), 2.0**0.5)


def labels_of(build: Builder, indices: Value, labels: Sequence[int]) -> Value:
    """The labels with these indices, int64 (N,)."""
    flat = build.call(Reshape((indices.size,)), [indices])
    if list(labels) == list(range(len(labels))):
        return flat
    return build.call(Gather(0), [build.constant(np.asarray(labels, np.int64), "labels"), flat])


def best_label(build: Builder, scores: Value, labels: Sequence[int]) -> Value:
    """The label of the largest score of each row; of equal ones the first."""
    (best,) = build.call_all(ArgExtremum(1, largest=True, last=False), [scores])
    return labels_of(build, best, labels)


def label_above(build: Builder, score: Value, bound: float, labels: Sequence[int]) -> Value:
    """labels[1] where the only score (N, 1) is above the bound, else labels[0]."""
    index = build.call(Cast(DType.INT64), [Terms(build).is_above(score, bound)])
    return labels_of(build, index, labels)


def both_classes(build: Builder, score: Value, transform: Transform) -> Value:
    """(N, 2) of the score (N, 1) of the second of two classes, as a probability."""
    if transform is Transform.LOGISTIC:
        score = Terms(build).unary("Sigmoid", score)
    return two_scores(build, Terms(build).subtract(1.0, score), score)


def two_scores(build: Builder, first: Value, second: Value) -> Value:
    """(N, 2) of two (N, 1)."""
    return build.call(Concat(1), [first, second])


def read_labels(node: Node, name: str) -> list[int]:
    labels = node.ints(name, [])
    if not labels:
        node.reject("it has no class labels", fix="export the model again with a current converter")
    return labels
