"""Runs bare-metal Cortex-M builds in unicorn, which is a Python package: nothing else need be installed."""

from __future__ import annotations

import importlib
import importlib.util
import struct
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinycast.errors import ToolMissingError
from tinycast.execute.bare import counts_to_measurement
from tinycast.execute.build import build_bare, measure_firmware
from tinycast.execute.cycles import Run, estimate_cycles
from tinycast.execute.elf import MARKER_BEGIN, MARKER_END, Elf, read_elf
from tinycast.execute.elf_check import count_thumb_instructions
from tinycast.execute.samples import inputs_file, split_samples
from tinycast.execute.types import ExecutionError, Measurement
from tinycast.ir.types import Array
from tinycast.target.types import Target
from tinycast.toolchain.find import INSTALL_ZIG, compiler_for, has_compiler

_SYS_OPEN, _SYS_CLOSE, _SYS_WRITE0, _SYS_WRITE, _SYS_READ, _SYS_EXIT = 0x01, 0x02, 0x04, 0x05, 0x06, 0x18
_STOPPED_APPLICATION_EXIT = 0x20026
_BREAKPOINT_BYTES = 2
_SYSTEM_CONTROL_SPACE = 0xE000E000
_PAGE_BYTES = 0x1000


@dataclass(frozen=True)
class UnicornDriver:
    """Builds with the cross gcc, or zig where there is none, and serves the harness's semihosting in Python."""

    target: Target
    compiler: str | None = None  # "gcc" or "zig"; None: what is there
    timeout_seconds: float = 600
    name: str = "unicorn"

    def available(self) -> bool:
        is_emulated = bool(self.target.unicorn_cpu) and importlib.util.find_spec("unicorn") is not None
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
        compiler = compiler_for(self.target, self.compiler)
        with tempfile.TemporaryDirectory() as temporary:
            program = build_bare(files, manifest, self.target, compiler, Path(temporary), profile=profile)
            machine = _Machine(self.target, read_elf(program), self.timeout_seconds)
        feed = inputs_file(samples)
        raw = machine.run(feed, len(feed) - sum(len(part) for part in samples[-1]))
        sizes = measure_firmware(files, manifest, self.target, compiler)
        cycles = estimate_cycles(machine.elf, self.target, machine.runs())
        return counts_to_measurement(manifest, raw, len(samples), machine.counts, sizes, cycles)


@dataclass
class _Machine:
    """A core with flash, RAM and the system control space. `counts` is filled during the last sample only."""

    target: Target
    elf: Elf
    timeout_seconds: float
    counts: dict[int, int] = field(default_factory=dict)
    _total: int = 0
    _block: tuple[int, int] = (0, 0)  # address and bytes of the block running
    _lengths: dict[tuple[int, int], int] = field(default_factory=dict)
    # How often each block was entered, and how often it was left for another place than its end.
    _entered: Counter[tuple[int, int, int]] = field(default_factory=Counter)  # address, bytes, layer
    _taken: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    _layer: int = -1
    _is_measuring: bool = False

    def __post_init__(self) -> None:
        try:
            unicorn: Any = importlib.import_module("unicorn")
            arm_const: Any = importlib.import_module("unicorn.arm_const")
        except ImportError as error:
            raise ToolMissingError("the Python package unicorn is missing", fix=INSTALL_ZIG) from error
        self._registers = arm_const
        # With UC_MODE_MCLASS unicorn silently runs a Cortex-M33 in place of the core asked for.
        self._core: Any = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
        self._core.ctl_set_cpu_model(getattr(arm_const, self.target.unicorn_cpu))
        self._core.mem_map(self.target.flash_origin, self.target.flash_bytes)
        self._core.mem_map(self.target.ram_origin, self.target.ram_bytes)
        for origin, size in self.target.more_memory:
            self._core.mem_map(origin, size)
        self._core.mem_map(_SYSTEM_CONTROL_SPACE, _PAGE_BYTES)
        for address, data in self.elf.segments:
            self._core.mem_write(address, data)
        self._hook_block, self._hook_code = unicorn.UC_HOOK_BLOCK, unicorn.UC_HOOK_CODE
        self._error: type[Exception] = unicorn.UcError

    def run(self, inputs: bytes, last_sample: int) -> bytes:
        """Feed `inputs` to the harness and return what it wrote; count from the read of byte `last_sample` on."""
        core, registers = self._core, self._registers
        stack, address = struct.unpack("<II", core.mem_read(self.target.flash_origin, 8))
        core.reg_write(registers.UC_ARM_REG_SP, stack)
        outputs, messages, position, is_counting = bytearray(), "", 0, False
        trap = self.elf.address("tc_semihosting_trap")
        while True:
            self._run_until(address, trap)
            operation = core.reg_read(registers.UC_ARM_REG_R0)
            argument = core.reg_read(registers.UC_ARM_REG_R1)
            if operation == _SYS_READ:
                _, pointer, size = self._words(argument)
                core.mem_write(pointer, inputs[position : position + size])
                position += size
                if not is_counting and (position > last_sample or position == len(inputs)):
                    self._start_counting()
                    is_counting = True
            elif operation == _SYS_WRITE:
                _, pointer, size = self._words(argument)
                outputs += core.mem_read(pointer, size)
            elif operation == _SYS_WRITE0:
                messages += self._text(argument)
            elif operation == _SYS_EXIT:
                if argument == _STOPPED_APPLICATION_EXIT:
                    return bytes(outputs)
                raise ExecutionError(
                    "the program failed", where=messages.strip(), fix="report this as a bug of tinycast, with the model"
                )
            elif operation not in (_SYS_OPEN, _SYS_CLOSE):
                raise ExecutionError(f"unknown semihosting call {operation:#x}", fix="report this as a bug of tinycast")
            core.reg_write(registers.UC_ARM_REG_R0, 0)
            address = trap + _BREAKPOINT_BYTES

    def _run_until(self, address: int, stop: int) -> None:
        core = self._core
        try:
            core.emu_start(address | 1, stop, timeout=int(self.timeout_seconds * 1e6))
        except self._error as error:
            raise ExecutionError(
                f"the {self.target.name} faulted: {error}",
                where=f"instruction at 0x{core.reg_read(self._registers.UC_ARM_REG_PC):08x}",
                fix="report this as a bug of tinycast, with the model",
            ) from error
        if core.reg_read(self._registers.UC_ARM_REG_PC) != stop:
            raise ExecutionError(
                f"the program did not finish in {self.timeout_seconds:g} s",
                where=f"emulated {self.target.name}",
                fix="look for an endless loop",
            )

    def _words(self, address: int) -> tuple[int, int, int]:
        first, second, third = struct.unpack("<III", self._core.mem_read(address, 12))
        return first, second, third

    def _text(self, address: int) -> str:
        text = bytearray()
        while byte := self._core.mem_read(address + len(text), 1)[0]:
            text.append(byte)
        return text.decode("ascii", "replace")

    def _start_counting(self) -> None:
        """Hook blocks and markers; what is translated already has to be translated again."""
        self._core.hook_add(self._hook_block, self._on_block)
        for address, identifier in self.elf.markers():
            self._core.hook_add(self._hook_code, self._on_marker, identifier, begin=address, end=address)
        self._core.ctl_flush_tb()

    def _on_block(self, _core: Any, address: int, size: int, _data: Any) -> None:
        if self._is_measuring:
            self._entered[address, size, self._layer] += 1
            if sum(self._block) != address:
                self._taken[*self._block, self._layer] += 1
        self._block = address, size
        self._total += self._length(address, size)

    def _on_marker(self, _core: Any, address: int, _size: int, identifier: int) -> None:
        start, size = self._block
        now = self._total - self._length(address, start + size - address)
        if identifier == MARKER_BEGIN:
            self._total -= now
            now = 0
            self.counts.clear()
            self._entered.clear()
            self._taken.clear()
            self._layer = -1
        elif identifier != MARKER_END:  # the block belongs to the layer that begins in it
            self._entered[start, size, self._layer] -= 1
            self._layer = identifier
            self._entered[start, size, self._layer] += 1
        self._is_measuring = identifier != MARKER_END
        self.counts[identifier] = now

    def runs(self) -> list[Run]:
        """The blocks of what was counted."""
        return [
            Run(start, start + size, count, self._taken[start, size, layer], layer)
            for (start, size, layer), count in self._entered.items()
        ]

    def _length(self, address: int, size: int) -> int:
        key = address, size
        if key not in self._lengths:
            self._lengths[key] = count_thumb_instructions(bytes(self._core.mem_read(address, size)))
        return self._lengths[key]
