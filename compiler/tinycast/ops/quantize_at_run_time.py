"""QuantizeLinear and DequantizeLinear whose scale or zero point is computed, or of types without an integer form, and
DynamicQuantizeLinear, which computes them of the tensor's range."""

from __future__ import annotations

import numpy as np

from tinycast.ir.graph import Builder
from tinycast.ir.types import DType, Value
from tinycast.ops.elementwise import Binary, BinaryFunction, Clip
from tinycast.ops.extrema import Extremum, ReduceExtremum
from tinycast.ops.formats import convert, rule_of
from tinycast.ops.logic import Cast, Logic, Where, masked
from tinycast.ops.node import Node
from tinycast.ops.rearrange import Repeat
from tinycast.ops.shape import Reshape, Slice
from tinycast.ops.unary import Unary


def quantized(node: Node, dtype: DType) -> Value:
    """saturate(round(x / scale) + zero_point), in float32."""
    x, zero, build = node.input(0), node.optional(2), node.build
    steps = build.call(Binary(BinaryFunction.DIV), [x, _spread(node, node.input(1), x)])
    if dtype.inside is DType.FLOAT32:  # such a type has no zero point but 0
        return convert(build, steps, rule_of(node))
    points = None if zero is None else build.call(Cast(DType.FLOAT32), [_spread(node, zero, x)])
    return _integers(build, steps, points, dtype)


def _integers(build: Builder, steps: Value, points: Value | None, dtype: DType) -> Value:
    """saturate(round(steps) + points); points are float32."""
    y = build.call(Unary("Round"), [steps])
    if points is not None:
        y = build.call(Binary(BinaryFunction.ADD), [y, points])
    return build.call(Cast(dtype.inside), [build.call(Clip(*dtype.bounds), [y])])


def import_dynamic_quantize(node: Node) -> tuple[Value, Value, Value]:
    """uint8 over the range of the elements and zero, with its scale and zero point.

    Of zeros alone the scale is 1, as in ONNX Runtime: by the equations of ONNX's documentation it is 0, and the
    elements are 0 / 0.
    """
    x, build = node.input(0), node.build
    zero, one, steps = (
        build.constant(np.asarray(n, np.float32), name) for n, name in ((0, "zero"), (1, "one"), (255, "steps"))
    )
    axes = tuple(range(len(x.shape)))
    whole = masked(build, x, axes, 0)

    def end(extremum: Extremum, function: BinaryFunction) -> Value:
        y = build.call(Reshape(()), [build.call(ReduceExtremum(extremum, axes), [whole])]) if axes else whole
        return build.call(Binary(function), [y, zero])

    low, high = end(Extremum.MIN, BinaryFunction.MIN), end(Extremum.MAX, BinaryFunction.MAX)
    span = build.call(Binary(BinaryFunction.SUB), [high, low])
    is_wide = build.call(Logic("Greater"), [span, zero])
    scale = build.call(Where(), [is_wide, build.call(Binary(BinaryFunction.DIV), [span, steps]), one])
    point = build.call(Binary(BinaryFunction.SUB), [zero, build.call(Binary(BinaryFunction.DIV), [low, scale])])
    point = build.call(Unary("Round"), [build.call(Clip(0, 255), [point])])
    y = _integers(build, build.call(Binary(BinaryFunction.DIV), [x, scale]), point, DType.UINT8)
    return y, scale, build.call(Cast(DType.UINT8), [point])


def dequantized(node: Node) -> Value:
    """(x - zero_point) * scale, in float32."""
    x, zero, build = node.input(0), node.optional(2), node.build
    y = x if x.dtype is DType.FLOAT32 else build.call(Cast(DType.FLOAT32), [x])
    if zero is not None:
        points = build.call(Cast(DType.FLOAT32), [_spread(node, zero, x)])
        y = build.call(Binary(BinaryFunction.SUB), [y, points])
    return build.call(Binary(BinaryFunction.MUL), [y, _spread(node, node.input(1), x)])


def _spread(node: Node, value: Value, x: Value) -> Value:
    """One element for all of x, one an index of the axis, or one a block along it, so that it broadcasts to x."""
    rank, build = len(x.shape), node.build
    axis = node.axis(1, rank)
    if value.size == 1:
        return build.call(Reshape(()), [value]) if value.shape else value
    if len(value.shape) == 1:
        shape = (value.size, *(1,) * (rank - axis - 1))
        return build.call(Reshape(shape), [value]) if value.shape != shape else value
    block = node.int("block_size", 0)
    counts = tuple(block if a == axis else 1 for a in range(rank))
    wide = build.call(Repeat(counts), [value])
    return wide if wide.shape == x.shape else build.call(Slice((0,) * rank, (1,) * rank, x.shape), [wide])


IMPORTERS = {"DynamicQuantizeLinear": import_dynamic_quantize}
