"""QDQ round each operator that has an integer form: no float is left, and results are a step from ONNX Runtime's."""

from __future__ import annotations

import numpy as np
import onnx_ir
import pytest
from host_batch import Array, Row, batches, ints, loaded, program_of, run_each_on_host, run_on_host
from qdq_rows import QDQ_ROWS, qdq_model
from quantized_nets import METHODS
from test_quantized import layers_off, reference, samples_of
from tinycast.ir.graph import Program
from tinycast.ir.types import DType, Value
from tinycast.model import Session

_SAMPLES = 3
# Rows that compute in float on activations of 16 bits, and more of those on unsigned ones, whose zero points are not 0.
NARROW = (
    *("resize_linear", "resize_cubic", "upsample"),
    *("instance_norm", "group_norm", "batch_norm", "prelu", "rotary", "shrink"),
    *(f"table_{name}" for name in ("acosh", "ceil", "cos", "floor", "log", "reciprocal")),
    *(f"table_{name}" for name in ("round", "sign", "sqrt", "thresholdedrelu")),
)
UNSIGNED_NARROW = (*NARROW, "mul", *(f"table_{name}" for name in ("acos", "asin", "atanh", "hardswish", "tan")))
ALLOWED = {"int8": (), "uint8": (), "int16": NARROW, "uint16": UNSIGNED_NARROW}
# Beside int16 the hidden state's own steps of 2^-15 show.
RECURRENT = ("rnn", "gru", "lstm")
_STATE_STEPS = 4 * 2.0**-15


def floats_in(program: Program) -> list[str]:
    """The calls of a compiled model that read or give floats."""
    return [c.title for c in program.calls if DType.FLOAT32 in {v.dtype for v in (*c.inputs, *c.outputs)}]


@pytest.mark.parametrize(
    "kind", ["int8", "int16", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("uint8", "uint16"))]
)
@pytest.mark.parametrize("rows", batches(QDQ_ROWS, 24), ids=lambda rows: f"{rows[0].name}..{rows[-1].name}")
def test_operators_between_quantized_tensors(rows: tuple[Row, ...], kind: str) -> None:
    models, samples, wanted, wrong = {}, {}, {}, []
    programs: dict[str, Program] = {}
    for row in rows:
        proto = qdq_model(row, kind)
        given = row.samples(row.proto(), _SAMPLES)
        session = Session(onnx_ir.serde.deserialize_model(proto), optimized=False)
        runs = [session.run({name: np.asarray(array[i]) for name, array in given.items()}) for i in range(_SAMPLES)]
        models[row.name] = loaded(proto)
        programs[row.name] = program = program_of(models[row.name])
        samples[row.name] = {v.name: quantized(given[v.name], v) for v in program.inputs}
        names = [str(v.name) for v in models[row.name].graph.outputs]
        wanted[row.name] = {
            name: quantized(np.stack([run[name] for run in runs]), value)
            for name, value in zip(names, program.outputs, strict=True)
        }
        if not row.name.startswith(ALLOWED[kind]):
            wrong += [f"{row.name}: {title} computes in float" for title in floats_in(program)]
    results, failures = run_each_on_host(models, samples)
    for name, outputs in results.items():
        for port, y in outputs.items():
            expected = wanted[name][port]
            steps = np.abs(y.reshape(expected.shape).astype(np.int64) - expected.astype(np.int64)).max()
            allowed = 1.0
            if kind in ("int16", "uint16") and name in RECURRENT:
                (value,) = programs[name].outputs
                assert value.quant is not None
                allowed = _STATE_STEPS / value.quant.scale[0]
            if steps > allowed:
                wrong.append(f"{name}: {port} is {steps} steps off")
    assert not wrong + failures, "\n".join(wrong + failures)


NORMALIZED = """
a = Conv<pads=[1,1,1,1]>(x, w1, b1) i = InstanceNormalization(a, s, b) r = Relu(i) c = Conv<pads=[1,1,1,1]>(r, w2, b2)
g = GroupNormalization<num_groups=2>(c, s2, t2) p = PRelu(g, k) d = Conv(p, w3) e = ReduceSum<keepdims=0>(d, q)
y = Gemm(e, w4)
"""


def test_normalizations_between_convolutions() -> None:
    """Channels lie last there; the network is quantized here."""
    weights = {
        "w1": (6, 3, 3, 3),
        "b1": (6,),
        "s": (6,),
        "b": (6,),
        "w2": (8, 6, 3, 3),
        "b2": (8,),
        "s2": (8,),
        "t2": (8,),
        "k": (8, 1, 1),
        "w3": (4, 8, 1, 1),
        "q": ints(2, 3),
        "w4": (4, 5),
    }
    row = Row("normalized", "float[1,3,8,8] x", NORMALIZED, weights)
    model = METHODS["tinycast_int8"](row)
    program = program_of(model)
    assert not floats_in(program)
    samples = samples_of(program)
    outputs = run_on_host({"m": model}, {"m": samples})["m"]
    for port, expected in reference(program, model, samples).items():
        assert np.array_equal(outputs[port].reshape(expected.shape), expected)
    assert not layers_off(row, model, program)


def quantized(array: Array, value: Value) -> Array:
    """Reals as the compiled model's input or output has them."""
    if array.dtype != np.float32 or value.dtype is DType.FLOAT32 or value.quant is None:
        return array
    low, high = value.dtype.bounds
    steps = np.rint(array / np.float32(value.quant.scale[0])) + value.quant.zero_point[0]
    return np.asarray(np.clip(steps, low, high), value.dtype.numpy)
