"""Requantize: a 32-bit accumulator to 8 bits, the integer arithmetic's central rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinycast.ir.fixed_point import MAX_SHIFT, WIDE_SHIFT, FixedPoint, fixed_point, requantize
from tinycast.ir.graph import Builder, Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.types import Array, DType, Value
from tinycast.tvm_bridge import expr as te


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
