"""Runs the C on this machine."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinycast.execute.bare import STACK_FIELD_BYTES
from tinycast.execute.build import build_harness
from tinycast.execute.samples import inputs_file, join_samples, split_samples
from tinycast.execute.types import ExecutionError, Measurement
from tinycast.ir.types import Array
from tinycast.target.types import Target
from tinycast.toolchain.find import compiler_for, has_compiler

# Instrumented code takes gcc four times as long to optimize as to translate.
_SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O0")


@dataclass(frozen=True)
class HostDriver:
    """Builds an executable with cc, or zig where there is none, and runs it in a process of its own.

    With `sanitize` (gcc and clang) any undefined behaviour or stray access is an ExecutionError.
    """

    target: Target
    compiler: str | None = None  # "gcc" or "zig"; None: what is there
    sanitize: bool = False
    timeout_seconds: float = 300
    name: str = "host"

    def available(self) -> bool:
        return has_compiler(self.target, self.compiler)

    def run(
        self,
        files: Mapping[str, bytes],
        manifest: Mapping[str, Any],
        inputs: Mapping[str, Array],
        *,
        profile: bool = False,
    ) -> Measurement:
        """See `Driver.run`; nothing but the outputs is measured on the host."""
        del profile
        samples = split_samples(manifest, inputs)
        compiler = compiler_for(self.target, "gcc" if self.sanitize else self.compiler)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            flags = _SANITIZERS if self.sanitize else ()
            program = build_harness(files, manifest, compiler, folder, io=["io_stdio.c"], flags=flags)
            (folder / "inputs.bin").write_bytes(inputs_file(samples))
            run_program([str(program)], folder, self.timeout_seconds)
            raw = (folder / "outputs.bin").read_bytes()
        return Measurement(join_samples(manifest, raw[:-STACK_FIELD_BYTES], len(samples)))


def run_program(command: list[str], folder: Path, timeout_seconds: float) -> None:
    """Run in `folder`; ExecutionError with the program's own words if it fails or takes too long."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise ExecutionError(
            f"the program did not finish in {timeout_seconds:g} s",
            where=Path(command[0]).name,
            fix="give it fewer samples, or look for an endless loop",
        ) from error
    if done.returncode != 0:
        message = "\n".join((done.stderr + done.stdout).strip().splitlines()[-20:])
        raise ExecutionError(
            f"the program failed with status {done.returncode}",
            where=message or Path(command[0]).name,
            fix="report this as a bug of tinycast, with the model",
        )
