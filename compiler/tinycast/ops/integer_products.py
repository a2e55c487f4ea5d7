"""MatMulInteger and ConvInteger: products of integers less their zero points, in int32."""

from __future__ import annotations

from tinycast.ir.types import DType, Value
from tinycast.ops.elementwise import Binary, BinaryFunction
from tinycast.ops.logic import Cast
from tinycast.ops.node import Node
from tinycast.ops.product import product
from tinycast.ops.shape import Reshape
from tinycast.ops.spatial import SpatialConv, frame_of


def _centred(node: Node, x: Value, zero: Value | None, shape: tuple[int, ...]) -> Value:
    """x less its zero point: one, or one an index of an axis, which `shape` makes broadcast."""
    build = node.build
    x = build.call(Cast(DType.INT32), [x])
    if zero is None:
        return x
    wanted = () if zero.size == 1 else shape
    points = build.call(Cast(DType.INT32), [zero])
    if points.shape != wanted:
        points = build.call(Reshape(wanted), [points])
    return build.call(Binary(BinaryFunction.SUB), [x, points])


def import_mat_mul_integer(node: Node) -> Value:
    a, b = node.input(0), node.input(1)
    rows, columns = node.optional(2), node.optional(3)
    row_shape = (*(rows.shape if rows is not None else ()), 1) if rows is None or len(rows.shape) == 1 else rows.shape
    left = _centred(node, a, rows, row_shape)
    right = _centred(node, b, columns, columns.shape if columns is not None else ())
    return product(node, left, right)


def import_conv_integer(node: Node) -> Value:
    x, weight, zeros = node.input(0), node.input(1), node.optional(3)
    frame, _ = frame_of(node, weight.shape[2:], x.shape[2:])
    channels = (weight.shape[0], *(1,) * (len(weight.shape) - 1))
    operands = [_centred(node, x, node.optional(2), ()), _centred(node, weight, zeros, channels)]
    return node.build.call(SpatialConv(frame, node.int("group", 1)), operands)


IMPORTERS = {"ConvInteger": import_conv_integer, "MatMulInteger": import_mat_mul_integer}
