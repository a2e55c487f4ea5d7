"""Gemm and MatMul; with a constant matrix they have a kernel of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from tinycast.ir.graph import QUAD, Builder, Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm
from tinycast.ir.sizes import kept_sizes
from tinycast.ir.types import Array, DType, Sizes, Value
from tinycast.ops.dot import dot_product, pack_weights
from tinycast.ops.elementwise import Binary, BinaryFunction
from tinycast.ops.node import Node
from tinycast.ops.product import product, swapped
from tinycast.ops.requantize import add_requantize
from tinycast.ops.rows import VectorRows, pack_quads, vector_sums, widened
from tinycast.ops.shape import Reshape, Transpose
from tinycast.ops.sums import chunked_sum
from tinycast.ops.weights import integer_weights
from tinycast.ops.window import Window
from tinycast.tvm_bridge import expr as te


@dataclass(frozen=True)
class FullyConnected(Op):
    """acc[..., o] = bias[o] + sum_k x[..., k] * weight[o, k]. int8 inputs give an int32 accumulator."""

    pattern = Pattern.DENSE
    has_wide_form = True

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        x, weight = inputs[0], inputs[1]
        dtype = DType.FLOAT32 if x.dtype is DType.FLOAT32 else DType.INT32
        return TensorType((*x.shape[:-1], weight.shape[0]), dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x, weight, bias = arrays
        # float64 holds int8 products and their sums exactly, and BLAS is fast.
        y = x.astype(np.float64) @ weight.astype(np.float64).T + bias
        return y.astype(np.float32 if x.dtype == np.float32 else np.int32)

    def pack(self, index: int, data: Array, tile: Tile) -> Array:
        if index != 1:
            return data
        if tile.vector and tile.lanes == QUAD:
            return pack_quads(data[:, None, None, :], tile, depthwise=False)
        if tile.lanes:
            return pack_weights(data[:, None, None, :], tile)
        blocks = data.reshape(data.shape[0] // tile.channels, tile.channels, data.shape[1])
        return np.ascontiguousarray(blocks.transpose(0, 2, 1))

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x, weight, bias = tensors
        if tile.vector:
            return self._vector_product(x, weight, bias, out, tile)
        if tile.lanes:
            sums = dot_product(x, weight, out.shape[0], tile)
            c = tile.channels
            return te.compute(out.shape, lambda p, o: sums[p, o // c, o % c] + bias[o], name="biased")

        def term(i: Sequence[te.Expr], k: Sequence[te.Expr]) -> te.Expr:
            factor = weight[i[-1] // tile.channels, k[0], i[-1] % tile.channels]
            return te.cast(x(*i[:-1], k[0]), out.dtype) * te.cast(factor, out.dtype)

        acc = chunked_sum(out, [int(x.shape[-1])], term)
        return te.compute(out.shape, lambda *i: acc(*i) + bias[i[-1]], name="biased")

    def _vector_product(self, x: Tensor, weight: Tensor, bias: Tensor, out: TensorType, tile: Tile) -> Tensor:
        """The positions as one row of an image that a 1 x 1 convolution works on; single floats are its rows."""
        positions, length = (int(n) for n in x.shape)
        weight = widened(weight, tile)
        layer = VectorRows(Window((1, 1), (1, 1), (1, 1), (0, 0, 0, 0)), length, positions, tile)
        if tile.lanes == 1 and tile.positions == 1:
            layer = replace(layer, columns_out=1)
            sums = vector_sums(lambda h, f: x[h, f], weight, layer, positions)
            return te.compute(
                out.shape, lambda i, o: sums[i, 0, o // tile.channels, 0, o % tile.channels] + bias[o], name="biased"
            )
        rows = layer.copy(lambda _, f: x[f // length, f % length], 1, positions, 0)
        sums = vector_sums(lambda h, f: rows[0, h, f], weight, layer, 1)
        p, c = tile.positions, tile.channels
        return te.compute(out.shape, lambda i, o: sums[0, i // p, o // c, i % p, o % c] + bias[o], name="biased")

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        return kept_sizes(inputs[0], [-1])

    def macs(self, inputs: Sequence[Value], out: TensorType) -> int:
        return prod(out.shape) * inputs[1].shape[1]

    def integer_form(self, form: IntegerForm) -> Value | None:
        weights = integer_weights(form)
        if weights is None:
            return None
        accumulator = form.build.call(self, [form.inputs[0].value, weights.weight, weights.bias])
        return add_requantize(
            form.build,
            accumulator,
            weights.ratio,
            form.zero_point,
            form.bounds,
            weights.bound,
            form.output.name,
            form.dtype,
        )


def import_gemm(node: Node) -> Value:
    x, weight, bias = node.input(0), node.input(1), node.optional(2)
    alpha, beta = node.float("alpha", 1.0), node.float("beta", 1.0)
    build = node.build
    if node.int("transA", 0):
        x = build.call(Transpose((1, 0)), [x])
    if not node.int("transB", 0):
        weight = build.call(Transpose((1, 0)), [weight])
    channels = weight.shape[0]
    one_each = bias is not None and bias.size == channels and bias.shape[-1:] in ((), (channels,))
    plain = bias is None or (node.is_weight(2) and one_each)
    constant = node.is_weight(1) and x.dtype is DType.FLOAT32
    if constant and alpha == 1.0 and plain and (beta == 1.0 or bias is None):
        if bias is None:
            bias = build.constant(np.zeros(channels, np.float32), "bias")
        elif bias.shape != (channels,):
            bias = build.call(Reshape((channels,)), [bias])
        return build.call(FullyConnected(), [x, weight, bias])
    if constant:
        zero = build.constant(np.zeros(channels, np.float32), "bias")
        y = build.call(FullyConnected(), [x, weight, zero])
    else:
        y = product(node, x, swapped(node, weight))
    if alpha != 1.0:
        y = build.call(Binary(BinaryFunction.MUL), [y, build.constant(np.asarray(alpha, np.float32), "alpha")])
    if bias is not None:
        if beta != 1.0:
            bias = build.call(Binary(BinaryFunction.MUL), [bias, build.constant(np.asarray(beta, np.float32), "beta")])
        y = build.call(Binary(BinaryFunction.ADD), [y, bias])
    return y


def import_matmul(node: Node) -> Value:
    """x @ W, and W @ x as the transpose of x^T @ W^T; W is a matrix, a vector, or has leading axes of length 1.

    Integers are multiplied without a bias, which would be a float.
    """
    build = node.build
    left = node.is_weight(0) and not node.is_weight(1)
    x, weight = (node.input(1), node.input(0)) if left else (node.input(0), node.input(1))
    constant = node.is_weight(0 if left else 1) and x.dtype is DType.FLOAT32
    if not constant or prod(weight.shape[:-2]) != 1:
        return product(node, node.input(0), node.input(1))
    a, b = (node.input(i).shape for i in (0, 1))
    leading = np.broadcast_shapes(a[:-2], b[:-2])
    shape = (*leading, *(a[-2:-1] if len(a) > 1 else ()), *(b[-1:] if len(b) > 1 else ()))
    if len(x.shape) == 1:
        x = build.call(Reshape((x.size, 1) if left else (1, x.size)), [x])
    vector = (1, weight.size) if left else (weight.size, 1)
    matrix = vector if len(weight.shape) == 1 else weight.shape[-2:]
    if matrix != weight.shape:
        weight = build.call(Reshape(matrix), [weight])
    swap = (*range(len(x.shape) - 2), len(x.shape) - 1, len(x.shape) - 2)
    if left:
        x = build.call(Transpose(swap), [x])
    else:
        weight = build.call(Transpose((1, 0)), [weight])
    zero = build.constant(np.zeros(weight.shape[0], np.float32), "bias")
    y = build.call(FullyConnected(), [x, weight, zero])
    if left:
        y = build.call(Transpose(swap), [y])
    return y if y.shape == shape else build.call(Reshape(shape), [y])


IMPORTERS = {"Gemm": import_gemm, "MatMul": import_matmul}
