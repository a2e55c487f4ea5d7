"""Control flow beyond the matrix: other targets, opset 8, what folds, what is refused, what the kernels look like."""

from __future__ import annotations

import numpy as np
import pytest
from host_batch import HOST, Array, Row, ints, joined, loaded, program_of, run_on_host
from matrix_control import CONTROL, LOOP_SWAPS, SCAN_RNN
from onnx import TensorProto, helper
from test_matrix import TOLERANCE, reference
from tinycast.emit import emit_c
from tinycast.errors import ModelError
from tinycast.execute.select import driver_for
from tinycast.ir.graph import interpret
from tinycast.ir.kernel import Role
from tinycast.ops.control import Control, Loop
from tinycast.pipeline import build, compile_model
from tinycast.target.load import load_target


def assert_close(actual: Array, expected: Array | list[Array], name: str) -> None:
    wanted = np.asarray(expected).reshape(-1).astype(np.float64)
    distance = np.abs(actual.reshape(-1).astype(np.float64) - wanted).max()
    assert distance <= TOLERANCE * np.abs(wanted).max(), name


@pytest.mark.parametrize("row", CONTROL, ids=lambda row: row.name)
def test_reference_agrees_with_onnx_runtime(row: Row) -> None:
    proto = row.proto()
    samples = row.samples(proto)
    expected = reference(proto, samples)
    program = program_of(loaded(proto))
    for n in range(len(next(iter(samples.values())))):
        values = interpret(program, [samples[v.name][n] for v in program.inputs])
        for name, v in zip(row.outputs.split(), program.outputs, strict=True):
            assert_close(values[v], expected[name][n], name)


@pytest.mark.parametrize("target", ["cortex-m4", "wasm32"])
def test_other_targets_agree_with_onnx_runtime(target: str) -> None:
    """Among them a recurrent Scan, and If and Loop whose condition and trip count come at run time."""
    rows = {row.name: (proto := row.proto(), row.samples(proto, 2)) for row in CONTROL}
    core = load_target(target)
    compiled = compile_model(joined({name: loaded(proto) for name, (proto, _) in rows.items()}), core, "m", "0" * 64)
    artifact = build(compiled, None if target == "wasm32" else "c")
    inputs = {f"{name}/{port}": array for name, (_, samples) in rows.items() for port, array in samples.items()}
    outputs = driver_for(core).run(artifact.files, artifact.manifest, inputs).outputs
    for name, (proto, samples) in rows.items():
        for port, wanted in reference(proto, samples).items():
            assert_close(outputs[f"{name}/{port}"], wanted, f"{name}/{port}")
    assert len(outputs) >= len(rows)


@pytest.mark.parametrize("lengths", [False, True])
def test_scan_of_opset_8(lengths: bool) -> None:
    """Batches, and sequences of a length each or backwards."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "abcd"]
    nodes = [helper.make_node("Add", ["a", "b"], ["c"]), helper.make_node("Mul", ["c", "b"], ["d"])]
    node = helper.make_node("Scan", ["l" if lengths else "", "i", "x"], ["y", "z"], num_scan_inputs=1)
    node.attribute.append(helper.make_attribute("body", helper.make_graph(nodes, "b", values[:2], values[2:])))
    node.attribute.append(helper.make_attribute("directions", [0 if lengths else 1]))
    shapes = {"i": [3, 2], "x": [3, 4, 2], "y": [3, 2], "z": [3, 4, 2]}
    ports = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    ports["l"] = helper.make_tensor_value_info("l", TensorProto.INT64, [3])
    graph = helper.make_graph([node], "g", [ports[n] for n in ("ixl" if lengths else "ix")], [ports["y"], ports["z"]])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 8)], ir_version=4)
    random = np.random.default_rng(0)
    samples = {n: random.standard_normal((2, *shapes[n])).astype(np.float32) for n in "ix"}
    if lengths:
        samples["l"] = np.asarray([[1, 4, 2], [3, 4, 1]])
    outputs = run_on_host({"m": loaded(proto)}, {"m": samples})["m"]
    for name, wanted in reference(proto, samples).items():
        assert_close(outputs[name], wanted, name)


BODY = "body=g (int64 n, bool c, float[2] h) => (bool d, {kind} m{more})"
REFUSED = {
    "carried value 0 is float32[2] at first": (
        "float[2] x",
        f"y = Loop<{BODY.format(kind='float[4]', more='')} {{ m = Concat<axis=0>(h, h) d = Identity(c) }}>(two, , x)",
    ),
    "its scan outputs have at most depends on data": (
        "float[2] x, int64 t",
        f"y, z = Loop<{BODY.format(kind='float[2]', more=', float[2] o')} "
        "{ m = Mul(h, h) o = Identity(m) d = Identity(c) }>(t, , x)",
    ),
    "the loop has no end": (
        "float[2] x",
        f"y = Loop<{BODY.format(kind='float[2]', more='')} {{ m = Mul(h, h) d = Identity(c) }}>(, , x)",
    ),
    "the branches give float32[2] and float32[4]": (
        "float[2] x, bool c",
        "y = If<then_branch=t () => (float[2] a) { a = Relu(x) }, "
        "else_branch=e () => (float[4] b) { b = Concat<axis=0>(x, x) }>(c)",
    ),
    "StringNormalizer: operator not supported": (
        "float[2] x, bool c",
        "y = If<then_branch=t () => (float[2] a) { s = Cast<to=8>(x) n = StringNormalizer(s) a = Cast<to=1>(n) }, "
        "else_branch=e () => (float[2] b) { b = Relu(x) }>(c)",
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refusals_name_the_reason(reason: str) -> None:
    given, nodes = REFUSED[reason]
    proto = Row("refused", given, nodes, {"two": ints(2).reshape(())}).proto()
    with pytest.raises(ModelError) as caught:
        program_of(loaded(proto))
    assert reason in str(caught.value)


def test_constant_branches_and_loops_fold() -> None:
    nodes = (
        "s = Shape(x) r = Size(s) two = Equal(r, k) "
        "a = If<then_branch=t () => (float[2,3] p) { p = Relu(x) }, "
        "else_branch=e () => (float[6] q) { q = Flatten(x) }>(two) "
        "v, w = Loop<body=g (int64 n, bool c, int64 h) => (bool d, int64 m, int64 o) "
        "{ m = Add(h, n) o = Identity(h) d = Identity(c) }>(k, , k) "
        "f = Cast<to=1>(v) y = Mul(a, f)"
    )
    program = program_of(loaded(Row("fold", "float[2,3] x", nodes, {"k": ints(2).reshape(())}).proto()))
    assert program.calls
    assert not any(isinstance(call.op, Control) for call in program.calls)


def test_what_is_carried_unchanged_is_captured() -> None:
    row = next(row for row in CONTROL if row.name == "loop_swaps")
    assert LOOP_SWAPS in row.nodes
    program = program_of(loaded(row.proto()))
    (op,) = [call.op for call in program.calls if isinstance(call.op, Loop)]
    assert op.carried == 2


def test_rounds_that_a_counter_decides_are_known() -> None:
    row = next(row for row in CONTROL if row.name == "loop_keras")
    program = program_of(loaded(row.proto()))
    (op,) = [call.op for call in program.calls if isinstance(call.op, Loop)]
    assert not any(value.sizes for value in program.values())
    assert op.carried == 2  # the weights are not


def test_a_loop_of_one_round_is_its_body() -> None:
    row = next(row for row in CONTROL if row.name == "loop_constant_1")
    assert not any(isinstance(call.op, Control) for call in program_of(loaded(row.proto())).calls)


def test_kernels_copy_no_more_than_the_last_state() -> None:
    """The next state is written to the output that collects it; the body's weights are the model's."""
    row = Row("rnn", "float[6,1,3] s, float[1,4] i", SCAN_RNN, {"w": (3, 4), "r": (4, 4)}, outputs="y z")
    compiled = compile_model(loaded(row.proto()), HOST, "rnn", "0" * 64)
    (step,) = [s for s in compiled.steps if s.op == "Scan"]
    assert step.kernel.body.count("memcpy") == 1
    assert not [p for p in step.kernel.parameters if p.role is Role.SCRATCH and p.dtype.itemsize == 4]
    assert step.macs == 6 * (3 * 4 + 4 * 4)
    assert emit_c(compiled).manifest["weights_bytes"] == 4 * (3 * 4 + 4 * 4 + 4)  # and a bias of zeros


def test_a_state_changes_in_place_where_all_has_read_it() -> None:
    nodes = "y = Scan<num_scan_inputs=1, body=g (float[64] h, float[64] x) => (float[64] n) { n = Add(h, x) }>(i, s)"
    compiled = compile_model(loaded(Row("sum", "float[9,64] s, float[64] i", nodes).proto()), HOST, "m", "0" * 64)
    (step,) = compiled.steps
    assert not step.values(Role.SCRATCH)
    assert ("y", "i") in compiled.plan.shared


QUANTIZED = """
t = Add(i, i)
q = QuantizeLinear(t, sh, zh)
h = DequantizeLinear(q, sh, zh)
wf = DequantizeLinear(w, sw)
y = Scan<num_scan_inputs=1, body=g (float[1,8] x) => (float[1,8] o) {
    a = QuantizeLinear(x, sh, zh)
    b = DequantizeLinear(a, sh, zh)
    c = Add(b, h)
    d = QuantizeLinear(c, sh, zh)
    e = DequantizeLinear(d, sh, zh)
    f = MatMul(e, wf)
    p = QuantizeLinear(f, sh, zh)
    o = DequantizeLinear(p, sh, zh)
}>(s)
"""


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_quantized_bodies_compute_on_integers(dtype: type[np.integer[Array]]) -> None:
    random = np.random.default_rng(3)
    weights = {
        "sh": np.float32(0.05),
        "zh": dtype(3),
        "sw": np.float32(0.01),
        "w": random.integers(-127, 128, (8, 8)).astype(np.int8),
    }
    row = Row("quantized", "float[5,1,8] s, float[1,8] i", QUANTIZED, weights)
    proto = row.proto()
    model = loaded(proto)
    (call,) = [c for c in program_of(model).calls if isinstance(c.op, Loop)]
    types = {c.title: {v.dtype.value for v in (*c.inputs, c.output)} for c in call.op.program.calls}
    assert not any("float32" in kinds for title, kinds in types.items() if "MatMul" in title or "Add" in title), types
    samples = row.samples(proto)
    outputs = run_on_host({"m": model}, {"m": samples})["m"]
    wanted = np.asarray(reference(proto, samples)["y"])
    assert np.abs(outputs["y"].reshape(-1) - wanted.reshape(-1)).max() <= 0.05 * 1.01
    assert np.mean(outputs["y"].reshape(-1) == wanted.reshape(-1)) > 0.9


def test_a_loop_that_may_not_end_has_no_self_test() -> None:
    """It ends for zeros alone, which the example input is not."""
    nodes = (
        "y = Loop<body=g (int64 n, bool c, float[2] h) => (bool d, float[2] m) "
        "{ m = Abs(h) s = ReduceSum<keepdims=0>(m) d = Greater(s, zero) }>(, , x)"
    )
    model = loaded(Row("endless", "float[2] x", nodes, {"zero": np.float32(0)}).proto())
    compiled = compile_model(model, HOST, "m", "0" * 64)
    assert "test/m_selftest.c" not in emit_c(compiled).files
    assert any("no self-test" in note for note in compiled.notes)
    zeros = np.zeros((1, 2), np.float32)
    np.testing.assert_array_equal(run_on_host({"m": model}, {"m": {"x": zeros}})["m"]["y"].reshape(1, 2), zeros)
