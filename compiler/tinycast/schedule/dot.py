"""The schedule of layers that a dot-product micro-kernel computes."""

from __future__ import annotations

from tinycast.ir.graph import Call, Tile
from tinycast.ops.conv import Conv2D
from tinycast.schedule.blocks import blocks_of, name_of, unroll
from tinycast.schedule.overlap import Reads
from tinycast.tvm_bridge import micro_kernels
from tinycast.tvm_bridge.function import Schedule

# By the positions and channels of the tile.
_CONVOLUTION_KERNELS = {
    (2, 2): micro_kernels.dot_2x2,
    (4, 1): micro_kernels.dot_4x1,
    (4, 4): micro_kernels.dot_4x4,
}
_KEPT = ("accumulator", "wide", "padded")


def schedule_dot(schedule: Schedule, anchor: Call, tile: Tile, *, moved: bool) -> Reads:
    """Sums of a tile by the micro-kernel; the rest of the kernel on its results, in registers.

    `moved`: the kernel itself brings its input into order, while copying rows of it.
    """
    *before, output = blocks_of(schedule)
    names = {name_of(schedule, b): b for b in before}
    for name, block in names.items():
        if name not in _KEPT:
            schedule.compute_inline(block)
    accumulator = schedule.get_sblock("accumulator")
    reduced = 2 if tile.lanes > 1 else 1
    *outer, groups = list(schedule.get_loops(accumulator))[: 1 - reduced or None]
    length = int(schedule.get(groups).extent)
    if isinstance(anchor.op, Conv2D):
        rows, columns, channels, *tile_loops = outer
        intrinsic = _CONVOLUTION_KERNELS[tile.positions, tile.channels](length)
    else:
        _, channels, channel = outer
        tile_loops = [channel]
        intrinsic = micro_kernels.dot_1x4(length)
    depth = len(outer) - len(tile_loops)
    schedule.reverse_compute_at(output, channels)
    unroll(schedule, list(schedule.get_loops(output))[depth:])
    schedule.set_scope(accumulator, 0, "local")
    if isinstance(anchor.op, Conv2D):
        wide = schedule.get_sblock("wide")
        schedule.compute_at(wide, columns, preserve_unit_loops=True)
        if "padded" in names:
            padded = schedule.get_sblock("padded")
            schedule.compute_at(padded, rows)
            if moved:
                schedule.split(schedule.get_loops(padded)[-1], [None, tile.input_channels])
        if tile.lanes > 1:
            _widen(schedule, wide, anchor.op.window.kernel[0])
        else:
            _weave(schedule, wide, anchor.op.window.kernel[0])
    start = schedule.decompose_reduction(accumulator, tile_loops[0])
    unroll(schedule, list(schedule.get_loops(start))[depth:])
    schedule.tensorize(tile_loops[0], intrinsic)
    return Reads.ROW_FIRST if "padded" in names else Reads.TILE_FIRST


def _weave(schedule: Schedule, wide: object, kernel_rows: int) -> None:
    """Copy the windows of a tile's positions, one position's run after the other, a few elements at a time."""
    elements, position = list(schedule.get_loops(wide))[-2:]
    row, element = schedule.split(elements, [kernel_rows, None])
    schedule.reorder(row, position, element)
    length = int(schedule.get(element).extent)
    factor = next(f for f in (8, 4, 6, 5, 7, 3, 2, 1) if length % f == 0)
    unroll(schedule, [schedule.split(element, [None, factor])[1]])


def _widen(schedule: Schedule, wide: object, kernel_rows: int) -> None:
    """Widen the windows of a tile's positions, a run at a time."""
    groups, position, lane = list(schedule.get_loops(wide))[-3:]
    row, group = schedule.split(groups, [kernel_rows, None])
    schedule.reorder(row, position, group, lane)
    length = int(schedule.get(group).extent)
    schedule.tensorize(group if length > 1 else lane, micro_kernels.widen(length))
