"""Models with state on the command line: a stream of frames through compile, run, verify and quantize."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from cli_runner import succeed, tinycast

FRAMES, COLUMNS, UNITS = 30, 5, 6


def save_gru(path: Path, steps: int) -> Path:
    text = f"""<ir_version: 10, opset_import: ["" : 21]>
    g (float[{steps},1,{COLUMNS}] x) => (float[{steps},1,1,{UNITS}] y) {{ y = GRU<hidden_size={UNITS}>(x, w, r, b) }}"""
    proto = onnx.parser.parse_model(text)
    random = np.random.default_rng(1)
    shapes = {"w": (1, 3 * UNITS, COLUMNS), "r": (1, 3 * UNITS, UNITS), "b": (1, 6 * UNITS)}
    for name, shape in shapes.items():
        array = random.normal(0, 0.5, shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one frame, and a stream beside it."""
    folder = tmp_path_factory.mktemp("stream")
    stream = np.random.default_rng(2).normal(0, 1, (FRAMES, 1, COLUMNS)).astype(np.float32)
    np.savez(folder / "stream.npz", x=stream)
    return save_gru(folder / "frame.onnx", 1)


def whole(folder: Path) -> np.ndarray:
    """What ONNX Runtime makes of the stream at once."""
    path = save_gru(folder / "whole.onnx", FRAMES)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": np.load(folder / "stream.npz")["x"]})
    return np.asarray(y).reshape(FRAMES, UNITS)


def test_run_takes_the_samples_as_one_stream(frame: Path) -> None:
    folder = frame.parent / "frame_host"
    succeed("compile", frame, "--target", "host", "-o", folder, "--stateful")
    samples, outputs = frame.parent / "stream.npz", frame.parent / "outputs.npz"
    succeed("run", folder, "--input", samples, "-o", outputs)
    np.testing.assert_allclose(np.load(outputs)["y"].reshape(FRAMES, UNITS), whole(frame.parent), atol=1e-5)
    verified = succeed("verify", folder, "--model", frame, "--input", samples)
    assert verified["ok"]
    assert verified["samples"] == FRAMES


def test_a_quantized_stream(frame: Path) -> None:
    samples, quantized = frame.parent / "stream.npz", frame.parent / "frame_int8.onnx"
    succeed("quantize", frame, "-o", quantized, "--calibration", samples, "--stateful")
    assert len(onnx.load(quantized).graph.input) == 2
    folder, outputs = frame.parent / "frame_int8_host", frame.parent / "outputs_int8.npz"
    succeed("compile", quantized, "--target", "host", "-o", folder, "--stateful", "--io", "float")
    succeed("run", folder, "--input", samples, "-o", outputs)
    np.testing.assert_allclose(np.load(outputs)["y"].reshape(FRAMES, UNITS), whole(frame.parent), atol=0.05)


def test_what_is_no_state_is_bad_usage(frame: Path, tmp_path: Path) -> None:
    for option in ("x", "x=", "x=z"):
        result = tinycast("compile", frame, "--target", "host", "-o", tmp_path / "out", "--state", option)
        assert result.code == 2
        assert not (tmp_path / "out").exists()
