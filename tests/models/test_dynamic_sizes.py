"""Outputs whose size depends on data, wherever a compiled model runs: packed to the front, dimensions beside them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import tinycast
from onnx import helper, numpy_helper
from tinycast.cli.main import run
from tinycast.errors import ModelError
from tinycast.execute.host import HostDriver
from tinycast.execute.qemu import QemuDriver
from tinycast.execute.types import Driver
from tinycast.execute.unicorn import UnicornDriver
from tinycast.execute.wasm import NodeDriver, WasmtimeDriver
from tinycast.model import Session
from tinycast.pipeline import CompileOptions, compile_file
from tinycast.target.load import load_target
from tinycast.target.types import Target

SAMPLES = 4
DRIVERS = [
    (HostDriver, "host"),
    (QemuDriver, "cortex-m4"),
    (QemuDriver, "rv32imc"),
    (UnicornDriver, "cortex-m0plus"),
    (WasmtimeDriver, "wasm32"),
    (NodeDriver, "wasm32-scalar"),
]


def save(path: Path, text: str, weights: dict[str, np.ndarray]) -> Path:
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]> {text}')
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolutional head with 36 boxes of 3 classes, non-maximum suppression, and the chosen boxes' numbers."""
    random = np.random.default_rng(5)
    text = """detector (float[1,3,12,12] image) => (float[n, 6] found, int64[n, 3] chosen) {
        a = Conv<strides=[2,2], pads=[1,1,1,1]>(image, w, b)  r = Relu(a)
        h = Conv<pads=[1,1,1,1]>(r, v, c)  t = Transpose<perm=[0,2,3,1]>(h)  rows = Reshape(t, flat)
        centre, sides, logits = Split<axis=2>(rows, parts)
        nearer = Mul(centre, spread)  moved = Add(nearer, grid)  lengths = Exp(sides)  half = Mul(lengths, two_fifths)
        low = Sub(moved, half)  high = Add(moved, half)  boxes = Concat<axis=2>(low, high)
        scores = Sigmoid(logits)  by_class = Transpose<perm=[0,2,1]>(scores)
        chosen = NonMaxSuppression(boxes, by_class, most, overlap, least)
        box = Gather<axis=1>(chosen, two)  class = Gather<axis=1>(chosen, one)
        table = Squeeze(boxes, zero)  corners = Gather(table, box)
        box_column = Unsqueeze(box, axis)  class_column = Unsqueeze(class, axis)
        pairs = Concat<axis=1>(box_column, class_column)  all = Squeeze(scores, zero)  best = GatherND(all, pairs)
        score_column = Unsqueeze(best, axis)  real_class = Cast<to=1>(class_column)
        found = Concat<axis=1>(corners, score_column, real_class)
    }"""
    cells = np.stack(np.meshgrid(np.arange(6), np.arange(6), indexing="ij"), -1).reshape(1, 36, 2)
    weights = {
        "w": random.standard_normal((8, 3, 3, 3)).astype(np.float32) / 4,
        "b": random.standard_normal(8).astype(np.float32),
        "v": random.standard_normal((7, 8, 3, 3)).astype(np.float32) / 6,
        "c": random.standard_normal(7).astype(np.float32),
        "flat": np.asarray([1, 36, 7]),
        "parts": np.asarray([2, 2, 3]),
        "spread": np.float32(0.5),
        "grid": cells.astype(np.float32),
        "two_fifths": np.float32(0.4),
        "most": np.asarray([9]),
        "overlap": np.asarray([0.25], np.float32),
        "least": np.asarray([0.6], np.float32),
        "two": np.asarray(2),
        "one": np.asarray(1),
        "zero": np.asarray([0]),
        "axis": np.asarray([1]),
    }
    return save(tmp_path_factory.mktemp("detector") / "detector.onnx", text, weights)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the elements are that exceed a threshold: the second axis depends on data, so the output is packed."""
    text = """places (float[1,5,7] image, float[1] threshold) => (int64[3, n] where, float[n] bright, int64[1] count) {
        above = Greater(image, threshold)  where = NonZero(above)  pairs = Transpose(where)
        bright = GatherND(image, pairs)  sizes = Shape(bright)  count = Identity(sizes)
    }"""
    return save(tmp_path_factory.mktemp("places") / "places.onnx", text, {})


def inputs_of(path: Path) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    if path.stem == "detector":
        return {"image": random.standard_normal((SAMPLES, 3, 12, 12)).astype(np.float32)}
    image = random.standard_normal((SAMPLES, 5, 7)).astype(np.float32)
    thresholds = np.asarray([0.0, 9.0, -9.0, 1.0], np.float32)  # some, none, all, few
    return {"image": image, "threshold": thresholds}


def sample(inputs: dict[str, np.ndarray], index: int) -> dict[str, np.ndarray]:
    return {name: array[index : index + 1] for name, array in inputs.items()}


def expected(path: Path, inputs: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    session = Session(path)
    return [session.run(sample(inputs, i)) for i in range(SAMPLES)]


def assert_agrees(array: np.ndarray, wanted: np.ndarray) -> None:
    assert (array.shape, array.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(array, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["detector", "places"])
@pytest.mark.parametrize(("driver", "target"), DRIVERS)
def test_every_driver_gives_the_real_size(
    name: str, driver: Callable[[Target], Driver], target: str, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(name)
    core = load_target(target)
    runner = driver(core)
    if not runner.available():
        pytest.skip(f"{runner.name} is not installed")
    inputs = inputs_of(path)
    wanted = expected(path, inputs)
    artifact = compile_file(path, target, CompileOptions())
    files, manifest = artifact.files, artifact.manifest
    outputs = runner.run(files, manifest, inputs).outputs
    sizes = set()
    for port in manifest["outputs"]:
        for index, arrays in enumerate(wanted):
            whole = outputs[port["name"]][index]
            if not port["dynamic_axes"]:
                np.testing.assert_array_equal(whole.reshape(-1), arrays[port["name"]])
                continue
            dims = outputs[f"{port['name']}.dims"][index]
            assert_agrees(whole[tuple(map(slice, dims))], arrays[port["name"]])
            assert all(n <= most for n, most in zip(dims, port["shape"], strict=True))
            sizes.add(tuple(dims))
    assert len(sizes) > 2, "the samples are to differ in size"


@pytest.mark.parametrize("name", ["detector", "places"])
def test_python_gets_arrays_of_the_real_size(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(name)
    artifact = compile_file(path, "wasm32", CompileOptions())
    module = tmp_path / f"{name}.wasm"
    module.write_bytes(artifact.files[module.name])
    model = tinycast.load(module)
    inputs = inputs_of(path)
    for index, wanted in enumerate(expected(path, inputs)):
        got = model.run(sample(inputs, index))
        assert isinstance(got, dict)
        for port, array in wanted.items():
            assert_agrees(got[port], array)


SCRIPT = """
import { readFileSync } from "node:fs";
import { load } from "./places.js";
import { loadInWorker } from "./places.worker.js";

const samples = JSON.parse(readFileSync("samples.json", "utf8"));
const model = await load();
const worker = await loadInWorker();
const shown = (outputs) =>
  Object.fromEntries(Object.entries(outputs).map(([name, array]) => [name, [Array.from(array, Number), array.dims]]));
const results = [];
for (const { image, threshold } of samples) {
  const inputs = { image: Float32Array.from(image), threshold: Float32Array.from(threshold) };
  const copies = model.run(inputs);
  model.input("image").set(inputs.image);
  model.input("threshold").set(inputs.threshold);
  const views = model.run();
  const dims = model.outputs.map(({ name }) => model.dims(name));
  const lengths = model.outputs.map(({ name }) => model.output(name).length);
  results.push({ copies: shown(copies), views: shown(views), worker: shown(await worker.run(inputs)), dims, lengths });
}
worker.dispose();
console.log(JSON.stringify(results));
"""


def test_javascript_gets_arrays_of_the_real_size(places: Path, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    for path, content in compile_file(places, "wasm32", CompileOptions(format="npm")).files.items():
        (tmp_path / path).write_bytes(content)
    inputs = inputs_of(places)
    listed = [{name: array[i].reshape(-1).tolist() for name, array in inputs.items()} for i in range(SAMPLES)]
    (tmp_path / "samples.json").write_text(json.dumps(listed), encoding="ascii")
    (tmp_path / "run.mjs").write_text(SCRIPT, encoding="ascii")
    done = subprocess.run([node, "run.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    for result, wanted in zip(json.loads(done.stdout), expected(places, inputs), strict=True):
        assert result["copies"] == result["views"] == result["worker"]
        assert result["dims"] == [list(wanted[name].shape) for name in ("where", "bright", "count")]
        assert result["lengths"] == [wanted[name].size for name in ("where", "bright", "count")]
        for name in ("where", "bright"):
            elements, dims = result["copies"][name]
            np.testing.assert_allclose(np.reshape(elements, dims), wanted[name], rtol=1e-6)
        assert result["copies"]["count"] == [wanted["count"].tolist(), None]


def test_self_test_and_header(places: Path, tmp_path: Path) -> None:
    files = compile_file(places, "host", CompileOptions(format="c")).files
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    header = files["include/places.h"].decode()
    assert "const int32_t *places_output_0_dims(const places_model *model);" in header
    assert "places_output_2_dims" not in header
    assert "#define PLACES_OUTPUT_0_SHAPE {3, 35}" in header
    sources = [str(tmp_path / path) for path in files if path.endswith(".c")]
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror", "-O1"]
    includes = [f"-I{tmp_path / folder}" for folder in ("include", "src")]
    program = tmp_path / "selftest"
    command = ["cc", *flags, "-DPLACES_SELFTEST_MAIN", *includes, *sources, "-o", str(program)]
    subprocess.run(command, check=True)
    assert subprocess.run([program], check=False).returncode == 0
    source = tmp_path / "test" / "places_selftest.c"
    changed = source.read_text().replace("golden_output_0_dims[2] = {3, ", "golden_output_0_dims[2] = {3, 1")
    assert changed != source.read_text()
    source.write_text(changed)
    subprocess.run(command, check=True)
    assert subprocess.run([program], check=False).returncode == 1


def test_run_and_verify(places: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "inputs.npz", **inputs_of(places))
    folder, results = tmp_path / "places_host", tmp_path / "outputs.npz"
    for arguments in (
        ["compile", str(places), "--target", "host", "-o", str(folder)],
        ["run", str(folder), "--input", str(tmp_path / "inputs.npz"), "-o", str(results), "--json"],
        ["verify", str(folder), "--model", str(places), "--input", str(tmp_path / "inputs.npz"), "--on", "wasm32"],
    ):
        assert run(arguments) == 0, arguments
    arrays = np.load(results)
    for index, wanted in enumerate(expected(places, inputs_of(places))):
        dims = arrays["where.dims"][index]
        np.testing.assert_array_equal(arrays["where"][index][: dims[0], : dims[1]], wanted["where"])


@pytest.mark.parametrize(
    ("nodes", "axis"),
    [
        ("p = NonZero(x) t = Transpose(p) y = Softmax<axis=0>(t)", "axis 0 of t"),
        ("p = NonZero(x) y = Reshape(p, shape)", "axis 1 of p"),
        ("p = NonZero(x) c = Cast<to=1>(p) y = Concat<axis=1>(c, x)", "axis 1 of c"),
        ("p = NonZero(x) q = NonZero(z) y = Add(p, q)", "axis 1 of q"),
        ("p = NonZero(x) y, w = Split<axis=1, num_outputs=2>(p)", "axis 1 of p"),
        ("p = NonZero(x) y = Slice(p, last, end, one)", "axis 1 of p"),
    ],
)
def test_what_cannot_be_computed_is_refused(nodes: str, axis: str, tmp_path: Path) -> None:
    kind = "float" if "Softmax" in nodes or "Concat" in nodes else "int64"
    nodes = nodes.replace("t = Transpose(p)", "u = Transpose(p) t = Cast<to=1>(u)")
    weights = {"shape": np.asarray([4, -1]), "last": np.asarray([-2]), "end": np.asarray([99]), "one": np.asarray([1])}
    used = {name: array for name, array in weights.items() if f" {name}" in nodes}
    path = save(tmp_path / "m.onnx", f"g (float[2,3] x, float[2,4] z) => ({kind} y) {{ {nodes} }}", used)
    model = onnx.load(path)
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("y", model.graph.output[0].type.tensor_type.elem_type, None)
    )
    onnx.save(model, path)
    with pytest.raises(ModelError) as caught:
        compile_file(path, "host", CompileOptions())
    assert "depends on data" in caught.value.what
    assert axis in caught.value.what
    assert "NonZero" in caught.value.what
