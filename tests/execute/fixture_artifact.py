"""The artifact of tests/execute/fixture, and what it must compute, in NumPy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

_FOLDER = Path(__file__).parent / "fixture"
_WEIGHTS = np.array([[17, -90, 33, 4], [127, -128, 5, 66], [-1, 2, -3, 44], [81, 80, -79, 12]])
_BIAS = np.array([-700, 12345, 1, 0])
_MULTIPLIER = 1717986918
_SHIFT = 6

FILES: dict[str, bytes] = {
    path.relative_to(_FOLDER).as_posix(): path.read_bytes() for path in sorted(_FOLDER.rglob("*")) if path.is_file()
}
MANIFEST: dict[str, Any] = json.loads(FILES["tiny_report.json"])


def with_kernel_line(line: str) -> dict[str, bytes]:
    """The artifact with one more statement at the start of its first kernel."""
    source = FILES["src/tiny_kernels.c"].decode()
    start = "int8_t *restrict y)\n{\n"
    assert start in source
    return {**FILES, "src/tiny_kernels.c": source.replace(start, f"{start}    {line}\n", 1).encode()}


def samples(count: int) -> np.ndarray[Any, np.dtype[np.int8]]:
    return np.random.default_rng(7).integers(-128, 128, (count, 4), dtype=np.int8)


def expected(x: np.ndarray[Any, np.dtype[np.int8]]) -> np.ndarray[Any, np.dtype[np.int8]]:
    """DESIGN section 4's requantization on top of a dense layer, then the reversal."""
    accumulator = x.astype(np.int64) @ _WEIGHTS.T + _BIAS
    y = (((accumulator * _MULTIPLIER) >> 32) + (1 << (_SHIFT - 1))) >> _SHIFT
    return np.clip(y, -128, 127).astype(np.int8)[:, ::-1]
