"""The integer arithmetic of DESIGN section 4: how a real ratio becomes multiplier, shift and addend.

The only place where these numbers are made; runtime_c/generic/tc_requantize.h is the same rule in C.
Rounding is half up (towards plus infinity) everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinycast.errors import InternalError, ModelError

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

MAX_SHIFT = 23
WIDE_SHIFT = 14  # the most for results of 16 bits, whose zero point is shifted by it
_KEPT_BITS = 16  # a multiplier that would keep fewer bits gets a shift of its own
INT32_MAX = 2**31 - 1


@dataclass(frozen=True)
class FixedPoint:
    """y = clamp((hi32((accumulator << pre_shift) * multiplier) + addend) >> shift).

    All arrays have the shape of the ratio they were made from; `shift` and `addend` have one element
    where they are the same for all of it. `accumulator_limit` is non-zero where the accumulator has to
    be clamped to +-limit first, because its range could not be proven.
    """

    multiplier: Int32
    shift: Int32
    addend: Int32
    pre_shift: int
    accumulator_limit: int


def fixed_point(
    ratio: Float64, zero_point: int, accumulator_bound: int, where: str, most_shift: int = MAX_SHIFT
) -> FixedPoint:
    """Choose the numbers for y = accumulator * ratio + zero_point.

    `ratio` holds non-negative reals, `accumulator_bound` the largest |accumulator| that can occur.
    Raises ModelError (naming `where`) when the accumulator itself can leave 32 bits.
    """
    if accumulator_bound > INT32_MAX:
        raise ModelError(
            f"the 32-bit accumulator can overflow (|sum| up to {accumulator_bound})",
            where=where,
            fix="quantize with smaller weights or split the layer",
        )
    if not np.all(np.isfinite(ratio)) or np.any(ratio < 0):
        raise ModelError("a quantization scale is negative or not finite", where=where, fix="quantize the model again")
    largest = float(ratio.max(initial=0.0))
    pre_shift = 0
    while largest / 2**pre_shift >= 0.25:
        pre_shift += 1
    limit = 0
    if pre_shift > 30:
        raise ModelError(f"a rescale by {largest:g} is out of range", where=where, fix="quantize the model again")
    if accumulator_bound << pre_shift > INT32_MAX:
        limit = INT32_MAX >> pre_shift
    scaled = ratio / 2.0**pre_shift
    shift = _shift(float(scaled.max(initial=0.0)), most_shift)
    multiplier = _multiplier(scaled, np.full(1, shift, np.int32))
    weak = (scaled > 0) & (multiplier < 2 ** (_KEPT_BITS - 1))
    shifts = np.full(1, shift, np.int32)
    if np.any(weak) and shift < most_shift:
        shifts = np.vectorize(_shift, otypes=[np.int32])(scaled, most_shift).reshape(ratio.shape)
        multiplier = _multiplier(scaled, shifts)
    addend = (np.int64(1) << (shifts.astype(np.int64) - 1)) + (np.int64(zero_point) << shifts.astype(np.int64))
    if np.any(np.abs(addend) > INT32_MAX):
        raise InternalError("the rounding constant leaves 32 bits", where=where)
    return FixedPoint(multiplier, shifts, addend.astype(np.int32), pre_shift, limit)


def _shift(ratio: float, most: int) -> int:
    """The largest shift in 1..most for which round(ratio * 2^(32 + shift)) stays below 2^31."""
    for shift in range(most, 0, -1):
        if np.rint(ratio * 2.0 ** (32 + shift)) < 2**31:
            return shift
    raise InternalError(f"no shift for the ratio {ratio}")


def _multiplier(ratio: Float64, shift: Int32) -> Int32:
    return np.asarray(np.rint(ratio * 2.0 ** (32 + shift.astype(np.float64))), np.int32)


def mulhi(a: Int32, b: Int32) -> Int64:
    """The upper half of the signed 64-bit product."""
    return (a.astype(np.int64) * b.astype(np.int64)) >> 32


def requantize(accumulator: Int32, rule: FixedPoint, low: int, high: int) -> Int64:
    """The reference of the rule; arrays broadcast."""
    acc = accumulator.astype(np.int64)
    if rule.accumulator_limit:
        acc = np.clip(acc, -rule.accumulator_limit, rule.accumulator_limit)
    acc = acc << rule.pre_shift
    if acc.size and (acc.max() > INT32_MAX or acc.min() < -INT32_MAX - 1):
        raise InternalError("an accumulator left its proven range")
    high_half = (acc * rule.multiplier.astype(np.int64)) >> 32
    result: Int64 = np.clip((high_half + rule.addend) >> rule.shift.astype(np.int64), low, high)
    return result


@dataclass(frozen=True)
class SumRule:
    """y = clamp((a * multiplier_a + b * multiplier_b + addend) >> shift), all in int32."""

    multiplier_a: int
    multiplier_b: int
    addend: int
    shift: int


def sum_rule(
    scale_a: float, zero_a: int, scale_b: float, zero_b: int, scale_y: float, zero_y: int, where: str
) -> SumRule:
    """The rule for y = a + b (`scale_b` negative for a - b) on int8 inputs.

    The multipliers stay within 2^22, so that with |a|, |b| <= 128 the sum stays within 2^31.
    """
    ratio_a, ratio_b = scale_a / scale_y, scale_b / scale_y
    largest = max(abs(ratio_a), abs(ratio_b))
    for shift in range(MAX_SHIFT, 0, -1):
        multiplier_a = at_least_one(round(ratio_a * 2**shift))
        multiplier_b = at_least_one(round(ratio_b * 2**shift))
        addend = (1 << (shift - 1)) + (zero_y << shift) - zero_a * multiplier_a - zero_b * multiplier_b
        bound = 128 * (abs(multiplier_a) + abs(multiplier_b)) + abs(addend)
        if max(abs(multiplier_a), abs(multiplier_b)) <= 2**22 and bound <= INT32_MAX:
            return SumRule(multiplier_a, multiplier_b, addend, shift)
    raise ModelError(f"an addition rescales by {largest:g}", where=where, fix="quantize the model again")


def at_least_one(multiplier: int) -> int:
    """The multiplier, 1 instead of 0: an operand that counts for nothing beside the other (a mask of -1e30, say, as
    finely quantized as its range allows) changes no result, but stays an operand of the kernel that computes it."""
    return multiplier or 1
