"""The same model gives the same bytes in any process, folder and order of hashing, and soon enough."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
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


def old_processor() -> dict[str, str]:
    """Environment in which NumPy, OpenBLAS and the C library use the instructions of the oldest processors only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy asks for pyyaml, which only its printed form needs
        found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return {
        "NPY_DISABLE_CPU_FEATURES": " ".join(found),
        "OPENBLAS_CORETYPE": "Nehalem",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F",
    }


def run_elsewhere(
    script: str, arguments: list[str], hash_seed: str, where: Path, environment: Mapping[str, str] | None = None
) -> str:
    """Run a Python script in `where`, with temporary folders below it too; return what it printed."""
    temporary = where / "temporary"
    temporary.mkdir(parents=True)
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TMPDIR": str(temporary), **(environment or {})}
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def warm(folder: Path) -> None:
    """Let zig build its run-time library: it does so once on a machine."""
    compile_file(net("digits_int8", folder).path, "wasm32")


IN_SHORT = ("digits_int8", "kws_int8_qdq", "ic_float")  # of the networks; all of them in `make test-all`


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in IN_SHORT else pytest.mark.slow) for n in (*INT8, *FLOAT)]
)
def test_two_processes_write_the_same_bytes_quickly(name: str, folder: Path, tmp_path: Path) -> None:
    """C for two cores and the .wasm; the second time from another folder and as on an older processor."""
    path = net(name, folder).path
    moved = tmp_path / "elsewhere" / path.name
    moved.parent.mkdir()
    moved.write_bytes(path.read_bytes())
    targets = ["cortex-m4", "rv32imc", "wasm32"]
    first, seconds = json.loads(run_elsewhere(COMPILE, [str(path), *targets], "1", tmp_path / "one"))
    second, _ = json.loads(
        run_elsewhere(COMPILE, [str(moved), *targets], "2", tmp_path / "two" / "deeper", old_processor())
    )
    assert {f"wasm32/{path.stem}.wasm", f"cortex-m4/src/{path.stem}.c"} <= first.keys()
    assert first == second
    print(f"{name}: {', '.join(f'{target} {took:.1f} s' for target, took in seconds.items())}")
    assert max(seconds.values()) < LIMIT_SECONDS


def test_tables_do_not_depend_on_the_processor(tmp_path: Path) -> None:
    """NumPy's exp and tanh differ in their last bit between instruction sets; tables made with them must not."""
    chain = ["Sigmoid", "Tanh", "Gelu", "HardSwish", "Softplus", "Mish", "Elu", "Selu", "Erf", "Exp"]
    lines = [
        f"x{i} = {function}(d{i - 1}) q{i} = QuantizeLinear(x{i}, s, z) d{i} = DequantizeLinear(q{i}, s, z)"
        for i, function in enumerate(chain, 1)
    ]
    text = f"""<ir_version: 10, opset_import: ["" : 21]> net (int8[1,64] q0) => (int8[1,64] q{len(chain)})
        <float s = {{0.031}}, int8 z = {{-3}}> {{ d0 = DequantizeLinear(q0, s, z) {" ".join(lines)} }}"""
    path = tmp_path / "tables.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    first, _ = json.loads(run_elsewhere(COMPILE, [str(path), "cortex-m4"], "1", tmp_path / "one"))
    second, _ = json.loads(run_elsewhere(COMPILE, [str(path), "cortex-m4"], "1", tmp_path / "two", old_processor()))
    assert len(first) > 1
    assert first == second


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
