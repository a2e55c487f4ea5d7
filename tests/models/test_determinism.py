"""The same model gives the same bytes in any process, folder and order of hashing, and soon enough."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from nets import FLOAT, INT8, net
from tinycast.pipeline import compile_file

LIMIT_SECONDS = 15
# Prints the hash of every file, and the processor's seconds for each target (the first with Python's start), those of
# linkers included: other tests run at the same time.
COMPILE = """
import hashlib, json, os, sys
start = 0
from pathlib import Path
from tinycast.pipeline import compile_file
files, seconds = {}, {}
for target in sys.argv[2:]:
    for name, content in compile_file(Path(sys.argv[1]), target).files.items():
        files[f"{target}/{name}"] = hashlib.sha256(content).hexdigest()
    seconds[target] = sum(os.times()[:4]) - start
    start += seconds[target]
print(json.dumps([files, seconds]))
"""
QUANTIZE = """
import hashlib, sys
from pathlib import Path
from tinycast.compress.quantize import QuantizeOptions
from tinycast.model.files import to_bytes
from tinycast.pipeline import quantize_file
model = quantize_file(Path(sys.argv[1]), Path(sys.argv[2]), QuantizeOptions(), {})
print(hashlib.sha256(to_bytes(model)).hexdigest())
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nets")


def run_elsewhere(script: str, arguments: list[str], hash_seed: str, where: Path) -> str:
    """Run a Python script in `where`, with temporary folders below it too; return what it printed."""
    temporary = where / "temporary"
    temporary.mkdir(parents=True)
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TMPDIR": str(temporary)}
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def warm(folder: Path) -> None:
    """Let zig build its run-time library: it does so once on a machine."""
    compile_file(net("digits_int8", folder).path, "wasm32")


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("name", [*INT8, *FLOAT])
def test_two_processes_write_the_same_bytes_quickly(name: str, folder: Path, tmp_path: Path) -> None:
    """C for two cores and the .wasm; the model file lies in another folder the second time."""
    path = net(name, folder).path
    moved = tmp_path / "elsewhere" / path.name
    moved.parent.mkdir()
    moved.write_bytes(path.read_bytes())
    targets = ["cortex-m4", "rv32imc", "wasm32"]
    first, seconds = json.loads(run_elsewhere(COMPILE, [str(path), *targets], "1", tmp_path / "one"))
    second, _ = json.loads(run_elsewhere(COMPILE, [str(moved), *targets], "2", tmp_path / "two" / "deeper"))
    assert {f"wasm32/{path.stem}.wasm", f"cortex-m4/src/{path.stem}.c"} <= first.keys()
    assert first == second
    print(f"{name}: {', '.join(f'{target} {took:.1f} s' for target, took in seconds.items())}")
    assert max(seconds.values()) < LIMIT_SECONDS


def test_quantizing_in_two_processes_gives_the_same_model(folder: Path, tmp_path: Path) -> None:
    float_net = net("digits", folder)
    samples = float_net.path.parent / "calibration.npz"
    arguments = [str(float_net.path), str(samples)]
    first = run_elsewhere(QUANTIZE, arguments, "1", tmp_path / "one").strip()
    assert len(first) == len(hashlib.sha256().hexdigest())
    assert run_elsewhere(QUANTIZE, arguments, "2", tmp_path / "two") == f"{first}\n"


def test_an_empty_cache_changes_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(net("digits_int8", folder).path)
    first, _ = json.loads(run_elsewhere(COMPILE, [path, "wasm32"], "1", tmp_path / "one"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    second, _ = json.loads(run_elsewhere(COMPILE, [path, "wasm32"], "2", tmp_path / "two"))
    assert first == second
    assert (tmp_path / "cache").is_dir()
