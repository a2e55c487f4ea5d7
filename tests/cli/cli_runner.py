"""Runs the command line: in this process, or in one of its own where a signal or an empty PATH is part of the test."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinycast.cli.main import run

ROOT = Path(__file__).resolve().parent.parent.parent
DIGITS = ROOT / "examples" / "digits"
DIGITS_MODEL, CALIBRATION, HELD_OUT = DIGITS / "digits.onnx", DIGITS / "calibration.npz", DIGITS / "heldout.npz"


@dataclass(frozen=True)
class Done:
    """What a command left: its exit code and what it wrote."""

    code: int
    stdout: str
    stderr: str

    @property
    def data(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        value = json.loads(self.stdout)
        assert isinstance(value, dict)
        return value


def tinycast(*arguments: object) -> Done:
    """Run one command line in this process."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = run([str(argument) for argument in arguments])
    return Done(code, stdout.getvalue(), stderr.getvalue())


def succeed(*arguments: object) -> dict[str, Any]:
    """Run one command line with --json, which has to succeed; its result."""
    done = tinycast(*arguments, "--json")
    assert done.code == 0, done.stderr
    return done.data


def tinycast_process(*arguments: object, before: str = "", **variables: str) -> Done:
    """Run one command line in a process of its own, after the Python statements `before`, with these variables."""
    start = f"import sys\n{before}\nfrom tinycast.cli.main import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", start, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        timeout=120,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def entries(folder: Path) -> list[str]:
    """Everything below a folder, hidden files too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
