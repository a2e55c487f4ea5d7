"""Products of two tensors that are computed at run time: MatMul, Gemm, Einsum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

import numpy as np

from tinycast.ir.fixed_point import INT32_MAX
from tinycast.ir.graph import Builder, Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm
from tinycast.ir.sizes import sizes_of
from tinycast.ir.types import Array, DType, Sizes, Value
from tinycast.ops.node import Node
from tinycast.ops.requantize import add_requantize, add_wide_requantize
from tinycast.ops.rows import VectorRows, vector_sums
from tinycast.ops.shape import Reshape, Transpose
from tinycast.ops.sums import chunked_sum
from tinycast.ops.window import Window
from tinycast.tvm_bridge import expr as te


@dataclass(frozen=True)
class BatchedProduct(Op):
    """y[b, m, n] = sum_k a[b, m, k] * c[b, k, n]; the axes b broadcast. Integers wrap in their own type.

    With `zero_points` both are int8 less these, and the sum is int32; of int16 it is int64.
    """

    pattern = Pattern.CHANNELWISE
    has_wide_form = True
    zero_points: tuple[int, int] | None = None

    @property
    def title(self) -> str:
        return "MatMul"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        a, c = (v.shape for v in inputs)
        return TensorType((*np.broadcast_shapes(a[:-2], c[:-2]), a[-2], c[-1]), self._sum_type(inputs[0].dtype))

    def _sum_type(self, dtype: DType) -> DType:
        if self.zero_points is None:
            return dtype
        return DType.INT64 if dtype is DType.INT16 else DType.INT32

    def reference(self, arrays: Sequence[Array]) -> Array:
        dtype = arrays[0].dtype
        wide = np.float64 if dtype.kind == "f" else np.int64
        a, c = (x.astype(wide) - zero for x, zero in zip(arrays, self.zero_points or (0, 0), strict=True))
        return np.asarray(np.matmul(a, c), self._sum_type(DType(dtype.name)).numpy)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        a, c = tensors
        if tile.vector:
            return self._vector_product(a, c, out, tile)

        def term(i: Sequence[te.Expr], k: Sequence[te.Expr]) -> te.Expr:
            left = te.broadcast_read(a, [*i[:-1], k[0]])
            right = te.broadcast_read(c, [*i[:-2], k[0], i[-1]])
            if self.zero_points is not None:
                left = te.cast(left, DType.INT32) - self.zero_points[0]
                right = te.cast(right, DType.INT32) - self.zero_points[1]
            return te.cast(left * right, out.dtype) if out.dtype is DType.INT64 else left * right

        return chunked_sum(out, [int(a.shape[-1])], term)

    def _vector_product(self, a: Tensor, c: Tensor, out: TensorType, tile: Tile) -> Tensor:
        """Each matrix of a as a row of an image that a 1 x 1 convolution works on, those of c packed as its weights.

        Integers are int16 there, without their zero points.
        """
        *batch, height, width = out.shape
        length, lanes, channels = int(a.shape[-1]), tile.lanes, tile.channels
        left_zero, right_zero = self.zero_points or (0, 0)
        layer = VectorRows(Window((1, 1), (1, 1), (1, 1), (0, 0, 0, 0)), length, height, tile)

        def place(matrix: te.Expr) -> list[te.Expr]:
            return [matrix // prod(batch[i + 1 :]) % n for i, n in enumerate(batch)]

        def wide(element: te.Expr, zero_point: int) -> te.Expr:
            return (
                te.cast(element, tile.wide) - te.const(zero_point, tile.wide)
                if zero_point
                else te.cast(element, tile.wide)
            )

        def left(matrix: te.Expr, f: te.Expr) -> te.Expr:
            element = te.broadcast_read(a, [*place(matrix), f // length, f % length])
            return te.select(f < height * length, wide(element, left_zero), te.const(0, tile.wide))

        def right(matrix: te.Expr, o: te.Expr, group: te.Expr, channel: te.Expr, k: te.Expr) -> te.Expr:
            row, column = group * lanes + k, o * channels + channel
            inside = te.all_of([row < length, column < width])
            element = te.broadcast_read(c, [*place(matrix), row, column])
            return te.select(inside, wide(element, right_zero), te.const(0, tile.wide))

        rows = te.compute((prod(batch), layer.length), left, name="rows")
        blocks = ceil(width / channels)
        packed = te.compute((prod(batch), blocks, layer.groups, channels, lanes), right, name="packed")
        sums = vector_sums(lambda h, f: rows[h, f], packed, layer, prod(batch), weights_a_row=True)

        def element(*i: te.Expr) -> te.Expr:
            # There is one axis of several matrices at most.
            matrix = next((n for n, size in zip(i[:-2], batch, strict=True) if size > 1), te.const(0, DType.INT32))
            row, column = i[-2:]
            return sums[matrix, row // tile.positions, column // channels, row % tile.positions, column % channels]

        return te.compute(out.shape, element, name="product")

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        """Rows of a may depend on data, and columns of c."""
        a, c = (sizes_of(v) for v in inputs)
        fits = not any((*a[:-2], *c[:-2], a[-1], c[-2]))
        return (*(None,) * (max(len(a), len(c)) - 2), a[-2], c[-1]) if fits else None

    def macs(self, inputs: Sequence[Value], out: TensorType) -> int:
        return prod(out.shape) * inputs[0].shape[-1]

    def integer_form(self, form: IntegerForm) -> Value | None:
        a, c = (operand.tensor for operand in form.inputs)
        if a is None or c is None:
            return None
        most = form.most(a.zero_point) * form.most(c.zero_point)
        if most > INT32_MAX:  # two factors with zero points far from the middle
            return None
        total = form.build.call(BatchedProduct((a.zero_point, c.zero_point)), [a.value, c.value])
        ratio = a.scale * c.scale / form.scale
        bound = most * a.value.shape[-1]
        if form.dtype is DType.INT16:
            return add_wide_requantize(form, total, ratio, bound)
        ratios = np.asarray(ratio)
        return add_requantize(form.build, total, ratios, form.zero_point, form.bounds, bound, form.output.name)


def product(node: Node, a: Value, b: Value) -> Value:
    """a @ b with NumPy's rules for vectors and leading axes."""
    build = node.build
    shape = (
        *np.broadcast_shapes(a.shape[:-2], b.shape[:-2]),
        *(a.shape[-2:-1] if len(a.shape) > 1 else ()),
        *(b.shape[-1:] if len(b.shape) > 1 else ()),
    )
    if len(a.shape) == 1:
        a = build.call(Reshape((1, a.size)), [a])
    if len(b.shape) == 1:
        b = build.call(Reshape((b.size, 1)), [b])
    y = build.call(BatchedProduct(), [a, b])
    return y if y.shape == shape else build.call(Reshape(shape), [y])


def swapped(node: Node, x: Value) -> Value:
    """The matrix transposed."""
    return node.build.call(Transpose((1, 0)), [x])
