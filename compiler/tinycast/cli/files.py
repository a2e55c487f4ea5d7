"""Files that commands write beside packages: checked before the work, written whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinycast.errors import UsageError
from tinycast.ir.types import inside
from tinycast.model.files import write_whole
from tinycast.model.ports import is_foreign


def check_output_file(path: Path, *, force: bool) -> None:
    """Raise UsageError where `path` cannot be written, or exists and `force` is off."""
    if path.is_dir():
        raise UsageError("the output is a folder", where=str(path), fix="name a file in it")
    if path.exists() and not force:
        raise UsageError("the output file exists", where=str(path), fix="choose another name, or use --force")
    if not path.resolve().parent.is_dir():
        raise UsageError("the folder of the output does not exist", where=str(path), fix="make it, or choose another")


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an .npz file. Raises UsageError where that fails."""
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    write_whole(path, content.getvalue(), "the output")


def storable(array: NDArray[Any]) -> NDArray[Any]:
    """Files of NumPy lack some types: float32 or a byte has the same numbers."""
    return inside(array) if is_foreign(array.dtype) else array
