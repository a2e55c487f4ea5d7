"""Products of two tensors that are computed at run time: MatMul, Gemm, Einsum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tinycast.ir.graph import Builder, Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm
from tinycast.ir.sizes import sizes_of
from tinycast.ir.types import Array, DType, Sizes, Value
from tinycast.ops.node import Node
from tinycast.ops.requantize import add_requantize
from tinycast.ops.shape import Reshape, Transpose
from tinycast.ops.sums import chunked_sum
from tinycast.tvm_bridge import expr as te


@dataclass(frozen=True)
class BatchedProduct(Op):
    """y[b, m, n] = sum_k a[b, m, k] * c[b, k, n]; the axes b broadcast. Integers wrap in their own type.

    With `zero_points` both are int8 less these, and the sum is int32.
    """

    pattern = Pattern.CHANNELWISE
    zero_points: tuple[int, int] | None = None

    @property
    def title(self) -> str:
        return "MatMul"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        a, c = (v.shape for v in inputs)
        return TensorType((*np.broadcast_shapes(a[:-2], c[:-2]), a[-2], c[-1]), self._sum_type(inputs[0].dtype))

    def _sum_type(self, dtype: DType) -> DType:
        return dtype if self.zero_points is None else DType.INT32

    def reference(self, arrays: Sequence[Array]) -> Array:
        dtype = arrays[0].dtype
        wide = np.float64 if dtype.kind == "f" else np.int64
        a, c = (x.astype(wide) - zero for x, zero in zip(arrays, self.zero_points or (0, 0), strict=True))
        return np.asarray(np.matmul(a, c), self._sum_type(DType(dtype.name)).numpy)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        a, c = tensors

        def term(i: Sequence[te.Expr], k: Sequence[te.Expr]) -> te.Expr:
            left = te.broadcast_read(a, [*i[:-1], k[0]])
            right = te.broadcast_read(c, [*i[:-2], k[0], i[-1]])
            if self.zero_points is not None:
                left = te.cast(left, DType.INT32) - self.zero_points[0]
                right = te.cast(right, DType.INT32) - self.zero_points[1]
            return left * right

        return chunked_sum(out, [int(a.shape[-1])], term)

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
        total = form.build.call(BatchedProduct((a.zero_point, c.zero_point)), [a.value, c.value])
        ratio = np.asarray(a.scale * c.scale / form.scale)
        bound = (128 + abs(a.zero_point)) * (128 + abs(c.zero_point)) * a.value.shape[-1]
        return add_requantize(form.build, total, ratio, form.zero_point, form.bounds, bound, form.output.name)


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
