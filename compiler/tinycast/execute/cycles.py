"""Cycles of Cortex-M cores estimated from which instructions ran how often.

Memory has no wait states and no other master uses it. Source: the tables of processor instructions, load and
store timings and floating-point instructions in Arm's Cortex-M4 Technical Reference Manual. Arm publishes no such
table for the Cortex-M33 and M7. For the M33, which has a pipeline of three stages as
well, the M4's rules are used with a taken branch one cycle shorter. For the M7, which issues two instructions a
cycle, what limits a run is its issue slots, its single multiplier, its divider or its loads and stores (two loads a
cycle or one store), whichever takes longest; that leaves out dependences, so that it is a lower bound.

On the M4 the figures are within 3 % of a second model of the same tables made apart from this one (MLPerf Tiny's
KWS, IC and AD). What is estimated is wrong by: divisions (2 to 12 cycles by their operands, 7 assumed), branches
(the refill takes 1 to 3 cycles by the target's width and alignment, 2 assumed), and stalls of the write buffer. For
the M4 that makes about 10 % either way; the M33's figure may be 20 % off, the M7's 50 % too low. None was compared
with silicon.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from tinycast.errors import InternalError
from tinycast.execute.elf import Elf
from tinycast.execute.elf_check import thumb_instructions
from tinycast.target.types import Target


@dataclass(frozen=True)
class Run:
    """Instructions from `start` up to `end` that ran `count` times, `taken` times with a jump at their end.

    `layer` is the one that they ran in, -1 before the first one and where layers are not told apart.
    """

    start: int
    end: int
    count: int
    taken: int
    layer: int = -1


class Kind(Enum):
    PLAIN = auto()
    LOAD = auto()  # of one register
    STORE = auto()
    STORE_INDEXED = auto()  # its address is the sum of two registers
    MANY = auto()  # loads or stores of several registers
    MULTIPLY = auto()
    DIVIDE = auto()
    FLOAT_MULTIPLY_ADD = auto()
    FLOAT_DIVIDE = auto()  # and square root


@dataclass(frozen=True)
class Timed:
    """What an instruction costs depends on. `words`: registers loaded or stored."""

    kind: Kind
    words: int = 0
    loaded: int = -1  # register that a load writes
    address: tuple[int, ...] = ()  # registers that the address is made of


_DIVIDE_CYCLES = 7


def estimate_cycles(elf: Elf, target: Target, runs: Iterable[Run]) -> dict[int, int] | None:
    """The estimated cycles of `runs`, by layer; None for a core that there are no rules for."""
    if not target.cycle_rules:
        return None
    rules = _rules_of(target)
    code = {address: classify(opcode) for address, opcode in thumb_instructions(elf)}
    cycles: Counter[int] = Counter()
    bodies: dict[tuple[int, int], int] = {}
    for run in runs:
        key = run.start, run.end
        if key not in bodies:
            bodies[key] = rules.cycles([code[address] for address in range(*key, 2) if address in code])
        cycles[run.layer] += run.count * bodies[key] + run.taken * rules.branch_cycles
    return dict(cycles)


def error_of_estimate(target: Target) -> str | None:
    """How far off the estimate may be, in words; None for a core that there are no rules for."""
    if target.simavr:
        return "counted by the simulator, as the instruction set's manual times them"
    return _rules_of(target).error if target.cycle_rules else None


def _rules_of(target: Target) -> _Rules:
    if target.cycle_rules not in _RULES:
        raise InternalError(f"there are no cycle rules {target.cycle_rules!r}", where=target.name)
    return _RULES[target.cycle_rules]


def single_issue(body: Sequence[Timed]) -> int:
    """Cycles of a run on a core that issues one instruction a cycle, without the refill after it."""
    total, before = 0, Timed(Kind.PLAIN)
    for this in body:
        # 3.3.3: a load or store right after a load overlaps with it, unless its address needs what was loaded.
        overlaps = before.kind is Kind.LOAD and before.loaded not in this.address
        if this.kind in (Kind.LOAD, Kind.STORE_INDEXED):
            total += 1 if overlaps else 2
        elif this.kind is Kind.MANY:
            total += 1 + this.words
        else:
            total += _PLAIN_CYCLES.get(this.kind, 1)
        before = this
    return total


_PLAIN_CYCLES = {Kind.DIVIDE: _DIVIDE_CYCLES, Kind.FLOAT_MULTIPLY_ADD: 3, Kind.FLOAT_DIVIDE: 14}


def dual_issue(body: Sequence[Timed]) -> int:
    """The least cycles of a run on a core that issues two instructions a cycle."""
    kinds = [x.kind for x in body]
    half_memory = sum(kind is Kind.LOAD for kind in kinds) + sum(x.words for x in body if x.kind is Kind.MANY)
    memory = -(-half_memory // 2) + sum(kind in (Kind.STORE, Kind.STORE_INDEXED) for kind in kinds)
    multiplies = sum(kind in (Kind.MULTIPLY, Kind.FLOAT_MULTIPLY_ADD) for kind in kinds)
    slow = sum(_PLAIN_CYCLES[kind] for kind in kinds if kind in (Kind.DIVIDE, Kind.FLOAT_DIVIDE))
    return max(-(-len(body) // 2), memory, multiplies, slow)


@dataclass(frozen=True)
class _Rules:
    cycles: Callable[[Sequence[Timed]], int]
    branch_cycles: int  # what a jump adds to the instruction's own cycle
    error: str


_RULES = {
    "cortex-m4": _Rules(single_issue, 2, "estimated, 10 % either way"),
    "cortex-m33": _Rules(single_issue, 1, "estimated, 20 % either way"),
    "cortex-m7": _Rules(dual_issue, 1, "estimated, a lower bound, up to 50 % too low"),
}


def classify(opcode: int) -> Timed:
    """What decides the time of a Thumb instruction (Armv7-M Architecture Reference Manual, DDI 0403, A5)."""
    return _narrow(opcode) if opcode < 0x10000 else _wide(opcode >> 16, opcode & 0xFFFF)


def _narrow(opcode: int) -> Timed:
    low, base, index = opcode & 7, opcode >> 3 & 7, opcode >> 6 & 7
    top = opcode >> 12
    if opcode >> 11 == 0b01001:  # LDR from the constants after the code
        return Timed(Kind.LOAD, 1, opcode >> 8 & 7)
    if top == 0b0101:
        is_load = opcode >> 9 & 7 >= 3
        return Timed(Kind.LOAD if is_load else Kind.STORE_INDEXED, 1, low if is_load else -1, (base, index))
    if top in (0b0110, 0b0111, 0b1000, 0b1001):
        is_load = bool(opcode & 0x800)
        register, address = (opcode >> 8 & 7, 13) if top == 0b1001 else (low, base)
        return Timed(Kind.LOAD if is_load else Kind.STORE, 1, register if is_load else -1, (address,))
    if top == 0b1100 or opcode & 0xF600 == 0xB400:  # LDM, STM, PUSH, POP
        return Timed(Kind.MANY, (opcode & (0xFF if top == 0b1100 else 0x1FF)).bit_count())
    if opcode & 0xFFC0 == 0x4340:
        return Timed(Kind.MULTIPLY)
    return Timed(Kind.PLAIN)


def _wide(first: int, second: int) -> Timed:
    is_load = bool(first & 0x10)
    if first & 0xFE40 == 0xE800:  # LDM, STM
        return Timed(Kind.MANY, second.bit_count())
    if first & 0xFE40 == 0xE840:  # LDRD, STRD, exclusive access, TBB
        return Timed(Kind.MANY, 2 if first & 0x0120 and first & 0xFFF0 != 0xE8D0 else 1)
    if first & 0xFE00 == 0xF800:
        is_indexed = first & 0x80 == 0 and second & 0xFC0 == 0 and first & 15 != 15
        address = (first & 15, second & 15) if is_indexed else (first & 15,)
        if is_load:
            return Timed(Kind.LOAD, 1, second >> 12, address)
        return Timed(Kind.STORE_INDEXED if is_indexed else Kind.STORE, 1, -1, address)
    if first & 0xFFD0 == 0xFB90:
        return Timed(Kind.DIVIDE)
    if first & 0xFF00 == 0xFB00:
        return Timed(Kind.MULTIPLY)
    if first & 0xFE00 == 0xEC00:
        return Timed(Kind.MANY, 1 if first & 0x0120 == 0x0100 else second & 0xFF)  # VLDR and VSTR, VLDM and VSTM
    if first & 0xFF00 == 0xEE00 and second & 0x0E10 == 0x0A00:
        return _float_arithmetic(first, second)
    return Timed(Kind.PLAIN)


def _float_arithmetic(first: int, second: int) -> Timed:
    operation = first & 0xB0
    if operation in (0x00, 0x10, 0xA0, 0x90):  # VMLA and VMLS, VNMLA and VNMLS, VFMA and VFMS, VFNMA and VFNMS
        return Timed(Kind.FLOAT_MULTIPLY_ADD)
    is_square_root = first & 0xBF == 0xB1 and second & 0xC0 == 0xC0
    return Timed(Kind.FLOAT_DIVIDE if operation == 0x80 or is_square_root else Kind.PLAIN)
