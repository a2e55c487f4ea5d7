"""Links generated C into one .wasm without imports."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from tinycast.errors import InternalError
from tinycast.target.types import Target
from tinycast.toolchain.compiler import write_sources
from tinycast.toolchain.find import find_zig
from tinycast.toolchain.wasm_binary import IMPORT_SECTION, fix_memory, sections

# The linker puts the stack below all data: were it too small, the module would trap, not overwrite its weights.
_STACK_BYTES = 4096
# Calls are four deep at most: the export, <name>_run, a kernel, a function of runtime_c.
_FRAME_BYTES = _STACK_BYTES // 4


def build_wasm(files: Mapping[str, bytes], name: str, target: Target) -> bytes:
    """Return the .wasm of a C package plus its glue `src/<name>_wasm.c` and `src/<name>_wasm.h`.

    The module imports nothing, exports `memory`, `__stack_pointer` (to be set back after a trap) and what the glue
    marks with `export_name`. Its memory is fixed: data, arena and a stack of 4 KiB, in pages of 64 KiB. The same files
    give the same bytes. Raises ToolMissingError without zig, InternalError if the C needs a function that is not in
    it, or too much stack.
    """
    compiler = find_zig(target)
    flags = [
        *("-Wl,--no-entry", "-Wl,--strip-all", "-Wl,--gc-sections", "-Wl,--export=__stack_pointer"),
        f"-Wl,-z,stack-size={_STACK_BYTES}",
        *(f"-Wframe-larger-than={_FRAME_BYTES}", "-Werror=frame-larger-than="),
    ]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sources = [*write_sources(files, folder), folder / "src" / f"{name}_wasm.c"]
        output = folder / f"{name}.wasm"
        flags += ["-include", str(folder / "src" / f"{name}_wasm.h")]
        compiler.build(sources, output, flags=flags, include_dirs=[folder / "include", folder / "src"])
        module = output.read_bytes()
    if any(identifier == IMPORT_SECTION for identifier, _ in sections(module)):
        raise InternalError("the .wasm imports something", where=f"{name}.wasm")
    return fix_memory(module)
