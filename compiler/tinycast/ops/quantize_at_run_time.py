"""QuantizeLinear and DequantizeLinear whose scale or zero point is computed, or of types without an integer form."""

from __future__ import annotations

from tinycast.ir.types import DType, Value
from tinycast.ops.elementwise import Binary, BinaryFunction, Clip
from tinycast.ops.formats import convert, rule_of
from tinycast.ops.logic import Cast
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
    y = build.call(Unary("Round"), [steps])
    if zero is not None:
        points = build.call(Cast(DType.FLOAT32), [_spread(node, zero, x)])
        y = build.call(Binary(BinaryFunction.ADD), [y, points])
    return build.call(Cast(dtype.inside), [build.call(Clip(*dtype.bounds), [y])])


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
