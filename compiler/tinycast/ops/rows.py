"""Sums of products for cores with vectors: a tile of positions times channels that lie across a vector.

Input rows are copied with their border (int8 widened to int16 where that helps), and every position's window is read in
place: in each of its KH rows a run of KW * C neighbours, cut into groups of `tile.lanes`. In depthwise layers groups
are taps of a channel: neighbours in a row as pairs, four rows of a column as quads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, prod

import numpy as np

from tinycast.ir.graph import QUAD, Tensor, Tile
from tinycast.ir.types import Array, DType
from tinycast.ops.dot import VECTOR, pack_weights
from tinycast.ops.sums import float_chunks
from tinycast.ops.window import Window
from tinycast.tvm_bridge import expr as te


@dataclass(frozen=True)
class VectorRows:
    """How a layer reads its rows x[row, column * channels + channel]; the output has `columns_out` positions a row.

    `group`: groups of channels, each summed for its own share of the output channels, which tiles do not cross.
    `by_taps`: each tap has groups of its own, since taps do not lie side by side.
    """

    window: Window
    channels: int
    columns_out: int
    tile: Tile
    depthwise: bool = False
    group: int = 1
    by_taps: bool = False

    @property
    def run(self) -> int:
        """Neighbours in a row that a tap sums up."""
        return self.channels // self.group

    @property
    def tap(self) -> int:
        """Elements from a tap to the next one."""
        return self.window.dilations[1] * self.channels

    @property
    def step(self) -> int:
        """Elements from a position's window to the next one's."""
        return self.window.strides[1] * self.channels

    @property
    def is_by_columns(self) -> bool:
        """Whether a group holds taps of several rows."""
        return self.depthwise and self.tile.lanes == QUAD

    @property
    def rows(self) -> int:
        """Rows of groups."""
        return ceil(self.window.kernel[0] / QUAD) if self.is_by_columns else self.window.kernel[0]

    @property
    def groups(self) -> int:
        """Groups of a row of the window: of neighbours, or of a channel's taps."""
        kernel = self.window.kernel[1]
        if self.is_by_columns:
            return kernel
        taps = 1 if self.by_taps else kernel
        return ceil((taps if self.depthwise else taps * self.run) / self.tile.lanes)

    @property
    def tiles(self) -> int:
        return ceil(self.columns_out / self.tile.positions)

    @property
    def length(self) -> int:
        """Elements of a row that the tiles read."""
        positions = self.columns_out if self.tile.cut else self.tiles * self.tile.positions
        last = (positions - 1) * self.step
        if not self.depthwise:
            taps = (self.window.kernel[1] - 1) * self.tap if self.by_taps else 0
            return last + taps + self.groups * self.tile.lanes + self.channels - self.run
        across = self.groups * (1 if self.is_by_columns else self.tile.lanes)
        return last + (across - 1) * self.tap + ceil(self.channels / self.tile.channels) * self.tile.channels

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
            element, border = te.cast(read(h - top, f - begin), dtype), te.const(pad, dtype)
            if self.tile.lanes == QUAD:
                element, border = (te.extern(DType.INT8, "tc_flip", x) for x in (element, border))
            return te.select(te.all_of(checks), element, border) if checks else element

        return te.compute((1, height + top + bottom, self.length), body, name="rows")

    def needs_copy(self, width: int) -> bool:
        """Whether rows that are not widened have to be copied: for a border, or as the last tile reads past the row."""
        return any(self.window.pads) or self.length > width * self.channels


def pack_quads(weight: Array, tile: Tile, *, depthwise: bool) -> Array:
    """(O, KH, KW, C) to (O / channels, groups + 1, channels, 4), zeros where groups and channels are filled up.

    The last group of a block begins with an int16 a channel, the sum of its weights: 128 times as much is what flipped
    operands add too much (runtime_c, tc_quads.h).
    """
    if depthwise:
        channels, rows, taps = weight.shape[:3]
        quads, blocks = ceil(rows / QUAD), ceil(channels / tile.channels)
        full = np.zeros((blocks * tile.channels, quads * QUAD, taps), weight.dtype)
        full[:channels, :rows] = weight[..., 0]
        shape = (blocks, tile.channels, quads, QUAD, taps)
        packed = full.reshape(shape).transpose(0, 2, 4, 1, 3).reshape(blocks, quads * taps, tile.channels, QUAD)
    else:
        packed = pack_weights(weight, tile)
    sums = packed.sum((1, 3), dtype=np.int32).astype("<i2").view(np.int8)
    last = np.concatenate([sums, np.zeros_like(sums)], axis=1).reshape(len(packed), 1, tile.channels, QUAD)
    return np.concatenate([packed, last], axis=1)


def pack_depthwise(weight: Array, tile: Tile) -> Array:
    """(C, KH, KW) to (C / channels, KH * pairs, channels, 2), zeros where taps and channels are filled up.

    Where bytes of several positions lie in one vector, they have weights of their own.
    """
    channels, rows, taps = weight.shape
    blocks, pairs = ceil(channels / tile.channels), ceil(taps / tile.lanes)
    full = np.zeros((blocks * tile.channels, rows, pairs * tile.lanes), weight.dtype)
    full[:channels, :, :taps] = weight
    if tile.packs_positions:
        full = np.tile(full, (tile.positions, 1, 1))
        blocks = len(full) // VECTOR
        tile = replace(tile, channels=VECTOR)
    shape = (blocks, tile.channels, rows * pairs, tile.lanes)
    return np.ascontiguousarray(full.reshape(shape).transpose(0, 2, 1, 3))


def widened(weight: Tensor, tile: Tile) -> Tensor:
    """The weights in the type of the tile's products."""
    if not tile.wide_weights:
        return weight
    return te.compute(tuple(weight.shape), lambda *i: te.cast(weight(*i), tile.wide), name="wide_weight")


def vector_sums(
    read: Callable[[te.Expr, te.Expr], te.Expr],
    weight: Tensor,
    layer: VectorRows,
    rows_out: int,
    *,
    weights_a_row: bool = False,
) -> Tensor:
    """sums[h, tile of columns, block of channels, position, channel]; int32, or float32 through partial sums.

    read(row, element) is what the window slides over. `weights_a_row`: each h has its own, on a first axis.
    """
    window, tile, lanes = layer.window, layer.tile, layer.tile.lanes
    dtype = DType.FLOAT32 if tile.wide is DType.FLOAT32 else DType.INT32
    taps = window.kernel[1]
    axes = {"r": layer.rows, **({"t": taps} if layer.by_taps else {}), "q": layer.groups}
    extents = tuple(axes.values())
    outer, inner = float_chunks(extents) if dtype is DType.FLOAT32 else ((1,) * len(extents), extents)
    blocks = int(weight.shape[1 if weights_a_row else 0])
    shape = (rows_out, layer.tiles, blocks, tile.positions, tile.channels)
    reduced = [te.reduce_axis((0, n), name) for n, name in zip(inner, axes, strict=True)]
    k = te.reduce_axis((0, lanes), "k")
    blocks_a_group = blocks // layer.group

    def term(i: tuple[te.Expr, ...], row: te.Expr, *others: te.Expr) -> te.Expr:
        h, p, o, position, channel = i
        *tap, group = others
        at = (p * tile.positions + position) * layer.step
        factor_row = row
        if layer.group > 1:
            at = at + o // blocks_a_group * layer.run
        if layer.is_by_columns:
            at = at + group * layer.tap + o * tile.channels + channel
            # Where the last group is filled up it reads the last row again.
            first = row * QUAD if layer.rows > 1 else 0
            row = te.minimum(first + k, te.const(window.kernel[0] - 1, DType.INT32))
        elif layer.depthwise:
            at = at + group * (lanes * layer.tap) + k * layer.tap + o * tile.channels + channel
        else:
            at = at + group * lanes + k
        if tap:
            at, factor_row = at + tap[0] * layer.tap, row * taps + tap[0]
        element = read(h * window.strides[0] + row * window.dilations[0], at)
        lane = position * tile.channels + channel if tile.packs_positions else channel
        place = (o, factor_row * layer.groups + group, lane, k)
        factor = weight(h, *place) if weights_a_row else weight(*place)
        return te.sum(te.cast(element, dtype) * te.cast(factor, dtype), axis=[*reduced, k])

    if prod(outer) == 1:
        return te.compute(shape, lambda *i: term(i, *reduced), name="accumulator")
    rank = len(outer)

    def chunk(*i: te.Expr) -> te.Expr:
        return term(i[rank:], *(c * n + axis for c, n, axis in zip(i[:rank], inner, reduced, strict=True)))

    partial = te.compute((*outer, *shape), chunk, name="partial")
    chunks = [te.reduce_axis((0, n), f"{name}_chunk") for n, name in zip(outer, axes, strict=True)]
    return te.compute(shape, lambda *i: te.sum(partial(*chunks, *i), axis=chunks), name="accumulator")
