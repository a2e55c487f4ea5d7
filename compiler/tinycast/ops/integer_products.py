"""MatMulInteger and ConvInteger: products of integers less their zero points, in int32.

Constant weights are shifted at compile time and kept as int8 or int16; then the layers are the usual ones, on int16
activations, whose zero point may be known at run time only.
"""

from __future__ import annotations

import numpy as np

from tinycast.ir.fixed_point import INT32_MAX
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.conv import image_conv
from tinycast.ops.dense import FullyConnected
from tinycast.ops.elementwise import Binary, BinaryFunction
from tinycast.ops.logic import Cast
from tinycast.ops.node import Node
from tinycast.ops.product import product
from tinycast.ops.shape import Reshape
from tinycast.ops.spatial import SpatialConv, frame_of

_LARGEST_ACTIVATION = 255  # less its zero point


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


def _narrow(node: Node, x: Value) -> Value:
    """Activations less their zero point as int16, which has room for them."""
    return node.build.call(Cast(DType.INT16), [x])


def _narrow_weights(weight: Value) -> Array | None:
    """Constant weights (O, ...) as int8, or int16 where that is too narrow; None where sums may leave 32 bits."""
    if weight.data is None or weight.size == 0:
        return None
    data = weight.data.astype(np.int64)
    if _LARGEST_ACTIVATION * int(np.abs(data.reshape(len(data), -1)).sum(1).max()) > INT32_MAX:
        return None
    return data.astype(np.int8 if data.min() >= -128 and data.max() <= 127 else np.int16)


def _zeros(node: Node, weights: Array) -> Value:
    return node.build.constant(np.zeros(len(weights), np.int32), "bias")


def import_mat_mul_integer(node: Node) -> Value:
    a, b = node.input(0), node.input(1)
    rows, columns = node.optional(2), node.optional(3)
    row_shape = (*(rows.shape if rows is not None else ()), 1) if rows is None or len(rows.shape) == 1 else rows.shape
    left = _centred(node, a, rows, row_shape)
    right = _centred(node, b, columns, columns.shape if columns is not None else ())
    if len(left.shape) > 1 and len(right.shape) == 2 and right.data is not None:
        weights = _narrow_weights(Value(right.name, right.shape[::-1], right.dtype, data=right.data.T))
        if weights is not None:
            operands = [_narrow(node, left), node.build.constant(weights, "weight"), _zeros(node, weights)]
            return node.build.call(FullyConnected(), operands)
    return product(node, left, right)


def import_conv_integer(node: Node) -> Value:
    x, weight, zeros = node.input(0), node.input(1), node.optional(3)
    channels = (weight.shape[0], *(1,) * (len(weight.shape) - 1))
    operands = [_centred(node, x, node.optional(2), ()), _centred(node, weight, zeros, channels)]
    weights = _narrow_weights(operands[1])
    if weights is None or len(x.shape) not in (3, 4):
        frame, _ = frame_of(node, weight.shape[2:], x.shape[2:])
        return node.build.call(SpatialConv(frame, node.int("group", 1)), operands)
    kernel = weights.reshape(*weights.shape[:2], -1, weights.shape[-1]).transpose(0, 2, 3, 1)
    constant = node.build.constant(np.ascontiguousarray(kernel), "weight")
    return image_conv(node, _narrow(node, operands[0]), constant, _zeros(node, weights))


IMPORTERS = {"ConvInteger": import_conv_integer, "MatMulInteger": import_mat_mul_integer}
