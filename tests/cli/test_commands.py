"""Each command on the digits example, as a user calls it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import onnxruntime
import pytest
from cli_models import save_convolution, save_unsupported
from cli_runner import CALIBRATION, DIGITS, DIGITS_MODEL, HELD_OUT, succeed, tinycast, tinycast_process
from tinycast.cli.main import COMMANDS
from tinycast.cli.parameters import parse_names, parse_shape, parse_size
from tinycast.execute.qemu import QemuDriver
from tinycast.ops import IMPORTERS
from tinycast.target.load import all_targets, load_target

MACS = 367_744  # of the digits network: six convolutions and a Gemm
LABELS = np.load(DIGITS / "labels.npz")["label"]


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quantized") / "digits_int8.onnx"
    succeed("quantize", DIGITS_MODEL, "-o", path, "--calibration", CALIBRATION)
    return path


@pytest.fixture(scope="module")
def package(quantized: Path) -> Path:
    """The quantized network for the host, beside its model."""
    folder = quantized.parent / "digits_host"
    succeed("compile", quantized, "--target", "host", "-o", folder, "--name", "digits")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def accuracy(outputs: np.ndarray) -> float:
    return float(np.mean(outputs.reshape(len(LABELS), -1).argmax(1) == LABELS))


def test_help_lists_every_command_and_each_has_its_own() -> None:
    listed = tinycast("--help")
    assert listed.code == 0
    for name in COMMANDS:
        assert f"  {name} " in listed.stdout
        own = tinycast(name, "--help")
        assert own.code == 0
        assert "--json" in own.stdout
        assert "-v, --verbose" in own.stdout


def test_version_names_the_program() -> None:
    assert tinycast("--version").stdout.startswith("tinycast, version ")


def test_inspect_counts_operators_and_names_ports() -> None:
    data = succeed("inspect", DIGITS_MODEL)
    counts = {row["op"]: row["count"] for row in data["operators"]}
    initializers = [onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(DIGITS_MODEL).graph.initializer]
    assert (counts["Conv"], counts["Relu"], counts["Gemm"]) == (6, 6, 1)
    assert data["macs"] == MACS
    assert data["parameters"] == sum(array.size for array in initializers if array.dtype == np.float32)
    assert data["inputs"] == [{"name": "image", "shape": [1, 1, 8, 8], "dtype": "float32"}]
    assert data["outputs"] == [{"name": "logits", "shape": [1, 10], "dtype": "float32"}]
    assert (data["opset"], data["unsupported"], data["compiled"]) == (18, [], None)


def test_inspect_for_a_target_agrees_with_compile(quantized: Path, package: Path) -> None:
    report = json.loads((package / "digits_report.json").read_text())
    data = succeed("inspect", quantized, "--target", "host")
    assert data["macs"] == report["macs"] == MACS
    for key in ("arena_bytes", "lower_bound_bytes", "weights_bytes"):
        assert data["compiled"][key] == report[key]


def test_inspect_lists_all_that_is_unsupported(tmp_path: Path) -> None:
    model = save_unsupported(tmp_path / "model.onnx")
    data = succeed("inspect", model)
    assert [entry["node"] for entry in data["unsupported"]] == ["wavelet_1", "chirp_1"]
    assert all(entry["op"] in entry["reason"] and entry["fix"] for entry in data["unsupported"])
    shown = tinycast("inspect", model, "--target", "host").stdout
    assert "wavelet_1" in shown
    assert "chirp_1" in shown


@pytest.mark.parametrize("method", ["minmax", "percentile", "mse", "entropy"])
def test_quantize_gives_a_model_for_onnx_runtime(method: str, tmp_path: Path) -> None:
    path = tmp_path / "q.onnx"
    data = succeed("quantize", DIGITS_MODEL, "-o", path, "--calibration", CALIBRATION, "--method", method)
    session = onnxruntime.InferenceSession(str(path))
    images = np.load(HELD_OUT)["image"]
    logits = np.concatenate([session.run(["logits"], {"image": image[None]})[0] for image in images])
    assert accuracy(logits) >= 0.97
    assert data["bytes"] == path.stat().st_size < data["bytes_before"] / 2


def test_force_overwrites_a_model(tmp_path: Path) -> None:
    path = tmp_path / "q.onnx"
    path.write_text("old")
    succeed("quantize", DIGITS_MODEL, "-o", path, "--calibration", CALIBRATION, "--force")
    assert onnx.load(path).graph.node


def test_compress_prunes_half_of_the_weights(tmp_path: Path) -> None:
    path = tmp_path / "pruned.onnx"
    data = succeed("compress", DIGITS_MODEL, "-o", path, "--prune", "0.5", "--calibration", CALIBRATION)
    weights = [
        array for tensor in onnx.load(path).graph.initializer if (array := onnx.numpy_helper.to_array(tensor)).ndim > 1
    ]
    zeros = sum(int((array == 0).sum()) for array in weights)
    assert zeros == data["zeros_after"] == sum(layer["zeros_after"] for layer in data["layers"])
    assert zeros / sum(array.size for array in weights) == pytest.approx(0.5, abs=0.001)
    assert len(data["layers"]) == 7


def test_compress_removes_channels_for_real(tmp_path: Path) -> None:
    path = tmp_path / "narrow.onnx"
    data = succeed("compress", DIGITS_MODEL, "-o", path, "--prune", "channels:0.3", "--no-reconstruct")
    assert data["parameters_after"] < 0.6 * data["parameters_before"]
    assert data["bytes_after"] == path.stat().st_size < 0.7 * data["bytes_before"]
    assert succeed("inspect", path)["macs"] < 0.6 * MACS


def test_compile_says_what_it_wrote(quantized: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    data = succeed("compile", quantized, "--target", "cortex-m4", "-o", folder, "--name", "net", "--format", "cmake")
    assert {entry["path"]: entry["bytes"] for entry in data["files"]} == {
        path: len(content) for path, content in contents(folder).items()
    }
    assert {"include/net.h", "src/net.c", "net_report.json", "CMakeLists.txt"} <= contents(folder).keys()
    report = json.loads((folder / "net_report.json").read_text())
    for key in ("arena_bytes", "lower_bound_bytes", "weights_bytes", "macs", "notes"):
        assert data[key] == report[key]
    assert data["arena_bytes"] >= data["lower_bound_bytes"] > 0


def test_compile_twice_gives_the_same_bytes(quantized: Path, package: Path, tmp_path: Path) -> None:
    succeed("compile", quantized, "--target", "host", "-o", tmp_path / "again", "--name", "digits")
    assert contents(tmp_path / "again") == contents(package)


def test_compile_quantizes_as_quantize_does(package: Path, tmp_path: Path) -> None:
    options = ("--quantize", "int8", "--calibration", CALIBRATION)
    succeed("compile", DIGITS_MODEL, "--target", "host", "-o", tmp_path / "out", "--name", "digits", *options)
    assert contents(tmp_path / "out") == contents(package)


def test_compile_replaces_its_own_folder_with_force(tmp_path: Path) -> None:
    arguments = ("compile", DIGITS_MODEL, "--target", "host", "-o", tmp_path / "out", "--force")
    succeed(*arguments, "--name", "first")
    data = succeed(*arguments, "--name", "second")
    assert contents(tmp_path / "out").keys() == {entry["path"] for entry in data["files"]}
    assert "include/second.h" in contents(tmp_path / "out")


def test_compile_gives_open_dimensions_their_sizes(tmp_path: Path) -> None:
    model = save_convolution(tmp_path / "model.onnx", shape=(1, 2, "height", "width"))
    succeed("compile", model, "--target", "host", "-o", tmp_path / "out", "--shape", "x=1,2,5,7")
    report = json.loads((tmp_path / "out" / "model_report.json").read_text())
    assert report["inputs"][0]["shape"] == [1, 2, 5, 7]


def test_run_takes_real_numbers_and_integers(package: Path, tmp_path: Path) -> None:
    data = succeed("run", package, "--input", HELD_OUT, "-o", tmp_path / "a.npz")
    (port,) = json.loads((package / "digits_report.json").read_text())["inputs"]
    steps = np.rint(np.load(HELD_OUT)["image"] / np.float32(port["scale"])) + port["zero_point"]
    np.savez(tmp_path / "integers.npz", image=np.clip(steps, -128, 127).astype(np.int8))
    succeed("run", package, "--input", tmp_path / "integers.npz", "-o", tmp_path / "b.npz")
    first, second = np.load(tmp_path / "a.npz")["logits"], np.load(tmp_path / "b.npz")["logits"]
    assert first.dtype == np.int8
    assert first.tobytes() == second.tobytes()
    assert accuracy(first) >= 0.97
    (described,) = data["outputs"]
    assert (described["name"], described["shape"]) == ("logits", list(first.shape))
    assert (described["minimum"], described["maximum"]) == (first.min(), first.max())


def test_run_keeps_floats_on_request(quantized: Path, package: Path, tmp_path: Path) -> None:
    succeed("compile", quantized, "--target", "host", "-o", tmp_path / "out", "--name", "digits", "--io", "float")
    succeed("run", tmp_path / "out", "--input", HELD_OUT, "-o", tmp_path / "float.npz")
    data = succeed("run", package, "--input", HELD_OUT, "-o", tmp_path / "integer.npz")
    (port,) = data["outputs"]
    real, steps = np.load(tmp_path / "float.npz")["logits"], np.load(tmp_path / "integer.npz")["logits"]
    assert real.dtype == np.float32
    np.testing.assert_allclose(real, (steps.astype(np.int32) - port["zero_point"]) * port["scale"], rtol=1e-6)


def test_run_on_a_core_of_the_users_choice(quantized: Path, package: Path, tmp_path: Path) -> None:
    succeed("compile", quantized, "--target", "cortex-m0plus", "-o", tmp_path / "out", "--name", "digits")
    np.savez(tmp_path / "few.npz", image=np.load(HELD_OUT)["image"][:5])
    data = succeed(
        "run", tmp_path / "out", "--input", tmp_path / "few.npz", "-o", tmp_path / "m.npz", "--on", "unicorn"
    )
    succeed("run", package, "--input", tmp_path / "few.npz", "-o", tmp_path / "h.npz")
    assert data["driver"] == "unicorn"
    assert data["instructions"] > MACS
    assert np.load(tmp_path / "m.npz")["logits"].tobytes() == np.load(tmp_path / "h.npz")["logits"].tobytes()
    assert tinycast("run", package, "--input", HELD_OUT, "--on", "unicorn").code == 2


def test_verify_a_package_finds_its_model(quantized: Path, package: Path) -> None:
    data = succeed("verify", package, "--input", HELD_OUT, "--on", "wasm32,cortex-m4")
    assert data["ok"] is True
    assert data["model"] == str(quantized)
    assert [entry["target"] for entry in data["targets"]] == ["host", "wasm32", "cortex-m4"]
    assert all(entry["differences"] == [] for entry in data["targets"])
    (closeness,) = data["onnxruntime"]
    assert closeness["unit"] == "steps"
    assert closeness["largest_error"] <= 2
    assert closeness["same_class"] >= 0.99


def test_verify_a_float_model() -> None:
    data = succeed("verify", DIGITS_MODEL, "--on", "host,wasm32-scalar")
    (closeness,) = data["onnxruntime"]
    assert closeness["unit"] == "relative"
    assert 0 < closeness["largest_error"] <= 1e-5


def test_verify_keeps_the_io_of_the_package(quantized: Path) -> None:
    folder = quantized.parent / "digits_float_io"
    succeed("compile", quantized, "--target", "wasm32", "-o", folder, "--io", "float")
    data = succeed("verify", folder, "--model", quantized)
    assert [entry["target"] for entry in data["targets"]] == ["wasm32", "host"]
    assert data["onnxruntime"][0]["unit"] == "relative"


def test_bench_measures_a_microcontroller(quantized: Path) -> None:
    data = succeed("bench", quantized, "--target", "cortex-m4", "--on", "unicorn")
    assert data["macs"] == MACS == sum(layer["macs"] for layer in data["layers"])
    layers = sum(layer["instructions"] for layer in data["layers"])
    assert 0.99 * data["instructions"] <= layers <= data["instructions"]
    for key in ("instructions", "cycles_estimate"):
        assert data[key] == sum(layer[key] for layer in data["layers"]) + data["rest"][key]
    assert data["cycles_error"] == "estimated, 10 % either way"
    assert max(layer["scratch_bytes"] for layer in data["layers"]) > 0
    assert data["network"] is None
    assert not data["peers"]
    assert data["ram_bytes"] >= data["arena_bytes"] + data["stack_bytes"]
    assert data["flash_bytes"] >= data["text_bytes"] > data["weights_bytes"]
    assert 1 < data["cycles_estimate"] / data["instructions"] < 2
    if QemuDriver(load_target("cortex-m4")).available():
        assert (
            succeed("bench", quantized, "--target", "cortex-m4", "--on", "qemu")["instructions"] == data["instructions"]
        )


def test_memory_regions_from_a_file(quantized: Path, tmp_path: Path) -> None:
    chip = tmp_path / "chip.toml"
    chip.write_text(
        '[[regions]]\nname = "dtcm"\nkind = "ram"\nbytes = 2048\n'
        '[[regions]]\nname = "sram"\nkind = "ram"\nbytes = 65536\ncost = 3\n',
        encoding="utf-8",
    )
    data = succeed("compile", quantized, "--target", "host", "--memory", chip, "-o", tmp_path / "made")
    used = {region["name"]: region["bytes"] for region in data["regions"]}
    assert 0 < used["dtcm"] <= 2048
    assert data["arena_bytes"] == sum(used.values())
    shown = tinycast("compile", quantized, "--target", "host", "--memory", chip, "-o", tmp_path / "again")
    assert f"dtcm     {used['dtcm']:,} of 2,048 bytes of ram" in shown.stdout
    bad = tinycast("compile", quantized, "--target", "host", "--memory", tmp_path / "no.toml", "-o", tmp_path / "bad")
    assert bad.code == 2
    assert "no.toml" in bad.stderr


def test_bench_says_null_for_what_nothing_counts() -> None:
    data = succeed("bench", DIGITS_MODEL, "--target", "wasm32")
    assert data["instructions"] is data["flash_bytes"] is data["ram_bytes"] is None
    assert data["arena_bytes"] > 0
    assert all(layer["instructions"] is None for layer in data["layers"])
    assert data["rest"] == {"instructions": None, "cycles_estimate": None}


def test_targets_and_ops_list_all() -> None:
    targets = succeed("targets")["targets"]
    assert [entry["name"] for entry in targets] == [target.name for target in all_targets()]
    assert all(entry["drivers"] and entry["formats"] for entry in targets)
    assert [entry["name"] for entry in succeed("ops")["operators"]] == sorted(IMPORTERS)


def every_command(folder: Path) -> list[list[Any]]:
    return [
        ["inspect", DIGITS_MODEL],
        ["quantize", DIGITS_MODEL, "-o", folder / "q.onnx", "--calibration", CALIBRATION, "--force"],
        ["compress", DIGITS_MODEL, "-o", folder / "c.onnx", "--prune", "2:4", "--no-reconstruct", "--force"],
        ["compile", DIGITS_MODEL, "--target", "host", "-o", folder / "out", "--force"],
        ["run", folder / "out", "--input", HELD_OUT],
        ["verify", DIGITS_MODEL, "--on", "host"],
        ["bench", DIGITS_MODEL, "--target", "host"],
        ["targets"],
        ["ops"],
    ]


def test_every_command_speaks_to_people_and_to_scripts(tmp_path: Path) -> None:
    # `serve` goes on until Ctrl-C: tests/web. `tune` measures for long: tests/tune.
    names = [name for name in COMMANDS if name not in ("serve", "tune")]
    assert [arguments[0] for arguments in every_command(tmp_path)] == names
    for arguments in every_command(tmp_path):
        text = tinycast(*arguments)
        assert (text.code, text.stderr) == (0, ""), arguments
        assert text.stdout.strip()
        assert not text.stdout.startswith("{")
        assert tinycast(*arguments, "--json").data, arguments


def test_json_leaves_stdout_to_one_object() -> None:
    done = tinycast_process("verify", DIGITS_MODEL, "--on", "host", "--json", "-v")
    assert done.code == 0, done.stderr
    assert done.data["ok"] is True
    assert "running on host" in done.stderr


def test_progress_is_shown_on_a_terminal(tmp_path: Path) -> None:
    terminal, its_end = pty.openpty()
    arguments = ["quantize", DIGITS_MODEL, "-o", tmp_path / "q.onnx", "--calibration", CALIBRATION, "--json"]
    command = [sys.executable, "-m", "tinycast.cli.main", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=its_end, env={**os.environ, "TERM": "xterm"})
    shown = os.read(terminal, 1_000_000)
    os.close(its_end)
    os.close(terminal)
    assert done.returncode == 0
    assert b"quantizing" in shown
    assert json.loads(done.stdout)["model"] == str(tmp_path / "q.onnx")


@pytest.mark.parametrize(
    ("text", "size"),
    [("65536", 65536), ("64K", 65536), ("64KiB", 65536), ("64kb", 64000), ("1.5M", 1572864), ("2 MB", 2000000)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_shapes_and_names() -> None:
    assert parse_shape("a=b=1,3, 96") == ("a=b", (1, 3, 96))
    assert parse_names("host, wasm32,host") == ("host", "wasm32")


@pytest.mark.parametrize(
    ("parse", "text"),
    [(parse_size, "K"), (parse_size, "-1"), (parse_shape, "x"), (parse_shape, "x=1,h"), (parse_names, ",")],
)
def test_values_that_are_none(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(click.BadParameter):
        parse(text)
