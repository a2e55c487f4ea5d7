"""The choices that a kernel's schedule leaves: the cost model's own, and the others that are worth measuring.

All give the same integers; floats may differ in the order of sums. `tinycast tune` measures them, and what it finds is
found again by `described`: an entry of a tuning database is one of these choices, or it is not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from math import prod
from typing import Any

from tinycast.ir.graph import Call, Pattern, Tile
from tinycast.ir.types import DType
from tinycast.ops.window import Window
from tinycast.schedule.blocks import LONG_ROW_BYTES
from tinycast.schedule.tiles import (
    choose_tile,
    divisors,
    micro_kernel_tiles,
    plain_tiles,
    plane_tiles,
    run_tiles,
    unrolled_taps,
    vector_tiles,
)
from tinycast.target.types import Target

_USUAL_TERMS = 4
_TERMS = (_USUAL_TERMS, 1, 2, 8, 16)
_MOST_TAPS = 128  # products that a tile's window writes out
_ONE = Tile()


@dataclass(frozen=True)
class Choice:
    """How a kernel is scheduled.

    `terms`: that a turn of a sum's innermost loop adds, at most; without a sum, elements that a turn computes.
    `whole_window`: all taps of a window are written out. `keep_rows`: of the copied rows of a window those stay that
    the next output row reads too. `channels_outside`: the loop over channels goes around the one over a row.
    """

    tile: Tile = _ONE
    terms: int = _USUAL_TERMS
    whole_window: bool = False
    keep_rows: bool = False
    channels_outside: bool = False

    def described(self) -> dict[str, Any]:
        """The choice in JSON: what differs from the fields' defaults."""
        found: dict[str, Any] = {}
        for owner in (self.tile, self):
            for item in fields(owner):
                value = getattr(owner, item.name)
                if value != item.default and not isinstance(value, Tile):
                    found[item.name] = value.value if isinstance(value, DType) else value
        return found


def choices_of(calls: Sequence[Call], anchor: Call | None, target: Target) -> list[Choice]:
    """All choices for a kernel of `calls` around `anchor`, each once; the cost model's own is the first."""
    if anchor is None:
        usual = Choice(terms=1)
        computes = all(c.op.pattern is Pattern.ELEMENTWISE for c in calls) and "lanes" not in target.micro_kernels
        return [usual, *(replace(usual, terms=n) for n in (2, 4, 8))] if computes else [usual]
    usual = _usual(anchor, target)
    return list(dict.fromkeys([usual, *_others(anchor, usual.tile, target)]))


def _usual(anchor: Call, target: Target) -> Choice:
    tile = choose_tile(anchor, target)
    choice = Choice(tile)
    if _is_by_micro_kernel(tile) or anchor.op.pattern not in (Pattern.DENSE, Pattern.CHANNELWISE):
        return choice
    window = getattr(anchor.op, "window", None)
    small = anchor.op.pattern is Pattern.CHANNELWISE and window is not None and unrolled_taps(window.kernel, tile)
    return replace(choice, whole_window=small, keep_rows=_has_rows_to_keep(anchor) and _has_long_rows(anchor))


def _others(anchor: Call, usual: Tile, target: Target) -> Iterator[Choice]:
    if anchor.op.pattern is Pattern.DENSE:
        tiles = [*plain_tiles(anchor, target), *micro_kernel_tiles(anchor, target)]
    elif anchor.op.pattern is Pattern.CHANNELWISE:
        shape = anchor.output.shape
        counts = divisors(shape[2], 2 * target.accumulators) if _has_window(anchor) else [1]
        tiles = [Tile(n, 1) for n in counts]
    else:
        return
    tiles += [*vector_tiles(anchor, target), *run_tiles(anchor, target), *plane_tiles(anchor, target)]
    for tile in (usual, *tiles):
        if _is_by_micro_kernel(tile):
            yield Choice(tile)
            continue
        window = getattr(anchor.op, "window", None)
        channelwise = anchor.op.pattern is Pattern.CHANNELWISE and _has_window(anchor)
        written_out = isinstance(window, Window) and channelwise and prod(window.kernel) * tile.positions <= _MOST_TAPS
        for keep_rows in (False, True) if _has_rows_to_keep(anchor) else (False,):
            rows = Choice(tile, keep_rows=keep_rows)
            orders = [rows, replace(rows, channels_outside=True)] if channelwise else [rows]
            for choice in orders:
                yield from (replace(choice, terms=n) for n in _TERMS)
                if written_out:
                    yield replace(choice, whole_window=True)


def _is_by_micro_kernel(tile: Tile) -> bool:
    """Whether the tile decides all of the schedule."""
    return tile.lanes > 0 or tile.vector or tile.planes


def _has_window(anchor: Call) -> bool:
    return isinstance(getattr(anchor.op, "window", None), Window) and len(anchor.output.shape) == 4


def _has_rows_to_keep(anchor: Call) -> bool:
    """Whether rows are copied, for their border, that the next output row reads as well."""
    window = getattr(anchor.op, "window", None)
    if not isinstance(window, Window) or len(anchor.output.shape) != 4 or not any(window.pads):
        return False
    height = (window.kernel[0] - 1) * window.dilations[0] + 1
    return window.strides[0] < height and anchor.output.shape[1] > 1


def _has_long_rows(anchor: Call) -> bool:
    """Whether to copy a row again takes longer than to find it in a buffer that is written around, by a division."""
    x, window = anchor.inputs[0], anchor.op.window  # type: ignore[attr-defined]
    columns = x.shape[2] + window.pads[1] + window.pads[3]
    return bool(columns * x.shape[3] * x.dtype.itemsize >= LONG_ROW_BYTES)
