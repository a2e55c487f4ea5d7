"""Relaxed dot products: the same bytes on every kind of engine that is exact, and refused on the others."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import wasmtime
from onnx import numpy_helper
from schedule.test_wasm_kernels import RELAXED, Array, compile_layer, model, run
from tinycast.emit import emit_wasm
from tinycast.execute.types import ExecutionError
from tinycast.execute.wasm import WasmtimeDriver
from tinycast.toolchain.wasm import build_trial, build_wasm

HEADER = "src/tc_relaxed_dot.h"
INSTRUCTION = "wasm_i32x4_relaxed_dot_i8x16_i7x16_add("
# What engines make of the second operand's top bit, and of the sum of two products.
ENGINES = {
    "signed": ("int8_t", "sum"),
    "unsigned": ("uint8_t", "sum"),
    "wrapping": ("int8_t", "(int16_t)sum"),
    "saturating": ("uint8_t", "sum < -32768 ? -32768 : sum > 32767 ? 32767 : sum"),
}
EMULATION = """
static inline v128_t emulated_dot(v128_t a, v128_t b, v128_t c)
{
    int8_t weights[16];
    TYPE elements[16];
    int32_t sums[4];
    wasm_v128_store(weights, a);
    wasm_v128_store(elements, b);
    wasm_v128_store(sums, c);
    for (int i = 0; i < 8; ++i) {
        int32_t sum = weights[2 * i] * elements[2 * i] + weights[2 * i + 1] * elements[2 * i + 1];
        sums[i / 2] += PAIR;
    }
    return wasm_v128_load(sums);
}
"""


def infer(proto: onnx.ModelProto, rng: np.random.Generator, engine: str) -> tuple[Array, Array]:
    """The outputs of the layer in an engine of that kind, and those of the reference."""
    layer = compile_layer(proto, rng, RELAXED)
    source = emit_wasm(layer.compiled)
    kind, pair = ENGINES[engine]
    before, body = source.files[HEADER].decode().split("/* sum[i]")
    emulation = EMULATION.replace("TYPE", kind).replace("PAIR", pair)
    text = before + emulation + "/* sum[i]" + body.replace(INSTRUCTION, "emulated_dot(")
    assert INSTRUCTION not in text
    module = build_wasm({**source.files, HEADER: text.encode()}, "layer", RELAXED)
    driver = WasmtimeDriver(RELAXED)
    (outputs,) = driver.run({"layer.wasm": module}, source.manifest, {"x": layer.samples}).outputs.values()
    return outputs.reshape(layer.expected.shape), layer.expected


def quads_model(rng: np.random.Generator, kind: str) -> onnx.ModelProto:
    """A layer that is computed by quads."""
    while True:
        proto = model(rng, kind, int8=True)
        if "_quads(" in compile_layer(proto, rng, RELAXED).bodies:
            return proto


@pytest.mark.parametrize("kind", ["conv", "depthwise", "gemm"])
@pytest.mark.parametrize("engine", ["signed", "unsigned", "wrapping"])
def test_engines_that_are_exact_give_the_references_bytes(engine: str, kind: str) -> None:
    rng = np.random.default_rng(3)
    outputs, expected = infer(quads_model(rng, kind), rng, engine)
    assert len(np.unique(expected)) > 5
    np.testing.assert_array_equal(outputs, expected)


def test_an_engine_that_is_not_exact_is_refused() -> None:
    rng = np.random.default_rng(3)
    with pytest.raises(ExecutionError, match="not exact"):
        infer(quads_model(rng, "conv"), rng, "saturating")


@pytest.mark.parametrize("kind", ["conv", "depthwise"])
def test_weights_of_minus_128_take_pairs(kind: str) -> None:
    rng = np.random.default_rng(5)
    proto = quads_model(rng, kind)
    (weights,) = (c for c in proto.graph.initializer if c.name == "w")
    data = numpy_helper.to_array(weights).copy()
    data.flat[0] = -128
    weights.CopyFrom(numpy_helper.from_array(data, "w"))
    bodies, outputs, expected = run(proto, rng, RELAXED)
    assert "_quads(" not in bodies
    np.testing.assert_array_equal(outputs, expected)


def test_the_trial_of_engines_is_small_and_does_the_same_work_twice() -> None:
    trial = build_trial(RELAXED)
    assert len(trial) < 1024
    config = wasmtime.Config()
    config.wasm_relaxed_simd_deterministic = True
    config.consume_fuel = True
    engine = wasmtime.Engine(config)
    store = wasmtime.Store(engine)
    store.set_fuel(10**9)
    exports = wasmtime.Instance(store, wasmtime.Module(engine, trial), []).exports(store)
    assert exports["exact"](store) == 1
    fuel = {}
    for is_relaxed in (False, True):
        before = store.get_fuel()
        exports["multiply"](store, int(is_relaxed), 100)
        fuel[is_relaxed] = before - store.get_fuel()
    assert 1.5 < fuel[False] / fuel[True] < 4  # two products and two sums for one
