"""The register tile of a kernel, from its shape and the core's registers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil, prod

from tinycast.ir.graph import Call, Pattern, Tile
from tinycast.ir.types import DType
from tinycast.ops.conv import Conv2D
from tinycast.ops.dense import FullyConnected
from tinycast.ops.dot import LANES, VECTOR, groups_of
from tinycast.ops.planes import TAPS
from tinycast.schedule.flat import flat_positions
from tinycast.schedule.vector_tiles import vector_tile, vector_tile_sizes
from tinycast.target.types import Target

# The micro-kernels of convolutions and their tiles.
_CONVOLUTION_TILES = {
    "dot_2x2": Tile(2, 2, LANES, wide=DType.INT16),
    "dot_4x1": Tile(4, 1, 1, wide=DType.INT32),
    "dot_4x4": Tile(4, 4, 1, wide=DType.INT8),
}

_MOST_TAP_POSITIONS = 6  # whose sums a core has registers for beside what it loads

_LEAST_GROUPS = 2  # a sum over one group is no loop, which TVM needs for a micro-kernel
_PLANE_SHARE = 8  # a plane takes less than an eighth of the image, for which the output takes the input's place
_MOST_POSITIONS = 6  # whose copies a tile of runs makes
_MOST_CHANNELS = 64  # of a tile whose dot products run along vectors: its sums are in memory


_FEWEST_ACCUMULATORS = 2
_MOST_PLAIN_TILES = 10  # that are measured


def smaller_tiles(target: Target) -> Target:
    """The target with tiles that take less code: less is written out, and more loads a product."""
    return replace(target, accumulators=min(_FEWEST_ACCUMULATORS, target.accumulators))


def divisors(n: int, limit: int) -> list[int]:
    return [d for d in range(1, min(n, limit) + 1) if n % d == 0]


def choose_tile(anchor: Call, target: Target) -> Tile:
    """The tile with the fewest loads a product that leaves the core the registers it needs."""
    shape = anchor.output.shape
    micro = (
        _plane_tile(anchor, target)
        or vector_tile(anchor, target)
        or _depthwise_tile(anchor, target)
        or _micro_kernel(anchor, target)
    )
    if micro is not None:
        return micro
    if anchor.op.pattern is Pattern.DENSE:
        channels = shape[-1] // anchor.op.group if isinstance(anchor.op, Conv2D) else shape[-1]
        return _best(_position_counts(anchor, target.accumulators), channels, target.accumulators)
    if isinstance(anchor.op, Conv2D) and len(shape) == 4:
        # Neighbouring positions share the taps' weights, and at stride 1 most of their inputs.
        return Tile(max(divisors(shape[2], target.accumulators - 1)), 1)
    return Tile()


def _position_counts(anchor: Call, limit: int) -> list[int]:
    """Numbers of neighbouring positions that a tile may hold: it never ends inside a row it did not begin."""
    *outer, row = anchor.output.shape[:-1] or (1,)
    counts = divisors(row, limit)
    if outer and flat_positions(anchor):
        counts += [row * n for n in divisors(outer[-1], limit // row)][1:]
    return counts


def _best(position_counts: Sequence[int], channels: int, accumulators: int) -> Tile:
    tiles = [Tile(p, c) for p in position_counts for c in divisors(channels, accumulators) if p * c <= accumulators]
    return min(tiles, key=_loads_a_product)


def plain_tiles(anchor: Call, target: Target) -> list[Tile]:
    """Tiles for a sum in plain C, those with the fewest loads a product first; the largest spill some of their sums."""
    limit = target.accumulators + target.accumulators // 2
    channels = anchor.output.shape[-1] // (anchor.op.group if isinstance(anchor.op, Conv2D) else 1)
    counts = _position_counts(anchor, limit)
    tiles = [Tile(p, c) for p in counts for c in divisors(channels, limit) if p * c <= limit]
    return sorted(tiles, key=_loads_a_product)[:_MOST_PLAIN_TILES]


def _loads_a_product(tile: Tile) -> tuple[float, int]:
    return ((tile.positions + tile.channels + 2) / (tile.positions * tile.channels), -tile.channels)


def unrolled_taps(extents: Sequence[int], tile: Tile) -> bool:
    """Whether a window is small enough to be written out tap by tap."""
    return prod(extents) * tile.positions <= 64


def _plane_tile(anchor: Call, target: Target) -> Tile | None:
    """Positions of one channel, if the target's micro-kernel for planes fits the layer."""
    op, x, shape = anchor.op, anchor.inputs[0], anchor.output.shape
    if not isinstance(op, Conv2D) or not op.depthwise or x.shape != shape or shape[0] != 1:
        return None
    rows, columns = op.window.kernel
    fits = columns == TAPS and op.window.strides == (1, 1) and op.window.dilations[1] == 1 and rows + shape[1] > 2
    if not fits or x.dtype is not DType.INT8 or "taps" not in target.micro_kernels:
        return None
    _, height, width, _ = shape
    if (height + rows) * (width + columns) * DType.INT16.itemsize * _PLANE_SHARE > prod(shape):
        return None
    positions = min(_tap_positions(width), key=lambda n: (ceil(width / n) * (5 * n + 12), n))
    return Tile(positions, 1, planes=True)


def _tap_positions(width: int) -> list[int]:
    return [n for n in range(1, _MOST_TAP_POSITIONS + 1) if n >= width or n % 2 == 0]  # words of two are read


def plane_tiles(anchor: Call, target: Target) -> list[Tile]:
    """Tiles of the target's micro-kernel for planes, if it fits the layer."""
    tile = _plane_tile(anchor, target)
    return [] if tile is None else [replace(tile, positions=n) for n in _tap_positions(anchor.output.shape[2])]


def vector_tiles(anchor: Call, target: Target) -> list[Tile]:
    """Tiles of the target's vector micro-kernels: of any number of positions that registers hold."""
    tiles = vector_tile_sizes(anchor, target)
    if tiles:
        return tiles
    tile = _depthwise_tile(anchor, target)
    return [] if tile is None else [tile]


def _depthwise_tile(anchor: Call, target: Target) -> Tile | None:
    """All channels of a position, by 16, or several positions of fewer, if the target's micro-kernel fits the layer."""
    op = anchor.op
    if not isinstance(op, Conv2D) or not op.depthwise or "depthwise_bytes" not in target.micro_kernels:
        return None
    x, weight = anchor.inputs[:2]
    fits = x.dtype is weight.dtype is DType.INT8 and x.shape[0] == 1 and prod(op.window.kernel) > 1
    # Two products of the kernel have to fit 16 bits.
    if not fits or weight.data is None or weight.data.min() == -128:
        return None
    channels = x.shape[3]
    # Neighbours in a row are neighbours in a vector, as long as windows do not skip any.
    together = channels < VECTOR and VECTOR % channels == 0 and op.window.strides[1] == 1
    tile = Tile(1, VECTOR, 1, channels, DType.INT8, vector=True)
    return replace(tile, positions=VECTOR // channels, channels=channels) if together else tile


def _micro_kernel(anchor: Call, target: Target) -> Tile | None:
    """The tile of the target's dot-product micro-kernel that fits the layer, if there is one."""
    x, *rest = anchor.inputs
    if not rest or x.dtype is not DType.INT8 or rest[0].dtype is not DType.INT8:
        return None
    if "dot_runs" in target.micro_kernels:
        return _run_tile(anchor)
    return next((tile for name, tile in _dot_tiles(anchor) if name in target.micro_kernels), None)


def _dot_tiles(anchor: Call) -> Iterator[tuple[str, Tile]]:
    """The dot-product micro-kernels that fit a layer of int8, and their tiles."""
    x, op = anchor.inputs[0], anchor.op
    if isinstance(op, Conv2D):
        # Runs of a window have to be neighbours in a row, and a tile has to have more than one position.
        _, height, width, _ = anchor.output.shape
        several = width > 1 or (flat_positions(anchor) and height > 1)
        if op.depthwise or op.group > 1 or op.window.dilations[1] > 1 or x.shape[0] > 1 or not several:
            return
        rows, columns = op.window.kernel
        for name, tile in _CONVOLUTION_TILES.items():
            if rows * groups_of(columns * x.shape[3], tile.lanes) >= _LEAST_GROUPS:
                yield name, replace(tile, input_channels=x.shape[3])
    elif isinstance(op, FullyConnected):
        fits = len(x.shape) == 2 and x.shape[1] % LANES == 0 and x.shape[1] // LANES >= _LEAST_GROUPS
        if fits:
            yield "dot_1x4", Tile(1, 4, LANES)


def micro_kernel_tiles(anchor: Call, target: Target) -> list[Tile]:
    """Tiles of the dot-product micro-kernels that fit the layer: every core has them, as plain C at least."""
    if target.has_vectors or not _is_int8(anchor):
        return []
    return [tile for _, tile in _dot_tiles(anchor)]


def _is_int8(anchor: Call) -> bool:
    x, *rest = anchor.inputs
    return bool(rest) and x.dtype is rest[0].dtype is DType.INT8 and rest[0].is_constant


def _run_tile(anchor: Call) -> Tile | None:
    """The tile of the micro-kernels whose dot products run along vectors."""
    x, weight = anchor.inputs[:2]
    op = anchor.op
    if isinstance(op, Conv2D):
        fits = not op.depthwise and op.group == 1 and op.window.dilations[1] == 1 and x.shape[0] == 1
        columns = anchor.output.shape[2] * (anchor.output.shape[1] if flat_positions(anchor) else 1)
    elif isinstance(op, FullyConnected):
        fits, columns = len(x.shape) == 2, 1
    else:
        return None
    if not fits or prod(weight.shape[1:]) == 1:
        return None
    fours = ceil(weight.shape[0] / 4)
    vectors = ceil(prod(weight.shape[1:]) / VECTOR)
    in_order = flat_positions(anchor)

    def instructions(positions: int) -> int:
        """Of all tiles: two positions are 8 a vector for two channels, a last one is 5; copies; stores and calls."""
        pairs, last = divmod(positions, 2)
        products = (pairs * 16 + last * 10) * vectors * fours + (pairs + last) * (6 * fours + 15)
        copied = not in_order or columns % positions > 0
        return ceil(columns / positions) * (products + copied * positions * (3 * vectors + 8) + 20)

    positions = min(range(2, min(columns, _MOST_POSITIONS) + 1), key=lambda p: (instructions(p), -p), default=1)
    channels = 4 * max(n for n in divisors(fours, fours) if n == 1 or n * 4 <= _MOST_CHANNELS)
    input_channels = x.shape[3] if isinstance(op, Conv2D) else 0
    return Tile(positions, channels, VECTOR, input_channels, DType.INT8)


def run_tiles(anchor: Call, target: Target) -> list[Tile]:
    """Tiles of the micro-kernels whose dot products run along vectors, where the target has them."""
    if "dot_runs" not in target.micro_kernels or not _is_int8(anchor):
        return []
    tile = _run_tile(anchor)
    if tile is None:
        return []
    columns = anchor.output.shape[-2] if isinstance(anchor.op, Conv2D) else 1
    if isinstance(anchor.op, Conv2D) and flat_positions(anchor):
        columns *= anchor.output.shape[1]
    fours = ceil(anchor.output.shape[-1] / 4)
    blocks = [4 * n for n in divisors(fours, fours) if n == 1 or n * 4 <= _MOST_CHANNELS]
    counts = range(1, min(columns, 2 * _MOST_POSITIONS) + 1)
    return [replace(tile, positions=p, channels=c) for c in reversed(blocks) for p in counts]
