"""Runs AVR builds in simavr, which counts instructions and, as the chips' manuals time them, cycles."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from tinycast.errors import InternalError, ToolMissingError
from tinycast.execute.bare import counts_to_measurement
from tinycast.execute.build import build_avr, measure_firmware
from tinycast.execute.elf import MARKER_END, read_elf
from tinycast.execute.host import run_program
from tinycast.execute.samples import inputs_file, split_samples
from tinycast.execute.types import Measurement
from tinycast.ir.types import Array
from tinycast.resources import resource_dir
from tinycast.target.load import load_target
from tinycast.target.types import Target
from tinycast.toolchain.compiler import build_once
from tinycast.toolchain.find import compiler_for, missing_tool

_DATA_ADDRESS = 0xFFFF  # of a symbol in data, which ELF files keep at 0x800000


@dataclass(frozen=True)
class SimavrDriver:
    """Builds with avr-gcc and avr-libc, and runs all samples in one simulation."""

    target: Target
    timeout_seconds: float = 600
    name: str = "simavr"

    def available(self) -> bool:
        try:
            compiler_for(self.target)
            _simulator()
        except ToolMissingError:
            return False
        return True

    def run(
        self,
        files: Mapping[str, bytes],
        manifest: Mapping[str, Any],
        inputs: Mapping[str, Array],
        *,
        profile: bool = False,
    ) -> Measurement:
        """See `Driver.run`. A crash, an endless loop or a stack overflow is an ExecutionError."""
        samples = split_samples(manifest, inputs)
        compiler = compiler_for(self.target)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            program = build_avr(files, manifest, compiler, folder, profile=profile)
            elf = read_elf(program)
            lines = "".join(f"{address:x} {identifier}\n" for address, identifier in elf.markers())
            (folder / "markers.txt").write_text(lines, encoding="ascii")
            (folder / "inputs.bin").write_bytes(inputs_file(samples))
            lowest = elf.address("_end") & _DATA_ADDRESS
            files_used = (program.name, "markers.txt", "counts.txt", f"{lowest:x}")
            run_program([str(_simulator()), self.target.simavr, *files_used], folder, self.timeout_seconds)
            fields = [line.split() for line in (folder / "counts.txt").read_text(encoding="ascii").splitlines()]
            raw = (folder / "outputs.bin").read_bytes()
        instructions = {int(identifier): int(count) for identifier, count, _ in fields}
        cycles = {int(identifier): int(count) for identifier, _, count in fields}
        sizes = measure_firmware(files, manifest, self.target, compiler)
        return counts_to_measurement(manifest, raw, len(samples), instructions, sizes, _by_layer(cycles))


def _by_layer(passed: Mapping[int, int]) -> dict[int, int]:
    """Cycles of each layer, from those since the start at each marker; -1 is what comes before the first."""
    layers = sorted(identifier for identifier in passed if identifier >= 0)
    starts = [0, *(passed[layer] for layer in layers), passed[MARKER_END]]
    return dict(zip([-1, *layers], (stop - start for start, stop in pairwise(starts)), strict=True))


@cache
def _simulator() -> Path:
    """Return the program around simavr, built once and kept in the cache; ToolMissingError without simavr."""
    source = resource_dir("templates") / "harness" / "run_avr.c"
    host = compiler_for(load_target("host"))
    host = replace(host, link_flags=(*host.link_flags, "-lsimavr", "-lelf"))
    try:
        return build_once(source, "run_avr", lambda built: host.build([source], built, flags=("-std=gnu99",)))
    except InternalError as error:
        raise missing_tool("libsimavr", "the AVR simulator") from error
