"""Reads what the drivers need from a linked ELF."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinycast.errors import InternalError, ToolMissingError
from tinycast.execute.types import FirmwareSizes
from tinycast.toolchain.find import INSTALL_ZIG

MARKER_BEGIN = -1
MARKER_END = -2
_SHF_WRITE, _SHF_ALLOC, _SHF_EXECINSTR = 1, 2, 4


@dataclass(frozen=True)
class Section:
    name: str
    address: int
    size: int
    flags: int
    has_data: bool
    data: bytes

    @property
    def is_code(self) -> bool:
        return bool(self.flags & _SHF_EXECINSTR)


@dataclass(frozen=True)
class Elf:
    """A little-endian 32-bit executable. `segments` are (load address, bytes); code symbols have bit 0 clear."""

    segments: tuple[tuple[int, bytes], ...]
    sections: tuple[Section, ...]
    symbols: tuple[tuple[str, int], ...]

    def address(self, symbol: str) -> int:
        for name, address in self.symbols:
            if name == symbol:
                return address
        raise InternalError(f"the program has no symbol {symbol}")

    def markers(self) -> tuple[tuple[int, int], ...]:
        """Return (address, id) of where counting begins and ends and, in a profiling build, of each layer."""
        layers = b"".join(section.data for section in self.sections if section.name == ".tc_layers")
        return (
            (self.address("tc_begin"), MARKER_BEGIN),
            (self.address("tc_end"), MARKER_END),
            *((address & ~1, index) for address, index in struct.iter_unpack("<Ii", layers)),
        )

    def sizes(self) -> FirmwareSizes:
        """Return the bytes of code and constants, of initialized and of zeroed data; the arena is in none."""
        allocated = [section for section in self.sections if section.flags & _SHF_ALLOC]
        return FirmwareSizes(
            text_bytes=sum(s.size for s in allocated if s.has_data and not s.flags & _SHF_WRITE),
            data_bytes=sum(s.size for s in allocated if s.has_data and s.flags & _SHF_WRITE),
            bss_bytes=sum(s.size for s in allocated if not s.has_data and not s.name.startswith(".arena")),
        )


def read_elf(path: Path) -> Elf:
    """Read an ELF file; ToolMissingError without pyelftools."""
    try:
        from elftools.elf.elffile import ELFFile
    except ImportError as error:
        raise ToolMissingError("the Python package pyelftools is missing", fix=INSTALL_ZIG) from error
    with path.open("rb") as file:
        elf: Any = ELFFile(file)
        segments = tuple(
            (segment["p_paddr"], segment.data())
            for segment in elf.iter_segments()
            if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]
        )
        sections = tuple(_section(section) for section in elf.iter_sections())
        table = elf.get_section_by_name(".symtab")
        is_arm = elf["e_machine"] == "EM_ARM"
        symbols = tuple(
            (symbol.name, symbol["st_value"] & ~int(is_arm and symbol["st_info"]["type"] == "STT_FUNC"))
            for symbol in (table.iter_symbols() if table else ())
            if symbol["st_shndx"] != "SHN_UNDEF"
        )
    return Elf(segments, sections, symbols)


def _section(section: Any) -> Section:
    has_data = section["sh_type"] != "SHT_NOBITS"
    return Section(
        section.name,
        section["sh_addr"],
        section["sh_size"],
        section["sh_flags"],
        has_data,
        section.data() if has_data else b"",
    )
