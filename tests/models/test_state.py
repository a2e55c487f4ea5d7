"""Models that keep state from one run to the next: frame by frame they compute what ONNX Runtime does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.parser
import onnxruntime
import pytest
import tinycast
from emit.compilers import STRICT, compiler_command, exit_status, lay_out, run
from tinycast.errors import ModelError, UsageError
from tinycast.execute.select import driver_for
from tinycast.execute.wasm import module_bytes
from tinycast.model import load, simplify
from tinycast.model.state import add_states
from tinycast.pipeline import CompileOptions, compile_file
from tinycast.target.load import load_target

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
FRAMES, UNITS, COLUMNS = 7, 6, 5
Arrays = dict[str, np.ndarray]
SHIFT = """(float[1,4] x, float[1,4] one, float[1,4] two) => (float[1,4] y, float[1,4] new_one, float[1,4] new_two)
{ sum = Add(x, one) y = Add(sum, two) new_one = Identity(x) new_two = Identity(one) }"""
SWAP = """(float[1,4] x, float[1,4] one, float[1,4] two) => (float[1,4] y, float[1,4] new_one, float[1,4] new_two)
{ sum = Add(x, one) y = Sub(sum, two) new_one = Add(two, x) new_two = Identity(one) }"""
SHOWN = """(float[1,4] x, float[1,4] one) => (float[1,4] y, float[1,4] new_one)
{ y = Add(x, one) new_one = Identity(y) }"""
LATE_READER = """(float[1,4] x, float[1,4] one) => (float[1,4] y, float[1,4] new_one)
{ new_one = Mul(x, x) t = Exp(new_one) y = Add(t, one) }"""


def save_text(path: Path, graph: str) -> Path:
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]> g {graph}')
    onnx.save(proto, path)
    return path


def save_layer(
    path: Path, kind: str, steps: int, *, states: bool = False, learned: bool = False, direction: str = "forward"
) -> Path:
    """A recurrent layer and a product; with `states` its states are inputs and outputs, with `learned` constants."""
    random = np.random.default_rng(3)
    rows = GATES[kind] * UNITS
    directions = 2 if direction == "bidirectional" else 1
    shapes = {
        "w": (directions, rows, COLUMNS),
        "r": (directions, rows, UNITS),
        "b": (directions, 2 * rows),
        "v": (UNITS, 3),
    }
    weights = {name: random.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    kinds = ("h", "c") if kind == "LSTM" else ("h",)
    if learned:
        weights |= {f"{k}0": random.normal(0, 0.5, (1, 1, UNITS)).astype(np.float32) for k in kinds}
    starts = [f"{k}0" for k in kinds] if states or learned else []
    ends = [f"{k}n" for k in kinds] if states else []
    helper, kind_float = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node(
            kind, ["x", "w", "r", "b", "", *starts], ["s", *ends], "layer", hidden_size=UNITS, direction=direction
        ),
        helper.make_node("MatMul", ["s", "v"], ["y"]),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "stream",
        [
            info("x", kind_float, [steps, 1, COLUMNS]),
            *([info(n, kind_float, [1, 1, UNITS]) for n in starts] if states else []),
        ],
        [info("y", kind_float, None), *(info(n, kind_float, [1, 1, UNITS]) for n in ends)],
        [onnx.numpy_helper.from_array(a, n) for n, a in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


def frames(count: int = FRAMES) -> np.ndarray:
    return np.random.default_rng(4).normal(0, 1, (count, 1, COLUMNS)).astype(np.float32)


def onnx_runtime(path: Path, inputs: Arrays) -> Arrays:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def streamed(path: Path, samples: np.ndarray, pairs: dict[str, str]) -> np.ndarray:
    """The output y of each sample, the states carried by hand."""
    proto = onnx.load(path)
    sizes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in proto.graph.input}
    states = {name: np.zeros(sizes[name], np.float32) for name in pairs}
    results = []
    for sample in samples:
        outputs = onnx_runtime(path, {"x": sample.reshape(sizes["x"]), **states})
        states = {name: outputs[result] for name, result in pairs.items()}
        results.append(outputs["y"].reshape(-1))
    return np.stack(results)


def compiled_stream(path: Path, target: str, samples: np.ndarray, options: CompileOptions) -> np.ndarray:
    artifact = compile_file(path, target, options)
    shape = artifact.manifest["inputs"][0]["shape"]
    samples = samples.reshape(len(samples), *(shape[1:] if shape[0] == 1 else shape))
    measured = driver_for(load_target(target)).run(artifact.files, artifact.manifest, {"x": samples})
    return measured.outputs["y"].reshape(len(samples), -1)


def assert_close(got: np.ndarray, wanted: np.ndarray) -> None:
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("target", ["host", "cortex-m4", "wasm32"])
@pytest.mark.parametrize("kind", GATES)
def test_frame_by_frame_is_the_whole_sequence(kind: str, target: str, tmp_path: Path) -> None:
    """ONNX Runtime runs the sequence at once, the compiled model one frame a run."""
    whole = onnx_runtime(save_layer(tmp_path / "whole.onnx", kind, FRAMES), {"x": frames()})["y"].reshape(FRAMES, -1)
    path = save_layer(tmp_path / "frame.onnx", kind, 1)
    assert_close(compiled_stream(path, target, frames(), CompileOptions(stateful=True)), whole)
    apart = compiled_stream(path, target, frames(), CompileOptions())
    assert np.abs(apart - whole)[1:].max() > 0.01  # without state it is another model


@pytest.mark.parametrize("target", ["host", "cortex-m4", "wasm32"])
@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("named", [True, False])
def test_inputs_and_outputs_become_states(kind: str, target: str, named: bool, tmp_path: Path) -> None:
    path = save_layer(tmp_path / "frame.onnx", kind, 1, states=True)
    pairs = {"h0": "hn"} | ({"c0": "cn"} if kind == "LSTM" else {})
    options = CompileOptions(states=pairs) if named else CompileOptions(stateful=True)
    assert_close(compiled_stream(path, target, frames(), options), streamed(path, frames(), pairs))
    manifest = compile_file(path, target, options).manifest
    assert [port["name"] for port in manifest["inputs"] + manifest["outputs"]] == ["x", "y"]
    assert [(s["input"], s["output"], s["bytes"]) for s in manifest["states"]] == [
        (i, o, 4 * UNITS) for i, o in pairs.items()
    ]


@pytest.mark.parametrize(
    ("graph", "pairs"),
    [
        (SHIFT, {"one": "new_one", "two": "new_two"}),
        (SHIFT, {"two": "new_two", "one": "new_one"}),
        (SWAP, {"one": "new_one", "two": "new_two"}),
        (SWAP, {"two": "new_two", "one": "new_one"}),
        (SHOWN, {"one": "new_one"}),
        (LATE_READER, {"one": "new_one"}),
    ],
    ids=["shift", "shift_other_order", "swap", "swap_other_order", "shown", "late_reader"],
)
def test_no_state_is_overwritten_before_it_is_read(graph: str, pairs: dict[str, str], tmp_path: Path) -> None:
    path = save_text(tmp_path / "net.onnx", graph)
    samples = np.random.default_rng(5).uniform(-1, 1, (6, 1, 4)).astype(np.float32)
    for target in ("host", "wasm32"):
        got = compiled_stream(path, target, samples, CompileOptions(states=pairs))
        assert_close(got, streamed(path, samples, pairs))


def test_states_that_a_layer_starts_from_may_be_learned(tmp_path: Path) -> None:
    """Another start than zero lies in the weights."""
    whole = save_layer(tmp_path / "whole.onnx", "LSTM", FRAMES, learned=True)
    wanted = onnx_runtime(whole, {"x": frames()})["y"].reshape(FRAMES, -1)
    path = save_layer(tmp_path / "frame.onnx", "LSTM", 1, learned=True)
    for target in ("host", "cortex-m4"):
        assert_close(compiled_stream(path, target, frames(), CompileOptions(stateful=True)), wanted)


def test_the_kernel_works_on_the_state_in_place(tmp_path: Path) -> None:
    manifest = compile_file(
        save_layer(tmp_path / "frame.onnx", "LSTM", 1), "host", CompileOptions(stateful=True)
    ).manifest
    assert [layer["op"] for layer in manifest["layers"]] == ["LSTM", "MatMul"]
    last = len(manifest["layers"]) - 1
    spans = {p["offset"]: (p["first_step"], p["last_step"]) for p in manifest["memory"]["placements"]}
    assert len(manifest["states"]) == 2
    for state in manifest["states"]:
        assert spans[state["arena_offset"]] == (0, last)


def test_reset_starts_over_in_python(tmp_path: Path) -> None:
    path = save_layer(tmp_path / "frame.onnx", "GRU", 1)
    artifact = compile_file(path, "wasm32", CompileOptions(stateful=True))
    file = tmp_path / "frame.wasm"
    file.write_bytes(module_bytes(artifact.files, artifact.manifest, load_target("wasm32")))
    model, other = tinycast.load(file), tinycast.load(file)
    stream = frames()[:, None]
    first = [np.asarray(model.run(frame)) for frame in stream]
    assert not np.array_equal(first[0], np.asarray(model.run(stream[0])))
    model.reset()
    again = [np.asarray(model.run(frame)) for frame in stream]
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[0], np.asarray(other.run(stream[0])))  # its state is its own
    assert model.manifest["states"][0]["bytes"] == 4 * UNITS


def test_reset_starts_over_in_javascript(tmp_path: Path) -> None:
    path = save_layer(tmp_path / "frame.onnx", "GRU", 1)
    artifact = compile_file(path, "wasm32", CompileOptions(stateful=True))
    lay_out(artifact.files, tmp_path)
    script = """
    import { load } from "./frame.js";
    const model = await load();
    const x = Float32Array.of(0.5, -1, 2, 0.25, 1);
    const runs = [0, 1, 2].map(() => Array.from(model.run(x)));
    model.reset();
    const again = [0, 1, 2].map(() => Array.from(model.run(x)));
    const same = JSON.stringify(runs) === JSON.stringify(again);
    const moves = JSON.stringify(runs[0]) !== JSON.stringify(runs[1]);
    console.log(same && moves ? "ok" : JSON.stringify([runs, again]));
    """
    (tmp_path / "test.mjs").write_text(script)
    done = subprocess.run(["node", "test.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "ok", done.stdout + done.stderr


@pytest.mark.parametrize("learned", [True, False])
def test_self_test_runs_twice_and_sees_a_state_that_is_lost(learned: bool, tmp_path: Path) -> None:
    path = save_layer(tmp_path / "frame.onnx", "LSTM", 1, learned=learned)
    files = dict(compile_file(path, "host", CompileOptions(stateful=True)).files)
    gcc = compiler_command("gcc")
    flags = ["-Iinclude", "-Isrc", "-DFRAME_SELFTEST_MAIN", "test/frame_selftest.c"]
    sources = lay_out(files, tmp_path)
    run([*gcc, *STRICT, "-O1", "-fsanitize=address,undefined", *sources, *flags, "-o", "good"], tmp_path)
    assert exit_status(["./good"], tmp_path) == 0
    source = files["src/frame.c"].decode()
    call = "int frame_run(frame_model *model)\n{\n    unsigned char *arena;\n"
    assert call in source
    broken = source.replace(call, call + "    frame_reset(model);\n")
    (tmp_path / "src/frame.c").write_text(broken)
    run([*gcc, *STRICT, "-O1", *sources, *flags, "-o", "bad"], tmp_path)
    assert exit_status(["./bad"], tmp_path) == 1


def test_what_cannot_keep_state_is_refused(tmp_path: Path) -> None:
    def states(path: Path, pairs: dict[str, str], *, recurrent: bool = False) -> None:
        model = load(path)
        simplify(model)
        add_states(model, pairs, recurrent=recurrent)

    with pytest.raises(ModelError, match="backward through time"):
        states(save_layer(tmp_path / "both.onnx", "LSTM", 3, direction="bidirectional"), {}, recurrent=True)
    path = save_text(tmp_path / "shift.onnx", SHIFT)
    with pytest.raises(ModelError, match="no recurrent layer"):
        states(path, {}, recurrent=True)
    with pytest.raises(UsageError, match="no input three"):
        states(path, {"three": "new_one"})
    with pytest.raises(UsageError, match="no output three"):
        states(path, {"one": "three"})
    with pytest.raises(UsageError, match="state of two inputs"):
        states(path, {"one": "new_one", "two": "new_one"})
    frame = save_layer(tmp_path / "frame.onnx", "GRU", 1, states=True)
    with pytest.raises(UsageError, match="same shape and type"):
        states(frame, {"h0": "y"})
