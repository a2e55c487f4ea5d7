"""The schedules of layers whose sums are made in memory: dot products along vectors, and depthwise layers."""

from __future__ import annotations

from tinycast.ir.graph import Call, Tile
from tinycast.ops.conv import Conv2D
from tinycast.ops.dot import woven_channels
from tinycast.schedule.blocks import Block, blocks_of, name_of, vectorize
from tinycast.schedule.overlap import Reads
from tinycast.tvm_bridge.function import Schedule
from tinycast.tvm_bridge.run_kernels import DepthwiseKernel, RunKernel, copy_rows, start_sums

_KEPT = ("accumulator", "wide", "padded")


def schedule_runs(schedule: Schedule, anchor: Call, tile: Tile, *, moved: bool, lanes: bool) -> Reads:
    """Sums of a tile by the micro-kernel, then the rest of the kernel on them.

    `moved`: the kernel itself brings its input into order, while copying rows of it. `lanes`: the rest is taken
    by four channels.
    """
    *before, output = blocks_of(schedule)
    names = {name_of(schedule, b) for b in before}
    for block in before:
        if name_of(schedule, block) not in _KEPT:
            schedule.compute_inline(block)
    accumulator = schedule.get_sblock("accumulator")
    *outer, reduced = schedule.get_loops(accumulator)
    length = int(schedule.get(reduced).extent)
    op = anchor.op
    depth = 3 if isinstance(op, Conv2D) else 2
    schedule.reverse_compute_at(output, outer[depth - 1])
    if lanes:
        vectorize(schedule, output)
    schedule.set_scope(accumulator, 0, "local")
    if "wide" in names:
        schedule.compute_at(schedule.get_sblock("wide"), outer[1], preserve_unit_loops=True)
    if "padded" in names:
        padded = schedule.get_sblock("padded")
        schedule.compute_at(padded, outer[0])
        if moved:
            schedule.split(schedule.get_loops(padded)[-1], [None, tile.input_channels])
    if "wide" in names:
        assert isinstance(op, Conv2D)
        rows = op.window.kernel[0]
        distance = op.window.dilations[0] if rows > 1 else 1
        _, window = schedule.split(schedule.get_loops(schedule.get_sblock("wide"))[-1], [None, length])
        schedule.tensorize(window, copy_rows(rows, length // rows, distance))
    first = outer[depth + 1] if isinstance(op, Conv2D) and tile.positions == 1 else outer[depth]
    _leave_start(schedule, schedule.decompose_reduction(accumulator, first), depth, (tile.positions, tile.channels))
    kernel = RunKernel(tile.positions, tile.channels, length, woven_channels(tile))
    schedule.tensorize(first, kernel.register())
    if "padded" in names:
        return Reads.ROW_FIRST
    return Reads.TILE_FIRST if "wide" in names else Reads.AS_NEEDED


def schedule_depthwise(schedule: Schedule, anchor: Call, tile: Tile, *, moved: bool, lanes: bool) -> Reads:
    """All channels of a position, or of a few, by the micro-kernel, then the rest of the kernel on their sums."""
    *before, output = blocks_of(schedule)
    names = {name_of(schedule, b) for b in before}
    for block in before:
        if name_of(schedule, block) not in ("accumulator", "rows"):
            schedule.compute_inline(block)
    accumulator = schedule.get_sblock("accumulator")
    rows, columns, blocks, position, channel, row, tap, lane = schedule.get_loops(accumulator)
    schedule.reverse_compute_at(output, columns)
    if lanes:
        vectorize(schedule, output)
    schedule.set_scope(accumulator, 0, "local")
    if "rows" in names:
        copy = schedule.get_sblock("rows")
        schedule.compute_at(copy, rows, preserve_unit_loops=True)
        if moved:
            schedule.split(schedule.get_loops(copy)[-1], [None, tile.input_channels])
    inner = [blocks, position, channel, row, tap]
    several = [loop for loop in inner if int(schedule.get(loop).extent) > 1]
    single = [lane, *(loop for loop in inner if loop not in several)]
    schedule.reorder(*single, *several)
    op = anchor.op
    assert isinstance(op, Conv2D)
    window = op.window
    count = int(schedule.get(blocks).extent)
    dilation = window.dilations[0] if window.kernel[0] > 1 else 1
    tap_step = window.dilations[1] * tile.input_channels
    kernel = DepthwiseKernel(count, tile.positions, *window.kernel, dilation, tap_step)
    sums = (count, tile.positions, tile.channels)
    _leave_start(schedule, schedule.decompose_reduction(accumulator, lane), 2, sums)
    schedule.tensorize(several[0], kernel.register())
    return Reads.ROW_FIRST if "rows" in names else Reads.AS_NEEDED


def _leave_start(schedule: Schedule, start: Block, depth: int, sums: tuple[int, ...]) -> None:
    """Take away what sets the sums to zero, `depth` loops inside of the kernel: the micro-kernel sets them itself."""
    loops = [loop for loop in list(schedule.get_loops(start))[depth:] if int(schedule.get(loop).extent) > 1]
    schedule.tensorize(loops[0], start_sums(sums))
