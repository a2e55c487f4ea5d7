"""Convolutions of 3 x 3 taps for Winograd's F(2 x 2, 3 x 3): tiles of 2 x 2 outputs, each of which reads a patch.

As tensor expressions this is the direct convolution, through copies of 4 x 4 inputs. The micro-kernels that take the
places of the copy and of the sums (runtime_c's tc_winograd.h) agree among themselves on what lies in a patch.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from tinycast.ir.graph import Tensor, Tile
from tinycast.ir.types import DType
from tinycast.ops.window import Window
from tinycast.tvm_bridge import expr as te
from tinycast.tvm_bridge.winograd_kernels import CHANNELS

OUTPUTS = 2  # rows and columns of a tile
PATCH = 4  # rows and columns that it reads


@dataclass(frozen=True)
class Strips:
    """An image in strips of `tile.strip` rows of tiles; x[row, column * channels + channel]."""

    window: Window
    channels: int
    rows_out: int
    columns_out: int
    tile: Tile

    @property
    def strips(self) -> int:
        return ceil(self.rows_out / (OUTPUTS * self.tile.strip))

    @property
    def tile_columns(self) -> int:
        return ceil(self.columns_out / OUTPUTS)

    @property
    def tiles(self) -> int:
        """Tiles of a strip."""
        return self.tile.strip * self.tile_columns

    @property
    def row_length(self) -> int:
        """Elements of a row that patches are made of."""
        return (OUTPUTS * self.tile_columns + PATCH - OUTPUTS) * self.channels

    def rows(self, x: Tensor, pad: float) -> Tensor:
        """The input with its border; x is (1, H, W * C), or (1, H, W, C) where the same kernel computes it."""
        top, left, _, _ = self.window.pads
        height = int(x.shape[1])
        dtype = te.dtype_of(x)
        width = int(x.shape[2]) * (self.channels if len(x.shape) == 4 else 1)
        begin, end = left * self.channels, left * self.channels + width
        total = self.strips * OUTPUTS * self.tile.strip + PATCH - OUTPUTS

        def body(_: te.Expr, h: te.Expr, f: te.Expr) -> te.Expr:
            checks = [f >= begin] if begin else []
            if self.row_length > end:
                checks.append(f < end)
            if top:
                checks.append(h >= top)
            if total > top + height:
                checks.append(h < top + height)
            at = f - begin
            element = x[0, h - top, at] if len(x.shape) == 3 else x[0, h - top, at // self.channels, at % self.channels]
            return te.select(te.all_of(checks), element, te.const(pad, dtype)) if checks else element

        return te.compute((1, total, self.row_length), body, name="rows")

    def sums(self, x: Tensor, weight: Tensor, pad: float) -> Tensor:
        """sums[strip, block of 8 output channels, row of tiles, tile, row, column, channel].

        `weight` is packed as ops/dot.py does.
        """
        tile, channels = self.tile, self.channels
        rows = self.rows(x, pad)

        def place(s: te.Expr, y: te.Expr, u: te.Expr, v: te.Expr, z: te.Expr, c: te.Expr) -> te.Expr:
            element = rows[0, (s * tile.strip + y) * OUTPUTS + u, (z * OUTPUTS + v) * channels + c]
            return te.cast(element, tile.wide)

        patches = te.compute(
            (self.strips, tile.strip, PATCH, PATCH, self.tile_columns, channels), place, name="patches"
        )
        dtype = DType.FLOAT32 if tile.wide is DType.FLOAT32 else DType.INT32
        units = channels // tile.lanes
        r, q, p = (te.reduce_axis((0, n), name) for n, name in ((3, "r"), (3, "q"), (units, "p")))
        lanes = [te.reduce_axis((0, tile.lanes), "k")] if tile.lanes > 1 else []
        k = lanes[0] if lanes else 0

        def term(*at: te.Expr) -> te.Expr:
            s, o, y, z, i, j, lane = at
            element = te.cast(patches[s, y, i + r, j + q, z, p * tile.lanes + k], dtype)
            factor = te.cast(weight[o, (r * 3 + q) * units + p, lane, k], dtype)
            return te.sum(element * factor, axis=[r, q, p, *lanes])

        blocks = int(weight.shape[0])
        shape = (self.strips, blocks, tile.strip, self.tile_columns, OUTPUTS, OUTPUTS, CHANNELS)
        return te.compute(shape, term, name="accumulator")

    def read(self, sums: Tensor, h: te.Expr, w: te.Expr, o: te.Expr) -> te.Expr:
        """The sum of an output."""
        height = OUTPUTS * self.tile.strip
        tile = h % height // OUTPUTS, w // OUTPUTS
        return sums[h // height, o // CHANNELS, *tile, h % OUTPUTS, w % OUTPUTS, o % CHANNELS]
