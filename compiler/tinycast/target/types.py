"""What the compiler knows about a core: one frozen record, read from targets/<name>.toml."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Platform(Enum):
    HOST = "host"
    ARM_M = "arm-m"
    RISCV = "riscv"
    AVR = "avr"
    WASM = "wasm"


class RegionKind(Enum):
    RAM = "ram"
    FLASH = "flash"


@dataclass(frozen=True)
class Region:
    """One of several memories of a chip, for what a model may put there."""

    name: str  # lower-case C identifier
    kind: RegionKind
    bytes: int
    cost: float = 1.0  # of an access, relative to the other regions'
    io: bool = True  # RAM: whether inputs and outputs may lie there (DMA does not reach every memory)
    section: str = ""  # of the linker; a macro of the generated code can say something else


@dataclass(frozen=True)
class Target:
    """A core. Code asks its fields, never its name."""

    name: str
    description: str
    platform: Platform
    # Folders of runtime_c searched in this order for a kernel's file; "generic" is always the last.
    runtime: tuple[str, ...]
    buffer_align: int  # bytes; every buffer in the arena starts on it
    arena_align: int  # bytes
    accumulators: int  # int32 (or float) accumulators a register tile may hold without spilling
    has_fpu: bool
    # Groups of instructions a linked ELF may hold: "thumb2", "divide", "dsp", "float", "mve". The check of Arm
    # builds reads it (emulators accept more than the core they are asked for).
    instructions: tuple[str, ...]
    zig_flags: tuple[str, ...]  # for `zig cc`
    local_bytes: int = 64  # the largest array that a kernel may keep for itself, on the stack or in registers
    micro_kernels: tuple[str, ...] = ()  # those of runtime_c that are worth it here (tc_dot*.h, tc_rows.h)
    row_positions: int = 0  # of a tile of tc_rows.h: as many as registers hold eight sums of
    faster: str = ""  # target whose build is packaged too if it differs, for engines that have its instructions
    fallback: str = ""  # target whose build is packaged beside this one, for engines that lack its instructions
    gcc: str = ""  # cross gcc's command, "" where there is none
    gcc_flags: tuple[str, ...] = ()
    qemu: tuple[str, ...] = ()  # emulator's command and machine options
    unicorn_cpu: str = ""  # name in unicorn.arm_const, "" where unicorn cannot run it
    simavr: str = ""  # name of the chip in simavr, "" where it has none
    cycle_rules: str = ""  # whose rules of execute/cycles.py estimate its cycles, "" where no estimate is made
    flash_origin: int = 0
    flash_bytes: int = 0  # of the emulated machine, not of a board
    vectors_origin: int | None = None  # where the core looks for its vector table, if not at flash_origin
    ram_origin: int = 0
    ram_bytes: int = 0
    more_memory: tuple[tuple[int, int], ...] = ()  # (origin, bytes) of the emulated machine's other memories
    arena_bytes: int = 0  # of RAM for a model, unless the user says otherwise; 0: no limit
    constant_qualifier: str = ""  # address space of constants that lie apart from data: __flash
    constants_bytes: int = 0  # the most that it reaches; 0: no limit
    array_bytes: int = 0  # the largest array that the compiler takes; 0: no limit
    regions: tuple[Region, ...] = ()  # memories of a chip to place data in; none: one arena, the user's to place

    @property
    def has_vectors(self) -> bool:
        """Whether an instruction works on several numbers in a register of their own."""
        return not {"simd128", "mve"}.isdisjoint(self.instructions)
