"""Runs bare-metal builds in QEMU and counts their instructions with a plugin."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tinycast.errors import InternalError
from tinycast.execute.bare import counts_to_measurement
from tinycast.execute.build import build_bare, measure_firmware
from tinycast.execute.cycles import Run, estimate_cycles
from tinycast.execute.elf import read_elf
from tinycast.execute.host import run_program
from tinycast.execute.samples import inputs_file, split_samples
from tinycast.execute.types import Measurement
from tinycast.ir.types import Array
from tinycast.resources import resource_dir
from tinycast.target.load import load_target
from tinycast.target.types import Target
from tinycast.toolchain.compiler import build_once, run_tool
from tinycast.toolchain.find import compiler_for, find_program, has_compiler

_MACHINE_FLAGS = ("-display", "none", "-monitor", "none", "-serial", "none", "-parallel", "none")
_FIRST_MAJOR_OF_VERSION_2 = 9  # QEMU 9 refuses plugins of API version 1


@dataclass(frozen=True)
class QemuDriver:
    """Builds with the cross gcc, or zig where there is none, and runs all samples in one start of QEMU."""

    target: Target
    compiler: str | None = None  # "gcc" or "zig"; None: what is there
    timeout_seconds: float = 600
    name: str = "qemu"

    def available(self) -> bool:
        is_emulated = bool(self.target.qemu) and shutil.which(self.target.qemu[0]) is not None
        return is_emulated and has_compiler(self.target, self.compiler)

    def run(
        self,
        files: Mapping[str, bytes],
        manifest: Mapping[str, Any],
        inputs: Mapping[str, Array],
        *,
        profile: bool = False,
    ) -> Measurement:
        """See `Driver.run`. A fault, an endless loop or a stack overflow is an ExecutionError."""
        samples = split_samples(manifest, inputs)
        emulator = find_program(self.target.qemu[0], f"the emulator for {self.target.name}")
        compiler = compiler_for(self.target, self.compiler)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            program = build_bare(files, manifest, self.target, compiler, folder, profile=profile)
            elf = read_elf(program)
            markers = elf.markers()
            lines = "".join(f"{address:x} {identifier}\n" for address, identifier in markers)
            (folder / "markers.txt").write_text(lines, encoding="ascii")
            (folder / "inputs.bin").write_bytes(inputs_file(samples))
            command = [
                *(emulator, *self.target.qemu[1:], *_MACHINE_FLAGS),
                *("-semihosting-config", "enable=on,target=native"),
                *("-plugin", f"{_counter(emulator)},markers=markers.txt,out=counts.txt"),
                *("-kernel", program.name),
            ]
            run_program(command, folder, self.timeout_seconds)
            lists = [line.split() for line in (folder / "counts.txt").read_text(encoding="ascii").splitlines()]
            raw = (folder / "outputs.bin").read_bytes()
        return counts_to_measurement(
            manifest,
            raw,
            len(samples),
            {int(fields[0]): int(fields[1]) for fields in lists if len(fields) == 2},
            measure_firmware(files, manifest, self.target, compiler),
            estimate_cycles(elf, self.target, _runs(lists)),
        )


def _runs(lists: list[list[str]]) -> list[Run]:
    """The blocks in the plugin's output."""
    blocks = [fields for fields in lists if len(fields) == 5]
    return [Run(int(start, 16), int(end, 16), *map(int, counts)) for start, end, *counts in blocks]


@cache
def _counter(emulator: str) -> Path:
    """Return the counting plugin, built once for this QEMU's plugin interface and kept in the cache."""
    source = resource_dir("templates") / "harness" / "count.c"
    version = re.search(r"version (\d+)", run_tool([emulator, "--version"], what="QEMU does not start"))
    if version is None:
        raise InternalError("QEMU does not tell its version", where=emulator)
    interface = 2 if int(version[1]) >= _FIRST_MAJOR_OF_VERSION_2 else 1
    flags = ("-shared", "-fPIC", f"-DTC_PLUGIN_VERSION={interface}")
    host = compiler_for(load_target("host"))
    return build_once(source, f"count-{interface}.so", lambda built: host.build([source], built, flags=flags))
