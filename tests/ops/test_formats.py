"""Conversions from and to narrow element types: every code, bit by bit, on the host, a core and WebAssembly."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import pytest
from host_batch import Array, loaded
from tinycast.errors import ToolMissingError
from tinycast.execute.select import driver_for
from tinycast.ir.types import DType
from tinycast.ops.formats import Rule
from tinycast.pipeline import build, compile_model
from tinycast.target.load import load_target

CODED = [dtype for dtype in DType if dtype.is_coded_float]
SATURATING = [dtype for dtype in CODED if dtype.value.startswith("float8")]
NARROW = [dtype for dtype in DType if dtype.is_narrow_integer]
POWERS = DType.FLOAT8_E8M0FNU
TARGETS = ("host", "cortex-m4", "wasm32")


def all_codes(dtype: DType) -> Array:
    """Every element of the type."""
    if dtype.is_narrow_integer:
        low, high = dtype.bounds
        return np.arange(low, high + 1).astype(dtype.numpy)
    bits = 4 if dtype is DType.FLOAT4_E2M1FN else 8 * dtype.itemsize
    return np.arange(2**bits).astype(dtype.carrier.numpy).view(dtype.numpy)


def near_all(dtype: DType) -> Array:
    """float32 at, between and right beside all numbers of the type, and those without a place in it."""
    with np.errstate(all="ignore"):
        numbers = all_codes(dtype).astype(np.float32)
        numbers = np.unique(numbers[np.isfinite(numbers)])
        middles = ((numbers[1:].astype(np.float64) + numbers[:-1]) / 2).astype(np.float32)
        ends = numbers[-1] * np.asarray([1.01, 1.03, 1.0625, 1.125, 1.25, 1.5, 2, 1e6, 1e30], np.float32)
        found = np.concatenate([numbers, middles, ends, -ends])
        found = np.concatenate(
            [found, np.nextafter(found, np.float32(np.inf)), np.nextafter(found, -np.float32(np.inf))]
        )
    rest = np.asarray([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-45, 1.1754944e-38, 3.4028235e38], np.float32)
    found = np.concatenate([found, rest])
    return found[found >= 0] if dtype is POWERS else found


def model_of(dtype: DType, codes: int, reals: int, attributes: dict[str, object]) -> onnx.ModelProto:
    """decoded = Cast(stored), encoded = Cast(real)"""
    kind = onnx.helper.np_dtype_to_tensor_dtype(dtype.numpy)
    inputs = [("stored", kind, codes), ("real", onnx.TensorProto.FLOAT, reals)]
    outputs = [("decoded", onnx.TensorProto.FLOAT, codes), ("encoded", kind, reals)]
    nodes = [
        onnx.helper.make_node("Cast", ["stored"], ["decoded"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Cast", ["real"], ["encoded"], to=kind, **attributes),
    ]
    ends = [[onnx.helper.make_tensor_value_info(name, t, [n]) for name, t, n in side] for side in (inputs, outputs)]
    graph = onnx.helper.make_graph(nodes, "g", *ends)
    opsets = [onnx.helper.make_opsetid("", 25)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=11)


def run(proto: onnx.ModelProto, target: str, samples: dict[str, Array]) -> dict[str, Array]:
    core = load_target(target)
    try:
        driver = driver_for(core)
        artifact = build(compile_model(loaded(proto), core, "cast", "0" * 64))
        return dict(driver.run(artifact.files, artifact.manifest, samples).outputs)
    except ToolMissingError as error:
        pytest.skip(str(error))


def bits(array: Array) -> Array:
    return array.view(DType(array.dtype.name).carrier.numpy) if array.dtype != np.float32 else array.view(np.uint32)


def in_rows(array: Array, columns: int) -> Array:
    """Samples of `columns` elements; the last is filled up with the first element."""
    missing = -array.size % columns
    return np.concatenate([array, np.repeat(array[:1], missing)]).reshape(-1, columns)


def expected_codes(x: Array, dtype: DType, saturate: bool) -> Array:
    """ONNX's own rules, by its own functions where it has them."""
    with np.errstate(all="ignore"):
        if dtype is POWERS:
            return powers(x, saturate)
        if saturate and dtype in SATURATING:
            return onnx.numpy_helper.saturate_cast(x, dtype.numpy)
        return x.astype(dtype.numpy)


def powers(x: Array, saturate: bool) -> Array:
    """The least power of two that is not below x, by the table in ONNX's Cast."""
    with np.errstate(all="ignore"):
        exponent = np.ceil(np.log2(x.astype(np.float64)))
    exponent = np.where(np.isnan(x), np.nan, exponent)
    low, high = -127, 127
    if saturate:
        exponent = np.clip(exponent, low, high)
    else:
        exponent = np.where((x < 2.0**low) | (exponent > high), np.nan, exponent)
    codes = np.where(np.isnan(exponent), 255, exponent + 127)
    return codes.astype(np.uint8).view(POWERS.numpy)


def assert_same_elements(got: Array, wanted: Array) -> None:
    """The same bits, but for those of a NaN: there is more than one of them."""
    nan = np.isnan(wanted.astype(np.float32))
    np.testing.assert_array_equal(np.isnan(got.astype(np.float32)), nan)
    np.testing.assert_array_equal(bits(got)[~nan], bits(wanted)[~nan])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", CODED, ids=lambda dtype: dtype.value)
def test_all_codes_and_all_their_neighbours(dtype: DType, target: str) -> None:
    codes, reals = all_codes(dtype), near_all(dtype)
    for saturate in (1, 0) if dtype in SATURATING else (1,):
        columns = 4096 if dtype.itemsize == 2 else codes.size
        stored, real = in_rows(codes, columns), in_rows(reals, -(-reals.size // (codes.size // columns)))
        proto = model_of(dtype, stored.shape[1], real.shape[1], {"saturate": saturate} if dtype in SATURATING else {})
        outputs = run(proto, target, {"stored": stored, "real": real})
        assert_same_elements(outputs["decoded"].reshape(-1), stored.reshape(-1).astype(np.float32))
        assert_same_elements(outputs["encoded"].reshape(-1), expected_codes(real.reshape(-1), dtype, bool(saturate)))
        np.testing.assert_array_equal(
            bits(outputs["encoded"]), bits(Rule(dtype, saturate=bool(saturate)).encode(real)), "the reference's bits"
        )


@pytest.mark.parametrize("mode", ["up", "down", "nearest"])
def test_powers_of_two_in_each_direction(mode: str) -> None:
    x = np.asarray(
        [[0.0, 2.0**-127, 2.0**-126, 0.124, 0.25, 1.1, 1.4, 1.5, 1.7, 3.0, 2.0**127, 1.5 * 2.0**127]], np.float32
    )
    proto = model_of(POWERS, 1, x.size, {"round_mode": mode})
    outputs = run(proto, "host", {"stored": np.zeros((1, 1), POWERS.numpy), "real": x})
    real = x.astype(np.float64)[0, 1:]
    below = np.floor(np.log2(real))
    exponent = {
        "up": np.ceil(np.log2(real)),
        "down": below,
        "nearest": np.where(real >= 1.5 * 2.0**below, below + 1, below),
    }[mode]
    wanted = [0, *(np.clip(exponent, -127, 127) + 127).astype(int)]
    np.testing.assert_array_equal(bits(outputs["encoded"]).reshape(-1), wanted)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", NARROW, ids=lambda dtype: dtype.value)
def test_narrow_integers(dtype: DType, target: str) -> None:
    codes = all_codes(dtype)
    reals = np.asarray([*range(-20, 20), 7.9, -7.9, 1.5, -1.5, 0.4, -0.4, 1000.0, -1000.0], np.float32)
    proto = model_of(dtype, codes.size, reals.size, {})
    outputs = run(proto, target, {"stored": codes[np.newaxis], "real": reals[np.newaxis]})
    np.testing.assert_array_equal(outputs["decoded"].reshape(-1), codes.astype(np.float32))
    low, high = dtype.bounds
    wanted = (np.trunc(reals).astype(np.int64) - low) % (high - low + 1) + low  # the lowest bits
    np.testing.assert_array_equal(outputs["encoded"].reshape(-1).astype(np.int64), wanted)
