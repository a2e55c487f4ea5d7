"""What operators refuse, in the user's words."""

from __future__ import annotations

import numpy as np
import pytest
from host_batch import Array, Row, ints, loaded, program_of, scalar
from tinycast.errors import ModelError


@pytest.mark.parametrize(
    ("given", "nodes", "divisor"),
    [
        ("float[3] x", "y = Div(x, z)", scalar(0)),
        ("float[3] x", "y = Mod<fmod=1>(x, z)", np.zeros(3, np.float32)),
        ("int64[3] x", "y = Div(x, z)", ints(2, 0, 1)),
        ("int64[3] x", "y = Mod(x, z)", ints(0)),
    ],
)
def test_division_by_a_constant_zero(given: str, nodes: str, divisor: Array) -> None:
    kind = "float" if "float" in given else "int64"
    row = Row("zero", given, nodes, {"z": divisor}, output_type=kind)
    with pytest.raises(ModelError, match="divides by z, a constant zero") as raised:
        program_of(loaded(row.proto()))
    assert raised.value.fix


def test_some_zeros_among_float_divisors_give_infinities() -> None:
    row = Row("infinite", "float[2] x", "y = Div(x, z)", {"z": np.float32([0, 2])})
    assert program_of(loaded(row.proto())).outputs
