"""Networks with activations of 16 bits: the same bytes everywhere, as near the float model as ONNX Runtime's QDQ."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx_ir
import pytest
from ops.host_batch import Row, loaded, program_of
from test_recurrent_int8 import decibels
from tinycast.compress.quantize import ActivationType, QuantizeOptions, quantize
from tinycast.execute.select import driver_for
from tinycast.ir.graph import interpret
from tinycast.model import Session
from tinycast.pipeline import build, compile_model
from tinycast.target.load import load_target

SPEECH = """
h = {kind}<hidden_size={hidden}>(x, w, r, b) f = Reshape(h, s) n = {norm}(f, {parameters}) m = Gemm(n, v, c) g = Gelu(m)
z = Gemm(g, u, d) y = Softmax(z)
"""
NETS = {"LSTM": "LayerNormalization", "GRU": "RMSNormalization", "RNN": "LayerNormalization"}
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
STEPS, COLUMNS, HIDDEN = 9, 10, 7
TARGETS = ("host", "cortex-m4", "rv32imc", "wasm32", "wasm32-scalar", "atmega1284p")
SLOW = ("cortex-m0plus", "cortex-m55")


def row_of(kind: str) -> Row:
    """A recurrent layer, a normalization, Gelu and Softmax: what classifies frames of speech."""
    rows, is_centred = GATES[kind] * HIDDEN, NETS[kind] == "LayerNormalization"
    weights = {
        "w": (1, rows, COLUMNS), "r": (1, rows, HIDDEN), "b": (1, 2 * rows), "s": np.asarray([STEPS, HIDDEN]),
        "p": np.linspace(0.5, 1.5, HIDDEN).astype(np.float32), "v": (HIDDEN, 12), "c": (12,), "u": (12, 5), "d": (5,),
        **({"q": (HIDDEN,)} if is_centred else {}),
    }  # fmt: skip
    text = SPEECH.format(kind=kind, hidden=HIDDEN, norm=NETS[kind], parameters="p, q" if is_centred else "p")
    opset = 21 if is_centred else 23
    return Row(f"speech_{kind}", f"float[{STEPS},1,{COLUMNS}] x", text, weights, opset=opset)


@cache
def quantized(kind: str) -> onnx_ir.Model:
    row = row_of(kind)
    samples = row.samples(row.proto(), 30)
    return quantize(loaded(row.proto()), samples, QuantizeOptions(activations=ActivationType.INT16))


def references(kind: str, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Real inputs, the integers that they are, and what the program's references make of those."""
    row, program = row_of(kind), program_of(quantized(kind))
    x = row.samples(row.proto(), count)["x"] * np.float32(0.9)
    quant = program.inputs[0].quant
    assert quant is not None
    integers = np.rint(x / np.float32(quant.scale[0])).astype(np.int16)
    return x, integers, np.stack([interpret(program, [sample])[program.outputs[0]] for sample in integers])


@pytest.mark.parametrize("kind", NETS)
def test_as_near_the_float_model_as_onnx_runtime(kind: str) -> None:
    program = program_of(quantized(kind))
    assert program.notes == []
    x, _, raw = references(kind, 20)
    exact_session, qdq_session = (Session(m) for m in (loaded(row_of(kind).proto()), quantized(kind)))
    exact = np.stack([exact_session.run({"x": sample})["y"] for sample in x])
    theirs = np.stack([qdq_session.run({"x": sample})["y"] for sample in x])
    ours = raw * 2.0**-15
    assert decibels(ours, exact) > decibels(theirs, exact) - 0.1
    assert decibels(ours, theirs) > 70  # nearer to each other than to the float model, whose weights are not int8
    assert np.abs(ours - theirs).max() < 16 * 2.0**-15


@pytest.mark.parametrize("target", [*TARGETS, *(pytest.param(t, marks=pytest.mark.slow) for t in SLOW)])
@pytest.mark.parametrize("kind", NETS)
def test_same_bytes_on_every_target(kind: str, target: str) -> None:
    driver = driver_for(load_target(target))
    _, inputs, wanted = references(kind, 2)
    artifact = build(compile_model(quantized(kind), load_target(target), "net", "0" * 64), None)
    measured = driver.run(artifact.files, artifact.manifest, {"x": inputs})
    np.testing.assert_array_equal(measured.outputs["y"].reshape(wanted.shape), wanted)
