"""The schedule of depthwise layers that are computed a channel at a time."""

from __future__ import annotations

from tinycast.ir.graph import Call, Tile
from tinycast.ops.conv import Conv2D
from tinycast.schedule.blocks import blocks_of, name_of, unroll
from tinycast.schedule.overlap import Reads
from tinycast.tvm_bridge.function import Schedule
from tinycast.tvm_bridge.plane_kernels import TapKernel, mark_plane

_KEPT = ("accumulator", "plane", "taps")


def schedule_planes(schedule: Schedule, anchor: Call, tile: Tile) -> Reads:
    """Sums of a tile by the micro-kernel; the rest of the kernel on its results, in registers."""
    *before, output = blocks_of(schedule)
    names = {name_of(schedule, b) for b in before}
    for block in before:
        if name_of(schedule, block) not in _KEPT:
            schedule.compute_inline(block)
    accumulator = schedule.get_sblock("accumulator")
    channels, _, columns, *tile_loops = schedule.get_loops(accumulator)
    schedule.reverse_compute_at(output, columns)
    unroll(schedule, list(schedule.get_loops(output))[3:])
    schedule.set_scope(accumulator, 0, "local")
    for name in (n for n in ("plane", "taps") if n in names):
        schedule.compute_at(schedule.get_sblock(name), channels, preserve_unit_loops=True)
    op, (_, height, width, _) = anchor.op, anchor.inputs[0].shape
    assert isinstance(op, Conv2D)
    top, left, _, _ = op.window.pads
    *_, row, _ = schedule.get_loops(schedule.get_sblock("plane"))
    schedule.storage_align(schedule.get_sblock("plane"), 0, 1, 2, 0)  # words of two are read
    mark_plane(schedule, row, top, left, height, width)
    rows, dilation = op.window.kernel[0], op.window.dilations[0] if op.window.kernel[0] > 1 else 1
    start = schedule.decompose_reduction(accumulator, tile_loops[0])
    unroll(schedule, list(schedule.get_loops(start))[3:])
    several = [loop for loop in tile_loops if int(schedule.get(loop).extent) > 1]
    schedule.tensorize(several[0], TapKernel(tile.positions, rows, dilation).register())
    return Reads.PLANE_FIRST
