"""What is installed from a wheel works without the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

RESOURCES = ("runtime_c", "templates", "targets")
WHERE = "import tinycast, tinycast.resources as r; print(tinycast.__file__); print(r.resource_dir('targets'))"


def run(command: list[str], folder: Path) -> str:
    """Run in `folder` and return the standard output; fails the test on a status other than 0."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def built(kind: str, source: Path, folder: Path) -> Path:
    """Build the "wheel" or "sdist" of the project in `source` with its own build backend."""
    run([sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)], source)
    (path,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return path


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="session")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with the wheel in it; all else comes from the environment of the tests."""
    folder = tmp_path_factory.mktemp("environment")
    run([sys.executable, "-m", "venv", "--without-pip", str(folder)], folder)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    run([*pip, "install", "-q", "--no-deps", "--no-index", str(wheel)], folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    # .pth files in a folder that is itself named by one are not read: the checkout stays invisible.
    (packages / "others.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n", encoding="utf-8")
    return python


def test_wheel_holds_all_that_the_compiler_reads(wheel: Path) -> None:
    files = [path.relative_to(ROOT) for name in RESOURCES for path in (ROOT / name).rglob("*") if path.is_file()]
    assert len(files) > 30
    assert {f"tinycast/{path.as_posix()}" for path in files} <= names(wheel)
    assert "tinycast/py.typed" in names(wheel)
    assert all(name.startswith(("tinycast/", "tinycast-")) for name in names(wheel))


def test_wheel_from_the_sdist_is_the_same(wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(built("sdist", ROOT, tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("tinycast-*")
    for name in ("README.md", "LICENSE", "Makefile", "docs/manifest.md", "tests/conftest.py"):
        assert (source / name).is_file()
    assert built("wheel", source, tmp_path / "wheel").read_bytes() == wheel.read_bytes()


def test_installed_wheel_uses_its_own_files(python: Path, tmp_path: Path) -> None:
    package, targets = run([str(python), "-c", WHERE], tmp_path).splitlines()
    inside = python.parent.parent
    assert Path(package).is_relative_to(inside)
    assert Path(targets).is_relative_to(inside)


def test_installed_command_compiles_and_runs(python: Path, tmp_path: Path) -> None:
    """Quantize, compile for host and browser, and run, away from the checkout."""
    digits = ROOT / "examples" / "digits"
    tinycast = str(python.parent / "tinycast")
    given = [str(digits / "digits.onnx"), "--quantize", "int8", "--calibration", str(digits / "calibration.npz")]
    told = json.loads(run([tinycast, "compile", *given, "--target", "host", "-o", "host", "--json"], tmp_path))
    assert told["arena_bytes"] > 0
    assert {"host/include/digits.h", "host/src/digits.c"} <= {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")}
    run([tinycast, "compile", *given, "--target", "wasm32", "-o", "web"], tmp_path)
    assert (tmp_path / "web" / "digits.wasm").read_bytes().startswith(b"\0asm")
    for package in ("host", "web"):
        run([tinycast, "run", package, "--input", str(digits / "heldout.npz"), "-o", f"{package}.npz"], tmp_path)
    assert (tmp_path / "host.npz").read_bytes() == (tmp_path / "web.npz").read_bytes()
