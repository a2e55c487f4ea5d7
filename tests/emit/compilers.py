"""The compilers that generated C must please, and the flags it must be clean under."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from tinycast.errors import ToolMissingError
from tinycast.toolchain.find import zig_path

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")


def compiler_command(name: str) -> list[str]:
    """The command of "gcc", "g++", "clang" or "zig"; skips the test where it is not installed."""
    if name == "zig":
        try:
            return [str(zig_path()), "cc"]
        except ToolMissingError as error:
            pytest.skip(str(error))
    versions = [name, *(f"{name}-{version}" for version in range(22, 13, -1))]
    path = next(filter(None, map(shutil.which, versions)), None)
    if path is None:
        pytest.skip(f"needs {name} on PATH")
    return [path]


def lay_out(files: Mapping[str, bytes], folder: Path) -> list[str]:
    """Write `files` below `folder`; return the C files in src/ but for the .wasm's glue."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return [n for n in sorted(files) if n.startswith("src/") and n.endswith(".c") and not n.endswith("_wasm.c")]


def run(command: Sequence[str], folder: Path, expect: int = 0) -> str:
    """Run in `folder` and return what it said; fails the test on another exit status than `expect`."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    output = done.stdout + done.stderr
    assert done.returncode == expect, f"{' '.join(command)}\n{output}"
    return output


def exit_status(command: Sequence[str], folder: Path) -> int:
    """Run in `folder` and return the exit status."""
    return subprocess.run(command, cwd=folder, timeout=300).returncode
