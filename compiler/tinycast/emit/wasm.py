"""A compiled model as WebAssembly modules with their manifest inside (DESIGN section 7)."""

from __future__ import annotations

import json
from typing import Any

from tinycast.artifact import Artifact
from tinycast.emit.c import emit_c
from tinycast.emit.manifest import seal
from tinycast.emit.render import render
from tinycast.errors import UsageError
from tinycast.ir.kernel import Compiled
from tinycast.toolchain.wasm_binary import MAGIC, custom_section, find_custom

# What a host needs to run a lone module; the report has the rest. A page's visitors download every byte.
_EMBEDDED = (
    "manifest_version",
    "tinycast",
    "name",
    "target",
    "model_sha256",
    "inputs",
    "outputs",
    "states",
    "arena_bytes",
    "weights_bytes",
    "macs",
)
_SECTION_NAME = b"tinycast"


def emit_wasm(compiled: Compiled) -> Artifact:
    """Return the C package of `compiled` with its exports, `src/<name>_wasm.[ch]`; link it with `build_wasm`.

    Raises what `emit_c` raises.
    """
    source = emit_c(compiled)
    name = compiled.name
    glue = {
        f"src/{name}_wasm.{suffix}": render(
            f"wasm/glue.{suffix}.j2",
            name=name,
            NAME=name.upper(),
            manifest=source.manifest,
            has_relaxed_dots=has_relaxed_dots(source),
        )
        for suffix in ("c", "h")
    }
    return seal(source.manifest, {**source.files, **glue})


def has_relaxed_dots(source: Artifact) -> bool:
    """Whether the C of `source` needs an engine whose relaxed dot products are exact."""
    return "src/tc_relaxed_dot.h" in source.files


def finish_wasm(source: Artifact, module: bytes) -> Artifact:
    """Return `<name>.wasm`: the linked `module` of `source` (from `emit_wasm`) with its manifest inside."""
    embedded = {key: source.manifest[key] for key in _EMBEDDED}
    text = json.dumps(embedded, separators=(",", ":")).encode("ascii")
    whole = module + custom_section(_SECTION_NAME, text)
    return Artifact({f"{source.manifest['name']}.wasm": whole}, source.manifest)


def read_manifest(module: bytes) -> dict[str, Any]:
    """Return the manifest inside a .wasm: less than the report holds (docs/manifest.md).

    Raises UsageError if `module` is no WebAssembly module, or has no manifest.
    """
    if not module.startswith(MAGIC):
        raise UsageError("not a WebAssembly module", fix="give a .wasm file that tinycast wrote")
    try:
        text = find_custom(module, _SECTION_NAME)
        if text is not None:
            manifest: dict[str, Any] = json.loads(text)
            return manifest
    except ValueError as error:
        raise UsageError("the WebAssembly module is damaged", fix="compile the model again") from error
    raise UsageError("the .wasm has no section `tinycast`", fix="give a .wasm file that tinycast wrote")
