"""Layer and RMS normalization on integers: within a step of the real numbers, rounded; the same bytes everywhere."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir
import pytest
from host_batch import Row, floats, loaded, program_of
from tinycast.compress.quantize import QuantizeOptions, quantize
from tinycast.execute.select import driver_for
from tinycast.ir.graph import Builder, Program, interpret
from tinycast.ir.quantized import IntegerForm, QuantizedInput
from tinycast.ir.types import DType, Value
from tinycast.ops.layer_norm import IntegerLayerNorm, LayerNorm
from tinycast.pipeline import build, compile_model
from tinycast.target.load import load_target

LENGTHS = (1, 2, 3, 16, 64, 384, 1024)


def rows_of(length: int, random: np.random.Generator, dtype: DType = DType.INT8) -> np.ndarray:
    """Random rows, rows of few values, constant ones, and the widest there are."""
    low, high = dtype.bounds
    x = random.integers(low, high, (60, length), endpoint=True).astype(dtype.numpy)
    x[:20] = random.integers(-1, 2, (20, length))
    x[20:22] = 5
    x[21, 0] = 6
    x[22:24] = low
    x[23, length // 2 :] = high
    return x


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("scale", [1e-3, 0.02, 0.5, 3.0])
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("dtype", [DType.INT8, DType.INT16])
def test_within_a_step_of_the_real_result(dtype: DType, length: int, scale: float, centred: bool) -> None:
    random = np.random.default_rng(length)
    x, zero = rows_of(length, random, dtype), int(random.integers(-20, 20))
    low, high = dtype.bounds
    scale *= 128 / high
    weights = [random.normal(1, 0.3, length), random.normal(0, 0.5, length)]
    real = (x.astype(np.float64) - zero) * scale
    real -= real.mean(1, keepdims=True) * centred
    exact = real / np.sqrt(np.square(real).mean(1, keepdims=True) + 1e-5) * weights[0] + weights[1]
    step = float(np.abs(exact).max() / (0.95 * high))
    build_calls = Builder(Program("net", [], []), "norm")
    value = Value("x", x.shape, dtype)
    operands = [Value(n, w.shape, DType.FLOAT32, data=w) for n, w in zip("gb", weights, strict=True)]
    given = (QuantizedInput(value, np.asarray(scale), np.asarray(zero), dtype=dtype), *map(QuantizedInput, operands))
    form = IntegerForm(given, Value("y", x.shape, dtype), step, 3, low, high, build_calls, dtype)
    assert LayerNorm(1, 1e-5, centred).integer_form(form) is not None
    (call,) = build_calls.calls
    got = call.op.reference([x, *(v.data for v in call.inputs[1:] if v.data is not None)])
    wanted = np.clip(exact / step + 3, low, high)
    assert np.abs(got - wanted).max() < 0.53


def net(kind: str) -> onnx_ir.Model:
    """A normalization of rows between products, quantized."""
    weights = {"v": (24, 24), "w": (24, 5), "s": (24,), "b": (24,)}
    bias = "" if kind == "RMSNormalization" else ", b"
    row = Row(
        kind,
        "float[1,7,24] x",
        f"a = MatMul(x, v) n = {kind}<epsilon=0.001>(a, s{bias}) y = MatMul(n, w)",
        weights if bias else {k: v for k, v in weights.items() if k != "b"},
        opset=21 if bias else 23,
    )
    proto = row.proto()
    return quantize(loaded(proto), {"x": row.samples(proto, 8)["x"][:, 0]}, QuantizeOptions())


@pytest.mark.parametrize("kind", ["LayerNormalization", "RMSNormalization"])
def test_the_same_bytes_on_every_target(kind: str) -> None:
    program = program_of(net(kind))
    assert [type(c.op) for c in program.calls].count(IntegerLayerNorm) == 1
    assert program.notes == []
    x = np.random.default_rng(1).integers(-128, 128, (4, *program.inputs[0].shape)).astype(np.int8)
    wanted = np.stack([interpret(program, [sample])[program.outputs[0]] for sample in x])
    for target in ("host", "cortex-m0plus", "cortex-m4", "rv32imc", "wasm32"):
        artifact = build(compile_model(net(kind), load_target(target), "net", "0" * 64), None)
        outputs = driver_for(load_target(target)).run(artifact.files, artifact.manifest, {"x": x[:, 0]}).outputs
        np.testing.assert_array_equal(outputs["y"].reshape(wanted.shape), wanted, target)


def test_statistics_are_outputs_too() -> None:
    text = """<ir_version: 10, opset_import: ["" : 21]> g (float[2,8] x) => (float[2,8] y, float[2,1] m, float[2,1] d)
    { y, m, d = LayerNormalization(x, s) }"""
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(floats(*range(8)), "s"))
    program = program_of(loaded(proto))
    x = np.random.default_rng(2).normal(1, 2, (2, 8)).astype(np.float32)
    known = interpret(program, [x])
    y, mean, inverse = (known[v] for v in program.outputs)
    np.testing.assert_allclose(mean, x.mean(1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(inverse, 1 / np.sqrt(x.var(1, keepdims=True) + 1e-5), rtol=1e-5)
    np.testing.assert_allclose(y, (x - mean) * inverse * np.arange(8), rtol=1e-4, atol=1e-5)
