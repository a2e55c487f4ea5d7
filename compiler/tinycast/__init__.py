"""tinycast: ONNX models to standalone C and WebAssembly."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tinycast.execute.module import WasmModule

__version__ = "0.1.0"


def load(path: str | Path) -> WasmModule:
    """Load a .wasm that tinycast compiled: `tinycast.load("kws.wasm").run(array)`.

    Raises UsageError if the file cannot be read, or is none of tinycast's.
    """
    from tinycast.execute.module import load_module  # takes wasmtime and NumPy, which most imports do not need

    return load_module(path)
