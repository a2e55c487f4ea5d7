"""Softmax of int16: the real result, rounded; for rows of any length that it takes."""

from __future__ import annotations

import numpy as np
import pytest
from tinycast.ir.graph import Builder, Program
from tinycast.ir.quantized import IntegerForm, QuantizedInput
from tinycast.ir.types import DType, Value
from tinycast.ops.softmax import Softmax

OUTPUTS = ((2.0**-15, 0), (2.0**-16, -32768), (0.9 / 32767, 5))


def form_of(shape: tuple[int, ...], scale: float, output: tuple[float, int]) -> IntegerForm:
    value = Value("x", shape, DType.INT16)
    given = (QuantizedInput(value, np.asarray(scale), np.asarray(3), dtype=DType.INT16),)
    build, y = Builder(Program("net", [], []), "softmax"), Value("y", shape, DType.INT16)
    return IntegerForm(given, y, *output, -32768, 32767, build, DType.INT16)


def rows_of(length: int, scale: float) -> np.ndarray:
    """Random rows, equal elements, one above all others, and many that are each half of the last place."""
    random = np.random.default_rng(length)
    x = random.integers(-32768, 32768, (20, length)).astype(np.int16)
    x[:8] = np.clip(random.normal(0, 3 / scale, (8, length)), -32768, 32767)
    x[8] = 5
    x[9:11] = -32768
    x[10, 0] = 32767
    x[11:15] = [[32767 - int(min(65535, depth / scale))] for depth in (3, 11.78, 15, 21)]
    x[11:15, 0] = 32767
    return x


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("scale", [2e-5, 1e-3, 0.05])
@pytest.mark.parametrize("length", [1, 2, 10, 1000, 4096])
def test_the_real_result_rounded(length: int, scale: float, output: tuple[float, int]) -> None:
    x = rows_of(length, scale)
    form = form_of(x.shape, scale, output)
    assert Softmax(1).integer_form(form) is not None
    got = x
    for call in form.build.calls:
        got = call.op.reference([got, *(v.data for v in call.inputs[1:] if v.data is not None)])
    power = np.exp((x.astype(np.float64) - x.max(1, keepdims=True)) * scale)
    exact = power / power.sum(1, keepdims=True) / output[0] + output[1]
    assert np.abs(got - np.clip(exact, -32768, 32767)).max() < 0.501


def test_longer_rows_stay_in_float() -> None:
    assert Softmax(1).integer_form(form_of((1, 4097), 1e-3, OUTPUTS[0])) is None
