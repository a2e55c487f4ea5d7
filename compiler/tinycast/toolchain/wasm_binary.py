"""The binary format of WebAssembly modules, as far as it is needed (core specification, chapter 5)."""

from __future__ import annotations

MAGIC = b"\0asm\1\0\0\0"
CUSTOM_SECTION = 0
IMPORT_SECTION = 2
MEMORY_SECTION = 5
DATA_SECTION = 11
_HAS_MAXIMUM = 1


def sections(module: bytes) -> list[tuple[int, bytes]]:
    """Return (id, content) of every section; ValueError if `module` is cut off."""
    found = []
    position = len(MAGIC)
    while position < len(module):
        identifier = module[position]
        size, position = read_leb128(module, position + 1)
        if position + size > len(module):
            raise ValueError("a section is longer than the module")
        found.append((identifier, module[position : position + size]))
        position += size
    return found


def section(identifier: int, content: bytes) -> bytes:
    """Return a section's bytes."""
    return bytes([identifier]) + leb128(len(content)) + content


def custom_section(name: bytes, content: bytes) -> bytes:
    """Return a custom section's bytes."""
    return section(CUSTOM_SECTION, leb128(len(name)) + name + content)


def find_custom(module: bytes, name: bytes) -> bytes | None:
    """Return the content of the first custom section `name`, None if there is none; ValueError as for `sections`."""
    start = leb128(len(name)) + name
    found = (c for identifier, c in sections(module) if identifier == CUSTOM_SECTION and c.startswith(start))
    return next((content.removeprefix(start) for content in found), None)


def fix_memory(module: bytes) -> bytes:
    """Return the module with its one memory's maximum set to its minimum: it never grows, so that views of it stay."""
    fixed = bytearray(MAGIC)
    for identifier, content in sections(module):
        if identifier == MEMORY_SECTION:
            pages, _ = read_leb128(content, 2)  # after the count of memories, and the flags
            content = bytes([1, _HAS_MAXIMUM]) + 2 * leb128(pages)
        fixed += section(identifier, content)
    return bytes(fixed)


def leb128(value: int) -> bytes:
    """`value` as unsigned LEB128."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def read_leb128(data: bytes, position: int) -> tuple[int, int]:
    """The unsigned LEB128 number at `position`, and the position after it; ValueError if `data` ends before."""
    value = shift = 0
    while position < len(data):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
    raise ValueError("a number is cut off")
