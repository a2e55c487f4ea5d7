"""Depthwise layers a channel at a time: its plane is copied with a border, and a window of three taps slides along.

A core that adds two products of int16 at once reads neighbours in a row by one load then. The output may take the
input's place, because a channel's plane is copied before any of it is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from tinycast.ir.graph import Tensor, Tile
from tinycast.ir.types import DType
from tinycast.ops.window import Window
from tinycast.tvm_bridge import expr as te

TAPS = 3  # of a row of the window
PAIRS = 2  # words of a row's weights: taps 0 and 1, taps 1 and 2


@dataclass(frozen=True)
class Planes:
    """How a layer's planes of `height` x `width` are read, by tiles of neighbouring positions in a row."""

    window: Window
    height: int
    width: int
    tile: Tile

    @property
    def tiles(self) -> int:
        return ceil(self.width / self.tile.positions)

    @property
    def rows(self) -> int:
        return self.height + (self.window.kernel[0] - 1) * self.window.dilations[0]

    @property
    def columns(self) -> int:
        """As many as the tiles read."""
        return self.tiles * self.tile.positions + TAPS - 1


def plane_sums(x: Tensor, weight: Tensor, planes: Planes, pad_value: float) -> Tensor:
    """sums[channel, row, tile of columns, position] of x (1, H, W, C) and weight (C, KH, 3); the output is as large."""
    window = planes.window
    top, left, _, _ = window.pads
    height, width, channels = (int(n) for n in x.shape[1:])

    def element(c: te.Expr, h: te.Expr, w: te.Expr) -> te.Expr:
        inside = te.all_of([h >= top, h < height + top, w >= left, w < width + left])
        return te.select(inside, te.cast(x[0, h - top, w - left, c], DType.INT16), te.const(pad_value, DType.INT16))

    def pair(c: te.Expr, r: te.Expr, k: te.Expr) -> te.Expr:
        first, second = (te.cast(weight[c, r, k + i], DType.INT32) for i in (0, 1))
        return second * 65536 + te.low_bits(first, 65535)

    plane = te.compute((channels, planes.rows, planes.columns), element, name="plane")
    taps = te.compute((channels, window.kernel[0], PAIRS), pair, name="taps")
    r, k = te.reduce_axis((0, window.kernel[0]), "r"), te.reduce_axis((0, TAPS), "k")

    def product(c: te.Expr, h: te.Expr, t: te.Expr, p: te.Expr) -> te.Expr:
        read = plane[c, h + r * window.dilations[0], t * planes.tile.positions + p + k]
        # Tap 0 and 1 are the halves of the first word, 2 is the upper half of the second.
        tap = te.cast(taps[c, r, k // 2] >> (k + k // 2) % 2 * 16, DType.INT16)
        return te.sum(te.cast(read, DType.INT32) * te.cast(tap, DType.INT32), axis=[r, k])

    return te.compute((channels, planes.height, planes.tiles, planes.tile.positions), product, name="accumulator")
