"""Requantize: a 32-bit accumulator to 8 bits, the integer arithmetic's central rule; a 64-bit one to 16 bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinycast.ir.fixed_point import MAX_SHIFT, WIDE_SHIFT, FixedPoint, fixed_point, requantize
from tinycast.ir.graph import Builder, Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm
from tinycast.ir.types import Array, DType, Value
from tinycast.tvm_bridge import expr as te

_WIDE_MULTIPLIER_BITS = 30
_LEAST_MULTIPLIER_BITS = 18  # with which its rounding stays far below a step of 16 bits


@dataclass(frozen=True)
class Requantize(Op):
    """y = clamp((hi32((accumulator << pre_shift) * multiplier) + addend) >> shift, low, high), int8 or int16.

    Inputs: accumulator (int32 or narrower), multiplier, addend and shift (int32 constants that broadcast to it).
    """

    pattern = Pattern.ELEMENTWISE
    low: int
    high: int
    pre_shift: int = 0
    accumulator_limit: int = 0
    dtype: DType = DType.INT8

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, self.dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        acc, multiplier, addend, shift = (np.asarray(a, np.int32) for a in arrays)
        rule = FixedPoint(multiplier, shift, addend, self.pre_shift, self.accumulator_limit)
        return np.asarray(requantize(acc, rule, self.low, self.high), self.dtype.numpy)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        def body(acc: te.Expr, multiplier: te.Expr, addend: te.Expr, shift: te.Expr) -> te.Expr:
            acc = te.cast(acc, DType.INT32)
            if self.accumulator_limit:
                limit = self.accumulator_limit
                acc = te.extern(DType.INT32, "tc_clamp", acc, -limit, limit)
            if self.pre_shift:
                acc = acc * (1 << self.pre_shift)
            if self.dtype is DType.INT16:
                return te.extern(DType.INT16, "tc_requantize_s16", acc, multiplier, addend, shift, self.low, self.high)
            fixed = te.constant_value(shift)
            if fixed is not None and (self.low, self.high) == (-128, 127):
                return te.extern(DType.INT8, f"tc_requantize_s8_{fixed}", acc, multiplier, addend)
            return te.extern(DType.INT8, "tc_requantize", acc, multiplier, addend, shift, self.low, self.high)

        return te.elementwise(tensors, out.shape, body, "requantized")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self


def add_requantize(
    build: Builder,
    accumulator: Value,
    ratio: Array,
    zero_point: int,
    bounds: tuple[int, int],
    accumulator_bound: int,
    name: str = "",
    dtype: DType = DType.INT8,
) -> Value:
    """Append a Requantize for y = accumulator * ratio + zero_point; `ratio` (float64) broadcasts to it."""
    most_shift = WIDE_SHIFT if dtype is DType.INT16 else MAX_SHIFT
    rule = fixed_point(np.asarray(ratio, np.float64), zero_point, accumulator_bound, build.source, most_shift)
    rank = len(accumulator.shape)

    def shaped(data: Array, label: str) -> Value:
        return build.constant(
            data.reshape(()) if data.size == 1 else data.reshape((1,) * (rank - data.ndim) + data.shape), label
        )

    op = Requantize(bounds[0], bounds[1], rule.pre_shift, rule.accumulator_limit, dtype)
    constants = [shaped(rule.multiplier, "multiplier"), shaped(rule.addend, "addend"), shaped(rule.shift, "shift")]
    return build.call(op, [accumulator, *constants], name)


@dataclass(frozen=True)
class WideRequantize(Op):
    """y = clamp((accumulator * multiplier + addend) >> shift, low, high), int16. Input: accumulator (int64)."""

    pattern = Pattern.ELEMENTWISE
    multiplier: int
    addend: int
    shift: int
    low: int
    high: int

    @property
    def title(self) -> str:
        return "Requantize"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, DType.INT16)

    def reference(self, arrays: Sequence[Array]) -> Array:
        total = (arrays[0] * np.int64(self.multiplier) + np.int64(self.addend)) >> np.int64(self.shift)
        return np.asarray(np.clip(total, self.low, self.high), np.int16)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        def body(acc: te.Expr) -> te.Expr:
            multiplier, addend, low, high = (
                te.const(n, DType.INT64) for n in (self.multiplier, self.addend, self.low, self.high)
            )
            total = (acc * multiplier + addend) >> self.shift
            return te.cast(te.maximum(te.minimum(total, high), low), DType.INT16)

        return te.elementwise(tensors, out.shape, body, "requantized")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self


def add_wide_requantize(form: IntegerForm, accumulator: Value, ratio: float, bound: int) -> Value | None:
    """Append a WideRequantize of an int64 sum that stays within +-bound; None where 64 bits are too few."""
    most = min(2**_WIDE_MULTIPLIER_BITS, 2**62 // max(bound, 1))
    shift = next((s for s in range(61, 0, -1) if ratio * 2**s <= most and abs(form.zero_point) << s < 2**61), 0)
    multiplier = round(ratio * 2**shift)
    if not shift or multiplier < 2**_LEAST_MULTIPLIER_BITS:
        return None
    addend = (1 << (shift - 1)) + (form.zero_point << shift)
    op = WideRequantize(multiplier, addend, shift, form.low, form.high)
    return form.build.call(op, [accumulator], form.output.name)
