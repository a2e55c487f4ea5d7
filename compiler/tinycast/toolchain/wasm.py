"""Links generated C into one .wasm without imports."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from tinycast.errors import InternalError
from tinycast.resources import resource_dir
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
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sources = [*write_sources(files, folder), folder / "src" / f"{name}_wasm.c"]
        flags = ["-Wl,--export=__stack_pointer", "-include", str(folder / "src" / f"{name}_wasm.h")]
        return _link(sources, folder / f"{name}.wasm", target, flags, [folder / "include", folder / "src"])


@cache
def build_trial(target: Target) -> bytes:
    """Return the module that tells whether an engine is good at the relaxed dot products of `target`.

    Its source is templates/wasm/trial.c. Raises ToolMissingError without zig.
    """
    runtime = [resource_dir("runtime_c") / folder for folder in target.runtime]
    with tempfile.TemporaryDirectory() as temporary:
        source = resource_dir("templates") / "wasm" / "trial.c"
        return _link([source], Path(temporary) / "trial.wasm", target, ["-Oz"], runtime)


def _link(
    sources: Sequence[Path], output: Path, target: Target, flags: Sequence[str], folders: Sequence[Path]
) -> bytes:
    own = [
        *("-Wl,--no-entry", "-Wl,--strip-all", "-Wl,--gc-sections", f"-Wl,-z,stack-size={_STACK_BYTES}"),
        *(f"-Wframe-larger-than={_FRAME_BYTES}", "-Werror=frame-larger-than="),
    ]
    find_zig(target).build(sources, output, flags=[*own, *flags], include_dirs=folders)
    module = output.read_bytes()
    if any(identifier == IMPORT_SECTION for identifier, _ in sections(module)):
        raise InternalError("the .wasm imports something", where=output.name)
    return fix_memory(module)
