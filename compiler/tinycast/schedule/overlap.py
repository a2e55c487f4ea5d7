"""How far a kernel's output has to stay below its input to be allowed to grow into it.

A kernel works through its input from the start. What it has read for the last time may be overwritten, so
the output can lie over the input, shifted down by what it is ahead ("diagonal" placement).
"""

from __future__ import annotations

from enum import Enum
from math import ceil, prod

from tinycast.ir.graph import Call, Tile
from tinycast.ops.window import Window
from tinycast.schedule.flat import flat_positions


class Reads(Enum):
    """What a kernel has copied of its input before it writes a part of its output."""

    ROW_FIRST = "row"  # all rows that an output row needs, before that row is written
    ROWS_ONCE = "rows once"  # likewise, and none of them is read again
    TILE_FIRST = "tile"  # all that a tile of positions needs, before the tile is written
    PLANE_FIRST = "plane"  # all of a channel, before any of that channel is written
    AS_NEEDED = "as needed"  # nothing: input is read while the same tile or row is written


def overlap_distance(anchor: Call, output_itemsize: int, tile: Tile, reads: Reads, *, planes: bool) -> int | None:
    """Bytes from the output's start up to the input's; None where the kernel does not run along its input.

    Both have one batch. The output is NHWC, the input too, or NCHW (`planes`): then what lies below a row
    of the first plane is what has been read.
    """
    window = getattr(anchor.op, "window", None)
    x, out = anchor.inputs[0], anchor.output
    if not isinstance(window, Window) or x.shape[0] != 1 or reads is Reads.PLANE_FIRST:
        return None
    copied = reads in (Reads.ROW_FIRST, Reads.ROWS_ONCE)
    if planes and not copied:
        return None
    if not planes and flat_positions(anchor) and anchor.op.pattern.value == "dense":
        steps = ceil(prod(out.shape[:3]) / tile.positions)
        ahead = tile.positions * out.shape[3] * output_itemsize
        behind = tile.positions * x.shape[3] * x.dtype.itemsize
        first = 1 if reads is Reads.TILE_FIRST else 0  # tiles read before the first one is written
        last = steps - 1 if reads is Reads.TILE_FIRST else steps
        return max([0, *((p + 1) * ahead - (p + first) * behind for p in (0, last - 1) if 0 <= p < last)])
    row_out = prod(out.shape[2:]) * output_itemsize
    row_in = (x.shape[2] if planes else prod(x.shape[2:])) * x.dtype.itemsize
    stride, top = window.strides[0], window.pads[0]
    if reads is Reads.ROWS_ONCE:
        height = (window.kernel[0] - 1) * window.dilations[0] + 1
        read = [r * stride - top + height for r in range(out.shape[1])]  # rows, before output row r is written
        return max([0, *((r + 1) * row_out - n * row_in for r, n in enumerate(read) if n < x.shape[1])])
    rows = range(out.shape[1] - 1 if copied else out.shape[1])
    return max([0, *((r + 1) * row_out - max(0, (r + copied) * stride - top) * row_in for r in rows)])
