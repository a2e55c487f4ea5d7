"""`tinycast.load`: a lone .wasm, run from Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tinycast
from execute.fixture_artifact import FILES, MANIFEST, expected, samples, with_kernel_line
from tinycast.artifact import Artifact
from tinycast.emit import finish_wasm
from tinycast.errors import ToolMissingError, UsageError
from tinycast.execute.types import ExecutionError
from tinycast.target.load import load_target
from tinycast.toolchain.find import zig_path
from tinycast.toolchain.wasm import build_wasm


def write_module(files: dict[str, bytes], folder: Path) -> Path:
    try:
        zig_path()
    except ToolMissingError as error:
        pytest.skip(str(error))
    module = build_wasm(files, "tiny", load_target("wasm32"))
    path = folder / "tiny.wasm"
    path.write_bytes(finish_wasm(Artifact(files, {**MANIFEST, "macs": 16}), module).files["tiny.wasm"])
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_module(FILES, tmp_path_factory.mktemp("module"))


def test_runs_on_an_array_or_on_arrays_by_name(path: Path) -> None:
    model = tinycast.load(path)
    (port,) = model.inputs
    x = samples(3)
    for row, wanted in zip(x, expected(x), strict=True):
        for given in (row, row.reshape(port["shape"]), {port["name"]: row}):
            got = model.run(given)
            assert isinstance(got, np.ndarray)
            assert got.shape == tuple(model.outputs[0]["shape"])
            np.testing.assert_array_equal(got.ravel(), wanted)


def test_real_numbers_are_quantized(path: Path) -> None:
    model = tinycast.load(str(path))
    (port,) = model.inputs
    x = samples(1)
    real = (x[0].astype(np.float32) - port["zero_point"]) * np.float32(port["scale"])
    got = model.run(real)
    assert isinstance(got, np.ndarray)
    np.testing.assert_array_equal(got.ravel(), expected(x)[0])
    model.reset()


def test_mistakes_are_told_clearly(path: Path, tmp_path: Path) -> None:
    model = tinycast.load(path)
    with pytest.raises(UsageError, match="expected shape"):
        model.run(np.zeros(5, np.int8))
    with pytest.raises(UsageError, match="expected int8, got int64"):
        model.run(np.zeros(4, np.int64))
    with pytest.raises(UsageError, match="the model has"):
        model.run({"other": np.zeros(4, np.int8)})
    with pytest.raises(UsageError, match="cannot be read"):
        tinycast.load(tmp_path / "missing.wasm")
    (tmp_path / "cut.wasm").write_bytes(path.read_bytes()[:100])
    with pytest.raises(UsageError, match="damaged"):
        tinycast.load(tmp_path / "cut.wasm")


def test_runs_again_after_a_trap(tmp_path: Path) -> None:
    """The stack is as high as before: 100 traps of a kernel with a frame of its own do not wear it down."""
    line = "volatile int8_t frame[256]; frame[0] = x[0]; if (frame[0] == 99) { __builtin_trap(); }"
    model = tinycast.load(write_module(with_kernel_line(line), tmp_path))
    for _ in range(100):
        with pytest.raises(ExecutionError, match="the module trapped"):
            model.run(np.full(4, 99, np.int8))
    x = samples(1)
    got = model.run(x[0])
    assert isinstance(got, np.ndarray)
    np.testing.assert_array_equal(got.ravel(), expected(x)[0])
