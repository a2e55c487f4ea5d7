"""Bad input: the message, the exit code, and that nothing is left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_models import save_convolution, save_external, save_unsupported
from cli_runner import CALIBRATION, DIGITS_MODEL, HELD_OUT, Done, entries, tinycast, tinycast_process
from onnx import helper

Arguments = list[object]


def compile_arguments(model: Path, folder: Path, *more: object) -> Arguments:
    return ["compile", model, "--target", "host", "-o", folder / "out", *more]


def not_a_protobuf(folder: Path) -> Arguments:
    (folder / "model.onnx").write_text("version https://git-lfs.github.com/spec/v1\n")
    return compile_arguments(folder / "model.onnx", folder)


def truncated(folder: Path) -> Arguments:
    (folder / "model.onnx").write_bytes(DIGITS_MODEL.read_bytes()[:20_000])
    return compile_arguments(folder / "model.onnx", folder)


def missing_model(folder: Path) -> Arguments:
    return compile_arguments(folder / "model.onnx", folder)


def checker_failure(folder: Path) -> Arguments:
    relu = helper.make_node("Relu", ["nowhere"], ["z"], name="relu_1")
    return compile_arguments(save_convolution(folder / "m.onnx", extra_nodes=(relu,), output="z"), folder)


def unsupported_operators(folder: Path) -> Arguments:
    return compile_arguments(save_unsupported(folder / "model.onnx"), folder)


def open_shape(folder: Path) -> Arguments:
    return compile_arguments(save_convolution(folder / "model.onnx", shape=(1, 2, "height", "width")), folder)


def wrong_shape_option(folder: Path) -> Arguments:
    return compile_arguments(save_convolution(folder / "model.onnx"), folder, "--shape", "picture=1,2,6,6")


def weights_with(value: float) -> Callable[[Path], Arguments]:
    def build(folder: Path) -> Arguments:
        weight = np.ones((3, 2, 3, 3), np.float32)
        weight[1, 1, 1, 1] = value
        return compile_arguments(save_convolution(folder / "model.onnx", weight=weight), folder)

    return build


def external_data_missing(folder: Path) -> Arguments:
    model = save_external(folder / "model.onnx")
    (folder / "weights.bin").unlink()
    return compile_arguments(model, folder)


def quantize_with(array: np.ndarray | None, name: str = "image") -> Callable[[Path], Arguments]:
    def build(folder: Path) -> Arguments:
        samples = folder / "samples.npz"
        if array is not None:
            np.savez(samples, **{name: array})
        return ["quantize", DIGITS_MODEL, "-o", folder / "out.onnx", "--calibration", samples]

    return build


def broken_samples(folder: Path) -> Arguments:
    (folder / "samples.npz").write_bytes(CALIBRATION.read_bytes()[:1000])
    return ["quantize", DIGITS_MODEL, "-o", folder / "out.onnx", "--calibration", folder / "samples.npz"]


def unknown_target(folder: Path) -> Arguments:
    return ["compile", DIGITS_MODEL, "--target", "cortex-m5", "-o", folder / "out"]


def folder_exists(folder: Path) -> Arguments:
    (folder / "out").mkdir()
    (folder / "out" / "thesis.txt").write_text("mine")
    return compile_arguments(DIGITS_MODEL, folder)


def folder_of_somebody_else(folder: Path) -> Arguments:
    return [*folder_exists(folder), "--force"]


def output_file_exists(folder: Path) -> Arguments:
    (folder / "out.onnx").write_text("mine")
    return ["quantize", DIGITS_MODEL, "-o", folder / "out.onnx", "--calibration", CALIBRATION]


def output_folder_missing(folder: Path) -> Arguments:
    return ["quantize", DIGITS_MODEL, "-o", folder / "nowhere" / "out.onnx", "--calibration", CALIBRATION]


def too_little_ram(folder: Path) -> Arguments:
    return ["compile", DIGITS_MODEL, "--target", "cortex-m4", "-o", folder / "out", "--ram", "4K"]


def too_little_flash_for_the_weights(folder: Path) -> Arguments:
    return ["compile", DIGITS_MODEL, "--target", "cortex-m4", "-o", folder / "out", "--flash", "64KB"]


def too_little_flash_for_the_code(folder: Path) -> Arguments:
    return ["compile", DIGITS_MODEL, "--target", "cortex-m4", "-o", folder / "out", "--flash", "90KB"]


def format_of_another_platform(folder: Path) -> Arguments:
    return ["compile", DIGITS_MODEL, "--target", "wasm32", "-o", folder / "out", "--format", "cmake"]


def quantize_without_samples(folder: Path) -> Arguments:
    return compile_arguments(DIGITS_MODEL, folder, "--quantize", "int8")


def prune_without_samples(folder: Path) -> Arguments:
    return ["compress", DIGITS_MODEL, "-o", folder / "out.onnx", "--prune", "0.5"]


def prune_nonsense(folder: Path) -> Arguments:
    return ["compress", DIGITS_MODEL, "-o", folder / "out.onnx", "--prune", "most", "--calibration", CALIBRATION]


def run_no_package(folder: Path) -> Arguments:
    return ["run", folder, "--input", HELD_OUT]


def bad_size(folder: Path) -> Arguments:
    return compile_arguments(DIGITS_MODEL, folder, "--ram", "64 pounds")


IMAGES = np.zeros((4, 1, 8, 8), np.float32)
CASES: dict[Callable[[Path], Arguments], tuple[int, tuple[str, ...]]] = {
    not_a_protobuf: (2, ("no ONNX model, or it is truncated", "model.onnx", "Git LFS")),
    truncated: (2, ("no ONNX model, or it is truncated", "20000 bytes", "download it again")),
    missing_model: (2, ("does not exist", "model.onnx", "check the path")),
    checker_failure: (1, ("breaks the ONNX standard", "nowhere", "export the model again")),
    unsupported_operators: (1, ("2 nodes", "wavelet_1", "Wavelet", "chirp_1", "Chirp", "tinycast ops")),
    open_shape: (1, ("input shapes are open", "1,2,height,width", "--shape x=1,2,96,96")),
    wrong_shape_option: (2, ("'picture'", "inputs: x", "name one of them")),
    weights_with(np.nan): (1, ("not finite", "w has NaN", "'conv_1'")),
    weights_with(np.inf): (1, ("not finite", "w has Inf", "'conv_1'")),
    external_data_missing: (2, ("'weights.bin' is missing", "tensor w", "beside model.onnx")),
    quantize_with(None): (2, ("sample file does not exist", "samples.npz", "check the path")),
    quantize_with(IMAGES, "picture"): (2, ("lacks the input 'image'", "'picture'", "rename")),
    quantize_with(IMAGES[:, :, 1:]): (2, ("wrong shape", "(4, 1, 7, 8)", "(N, 1, 8, 8)")),
    quantize_with(IMAGES[:0]): (2, ("has no samples", "image", "at least one")),
    quantize_with(np.where(np.arange(4)[:, None, None, None] == 2, np.nan, IMAGES)): (2, ("sample 2", "NaN", "remove")),
    broken_samples: (2, ("no .npz file", "samples.npz", "numpy.savez")),
    unknown_target: (2, ("unknown target 'cortex-m5'", "--target", "cortex-m55")),
    folder_exists: (2, ("output folder exists", "out", "--force")),
    folder_of_somebody_else: (2, ("did not write: thesis.txt", "out", "choose another")),
    output_file_exists: (2, ("output file exists", "out.onnx", "--force")),
    output_folder_missing: (2, ("folder of the output does not exist", "nowhere", "make it")),
    too_little_ram: (1, ("more than the RAM given", "the peak is in node_", "fix:")),
    too_little_flash_for_the_weights: (1, ("more than the flash given", "node_Conv_102", "fix:")),
    too_little_flash_for_the_code: (1, ("of flash", "more than given", "bytes of weights", "fix:")),
    format_of_another_platform: (2, ("no format 'cmake' for wasm32", "--format", "use wasm")),
    quantize_without_samples: (2, ("--quantize and --calibration go together", "give both")),
    prune_without_samples: (2, ("there are none", "--calibration", "--no-reconstruct")),
    prune_nonsense: (2, ("'most'", "--prune", "channels:0.3")),
    run_no_package: (2, ("not a folder written by tinycast", "compile a model first")),
    bad_size: (2, ("--ram", "64 pounds", "64KiB")),
}


@pytest.mark.parametrize("build", CASES, ids=lambda build: build.__qualname__.split(".")[0])
def test_bad_input(build: Callable[[Path], Arguments], tmp_path: Path) -> None:
    code, texts = CASES[build]
    arguments = build(tmp_path)
    before = entries(tmp_path)
    done = tinycast(*arguments)
    assert done.code == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert not [text for text in texts if text not in done.stderr], done.stderr
    assert entries(tmp_path) == before


def test_errors_as_json(tmp_path: Path) -> None:
    done = tinycast(*missing_model(tmp_path), "--json")
    assert done.data["error"]["exit_code"] == done.code == 2
    assert done.data["error"]["what"] in done.stderr
    assert done.data["error"].keys() == {"what", "where", "fix", "exit_code"}


def test_bad_usage_as_json() -> None:
    done = tinycast("compile", "--json")
    assert done.data["error"]["exit_code"] == done.code == 2
    assert "MODEL" in done.data["error"]["what"]


def test_only_debug_shows_a_traceback(tmp_path: Path) -> None:
    arguments = missing_model(tmp_path)
    assert "Traceback" not in tinycast_process(*arguments).stderr
    assert "Traceback" in tinycast_process(*arguments, "--debug").stderr


def test_a_bug_is_called_one() -> None:
    broken = "import tinycast.target.load\ntinycast.target.load.all_targets = None"
    done = tinycast_process("targets", before=broken)
    assert done.code == 70
    assert done.stderr.startswith("error: a bug in tinycast: TypeError:")
    assert "--debug" in done.stderr


NO_COMPILER = "sys.modules['ziglang'] = None"


def run_package(folder: Path) -> Arguments:
    assert tinycast(*compile_arguments(DIGITS_MODEL, folder)).code == 0
    return ["run", folder / "out", "--input", HELD_OUT, "-o", folder / "out.npz"]


def compile_to_wasm(folder: Path) -> Arguments:
    return ["compile", DIGITS_MODEL, "--target", "wasm32", "-o", folder / "out"]


def bench_on_a_microcontroller(_folder: Path) -> Arguments:
    return ["bench", DIGITS_MODEL, "--target", "cortex-m4"]


@pytest.mark.parametrize("build", [run_package, compile_to_wasm, bench_on_a_microcontroller])
def test_compiler_missing(build: Callable[[Path], Arguments], tmp_path: Path) -> None:
    arguments = build(tmp_path)
    (tmp_path / "bin").mkdir()
    before = entries(tmp_path)
    done = tinycast_process(*arguments, before=NO_COMPILER, PATH=str(tmp_path / "bin"))
    assert done.code == 4, done.stderr
    assert "pip install 'tinycast[toolchain]'" in done.stderr
    assert entries(tmp_path) == before


# The process sends itself the signal as it opens a file to write whose path holds `{mark}`: what Ctrl-C is to it.
SIGNAL_WHILE_WRITING = """
import os, signal
def hook(event, arguments):
    if event == "open" and {mark!r} in str(arguments[0]) and "w" in str(arguments[1]):
        os.kill(os.getpid(), signal.{signal})
sys.addaudithook(hook)
"""


def interrupted(arguments: Arguments, mark: str, name: str = "SIGINT") -> Done:
    return tinycast_process(*arguments, before=SIGNAL_WHILE_WRITING.format(mark=mark, signal=name))


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_interrupted_while_writing_a_package(name: str, code: int, tmp_path: Path) -> None:
    done = interrupted(compile_arguments(DIGITS_MODEL, tmp_path / "new" / "folder"), "digits_kernels.c", name)
    assert done.code == code, done.stderr
    assert "Traceback" not in done.stderr
    assert entries(tmp_path) == []


def test_interrupted_while_replacing_a_package(tmp_path: Path) -> None:
    arguments = compile_arguments(DIGITS_MODEL, tmp_path)
    assert tinycast(*arguments).code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = interrupted([*arguments, "--name", "other", "--force"], "other_kernels.c")
    assert done.code == 130, done.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_interrupted_while_writing_a_model(tmp_path: Path) -> None:
    done = interrupted(["quantize", DIGITS_MODEL, "-o", tmp_path / "q.onnx", "--calibration", CALIBRATION], "q.onnx")
    assert done.code == 130, done.stderr
    assert entries(tmp_path) == []


def test_interrupted_while_writing_outputs(tmp_path: Path) -> None:
    arguments = run_package(tmp_path)
    before = entries(tmp_path)
    done = interrupted(arguments, "out.npz")
    assert done.code == 130, done.stderr
    assert entries(tmp_path) == before


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    done = tinycast_process(*compile_arguments(DIGITS_MODEL, tmp_path), before=limit)
    assert done.code == 2, done.stderr
    assert "cannot be written" in done.stderr
    assert entries(tmp_path) == []


def test_verify_finds_a_changed_package(tmp_path: Path) -> None:
    """Whoever edits a weight is told which element of which sample differs."""
    shutil.copy(DIGITS_MODEL, tmp_path / "digits.onnx")
    assert tinycast(*compile_arguments(tmp_path / "digits.onnx", tmp_path)).code == 0
    weights = tmp_path / "out" / "src" / "digits_weights.c"
    lines = weights.read_text().splitlines()
    number = max(index for index, line in enumerate(lines) if line.lstrip()[:1] in tuple("-0123456789"))
    lines[number] = "    100.0f, " + lines[number].split(",", 1)[1].strip()
    weights.write_text("\n".join(lines) + "\n")
    done = tinycast("verify", tmp_path / "out", "--on", "wasm32", "--json")
    assert done.code == 3, done.stderr
    assert done.data["ok"] is False
    assert done.data["error"]["exit_code"] == 3
    assert "wasm32 differs from host in" in done.stderr
    assert "of logits, first in sample 0 at" in done.stderr


def test_verify_needs_the_model_of_the_package(tmp_path: Path) -> None:
    assert tinycast(*compile_arguments(DIGITS_MODEL, tmp_path)).code == 0
    lost = tinycast("verify", tmp_path / "out")
    assert lost.code == 2
    assert "not found" in lost.stderr
    assert "--model" in lost.stderr
    other = tinycast("verify", tmp_path / "out", "--model", save_convolution(tmp_path / "model.onnx"))
    assert other.code == 2
    assert "compiled from another model" in other.stderr
