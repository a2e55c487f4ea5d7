"""Real networks in half precision: on the host, in Python, in JavaScript and on the command line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnx.numpy_helper
import pytest
import tinycast
from cli.cli_runner import succeed
from conftest import ROOT
from emit.compilers import STRICT, compiler_command, exit_status, lay_out, run
from nets import execute, flat, net
from tinycast.artifact import Artifact
from tinycast.compress.quantize import QuantizeOptions
from tinycast.ir.types import Array
from tinycast.model import Session, load, save
from tinycast.pipeline import CompileOptions, compile_file, quantize_file

KINDS = {np.float16: onnx.TensorProto.FLOAT16, ml_dtypes.bfloat16: onnx.TensorProto.BFLOAT16}
ROUNDINGS = 8  # ONNX Runtime rounds after each layer


def converted(source: Path, folder: Path, scalar: type = np.float16) -> Path:
    """The float32 model with all of its floats in another type."""
    proto = onnx.load(source)
    kind = KINDS[scalar]
    del proto.graph.value_info[:]
    for value in (*proto.graph.input, *proto.graph.output):
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            value.type.tensor_type.elem_type = kind
    for tensor in proto.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            array = onnx.numpy_helper.to_array(tensor).astype(scalar)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    if scalar is ml_dtypes.bfloat16:  # the first with convolutions of it
        proto.opset_import[0].version = 22
    assert not any(node.op_type in ("Cast", "Constant") for node in proto.graph.node)
    path = folder / f"{source.stem}_{np.dtype(scalar).name}.onnx"
    onnx.save(proto, path)
    return path


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Array]]:
    folder = tmp_path_factory.mktemp("half")
    subject = net("digits", folder)
    samples = {name: array[:50].astype(np.float16) for name, array in subject.samples.items()}
    return converted(subject.path, folder), samples


@pytest.fixture(scope="module")
def page(digits: tuple[Path, dict[str, Array]]) -> Artifact:
    return compile_file(digits[0], "wasm32", CompileOptions(name="tiny"))


@pytest.mark.parametrize("name", ["digits", "kws_float"])
def test_half_network_agrees_with_onnx_runtime(name: str, tmp_path: Path) -> None:
    subject = net(name, tmp_path)
    path = converted(subject.path, tmp_path)
    samples = {key: array[:100].astype(np.float16) for key, array in subject.samples.items()}
    (outputs,) = execute(path, "host", samples).outputs.values()
    (expected,) = Session(load(path)).run_samples(samples).values()
    assert outputs.dtype == expected.dtype == np.float16
    ours, theirs = flat(outputs).astype(np.float64), flat(expected).astype(np.float64)
    assert np.abs(ours - theirs).max() <= ROUNDINGS * np.finfo(np.float16).eps * np.abs(theirs).max()
    assert np.mean(ours.argmax(1) == theirs.argmax(1)) >= 0.98
    # Nearer to the numbers that it stands for than what rounds after each layer.
    wide = {key: array.astype(np.float32) for key, array in samples.items()}
    (exact,) = Session(load(subject.path)).run_samples(wide).values()
    assert np.abs(ours - flat(exact)).mean() <= np.abs(theirs - flat(exact)).mean()


def test_python_loads_a_half_model(digits: tuple[Path, dict[str, Array]], page: Artifact, tmp_path: Path) -> None:
    path, samples = digits
    (expected,) = execute(path, "host", samples).outputs.values()
    (tmp_path / "tiny.wasm").write_bytes(page.files["tiny.wasm"])
    model = tinycast.load(tmp_path / "tiny.wasm")
    (x,) = samples.values()
    for row, wanted in zip(x[:5], expected, strict=False):
        for given in (row, row.astype(np.float32)):
            got = model.run(given.reshape(model.inputs[0]["shape"]))
            assert isinstance(got, np.ndarray)
            assert got.dtype == np.float16
            np.testing.assert_allclose(got.ravel(), wanted.ravel(), rtol=2e-3, atol=1e-4)


def test_javascript_takes_and_gives_bits(digits: tuple[Path, dict[str, Array]], page: Artifact, tmp_path: Path) -> None:
    path, samples = digits
    (expected,) = execute(path, "host", samples).outputs.values()
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node on PATH")
    lay_out(page.files, tmp_path)
    assert b"Uint16Array" in page.files["tiny.d.ts"]
    (x,) = samples.values()
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "main.mjs").write_text(
        'import { load } from "./tiny.js";\n'
        f"const y = (await load()).run(Uint16Array.from({x[0].view(np.uint16).ravel().tolist()}));\n"
        "console.log(JSON.stringify([y.constructor.name, Array.from(y)]));\n"
    )
    kind, bits = json.loads(run([node, "main.mjs"], tmp_path))
    assert kind == "Uint16Array"
    got = np.asarray(bits, np.uint16).view(np.float16)
    np.testing.assert_allclose(got, expected[0].ravel(), rtol=2e-3, atol=1e-4)


def test_a_page_asks_for_floats(digits: tuple[Path, dict[str, Array]]) -> None:
    from tinycast.errors import UsageError

    with pytest.raises(UsageError, match="cannot show float16"):
        compile_file(digits[0], "wasm32", CompileOptions(format="web"))
    assert "index.html" in compile_file(digits[0], "wasm32", CompileOptions(format="web", float_io=True)).files


@pytest.mark.parametrize("scalar", KINDS, ids=lambda scalar: np.dtype(scalar).name)
def test_command_line_takes_half_models(scalar: type, tmp_path: Path) -> None:
    subject = net("digits", tmp_path)
    path, kind = converted(subject.path, tmp_path, scalar), np.dtype(scalar).name
    np.savez(tmp_path / "x.npz", **subject.first(4))  # float32: rounded
    succeed("compile", path, "--target", "host", "--name", "half", "-o", tmp_path / "half")
    done = succeed("run", tmp_path / "half", "--input", tmp_path / "x.npz", "-o", tmp_path / "y.npz")
    assert [port["dtype"] for port in done["outputs"]] == [kind]
    with np.load(tmp_path / "y.npz") as arrays:
        (y,) = (arrays[name] for name in arrays.files)
    assert y.dtype == (np.float16 if scalar is np.float16 else np.float32)
    np.testing.assert_array_equal(y, y.astype(scalar).astype(y.dtype))
    assert succeed("verify", tmp_path / "half", "--input", tmp_path / "x.npz")["ok"]
    succeed("compile", path, "--target", "host", "--name", "wide", "--io", "float", "-o", tmp_path / "wide")
    assert succeed("verify", tmp_path / "wide", "--input", tmp_path / "x.npz")["ok"]
    header = (tmp_path / "wide" / "include" / "wide.h").read_text()
    assert "float *wide_input_0" in header
    assert "uint16_t *half_input_0" in (tmp_path / "half" / "include" / "half.h").read_text()


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_selftest_of_a_half_model(digits: tuple[Path, dict[str, Array]], compiler: str, tmp_path: Path) -> None:
    files = compile_file(digits[0], "host", CompileOptions(name="half")).files
    sources = lay_out(files, tmp_path)
    flags = [*STRICT, "-O1", "-Iinclude", "-Isrc", "-DHALF_SELFTEST_MAIN"]
    run([*compiler_command(compiler), *flags, *sources, "test/half_selftest.c", "-o", "selftest"], tmp_path)
    assert exit_status(["./selftest"], tmp_path) == 0
    selftest = files["test/half_selftest.c"].decode()
    broken, count = re.subn(r"(golden_output_0.* = \{\n    )\d+", r"\g<1>0", selftest)
    assert count == 1
    (tmp_path / "test" / "half_selftest.c").write_text(broken)
    run([*compiler_command(compiler), *flags, *sources, "test/half_selftest.c", "-o", "selftest"], tmp_path)
    assert exit_status(["./selftest"], tmp_path) == 1


def test_half_model_is_quantized_as_the_float_one(digits: tuple[Path, dict[str, Array]], tmp_path: Path) -> None:
    path, _ = digits
    calibration = ROOT / "examples" / "digits" / "calibration.npz"
    save(quantize_file(path, calibration, QuantizeOptions(), {}), tmp_path / "int8.onnx")
    subject = net("digits", tmp_path)
    (outputs,) = execute(tmp_path / "int8.onnx", "host", subject.samples).outputs.values()
    assert outputs.dtype == np.int8
    assert subject.labels is not None
    assert np.mean(flat(outputs).argmax(1) == subject.labels) >= 0.97


def test_report_tells_what_half_weights_cost(page: Artifact) -> None:
    assert "weights of FLOAT16 are stored as float32, in twice the bytes" in page.manifest["notes"]
