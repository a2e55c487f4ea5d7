"""The register tile of the micro-kernels for vectors whose channels lie across them (tc_rows.h and its kind)."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, prod

import numpy as np

from tinycast.ir.graph import PAIR, QUAD, Call, Tile
from tinycast.ir.types import DType
from tinycast.ops.conv import Conv2D
from tinycast.ops.dense import FullyConnected
from tinycast.ops.product import BatchedProduct
from tinycast.schedule.flat import flat_positions
from tinycast.schedule.winograd_cost import winograd_strip
from tinycast.target.types import Target

_VECTOR_CHANNELS = 8  # two vectors of int32 or float32
# By the types of the operands, the most first.
_LANES = {
    (DType.FLOAT32, DType.FLOAT32): (1,),
    (DType.INT8, DType.INT8): (QUAD, PAIR),
    (DType.INT16, DType.INT8): (PAIR,),
    (DType.INT16, DType.INT16): (PAIR,),
}
_VECTOR_KERNELS = {1: "floats", PAIR: "pairs", QUAD: "quads"}
_LEAST_MATRIX_ROWS = 4  # of a product of two matrices: the second one is packed for them
_QUAD_POSITIONS = 5  # of a tile of tc_quads.h, at most: six leave too few registers for requantizing
_LEAST_TILES = 8  # for which weights are widened
_MOST_WIDE_BYTES = 32_768  # of these weights: what most first caches have room for
_MOST_QUAD_COLUMNS = 8  # of a depthwise window, all of which are written out


def vector_tile(anchor: Call, target: Target) -> Tile | None:
    """The tile of the target's vector micro-kernels, if they compute the layer."""
    x, *rest = anchor.inputs
    if not rest:
        return None
    op, shape = anchor.op, anchor.output.shape
    # The last vectors are filled up, so that a few channels cost as much as all.
    wasted = bool(shape) and shape[-1] < (2 if target.has_vectors else _VECTOR_CHANNELS - 2)
    lanes = _lanes_of((x.dtype, rest[0].dtype), anchor, target)
    if not _fits(anchor, target) or wasted or not lanes:
        return None
    columns = _columns(anchor)
    counts = _positions(anchor, lanes, target)
    positions = min(counts, key=lambda p: (ceil(columns / p) * _step_cost(lanes, p), -p))
    input_channels = x.shape[3] if isinstance(op, Conv2D) else 0
    wide = {1: DType.FLOAT32, PAIR: DType.INT16, QUAD: DType.INT8}[lanes]
    cut = _is_cut(anchor, target, positions)
    tile = Tile(positions, _VECTOR_CHANNELS, lanes, input_channels, wide, vector=True, cut=cut)
    tile = replace(tile, strip=winograd_strip(anchor, tile, target))
    return replace(tile, wide_weights=not tile.strip and _widens_weights(anchor, tile))


def vector_tile_sizes(anchor: Call, target: Target) -> list[Tile]:
    """The same tile with each number of positions that registers hold."""
    tile = vector_tile(anchor, target)
    if tile is None:
        return []
    counts = _positions(anchor, tile.lanes, target)
    return [replace(tile, positions=p, cut=_is_cut(anchor, target, p), strip=0) for p in counts]


def _fits(anchor: Call, target: Target) -> bool:
    """Whether the micro-kernels compute layers of that form."""
    op, x, shape = anchor.op, anchor.inputs[0], anchor.output.shape
    if isinstance(op, Conv2D):
        # A tile's channels are of one group.
        one_group = op.depthwise or op.group == 1 or shape[3] // op.group % _VECTOR_CHANNELS == 0
        return x.shape[0] == 1 and one_group
    if isinstance(op, FullyConnected):
        return len(x.shape) == 2
    if isinstance(op, BatchedProduct):
        one_batch = sum(n > 1 for n in shape[:-2]) <= 1
        # Sums of int16 products take 64 bits.
        summed = x.dtype is DType.FLOAT32 or (x.dtype is DType.INT8 and op.zero_points is not None)
        return target.has_vectors and one_batch and summed and shape[-2] >= _LEAST_MATRIX_ROWS
    return False


def _columns(anchor: Call) -> int:
    """Positions of a row of tiles."""
    shape = anchor.output.shape
    whole_image = isinstance(anchor.op, Conv2D) and flat_positions(anchor)
    return shape[1] * shape[2] if whole_image else shape[-2]


def _positions(anchor: Call, lanes: int, target: Target) -> range:
    """Numbers of positions that a tile may hold."""
    op = anchor.op
    most = target.row_positions if lanes < QUAD else _QUAD_POSITIONS
    if isinstance(op, Conv2D) and op.depthwise and lanes >= PAIR:
        # They share columns, whose distance divides those of positions and taps.
        stride, dilation = op.window.strides[1], op.window.dilations[1]
        most = most if 0 in (stride % dilation, dilation % stride) else 1
    return range(1, min(_columns(anchor), most) + 1)


def _lanes_of(types: tuple[DType, DType], anchor: Call, target: Target) -> int:
    """Elements that a product of the target's vector micro-kernels adds up; 0 where it has none for the layer."""
    kinds = _LANES.get(types, ())
    is_depthwise = isinstance(anchor.op, Conv2D) and anchor.op.depthwise
    if is_depthwise and types[1] is DType.INT16:
        return 0
    for lanes in kinds:
        name = f"{'depthwise' if is_depthwise else 'dot'}_{_VECTOR_KERNELS[lanes]}"
        if name in target.micro_kernels and (lanes < QUAD or _quads_fit(anchor)):
            return lanes
    return 0


def _quads_fit(anchor: Call) -> bool:
    """Whether runtime_c's tc_quads.h computes the layer, and a column of a depthwise one fills most of a quad."""
    op, weight = anchor.op, anchor.inputs[1].data
    if weight is None or weight.min() == -128:
        return False
    if np.abs(weight.reshape(len(weight), -1).sum(1, dtype=np.int64)).max() > np.iinfo(np.int16).max:
        return False
    if not isinstance(op, Conv2D) or not op.depthwise:
        return True
    rows, columns = op.window.kernel
    return rows % QUAD not in (1, 2) and columns <= _MOST_QUAD_COLUMNS


def _widens_weights(anchor: Call, tile: Tile) -> bool:
    """Whether weights are widened once instead of for every tile: they stay in the first cache, and tiles are many."""
    op, weight = anchor.op, anchor.inputs[1]
    if tile.lanes != PAIR or weight.dtype is not DType.INT8 or weight.data is None:
        return False
    is_depthwise = isinstance(op, Conv2D) and op.depthwise
    tiles = prod(anchor.output.shape[:-1]) // tile.positions
    return not is_depthwise and tiles >= _LEAST_TILES and 2 * weight.size <= _MOST_WIDE_BYTES


def _step_cost(lanes: int, positions: int) -> int:
    """Instructions of a tile's step: a load a position, two of weights, two products and sums (one of quads)."""
    # A fifth position takes the last registers, which costs a little where products are not sums as well.
    return 3 * positions + 2 if lanes == QUAD else 5 * positions + (5 if positions > 4 else 2)


def _is_cut(anchor: Call, target: Target, positions: int) -> bool:
    """Whether the micro-kernel has to be told that the last tile holds fewer positions."""
    whole = target.has_vectors or _columns(anchor) % positions == 0
    return not whole and isinstance(anchor.op, Conv2D) and flat_positions(anchor)
