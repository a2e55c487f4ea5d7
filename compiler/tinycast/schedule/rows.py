"""The schedule of layers whose channels lie across vectors."""

from __future__ import annotations

from math import prod

from tinycast.ir.graph import PAIR, QUAD, Call, Tile
from tinycast.ir.types import DType
from tinycast.ops.conv import Conv2D
from tinycast.ops.product import BatchedProduct
from tinycast.schedule.blocks import Block, blocks_of, name_of, unroll, vectorize
from tinycast.schedule.overlap import Reads
from tinycast.schedule.tiles import divisors
from tinycast.tvm_bridge.function import Schedule
from tinycast.tvm_bridge.row_kernels import RowKernel

_KEPT = ("accumulator", "partial", "rows", "packed", "wide_weight")
_FEW_CHANNELS = 4  # of an image
_MOST_STRIP_ROWS = 5  # a longer strip copies hardly less, and takes more scratch


def schedule_rows(
    schedule: Schedule, anchor: Call, tile: Tile, *, moved: bool, in_place: bool, lanes: bool, scalar: bool
) -> Reads:
    """Sums of a tile by the micro-kernel; the rest of the kernel in loops over channels, which compilers vectorize.

    `moved`: the kernel itself brings its input into order, while copying rows of it. `in_place`: the output may take
    the memory of an operand. `lanes`: the rest is taken by four channels; `scalar`: it is written out.
    """
    *before, output = blocks_of(schedule)
    names = {name_of(schedule, b) for b in before}
    for block in before:
        if name_of(schedule, block) not in _KEPT:
            schedule.compute_inline(block)
    if "wide_weight" in names:
        schedule.fuse(*schedule.get_loops(schedule.get_sblock("wide_weight")))
    total = schedule.get_sblock("accumulator")
    chunked = "partial" in names
    rows, columns, channels = list(schedule.get_loops(total))[:3]
    strip, depth = 1 if scalar else _strip(anchor, tile), 3
    if strip > 1:
        rows, _ = schedule.split(rows, [None, strip])
        depth = 4
    innermost = channels
    if "packed" in names:  # eight columns of a matrix at a time, for all of its rows
        schedule.reorder(channels, columns)
        innermost = columns
    # Compilers vectorize no loop that writes what it may read: then a tile's results are copied last.
    copied = [schedule.cache_write(output, 0, "local")] if in_place and not lanes and not scalar else []
    for block in (output, *copied):
        schedule.reverse_compute_at(block, innermost)
    _in_registers(schedule, output, depth, lanes=lanes, scalar=scalar)
    sums = total
    if chunked:
        sums = schedule.get_sblock("partial")
        position, channel, *chunks = list(schedule.get_loops(total))[depth:]
        schedule.reorder(*chunks, position, channel)
        schedule.compute_at(sums, chunks[-1], preserve_unit_loops=True)
        _in_registers(schedule, total, depth + len(chunks), lanes=lanes, scalar=scalar)
        *tile_loops, lane = list(schedule.get_loops(schedule.decompose_reduction(total, chunks[0])))[depth:]
        unroll(schedule, tile_loops)
        if lanes:
            schedule.vectorize(lane)
    for block in (sums, total):
        schedule.set_scope(block, 0, "local")
    loops = list(schedule.get_loops(sums))
    by_taps = isinstance(anchor.op, Conv2D) and anchor.op.taps_lie_apart
    tile_loops = loops[-6 if by_taps else -5 :]
    extents = [int(schedule.get(loop).extent) for loop in tile_loops]
    # TVM matches no loop of length 1.
    single = [loop for loop, extent in zip(tile_loops, extents, strict=True) if extent == 1]
    several = [loop for loop, extent in zip(tile_loops, extents, strict=True) if extent > 1]
    if by_taps and extents[2] > 1:  # a call a row of the window
        several.remove(tile_loops[2])
        single.append(tile_loops[2])
        schedule.unroll(tile_loops[2])
    schedule.reorder(*single, *several)
    if "packed" in names:
        schedule.compute_at(schedule.get_sblock("packed"), channels)
    overlap = "packed" in names or (isinstance(anchor.op, Conv2D) and anchor.op.window.kernel != (1, 1))
    one_row = int(schedule.get(rows).extent) == 1
    if "rows" in names:
        copy = schedule.get_sblock("rows")
        schedule.compute_at(copy, rows if overlap else columns, preserve_unit_loops=True)
        width = tile.input_channels or anchor.inputs[0].shape[-1]
        if moved or not overlap:  # a pixel at a time: its conditions are the same for all channels
            if moved:  # the last one as a whole, to where nothing else lies
                schedule.storage_align(copy, 0, -2, width, 0)
            schedule.split(schedule.get_loops(copy)[-1], [None, width], disable_predication=moved)
    intrinsic = _intrinsic(extents[-3], extents[-2], anchor, tile)
    # The start values are set inside of the position's loop, where that is a single one.
    start = schedule.decompose_reduction(sums, [*single, *several][1 if extents[0] == 1 else 0])
    _in_registers(schedule, start, len(loops) - len(tile_loops), lanes=lanes, scalar=scalar)
    schedule.tensorize(several[0], intrinsic)
    if "rows" not in names or (not overlap and not one_row):
        return Reads.AS_NEEDED
    return Reads.ROW_FIRST if overlap else Reads.TILE_FIRST


def _strip(anchor: Call, tile: Tile) -> int:
    """Output rows whose input rows are copied together, where they share rows and there is little else to do."""
    op = anchor.op
    if not isinstance(op, Conv2D) or op.window.strides[0] >= op.window.kernel[0]:
        return 1
    if not op.depthwise and tile.input_channels > _FEW_CHANNELS:
        return 1
    return max(divisors(anchor.output.shape[1], _MOST_STRIP_ROWS))


def _in_registers(schedule: Schedule, block: Block, depth: int, *, lanes: bool, scalar: bool) -> None:
    """Write out the loop over a tile's positions, `depth` loops inside of the kernel: its sums need no memory then."""
    loops = list(schedule.get_loops(block))[depth:]
    unroll(schedule, loops if scalar else loops[:-1])
    if lanes:
        vectorize(schedule, block)


def _intrinsic(height: int, groups: int, anchor: Call, tile: Tile) -> str:
    op = anchor.op
    is_wide = tile.wide_weights or isinstance(op, BatchedProduct) or anchor.inputs[1].dtype is DType.INT16
    wide = is_wide and tile.lanes == PAIR
    if not isinstance(op, Conv2D):
        return RowKernel(tile.positions, anchor.inputs[0].shape[-1], 1, 1, groups, tile.lanes, wide=wide).register()
    if op.depthwise and tile.lanes == QUAD:
        height = op.window.kernel[0]
    step, dilation = op.window.strides[1] * tile.input_channels, op.window.dilations[0] if height > 1 else 1
    tap_step = op.window.dilations[1] * tile.input_channels if op.depthwise else 0
    apart = op.window.dilations[1] * tile.input_channels if op.taps_lie_apart else 0
    end = prod(anchor.output.shape[1:3]) * step if tile.cut else 0
    return RowKernel(tile.positions, step, height, dilation, groups, tile.lanes, tap_step, apart, end, wide).register()
