"""Whether a convolution is cheaper by Winograd's micro-kernels, and in strips of how many rows."""

from __future__ import annotations

from math import ceil

import numpy as np

from tinycast.ir.graph import PAIR, Call, Tile
from tinycast.ir.types import DType
from tinycast.ops.conv import Conv2D
from tinycast.ops.winograd import OUTPUTS
from tinycast.target.types import Target
from tinycast.tvm_bridge.winograd_kernels import CHANNELS, TILES

_LARGEST_SUM = 2**29 - 1  # four times the sum has to fit 32 bits
_MOST_FLOAT_CHANNELS = 1024  # they are added up one after the other: the error grows with them
_WORTH_MEMORY = 1.1


def winograd_strip(anchor: Call, tile: Tile, target: Target) -> int:
    """Rows of tiles that are computed together; 0 where the direct convolution by `tile` costs less."""
    op = anchor.op
    name = {1: "winograd_floats", PAIR: "winograd_pairs"}.get(tile.lanes)
    if name not in target.micro_kernels or not isinstance(op, Conv2D) or op.group > 1:
        return 0
    window, (_, height, width, _) = op.window, anchor.output.shape
    fits = window.kernel == (3, 3) and window.strides == window.dilations == (1, 1)
    if not fits or width <= OUTPUTS or tile.input_channels % CHANNELS or not _sums_fit(anchor):
        return 0
    tile_columns = ceil(width / OUTPUTS)
    least = ceil(TILES / tile_columns)
    costs = {n: _instructions(anchor, tile, n) for n in range(least, ceil(height / OUTPUTS) + 1)}
    if not costs or min(costs.values()) >= _direct_instructions(anchor, tile):
        return 0
    # Longer strips spread the weights less often, and take more memory.
    return next(n for n, cost in costs.items() if cost <= _WORTH_MEMORY * min(costs.values()))


def _sums_fit(anchor: Call) -> bool:
    """Whether four times the bare sum stays within 32 bits for any int8 input, and floats are as exact as elsewhere."""
    weight = anchor.inputs[1].data
    if anchor.inputs[1].dtype is DType.FLOAT32:
        return anchor.inputs[0].shape[3] <= _MOST_FLOAT_CHANNELS
    if weight is None or anchor.inputs[0].dtype is not DType.INT8:
        return False
    rows = weight.astype(np.int64).reshape(weight.shape[0], -1)
    ends = rows * -128, rows * 127
    return max(-int(np.minimum(*ends).sum(1).min()), int(np.maximum(*ends).sum(1).max())) <= _LARGEST_SUM


def _direct_instructions(anchor: Call, tile: Tile) -> int:
    """Of the sums: a step is a load a position, two of weights, and two products and sums a position."""
    _, height, width, channels = anchor.output.shape
    steps = 9 * tile.input_channels // tile.lanes
    return height * ceil(width / tile.positions) * ceil(channels / CHANNELS) * steps * (5 * tile.positions + 2)


def _instructions(anchor: Call, tile: Tile, strip: int) -> int:
    """Of the sums by tc_winograd.h: patches and weights are loaded, transformed and stored, and so are products."""
    _, height, width, channels = anchor.output.shape
    tiles, units = strip * ceil(width / OUTPUTS), tile.input_channels // tile.lanes
    vectors = tile.input_channels // (CHANNELS if tile.lanes > 1 else CHANNELS // 2)
    patches = tiles * vectors * (16 + 32 + 16)
    weights = vectors * CHANNELS * (9 + 35 + 16)
    products = ceil(tiles / TILES) * 16 * (units * (5 * TILES + 2) + 4 * TILES)
    sums = tiles * 2 * (16 + 24 + 8)
    strips = ceil(height / (OUTPUTS * strip))
    return strips * (patches + ceil(channels / CHANNELS) * (weights + products + sums))
