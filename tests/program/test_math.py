"""runtime_c's float functions against NumPy in float64, in units in the last place."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from math import erf
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tinycast.resources import resource_dir
from tinycast.target.load import load_target
from tinycast.toolchain.find import compiler_for

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

_erf = np.vectorize(erf, otypes=[np.float64])


def _sigmoid(x: Float64) -> Float64:
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-x))


def _softplus(x: Float64) -> Float64:
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


# name, reference, largest error in ulp, grid
FUNCTIONS: dict[str, tuple[Callable[[Float64], Float64], float, tuple[float, float]]] = {
    "exp": (np.exp, 2, (-110, 90)),
    "expm1": (np.expm1, 4, (-20, 88)),
    "tanh": (np.tanh, 4, (-12, 12)),
    "sigmoid": (_sigmoid, 4, (-100, 100)),
    "sqrt": (np.sqrt, 1, (0, 1e6)),
    "erf": (_erf, 4, (-5, 5)),
    "log": (np.log, 2, (0, 3e38)),
    "log1p": (np.log1p, 4, (-0.999, 1e6)),
    "softplus": (_softplus, 4, (-100, 100)),
    "relu": (lambda x: np.maximum(x, 0), 0, (-1e9, 1e9)),
    "floor": (np.floor, 0, (-1e9, 1e9)),
    "rint": (np.rint, 0, (-1e9, 1e9)),
    "trunc": (np.trunc, 0, (-1e9, 1e9)),
    "ceil": (np.ceil, 0, (-1e9, 1e9)),
    "sinh": (np.sinh, 6, (-80, 80)),
    "cosh": (np.cosh, 6, (-80, 80)),
    "asinh": (np.arcsinh, 6, (-1e30, 1e30)),
    "acosh": (np.arccosh, 6, (1, 1e30)),
    "atanh": (np.arctanh, 6, (-0.999, 0.999)),
    "sin": (np.sin, 6, (-100, 100)),
    "cos": (np.cos, 6, (-100, 100)),
    "tan": (np.tan, 6, (-100, 100)),
    "asin": (np.arcsin, 6, (-1, 1)),
    "acos": (np.arccos, 6, (-1, 1)),
    "atan": (np.arctan, 6, (-1e30, 1e30)),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("math")
    headers = ("tc_integral", "tc_math", "tc_power", "tc_relu", "tc_round", "tc_trig")
    lines = [f'#include "{name}.h"' for name in headers]
    for name in FUNCTIONS:
        lines.append(f"void all_{name}(const float *x, float *y, int n)")
        lines.append(f"{{ for (int i = 0; i < n; ++i) {{ y[i] = tc_{name}(x[i]); }} }}")
    lines.append("void all_round(const float *x, int *y, int n)")
    lines.append("{ for (int i = 0; i < n; ++i) { y[i] = tc_round_clamp(x[i], -300, 300); } }")
    source, output = folder / "math.c", folder / "math.so"
    source.write_text("\n".join(lines), encoding="utf-8")
    compiler = compiler_for(load_target("host"))
    compiler.build([source], output, flags=["-shared", "-fPIC"], include_dirs=[resource_dir("runtime_c") / "generic"])
    return ctypes.CDLL(str(output))


def call(library: ctypes.CDLL, name: str, x: Float32, dtype: type = np.float32) -> npt.NDArray[np.generic]:
    x = np.ascontiguousarray(x, np.float32)
    y = np.empty(x.shape, dtype)
    getattr(library, f"all_{name}")(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data), x.size)
    return y


def grid(low: float, high: float) -> Float32:
    """Evenly spaced, log-spaced down to subnormals, and random bit patterns, within low..high."""
    random = np.random.default_rng(1)
    small = np.geomspace(1e-45, max(abs(low), high), 100_000)
    bits = random.integers(0, 2**32, 300_000, dtype=np.uint32).view(np.float32)
    with np.errstate(invalid="ignore"):
        x = np.concatenate([np.linspace(low, high, 200_000), small, -small, bits]).astype(np.float32)
        return x[(x >= low) & (x <= high)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_in_ulp(library: ctypes.CDLL, name: str) -> None:
    function, limit, bounds = FUNCTIONS[name]
    x = grid(*bounds)
    got = call(library, name, x).astype(np.float64)
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        exact = function(x.astype(np.float64))
        rounded = exact.astype(np.float32)
    kept = np.isfinite(rounded)
    assert np.array_equal(got[~kept], rounded[~kept])
    spacing = np.spacing(np.maximum(np.abs(rounded[kept]), np.float32(1.1754944e-38))).astype(np.float64)
    errors = np.abs(got[kept] - exact[kept]) / spacing
    worst = int(errors.argmax())
    assert errors[worst] <= limit, f"{errors[worst]:.2f} ulp at {x[kept][worst]!r}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(library: ctypes.CDLL, name: str) -> None:
    function, _, _ = FUNCTIONS[name]
    x = np.asarray([0.0, -0.0, np.inf, -np.inf, np.nan, 3.4e38, -3.4e38, 1e-45, -1e-45], np.float32)
    with np.errstate(all="ignore"):
        expected = function(x.astype(np.float64)).astype(np.float32)
    if name in ("sin", "cos", "tan"):  # of a period
        x, expected = (array[np.isnan(expected) | (np.abs(x) < 1e9)] for array in (x, expected))
    got = call(library, name, x)
    assert np.array_equal(np.isnan(got), np.isnan(expected)), (got, expected)
    known = ~np.isnan(expected)
    assert np.allclose(got[known], expected[known], rtol=1e-6, atol=2e-45), (got, expected)
    zeros = expected == 0
    assert np.array_equal(np.signbit(got[zeros]), np.signbit(expected[zeros])), (got, expected)


def test_round_clamp_is_half_to_even(library: ctypes.CDLL) -> None:
    x = np.concatenate([np.arange(-320, 320, 0.25), grid(-310, 310), [np.inf, -np.inf, 1e30, -1e30]]).astype(np.float32)
    assert np.array_equal(call(library, "round", x, np.int32), np.clip(np.rint(x), -300, 300).astype(np.int32))


def test_the_folder_has_no_other_float_functions() -> None:
    folder = Path(resource_dir("runtime_c")) / "generic"
    public = {
        name
        for path in folder.glob("tc_*.h")
        for name in re.findall(r"^static inline float (tc_\w+)\(float x\)$", path.read_text("utf-8"), re.MULTILINE)
        if not name.endswith(("_near_zero", "_series"))
    }
    assert public == {f"tc_{name}" for name in FUNCTIONS}
