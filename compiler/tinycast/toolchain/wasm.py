"""Links generated C into one .wasm without imports."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from tinycast.errors import InternalError
from tinycast.target.types import Target
from tinycast.toolchain.compiler import write_sources
from tinycast.toolchain.find import find_zig

_IMPORT_SECTION = 2
_HEADER_BYTES = 8


def build_wasm(files: Mapping[str, bytes], name: str, target: Target, *, stack_bytes: int = 4096) -> bytes:
    """Return the .wasm of a C package plus its glue file `src/<name>_wasm.c`.

    The module imports nothing, exports `memory` and what the glue marks with `export_name`, and starts with
    the smallest memory (64 KiB pages) that holds data, arena and a stack of `stack_bytes`. The same files
    give the same bytes. Raises ToolMissingError without zig, InternalError if the C needs a function that
    is not in it.
    """
    compiler = find_zig(target)
    link = ("-Wl,--no-entry", "-Wl,--strip-all", "-Wl,--gc-sections", f"-Wl,-z,stack-size={stack_bytes}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sources = [*write_sources(files, folder), folder / "src" / f"{name}_wasm.c"]
        output = folder / f"{name}.wasm"
        compiler.build(sources, output, flags=link, include_dirs=[folder / "include", folder / "src"])
        module = output.read_bytes()
    if any(section == _IMPORT_SECTION for section, _ in wasm_sections(module)):
        raise InternalError("the .wasm imports something", where=f"{name}.wasm")
    return module


def wasm_sections(module: bytes) -> list[tuple[int, bytes]]:
    """Return (id, content) of every section of a WebAssembly binary (core specification, 5.5.2)."""
    sections = []
    position = _HEADER_BYTES
    while position < len(module):
        identifier = module[position]
        size, position = _leb128(module, position + 1)
        sections.append((identifier, module[position : position + size]))
        position += size
    return sections


def _leb128(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
