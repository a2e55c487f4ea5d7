"""Bodies of loops and branches are quantized inside: near the float model, and compiled to integers."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from ops.host_batch import Row, ints, loaded, program_of
from quantize_models import sqnr_db
from tinycast.compress.quantize import ActivationType, QuantizeOptions, quantize
from tinycast.execute.select import driver_for
from tinycast.ir.graph import Program
from tinycast.ir.types import DType
from tinycast.model import Session
from tinycast.ops.control import inner_programs
from tinycast.pipeline import build, compile_model
from tinycast.program.lower import to_integers
from tinycast.target.load import load_target

SCAN = """
e = Relu(x) h0 = Mul(first, zero)
z, y = Scan<num_scan_inputs=1, body=g (float[1,8] h, float[1,6] s) => (float[1,8] n, float[1,5] o) {
    a = MatMul(s, w) b = MatMul(h, r) c = Add(a, b) d = Add(c, k) n = Tanh(d) m = MatMul(n, v) o = Relu(m)
}>(h0, e)
"""
LOOP = """
p = MatMul(x, w)
y = Loop<body=g (int64 i, bool c, float[1,8] h) => (bool d, float[1,8] n) {
    a = MatMul(h, r) b = Add(a, p) n = Tanh(b) d = Identity(c)
}>(trips, true, p)
"""
LOOP_THAT_ENDS = """
p = MatMul(x, w)
f, y = Loop<body=g (int64 i, bool c, float[1,8] h) => (bool d, float[1,8] n, float[1,8] o) {
    a = MatMul(h, r) n = Sigmoid(a) o = Relu(a) s = ReduceMax<keepdims=0>(a) d = Less(s, limit)
}>(trips, true, p)
q = ReduceSum(y, axes) y2 = Add(q, f)
"""
IF = """
m = ReduceMean<keepdims=0>(x) c = Less(m, none)
y = If<then_branch=g () => (float[1,8] t) { a = MatMul(x, w) t = Relu(a) },
       else_branch=h () => (float[1,8] u) { e = MatMul(x, v) f = Gelu(e) u = Mul(f, k) }>(c)
"""
TRUE = np.asarray(True)
ROWS = {
    "scan": Row("scan", "float[7,1,6] x", SCAN, {
        "w": (6, 8), "r": (8, 8), "k": (8,), "v": (8, 5), "first": (1, 8), "zero": np.zeros((), np.float32),
    }, outputs="y z"),
    "loop": Row("loop", "float[1,6] x", LOOP, {"w": (6, 8), "r": (8, 8), "trips": ints(5).reshape(()), "true": TRUE}),
    "loop_that_ends": Row("loop_that_ends", "float[1,6] x", LOOP_THAT_ENDS, {
        "w": (6, 8), "r": (8, 8), "trips": ints(6).reshape(()), "true": TRUE, "limit": np.float32(0.4), "axes": ints(0),
    }, outputs="y2"),
    "if": Row("if", "float[1,6] x", IF, {
        "w": (6, 8), "v": (6, 8), "k": (8,), "none": np.zeros((), np.float32),
    }),
}  # fmt: skip


def samples_of(row: Row, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    shape = [d.dim_value for d in row.proto().graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(seed).normal(0, 0.5, (count, *shape))
    x[::2] += 1  # a mean that rounding leaves its sign
    x[1::2] -= 1
    return {"x": x.astype(np.float32)}


def quantized(row: Row, activations: ActivationType = ActivationType.INT8) -> ir.Model:
    return quantize(loaded(row.proto()), samples_of(row, 40), QuantizeOptions(activations=activations))


def all_programs(program: Program) -> list[Program]:
    return [program, *(inner for body in inner_programs(program) for inner in all_programs(body))]


def products(program: Program) -> list[DType]:
    """What the products in bodies and branches read."""
    bodies = all_programs(program)[1:]
    return [c.inputs[0].dtype for body in bodies for c in body.calls if c.title.startswith(("MatMul", "Gemm"))]


@pytest.mark.parametrize("activations", [ActivationType.INT8, ActivationType.INT16])
@pytest.mark.parametrize("name", ROWS)
def test_near_the_float_model(name: str, activations: ActivationType) -> None:
    row = ROWS[name]
    model = quantized(row, activations)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    exact, rounded = Session(loaded(row.proto())), Session(model)
    x = samples_of(row, 30, 1)["x"]
    runs = [(exact.run({"x": sample}), rounded.run({"x": sample})) for sample in x]
    for output in row.outputs.split():
        pairs = [(a[output], b[output]) for a, b in runs if a[output].shape == b[output].shape]
        assert len(pairs) > 25  # rounding may end a loop in another round
        assert sqnr_db(*(np.concatenate([p[i].reshape(-1) for p in pairs]) for i in (0, 1))) > 20


@pytest.mark.parametrize("name", ROWS)
def test_bodies_compute_on_integers(name: str) -> None:
    program = program_of(quantized(ROWS[name]))
    assert products(program)
    assert set(products(program)) == {DType.INT8}


@pytest.mark.parametrize("target", ["host", "cortex-m4", "wasm32"])
@pytest.mark.parametrize("name", ROWS)
def test_compiled_as_onnx_runtime_computes_it(name: str, target: str) -> None:
    row = ROWS[name]
    model = quantized(row)
    x = samples_of(row, 12, 2)["x"]
    session = Session(model)
    wanted = [session.run({"x": sample}) for sample in x]
    artifact = build(compile_model(model, load_target(target), "net", "0" * 64, float_io=True), None)
    port = artifact.manifest["inputs"][0]
    given = {"x": x.reshape(len(x), *port["shape"])}
    outputs = driver_for(load_target(target)).run(artifact.files, artifact.manifest, given).outputs
    for output in row.outputs.split():
        expected = np.stack([run[output].reshape(-1) for run in wanted])
        got = outputs[output].reshape(expected.shape)
        assert np.abs(got - expected).max() <= 0.03 * np.abs(expected).max()


def test_a_branch_that_never_ran_stays_in_float() -> None:
    row = ROWS["if"]
    samples = {"x": np.abs(samples_of(row, 20)["x"])}
    model = quantize(loaded(row.proto()), samples, QuantizeOptions())
    node = next(n for n in model.graph if n.op_type == "If")
    kinds = {a.name: {n.op_type for n in a.as_graph()} for a in node.attributes.values()}
    assert "QuantizeLinear" not in kinds["then_branch"]
    assert "QuantizeLinear" in kinds["else_branch"]
    assert to_integers(model, "net").calls
