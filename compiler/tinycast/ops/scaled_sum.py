"""Sums and products of two quantized tensors, in integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinycast.ir.fixed_point import INT32_MAX, at_least_one, sum_rule
from tinycast.ir.graph import Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm, QuantizedTensor
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.requantize import add_requantize
from tinycast.tvm_bridge import expr as te

_WIDE_SUM_SHIFT = 40


def integer_product(form: IntegerForm, a: QuantizedTensor, b: QuantizedTensor) -> Value | None:
    """a * b, where the product of two such tensors fits int32."""
    bound = form.most(a.zero_point) * form.most(b.zero_point)
    if bound > INT32_MAX:
        return None
    accumulator = form.build.call(OffsetProduct(a.zero_point, b.zero_point), [a.value, b.value])
    ratio = np.asarray(a.scale * b.scale / form.scale)
    return add_requantize(
        form.build, accumulator, ratio, form.zero_point, form.bounds, bound, form.output.name, form.dtype
    )


def integer_sum(form: IntegerForm, a: QuantizedTensor, b: QuantizedTensor, sign: float) -> Value | None:
    """a + sign * b."""
    if form.dtype is DType.INT16:
        return _wide_sum(form, a, b, sign)
    rule = sum_rule(a.scale, a.zero_point, sign * b.scale, b.zero_point, form.scale, form.zero_point, form.build.source)
    op = ScaledSum(rule.multiplier_a, rule.multiplier_b, rule.addend, rule.shift, form.low, form.high)
    return form.build.call(op, [a.value, b.value], form.output.name)


def _wide_sum(form: IntegerForm, a: QuantizedTensor, b: QuantizedTensor, sign: float) -> Value | None:
    """In 64 bits: multipliers keep 30 bits, and so all that 16 bits of a result show."""
    ratios = (a.scale / form.scale, sign * b.scale / form.scale)
    shift = next((s for s in range(_WIDE_SUM_SHIFT, 0, -1) if max(map(abs, ratios)) * 2**s < 2**30), 0)
    if not shift:
        return None
    first, second = (at_least_one(round(ratio * 2**shift)) for ratio in ratios)
    addend = (1 << (shift - 1)) + (form.zero_point << shift) - a.zero_point * first - b.zero_point * second
    op = ScaledSum(first, second, addend, shift, form.low, form.high, DType.INT16)
    return form.build.call(op, [a.value, b.value], form.output.name)


@dataclass(frozen=True)
class ScaledSum(Op):
    """y = clamp((a * multiplier_a + b * multiplier_b + addend) >> shift, low, high).

    On int8 in int32, on int16 in int64.
    """

    pattern = Pattern.ELEMENTWISE
    multiplier_a: int
    multiplier_b: int
    addend: int
    shift: int
    low: int
    high: int
    dtype: DType = DType.INT8

    @property
    def title(self) -> str:
        return "Add"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(np.broadcast_shapes(*(v.shape for v in inputs)), self.dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        a, b = (x.astype(np.int64) for x in arrays)
        total = (a * self.multiplier_a + b * self.multiplier_b + self.addend) >> self.shift
        return np.asarray(np.clip(total, self.low, self.high), self.dtype.numpy)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        def wide(a: te.Expr, b: te.Expr) -> te.Expr:
            first, second, rest = (
                te.const(n, DType.INT64) for n in (self.multiplier_a, self.multiplier_b, self.addend)
            )
            total = te.cast(a, DType.INT64) * first + te.cast(b, DType.INT64) * second + rest
            low, high = (te.const(n, DType.INT64) for n in (self.low, self.high))
            return te.cast(te.maximum(te.minimum(total >> self.shift, high), low), self.dtype)

        def body(a: te.Expr, b: te.Expr) -> te.Expr:
            total = te.cast(a, DType.INT32) * self.multiplier_a + te.cast(b, DType.INT32) * self.multiplier_b
            shifted = (total + self.addend) >> self.shift
            return te.cast(te.extern(DType.INT32, "tc_clamp", shifted, self.low, self.high), DType.INT8)

        return te.elementwise(tensors, out.shape, wide if self.dtype is DType.INT16 else body, "added")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self


@dataclass(frozen=True)
class OffsetProduct(Op):
    """acc = (a - zero_a) * (b - zero_b) on int8, in int32."""

    pattern = Pattern.ELEMENTWISE
    zero_a: int
    zero_b: int

    @property
    def title(self) -> str:
        return "Mul"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(np.broadcast_shapes(*(v.shape for v in inputs)), DType.INT32)

    def reference(self, arrays: Sequence[Array]) -> Array:
        a, b = (x.astype(np.int32) for x in arrays)
        return (a - self.zero_a) * (b - self.zero_b)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        def body(a: te.Expr, b: te.Expr) -> te.Expr:
            return (te.cast(a, DType.INT32) - self.zero_a) * (te.cast(b, DType.INT32) - self.zero_b)

        return te.elementwise(tensors, out.shape, body, "product")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self
