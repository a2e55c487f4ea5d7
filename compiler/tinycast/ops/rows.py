"""Sums of products for cores with vectors: a tile of positions times channels that lie across a vector.

Input rows are copied with their border (int8 widened to int16 where that helps), and every position's window is read in
place: in each of its KH rows a run of KW * C neighbours, cut into groups of `tile.lanes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from tinycast.ir.graph import Tensor, Tile
from tinycast.ir.types import Array, DType
from tinycast.ops.dot import VECTOR
from tinycast.ops.sums import float_chunks
from tinycast.ops.window import Window
from tinycast.tvm_bridge import expr as te

PAIR = 2  # int16 products that one instruction adds


@dataclass(frozen=True)
class VectorRows:
    """How a layer reads its rows x[row, column * channels + channel]; the output has `columns_out` positions a row."""

    window: Window
    channels: int
    columns_out: int
    tile: Tile
    depthwise: bool = False

    @property
    def step(self) -> int:
        """Elements from a position's window to the next one's."""
        return self.window.strides[1] * self.channels

    @property
    def groups(self) -> int:
        """Groups of a row of the window: of neighbours, or of a channel's taps."""
        kernel = self.window.kernel[1]
        return ceil((kernel if self.depthwise else kernel * self.channels) / self.tile.lanes)

    @property
    def tiles(self) -> int:
        return ceil(self.columns_out / self.tile.positions)

    @property
    def length(self) -> int:
        """Elements of a row that the tiles read."""
        positions = self.columns_out if self.tile.cut else self.tiles * self.tile.positions
        last = (positions - 1) * self.step
        if not self.depthwise:
            return last + self.groups * self.tile.lanes
        taps = (self.groups * self.tile.lanes - 1) * self.window.dilations[1] * self.channels
        return last + taps + ceil(self.channels / self.tile.channels) * self.tile.channels

    def copy(self, read: Callable[[te.Expr, te.Expr], te.Expr], height: int, width: int, pad: float) -> Tensor:
        """The rows with their border, as long as the tiles read; read(row, element) is the input's element."""
        top, left, bottom, _ = self.window.pads
        dtype = self.tile.wide
        begin, end = left * self.channels, (left + width) * self.channels

        def body(_: te.Expr, h: te.Expr, f: te.Expr) -> te.Expr:
            checks = [f >= begin] if begin else []
            if self.length > end:
                checks.append(f < end)
            if top:
                checks.append(h >= top)
            if bottom:
                checks.append(h < height + top)
            element = te.cast(read(h - top, f - begin), dtype)
            return te.select(te.all_of(checks), element, te.const(pad, dtype)) if checks else element

        return te.compute((1, height + top + bottom, self.length), body, name="rows")

    def needs_copy(self, width: int) -> bool:
        """Whether rows that are not widened have to be copied: for a border, or as the last tile reads past the row."""
        return any(self.window.pads) or self.length > width * self.channels


def pack_depthwise(weight: Array, tile: Tile) -> Array:
    """(C, KH, KW) to (C / channels, KH * pairs, channels, 2), zeros where taps and channels are filled up.

    Where bytes of several positions lie in one vector, they have weights of their own.
    """
    channels, rows, taps = weight.shape
    blocks, pairs = ceil(channels / tile.channels), ceil(taps / tile.lanes)
    full = np.zeros((blocks * tile.channels, rows, pairs * tile.lanes), weight.dtype)
    full[:channels, :, :taps] = weight
    if tile.wide is DType.INT8:
        full = np.tile(full, (tile.positions, 1, 1))
        blocks = len(full) // VECTOR
        tile = replace(tile, channels=VECTOR)
    shape = (blocks, tile.channels, rows * pairs, tile.lanes)
    return np.ascontiguousarray(full.reshape(shape).transpose(0, 2, 1, 3))


def vector_sums(
    read: Callable[[te.Expr, te.Expr], te.Expr], weight: Tensor, layer: VectorRows, rows_out: int
) -> Tensor:
    """sums[h, tile of columns, block of channels, position, channel]; int32, or float32 through partial sums.

    read(row, element) is what the window slides over.
    """
    window, tile, lanes = layer.window, layer.tile, layer.tile.lanes
    dtype = DType.FLOAT32 if tile.wide is DType.FLOAT32 else DType.INT32
    extents = (window.kernel[0], layer.groups)
    outer, inner = float_chunks(extents) if dtype is DType.FLOAT32 else ((1, 1), extents)
    shape = (rows_out, layer.tiles, int(weight.shape[0]), tile.positions, tile.channels)
    r, q = te.reduce_axis((0, inner[0]), "r"), te.reduce_axis((0, inner[1]), "q")
    k = te.reduce_axis((0, lanes), "k")

    def term(i: tuple[te.Expr, ...], row: te.Expr, group: te.Expr) -> te.Expr:
        h, p, o, position, channel = i
        at = (p * tile.positions + position) * layer.step
        if layer.depthwise:
            tap = window.dilations[1] * layer.channels
            at = at + group * (lanes * tap) + k * tap + o * tile.channels + channel
        else:
            at = at + group * lanes + k
        element = read(h * window.strides[0] + row * window.dilations[0], at)
        lane = position * tile.channels + channel if tile.wide is DType.INT8 else channel
        factor = weight[o, row * layer.groups + group, lane, k]
        return te.sum(te.cast(element, dtype) * te.cast(factor, dtype), axis=[r, q, k])

    if outer == (1, 1):
        return te.compute(shape, lambda *i: term(i, r, q), name="accumulator")
    partial = te.compute(
        (*outer, *shape), lambda *i: term(i[2:], i[0] * inner[0] + r, i[1] * inner[1] + q), name="partial"
    )
    rc, qc = te.reduce_axis((0, outer[0]), "row_chunk"), te.reduce_axis((0, outer[1]), "chunk")
    return te.compute(shape, lambda *i: te.sum(partial(rc, qc, *i), axis=[rc, qc]), name="accumulator")
