"""Convolutions and products laid out for dot-product micro-kernels: groups of four along the sum.

A position's window is a run of KW * C neighbours in each of its KH rows. Runs are cut into groups of
four (the last filled up with zero weights), so that one instruction multiplies several elements. On cores
whose instructions multiply one element (lanes of 1) neighbouring positions are woven instead: wide[k, position].
On cores whose vectors add up along the sum (lanes of 16) a position's whole window is one run, as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from tinycast.ir.graph import Tensor, Tile
from tinycast.ir.types import Array, DType
from tinycast.ops.window import Window
from tinycast.tvm_bridge import expr as te

LANES = 4
VECTOR = 16


def lane(index: te.Expr) -> te.Expr:
    """Where element `index` of a widened group comes from: 0, 2, 1, 3 (its own inverse)."""
    return index % 2 * 2 + index // 2


def groups_of(run: int, lanes: int) -> int:
    return ceil(run / lanes)


def pack_weights(weight: Array, tile: Tile) -> Array:
    """(O, KH, KW, C) to (O / channels, KH * groups, channels, lanes), zeros where runs and channels are filled up.

    In scalar tiles without the last axis if there is one lane, and without `channels` if there is one.
    In vectors whole windows are the runs, and channels lie by two or four: see `woven_channels`.
    """
    if tile.lanes == VECTOR:
        together = woven_channels(tile)
        blocks = ceil(weight.shape[0] / tile.channels) * (tile.channels // together)
        return _pack(weight.reshape(weight.shape[0], 1, -1), replace(tile, channels=together), blocks)
    return _pack(weight, tile, ceil(weight.shape[0] / tile.channels))


def woven_channels(tile: Tile) -> int:
    """Channels whose weights lie by turns, a vector of each: a lone position shares its loads with four."""
    return 4 if tile.positions == 1 else 2


def _pack(weight: Array, tile: Tile, blocks: int) -> Array:
    out, rows = weight.shape[:2]
    runs = weight.reshape(out, rows, -1)
    length = groups_of(runs.shape[2], tile.lanes) * tile.lanes
    full = np.zeros((blocks * tile.channels, rows, length), weight.dtype)
    full[:out, :, : runs.shape[2]] = runs
    shape = (blocks, tile.channels, rows * length // tile.lanes, tile.lanes)
    packed = np.ascontiguousarray(full.reshape(shape).transpose(0, 2, 1, 3))
    if tile.lanes > 1 or tile.vector:
        return packed
    return packed[..., 0] if tile.channels > 1 else packed[..., 0, 0]


@dataclass(frozen=True)
class Runs:
    """The input of a convolution as flat rows: x[n, row, column * channels + channel]."""

    window: Window
    channels: int
    columns_out: int
    tile: Tile
    copied: bool  # the input is computed in the same kernel: its rows are made first

    @property
    def run(self) -> int:
        return self.window.kernel[1] * self.channels

    @property
    def tiles(self) -> int:
        return ceil(self.columns_out / self.tile.positions)

    @property
    def needs_rows(self) -> bool:
        """Whether rows have to be copied: for a border, or because the last group of a run reads past it."""
        return self.copied or any(self.window.pads) or self._length != self.run

    @property
    def _length(self) -> int:
        """Neighbours in a row that are read for a position."""
        return self.run if self.tile.lanes == VECTOR else groups_of(self.run, self.tile.lanes) * self.tile.lanes

    @property
    def in_order(self) -> bool:
        """Whether the windows of a tile lie one after the other in the input."""
        window = self.window
        single = window.kernel == (1, 1) and window.strides == (1, 1)
        return single and not self.needs_rows and self.columns_out % self.tile.positions == 0

    def rows(self, x: Tensor, pad_value: float) -> Tensor:
        """The rows with their border, as long as the last tile reads."""
        if not self.needs_rows:
            return x
        top, left, bottom, _ = self.window.pads
        c = self.channels
        n, height = int(x.shape[0]), int(x.shape[1])
        width = int(x.shape[2]) // c if len(x.shape) == 3 else int(x.shape[2])
        last = (self.tiles * self.tile.positions - 1) * self.window.strides[1]
        columns = max(last + ceil(self._length / c), left + 1)

        def body(b: te.Expr, h: te.Expr, f: te.Expr) -> te.Expr:
            # An input in another order is copied pixel by pixel (the schedule splits f), else in one run.
            at, unit = (f // c, 1) if len(x.shape) == 4 else (f, c)
            checks = [at >= left * unit] if left else []
            if columns > left + width:
                checks.append(at < (left + width) * unit)
            if top:
                checks.append(h >= top)
            if bottom:
                checks.append(h < height + top)
            at = at - left * unit
            element = x[b, h - top, at, f % c] if len(x.shape) == 4 else x[b, h - top, at]
            return te.select(te.all_of(checks), element, te.const(pad_value, DType.INT8)) if checks else element

        return te.compute((n, height + top + bottom, columns * c), body, name="padded")

    def column(self, position: te.Expr) -> te.Expr:
        """Where the window of an output column starts in its row; positions past the last repeat it."""
        if not self.needs_rows and self.columns_out % self.tile.positions:
            position = te.minimum(position, te.const(self.columns_out - 1, DType.INT32))
        return position * (self.window.strides[1] * self.channels)


def dot_convolution(rows: Tensor, weight: Tensor, runs: Runs, rows_out: int) -> Tensor:
    """sums[h, tile of columns, tile of channels, position, channel], through a widened copy of the windows."""
    if runs.tile.lanes == 1:
        return _woven_convolution(rows, weight, runs, rows_out)
    if runs.tile.lanes == VECTOR:
        return _run_convolution(rows, weight, runs, rows_out)
    groups = groups_of(runs.run, LANES)
    tile, window = runs.tile, runs.window
    total = window.kernel[0] * groups
    blocks = int(weight.shape[0])

    def element(h: te.Expr, p: te.Expr, q: te.Expr, i: te.Expr, k: te.Expr) -> te.Expr:
        row = h * window.strides[0] + q // groups * window.dilations[0]
        at = runs.column(p * tile.positions + i) + q % groups * LANES + lane(k)
        return te.cast(rows[0, row, at], DType.INT16)

    wide = te.compute((rows_out, runs.tiles, total, tile.positions, LANES), element, name="wide")
    q, k = te.reduce_axis((0, total), "q"), te.reduce_axis((0, LANES), "k")

    def product(h: te.Expr, p: te.Expr, o: te.Expr, i: te.Expr, j: te.Expr) -> te.Expr:
        return te.sum(
            te.cast(wide[h, p, q, i, k], DType.INT32) * te.cast(weight[o, q, j, lane(k)], DType.INT32), axis=[q, k]
        )

    return te.compute((rows_out, runs.tiles, blocks, tile.positions, tile.channels), product, name="accumulator")


def _woven_convolution(rows: Tensor, weight: Tensor, runs: Runs, rows_out: int) -> Tensor:
    """The same for one lane; a tile of one channel leaves out the last axis of the sums."""
    tile, window = runs.tile, runs.window
    total = window.kernel[0] * runs.run

    def element(h: te.Expr, p: te.Expr, q: te.Expr, i: te.Expr) -> te.Expr:
        row = h * window.strides[0] + q // runs.run * window.dilations[0]
        return te.cast(rows[0, row, runs.column(p * tile.positions + i) + q % runs.run], tile.wide)

    wide = te.compute((rows_out, runs.tiles, total, tile.positions), element, name="wide")
    q = te.reduce_axis((0, total), "q")

    def product(h: te.Expr, p: te.Expr, o: te.Expr, i: te.Expr, *j: te.Expr) -> te.Expr:
        return te.sum(te.cast(wide[h, p, q, i], DType.INT32) * te.cast(weight(o, q, *j), DType.INT32), axis=[q])

    channels = (tile.channels,) if tile.channels > 1 else ()
    return te.compute(
        (rows_out, runs.tiles, int(weight.shape[0]), tile.positions, *channels), product, name="accumulator"
    )


def _run_convolution(rows: Tensor, weight: Tensor, runs: Runs, rows_out: int) -> Tensor:
    """The same from whole windows: those in the input, or copies of them one after the other."""
    tile, window, run = runs.tile, runs.window, runs.run
    length = window.kernel[0] * run

    def element(h: te.Expr, p: te.Expr, f: te.Expr) -> te.Expr:
        position, q = f // length, f % length
        row = h * window.strides[0] + q // run * window.dilations[0]
        return rows[0, row, runs.column(p * tile.positions + position) + q % run]

    shape = (rows_out, runs.tiles, tile.positions * length)
    wide = None if runs.in_order else te.compute(shape, element, name="wide")
    q = te.reduce_axis((0, length), "q")

    def product(h: te.Expr, p: te.Expr, o: te.Expr, i: te.Expr, j: te.Expr) -> te.Expr:
        at = i * length + q
        x = rows[0, h, p * (tile.positions * length) + at] if wide is None else wide[h, p, at]
        return te.sum(te.cast(x, DType.INT32) * _woven(weight, o * tile.channels + j, q, tile), axis=[q])

    blocks = _blocks(weight, tile)
    return te.compute((rows_out, runs.tiles, blocks, tile.positions, tile.channels), product, name="accumulator")


def _woven(weight: Tensor, channel: te.Expr, q: te.Expr, tile: Tile) -> te.Expr:
    together = woven_channels(tile)
    return te.cast(weight[channel // together, q // VECTOR, channel % together, q % VECTOR], DType.INT32)


def _blocks(weight: Tensor, tile: Tile) -> int:
    return int(weight.shape[0]) * woven_channels(tile) // tile.channels


def dot_product(x: Tensor, weight: Tensor, positions: int, tile: Tile) -> Tensor:
    """sums[position, tile of channels, channel] of x (positions, K) with K a multiple of four, in vectors any."""
    if tile.lanes == VECTOR:
        whole = te.reduce_axis((0, int(x.shape[1])), "q")

        def sum_of_run(p: te.Expr, o: te.Expr, j: te.Expr) -> te.Expr:
            factor = _woven(weight, o * tile.channels + j, whole, tile)
            return te.sum(te.cast(x[p, whole], DType.INT32) * factor, axis=[whole])

        return te.compute((positions, _blocks(weight, tile), tile.channels), sum_of_run, name="accumulator")
    q = te.reduce_axis((0, int(weight.shape[1])), "q")
    k = te.reduce_axis((0, LANES), "k")

    def product(p: te.Expr, o: te.Expr, j: te.Expr) -> te.Expr:
        return te.sum(te.cast(x[p, q * LANES + k], DType.INT32) * te.cast(weight[o, q, j, k], DType.INT32), axis=[q, k])

    return te.compute((positions, int(weight.shape[0]), tile.channels), product, name="accumulator")
