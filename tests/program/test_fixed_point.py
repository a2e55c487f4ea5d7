"""The integer rules against exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from tinycast.errors import ModelError
from tinycast.ir.fixed_point import INT32_MAX, MAX_SHIFT, fixed_point, mulhi, requantize, sum_rule

WIDE = (-(10**9), 10**9)


def half_up(x: Fraction) -> int:
    return math.floor(x + Fraction(1, 2))


@pytest.mark.parametrize("shift", range(1, MAX_SHIFT + 1))
@pytest.mark.parametrize("zero_point", [-128, -3, 0, 127])
def test_requantize_rounds_the_exact_product_half_up(shift: int, zero_point: int) -> None:
    random = np.random.default_rng(shift)
    ratio = random.uniform(0.5, 0.999) * 2.0 ** (-1 - shift)
    rule = fixed_point(np.asarray(ratio), zero_point, INT32_MAX, "layer")
    assert rule.shift.item() == shift
    assert rule.pre_shift == 0
    multiplier = int(rule.multiplier.item())
    assert 2**30 <= multiplier < 2**31
    accumulators = [*random.integers(-INT32_MAX, INT32_MAX, 200), *range(-20, 20), INT32_MAX, -INT32_MAX]
    scale = 2 ** (32 + shift)
    accumulators += [((2 * k + 1) * scale // 2) // multiplier + d for k in range(-2, 3) for d in (-1, 0, 1)]
    accumulators = [a for a in map(int, accumulators) if abs(a) <= INT32_MAX]
    got = requantize(np.asarray(accumulators, np.int32), rule, *WIDE)
    assert [int(y) for y in got] == [half_up(Fraction(a * multiplier, scale)) + zero_point for a in accumulators]


def test_ties_go_up() -> None:
    rule = fixed_point(np.asarray(0.125), 0, 1000, "layer")
    assert list(requantize(np.asarray([-12, -4, 4, 12], np.int32), rule, *WIDE)) == [-1, 0, 1, 2]


def test_multiplier_is_the_ratio_to_31_bits() -> None:
    random = np.random.default_rng(0)
    for ratio in 10.0 ** random.uniform(-6, -0.7, 500):
        rule = fixed_point(np.asarray(ratio), 0, 1000, "layer")
        exact = int(rule.multiplier.item()) / 2.0 ** (32 + int(rule.shift.item()) - rule.pre_shift)
        assert abs(exact - ratio) <= ratio * 2.0**-15 if ratio < 2.0**-25 else abs(exact - ratio) <= ratio * 2.0**-30


@pytest.mark.parametrize("ratio", [0.25, 0.3, 0.9, 1.0, 3.7, 100.0])
def test_large_ratios_shift_the_accumulator_first(ratio: float) -> None:
    rule = fixed_point(np.asarray(ratio), 5, 10_000, "layer")
    assert rule.pre_shift > 0
    assert rule.accumulator_limit == 0
    accumulators = np.arange(-300, 300, dtype=np.int32)
    exact = [half_up(Fraction(ratio) * int(a)) + 5 for a in accumulators]
    assert np.abs(requantize(accumulators, rule, *WIDE) - np.asarray(exact)).max() <= 1
    assert np.array_equal(
        requantize(accumulators, rule, -128, 127), np.clip(requantize(accumulators, rule, *WIDE), -128, 127)
    )


def test_accumulator_that_the_shift_would_overflow_is_clamped_without_changing_results() -> None:
    rule = fixed_point(np.asarray(2.0), 0, INT32_MAX, "layer")
    assert rule.accumulator_limit == INT32_MAX >> rule.pre_shift
    extremes = np.asarray([-INT32_MAX, -(2**29), -70, 70, 2**29, INT32_MAX], np.int32)
    assert list(requantize(extremes, rule, -128, 127)) == [-128, -128, -128, 127, 127, 127]


def test_channels_with_much_smaller_ratios_get_a_shift_of_their_own() -> None:
    ratio = np.asarray([0.2, 1e-3, 1e-7, 0.0])
    rule = fixed_point(ratio, -7, INT32_MAX, "layer")
    assert rule.shift.shape == ratio.shape
    assert all(m >= 2**15 for m in rule.multiplier[:3])
    assert rule.multiplier[3] == 0
    accumulators = np.full(4, 123_456_789, np.int32)
    exact = [half_up(Fraction(float(r)) * 123_456_789) - 7 for r in ratio]
    assert np.all(np.abs(requantize(accumulators, rule, *WIDE) - np.asarray(exact)) <= np.abs(exact) * 2.0**-14 + 1)


def test_one_shift_where_all_ratios_keep_16_bits() -> None:
    rule = fixed_point(np.asarray([0.2, 0.01, 1e-4]), 0, 1000, "layer")
    assert rule.shift.size == rule.addend.size == 1


@pytest.mark.parametrize("ratio", [np.inf, np.nan, -0.5, 2.0**40])
def test_impossible_ratios_are_the_models_fault(ratio: float) -> None:
    with pytest.raises(ModelError, match=r"quantiz|range"):
        fixed_point(np.asarray(ratio), 0, 1000, "layer")


def test_accumulator_beyond_32_bits_names_the_layer() -> None:
    with pytest.raises(ModelError, match="overflow") as error:
        fixed_point(np.asarray(0.1), 0, INT32_MAX + 1, "conv_3")
    assert error.value.where == "conv_3"


def test_mulhi_is_the_floor_of_the_upper_half() -> None:
    random = np.random.default_rng(5)
    a, b = random.integers(-(2**31), 2**31, (2, 1000)).astype(np.int32)
    assert [int(x) for x in mulhi(a, b)] == [int(x) * int(y) // 2**32 for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_sums_stay_in_32_bits_and_within_a_step(sign: float) -> None:
    random = np.random.default_rng(2)
    q = np.arange(-128, 128, dtype=np.int64)
    a, b = q[:, None], q[None, :]
    for _ in range(60):
        scale_a, scale_b, scale_y = 10.0 ** random.uniform(-3, 0, 3)
        zero_a, zero_b, zero_y = (int(z) for z in random.integers(-128, 128, 3))
        rule = sum_rule(scale_a, zero_a, sign * scale_b, zero_b, scale_y, zero_y, "add")
        assert max(abs(rule.multiplier_a), abs(rule.multiplier_b)) <= 2**22
        total = a * rule.multiplier_a + b * rule.multiplier_b + rule.addend
        assert np.abs(total).max() <= INT32_MAX
        real = ((a - zero_a) * scale_a + sign * (b - zero_b) * scale_b) / scale_y + zero_y
        exact = np.clip(np.floor(real + 0.5), -128, 127)
        assert np.abs(np.clip(total >> rule.shift, -128, 127) - exact).max() <= 1


def test_sum_with_an_impossible_scale_names_the_layer() -> None:
    with pytest.raises(ModelError, match="addition") as error:
        sum_rule(1e9, 0, 1.0, 0, 1e-3, 0, "add_1")
    assert error.value.where == "add_1"
