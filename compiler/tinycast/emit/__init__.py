"""Compiled models to files in memory. Pure: nothing here writes to disk."""

from tinycast.emit.c import emit_c
from tinycast.emit.manifest import seal
from tinycast.emit.names import c_identifier
from tinycast.emit.wasm import emit_wasm, finish_wasm, has_relaxed_dots, read_manifest
from tinycast.emit.wasm_loader import inline_loader, model_script, module_parts, render_script, wasm_package
from tinycast.emit.wasm_weights import with_weights

__all__ = [
    "c_identifier",
    "emit_c",
    "emit_wasm",
    "finish_wasm",
    "has_relaxed_dots",
    "inline_loader",
    "model_script",
    "module_parts",
    "read_manifest",
    "render_script",
    "seal",
    "wasm_package",
    "with_weights",
]
