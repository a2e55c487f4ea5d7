"""Normalizations that ONNX does not define by other operators, composed here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinycast.ir.types import Value
from tinycast.ops.elementwise import Binary, BinaryFunction
from tinycast.ops.extrema import ArgExtremum
from tinycast.ops.logic import Logic, Where
from tinycast.ops.node import Imported, Node
from tinycast.ops.reduce import ReduceMean, ReduceSum
from tinycast.ops.shape import Reshape
from tinycast.ops.spatial import Frame, SpatialPool
from tinycast.ops.unary import Unary
from tinycast.ops.weighted_sum import ChannelAffine


class Arithmetic:
    """Short words for appending float operators to a node's calls."""

    def __init__(self, node: Node) -> None:
        self.build = node.build

    def constant(self, data: npt.NDArray[np.float64], name: str) -> Value:
        return self.build.constant(data.astype(np.float32), name)

    def number(self, value: float) -> Value:
        return self.constant(np.asarray(value), "number")

    def binary(self, function: BinaryFunction, a: Value, b: Value) -> Value:
        return self.build.call(Binary(function), [a, b])

    def add(self, a: Value, b: Value) -> Value:
        return self.binary(BinaryFunction.ADD, a, b)

    def sub(self, a: Value, b: Value) -> Value:
        return self.binary(BinaryFunction.SUB, a, b)

    def mul(self, a: Value, b: Value) -> Value:
        return self.binary(BinaryFunction.MUL, a, b)

    def div(self, a: Value, b: Value) -> Value:
        return self.binary(BinaryFunction.DIV, a, b)

    def unary(self, function: str, x: Value) -> Value:
        return self.build.call(Unary(function), [x])

    def mean(self, x: Value, axes: tuple[int, ...]) -> Value:
        return self.build.call(ReduceMean(axes), [x])

    def reshape(self, x: Value, *shape: int) -> Value:
        return x if x.shape == shape else self.build.call(Reshape(shape), [x])

    def variance(self, x: Value, mean: Value, axes: tuple[int, ...]) -> Value:
        centred = self.sub(x, mean)
        return self.mean(self.mul(centred, centred), axes)

    def normalized(self, x: Value, mean: Value, variance: Value, epsilon: float, scale: Value, bias: Value) -> Value:
        """(x - mean) / sqrt(variance + epsilon) * scale + bias."""
        deviation = self.unary("Sqrt", self.add(variance, self.number(epsilon)))
        return self.add(self.mul(self.div(self.sub(x, mean), deviation), scale), bias)


def import_batch_norm(node: Node) -> Imported:
    """With `training_mode` the batch's own statistics, which also move the running ones."""
    x, a = node.input(0), Arithmetic(node)
    rank = len(x.shape)
    along = (x.shape[1] if rank > 1 else 1, *(1,) * (rank - 2))
    epsilon = node.float("epsilon", 1e-5)
    is_training = bool(node.int("training_mode", 0))
    given = [node.input(i).data for i in range(1, 5)]
    known = [data.astype(np.float64).reshape(along) for data in given if data is not None]
    if len(known) == len(given) and not is_training:
        factor = known[0] / np.sqrt(known[3] + epsilon)
        operands = [a.constant(factor, "factor"), a.constant(known[1] - known[2] * factor, "offset")]
        return node.build.call(ChannelAffine(), [x, *operands])
    scale, bias, mean, variance = (a.reshape(node.input(i), *along) for i in range(1, 5))
    if not is_training:
        return a.normalized(x, mean, variance, epsilon, scale, bias)
    axes = (0, *range(2, rank))
    own_mean = a.mean(x, axes)
    own_variance = a.variance(x, own_mean, axes)
    momentum = node.float("momentum", 0.9)
    channels = node.input(3).shape
    moved = [
        a.add(a.mul(node.input(i), a.number(momentum)), a.mul(a.reshape(own, *channels), a.number(1 - momentum)))
        for i, own in ((3, own_mean), (4, own_variance))
    ]
    return (a.normalized(x, own_mean, own_variance, epsilon, scale, bias), *moved)


def import_lrn(node: Node) -> Value:
    """x / (bias + alpha / size * sum of squares over `size` neighbouring channels) ^ beta."""
    x, a, size = node.input(0), Arithmetic(node), node.int("size", 1)
    channels = x.shape[1]
    before = (size - 1) // 2
    frame = Frame((size, 1), (1, 1), (1, 1), (before, 0), (size - 1 - before, 0))
    squares = a.reshape(a.mul(x, x), x.shape[0], 1, channels, x.size // (x.shape[0] * channels))
    total = a.reshape(node.build.call(SpatialPool(frame, False), [squares]), *x.shape)
    base = a.add(a.mul(total, a.number(node.float("alpha", 1e-4) / size)), a.number(node.float("bias", 1.0)))
    return a.div(x, a.binary(BinaryFunction.POW, base, a.number(node.float("beta", 0.75))))


def import_lp_norm(node: Node) -> Value:
    """x divided by its 1- or 2-norm along the axis; 0 where the norm is."""
    x, a = node.input(0), Arithmetic(node)
    axes = (node.axis(-1, len(x.shape)),)
    first = node.int("p", 2) == 1
    total = node.build.call(ReduceSum(axes), [a.unary("Abs", x) if first else a.mul(x, x)])
    norm = total if first else a.unary("Sqrt", total)
    is_zero = node.build.call(Logic("Equal"), [norm, a.number(0.0)])
    return a.div(x, node.build.call(Where(), [is_zero, a.number(1.0), norm]))


def import_hardmax(node: Node) -> Value:
    """1 where the first largest element along the axis is, else 0."""
    x, a = node.input(0), Arithmetic(node)
    axis = node.axis(-1, len(x.shape))
    (where,) = node.build.call_all(ArgExtremum(axis, True, False), [x])
    places = np.arange(x.shape[axis]).reshape((-1, *(1,) * (len(x.shape) - 1 - axis))).astype(np.int64)
    here = node.build.call(Logic("Equal"), [where, node.build.constant(places, "places")])
    return node.build.call(Where(), [here, a.number(1.0), a.number(0.0)])


IMPORTERS = {
    "BatchNormalization": import_batch_norm,
    "Hardmax": import_hardmax,
    "LRN": import_lrn,
    "LpNormalization": import_lp_norm,
}
