"""A compiled model as WebAssembly modules and their ES module loader (DESIGN section 7)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tinycast.artifact import Artifact
from tinycast.emit.c import emit_c
from tinycast.emit.manifest import seal
from tinycast.emit.render import render
from tinycast.errors import InternalError, UsageError
from tinycast.ir.kernel import Compiled
from tinycast.ir.types import DType

# What a host needs to run a lone module; the report has the rest. A page's visitors download every byte.
_EMBEDDED = (
    "manifest_version",
    "tinycast",
    "name",
    "target",
    "model_sha256",
    "inputs",
    "outputs",
    "arena_bytes",
    "weights_bytes",
    "macs",
)
_MAGIC = b"\0asm\1\0\0\0"
_CUSTOM_SECTION = 0
_SECTION_NAME = b"tinycast"
_TYPED_ARRAYS = {
    DType.FLOAT32: "Float32Array",
    DType.INT8: "Int8Array",
    DType.UINT8: "Uint8Array",
    DType.INT16: "Int16Array",
    DType.UINT16: "Uint16Array",
    DType.INT32: "Int32Array",
    DType.UINT32: "Uint32Array",
    DType.INT64: "BigInt64Array",
    DType.UINT64: "BigUint64Array",
    DType.BOOL: "Uint8Array",
}


def emit_wasm(compiled: Compiled) -> Artifact:
    """Return the C package of `compiled` with `src/<name>_wasm.c`, the exports; link it with `build_wasm`.

    Raises what `emit_c` raises.
    """
    source = emit_c(compiled)
    name = compiled.name
    glue = render("wasm/glue.c.j2", name=name, NAME=name.upper(), manifest=source.manifest)
    return seal(source.manifest, {**source.files, f"src/{name}_wasm.c": glue})


def finish_wasm(source: Artifact, module: bytes) -> Artifact:
    """Return `<name>.wasm`: the linked `module` of `source` (from `emit_wasm`) with its manifest inside."""
    embedded = {key: source.manifest[key] for key in _EMBEDDED}
    section = _custom_section(json.dumps(embedded, separators=(",", ":")).encode("utf-8"))
    return Artifact({f"{source.manifest['name']}.wasm": module + section}, source.manifest)


def wasm_package(module: Artifact, scalar: Artifact | None = None) -> Artifact:
    """Return `module` (from `finish_wasm`) with ES module loader, types, demo page and report.

    `scalar` is the same model built without SIMD, for engines that have none. Raises InternalError if it is another
    model, or has other inputs or outputs.
    """
    name = module.manifest["name"]
    files = dict(module.files)
    if scalar is not None:
        if _interface(scalar.manifest) != _interface(module.manifest):
            raise InternalError("the SIMD and the scalar module are not the same model", where=name)
        files[f"{name}.scalar.wasm"] = scalar.files[f"{name}.wasm"]
    arrays = {dtype.value: array for dtype, array in _TYPED_ARRAYS.items()}
    context: dict[str, Any] = {
        "name": name,
        "manifest": module.manifest,
        "arrays": arrays,
        "has_scalar": scalar is not None,
    }
    files[f"{name}.js"] = render("wasm/loader.js.j2", **context)
    files[f"{name}.d.ts"] = render("wasm/loader.d.ts.j2", **context)
    files["index.html"] = render("wasm/index.html.j2", **context)
    return seal(module.manifest, files)


def read_manifest(module: bytes) -> dict[str, Any]:
    """Return the manifest inside a .wasm: less than the report holds (docs/manifest.md).

    Raises UsageError if `module` is no WebAssembly module, or has no manifest.
    """
    if not module.startswith(_MAGIC):
        raise UsageError("not a WebAssembly module", fix="give a .wasm file that tinycast wrote")
    position = len(_MAGIC)
    try:
        while position < len(module):
            identifier = module[position]
            size, start = _read_leb128(module, position + 1)
            position = start + size
            if identifier != _CUSTOM_SECTION:
                continue
            length, start = _read_leb128(module, start)
            if module[start : start + length] == _SECTION_NAME:
                manifest: dict[str, Any] = json.loads(module[start + length : position])
                return manifest
    except (IndexError, ValueError) as error:
        raise UsageError("the WebAssembly module is damaged", fix="compile the model again") from error
    raise UsageError("the .wasm has no section `tinycast`", fix="give a .wasm file that tinycast wrote")


def _interface(manifest: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a caller of the module sees: its hash, and its ports but for their places."""
    ports = [{**port, "arena_offset": None} for key in ("inputs", "outputs") for port in manifest[key]]
    return (manifest["name"], manifest["model_sha256"], ports)


def _custom_section(content: bytes) -> bytes:
    """A custom section (WebAssembly core specification, 5.5.3)."""
    body = _leb128(len(_SECTION_NAME)) + _SECTION_NAME + content
    return bytes([_CUSTOM_SECTION]) + _leb128(len(body)) + body


def _leb128(value: int) -> bytes:
    """`value` as unsigned LEB128."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _read_leb128(data: bytes, position: int) -> tuple[int, int]:
    """The unsigned LEB128 number at `position`, and the position after it."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
