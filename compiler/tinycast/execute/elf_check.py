"""Proves that a Cortex-M executable holds only instructions its core has; emulators accept more.

Encodings: Arm v8-M Architecture Reference Manual (DDI 0553), chapters C2.3 and C2.4.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterator

from tinycast.errors import InternalError
from tinycast.execute.elf import Elf
from tinycast.target.types import Platform, Target


def check_instructions(elf: Elf, target: Target) -> None:
    """Raise InternalError naming the first instructions of `elf` which the target's core does not have.

    Cortex-M only: the emulated RISC-V and WebAssembly machines are configured to refuse what is not there.
    """
    if target.platform is not Platform.ARM_M:
        return
    found = [
        f"0x{address:08x}: {opcode:08x} ({group})"
        for address, opcode in thumb_instructions(elf)
        if (group := instruction_group(opcode)) is not None and group not in target.instructions
    ]
    if found:
        raise InternalError(
            f"{len(found)} instructions which {target.name} does not have",
            where=", ".join(found[:5]),
            fix="a kernel or a compiler flag is for another core",
        )


def thumb_instructions(elf: Elf) -> Iterator[tuple[int, int]]:
    """Yield (address, opcode) of all code; a 16-bit opcode is below 0x10000, a 32-bit one has its first half on top.

    Mapping symbols ($t, $d; ELF for the Arm architecture, 5.5.5) tell code from constants.
    """
    mapping = sorted({(address, name[1] == "t") for name, address in elf.symbols if name[:2] in ("$t", "$d", "$a")})
    for section in elf.sections:
        if not section.is_code:
            continue
        end = section.address + section.size
        inside = mapping[bisect_left(mapping, (section.address, False)) : bisect_left(mapping, (end, False))]
        stops = [address for address, _ in inside[1:]] + [end]
        for (start, is_thumb), stop in zip(inside, stops, strict=True):
            if is_thumb:
                yield from _decode(section.data[start - section.address : stop - section.address], start)


def _decode(code: bytes, address: int) -> Iterator[tuple[int, int]]:
    position = 0
    while position + 2 <= len(code):
        (first,) = struct.unpack_from("<H", code, position)
        if is_wide(first) and position + 4 <= len(code):
            (second,) = struct.unpack_from("<H", code, position + 2)
            yield address + position, first << 16 | second
            position += 4
        else:
            yield address + position, first
            position += 2


def count_thumb_instructions(code: bytes) -> int:
    """Return how many instructions `code` holds; it begins with one."""
    return sum(1 for _ in _decode(code, 0))


def is_wide(first: int) -> bool:
    """Whether the halfword begins a 32-bit instruction."""
    return first >> 11 >= 0b11101


def instruction_group(opcode: int) -> str | None:
    """Return the group (see Target.instructions) an opcode needs, None where ARMv6-M has it."""
    if opcode < 0x10000:
        is_if_then = opcode & 0xFF00 == 0xBF00 and opcode & 0xF != 0
        is_compare_and_branch = opcode & 0xF500 == 0xB100
        return "thumb2" if is_if_then or is_compare_and_branch else None
    first, second = opcode >> 16, opcode & 0xFFFF
    if first & 0xEC00 == 0xEC00:  # coprocessors: 10 and 11 are the FPU, the rest is MVE
        is_duplicate = first & 0xFF90 == 0xEE80 and second & 0xF10 == 0xB10  # VDUP, among the FPU's moves
        is_vector = is_duplicate or first & 0x0F00 == 0x0F00 or second >> 8 & 0xF not in (10, 11)
        return "mve" if is_vector else "float"
    if first & 0xF800 == 0xF000 and second & 0x8000:
        if second & 0xD000 == 0xC000:  # DLS, WLS, LE, LCTP: low-overhead loops
            return "mve"
        is_v6 = (
            second & 0xD000 == 0xD000  # BL
            or first & 0xFFE0 == 0xF380  # MSR
            or first == 0xF3EF  # MRS
            or (first == 0xF3BF and second >> 4 in (0x8F4, 0x8F5, 0x8F6))  # DSB, DMB, ISB
            or first & 0xFFF0 == 0xF7F0  # UDF
        )
        return None if is_v6 else "thumb2"
    if first & 0xFFD0 == 0xFB90:
        return "divide"
    return "dsp" if _is_dsp(first, second) else "thumb2"


def _is_dsp(first: int, second: int) -> bool:
    kind, operation = first & 0xFFF0, second & 0x00F0
    if 0xFB10 <= kind <= 0xFB70:  # SMLAxy … SMMLA … USADA8
        return True
    if kind in (0xFBC0, 0xFBD0, 0xFBE0):  # beside SMLAL and UMLAL: SMLALxy, SMLALD, SMLSLD, UMAAL
        return operation != 0
    if first & 0xFF80 == 0xFA80:
        if not second & 0x80:  # parallel add and subtract
            return True
        return kind not in (0xFA90, 0xFAB0)  # QADD … and SEL, but not REV … and CLZ
    if 0xFA00 <= kind <= 0xFA50 and second & 0x80:  # extend (and add)
        return kind in (0xFA20, 0xFA30) or first & 0xF != 0xF
    if kind == 0xEAC0:  # PKHBT, PKHTB
        return True
    return kind in (0xF320, 0xF3A0) and not second & 0xF0C0  # SSAT16, USAT16
