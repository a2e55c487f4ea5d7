"""The integer softmax against the rounded float, over scales and lengths."""

from __future__ import annotations

import numpy as np
import pytest
from tinycast.ir.graph import Builder, Program, interpret
from tinycast.ir.quantized import IntegerForm, QuantizedInput
from tinycast.ir.types import DType, Value
from tinycast.ops.softmax import Softmax


@pytest.mark.parametrize("length", [1, 2, 3, 10, 100, 257, 1000, 2000])
@pytest.mark.parametrize(
    "output", [(1 / 256, -128), (0.0039, -128), (1 / 255, -128), (1 / 128, 0), (0.0125, 3), (3e-4, -128)]
)
def test_integer_softmax_is_within_a_step(length: int, output: tuple[float, int]) -> None:
    scale, zero_point = output
    random = np.random.default_rng(length)
    for input_scale in (1e-3, 0.01, 0.05, 0.2, 1.0):
        x = Value("x", (4, length), DType.INT8)
        y = Value("y", x.shape, DType.INT8)
        program = Program("softmax", [x], [y])
        build = Builder(program, "softmax")
        operand = QuantizedInput(x, np.asarray(input_scale), np.asarray(7))
        made = Softmax(1).integer_form(IntegerForm((operand,), y, scale, zero_point, -128, 127, build))
        assert made is not None
        program.calls, program.outputs = build.calls, [made]
        q = random.integers(-128, 128, x.shape).astype(np.int8)
        q[1] = random.integers(-128, 128)  # all the same
        q[2] = -128
        q[2, 0] = 127  # one wins
        q[3] = np.where(np.arange(length) % 2, 127, 126)
        real = Softmax(1).reference([((q.astype(np.float64) - 7) * input_scale)]).astype(np.float64)
        exact = np.clip(np.rint(real / scale) + zero_point, -128, 127)
        got = interpret(program, [q])[made].astype(np.int64)
        assert np.abs(got - exact).max() <= 1, input_scale
        _check_32_bits(program, q)


def _check_32_bits(program: Program, q: np.ndarray) -> None:
    op, table = program.calls[-1].op, program.calls[-1].inputs[1].data
    power = table[q.max(1, keepdims=True).astype(int) - q].astype(np.int64)
    total = power.sum(1, keepdims=True)
    assert ((total << op.fraction) < 2**32).all()
    assert (power * op.factor + ((total << op.fraction) // 2) < 2**32).all()


def test_an_axis_too_long_for_32_bits_stays_in_float() -> None:
    x, y = (Value(name, (1, 200_000), DType.INT8) for name in "xy")
    build = Builder(Program("softmax", [x], [y]), "softmax")
    operand = QuantizedInput(x, np.asarray(0.1), np.asarray(0))
    assert Softmax(1).integer_form(IntegerForm((operand,), y, 1 / 256, -128, -128, 127, build)) is None
