"""The schedule of layers whose dot products run along vectors."""

from __future__ import annotations

from tinycast.ir.graph import Call, Tile
from tinycast.ops.conv import Conv2D
from tinycast.ops.dot import woven_channels
from tinycast.schedule.blocks import blocks_of, name_of, vectorize
from tinycast.schedule.overlap import Reads
from tinycast.tvm_bridge.function import Schedule
from tinycast.tvm_bridge.run_kernels import RunKernel, copy_rows, start_sums

_KEPT = ("accumulator", "wide", "padded")


def schedule_runs(schedule: Schedule, anchor: Call, tile: Tile, *, moved: bool, lanes: bool) -> Reads:
    """Sums of a tile by the micro-kernel, then the rest of the kernel on them.

    `moved`: the kernel itself brings its input into order, while copying rows of it. `lanes`: the rest is taken by four channels.
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
    start = schedule.decompose_reduction(accumulator, first)
    start_loops = [x for x in list(schedule.get_loops(start))[depth:] if int(schedule.get(x).extent) > 1]
    schedule.tensorize(start_loops[0], start_sums(tile.positions, tile.channels))
    kernel = RunKernel(tile.positions, tile.channels, length, woven_channels(tile))
    schedule.tensorize(first, kernel.register())
    if "padded" in names:
        return Reads.ROW_FIRST
    return Reads.TILE_FIRST if "wide" in names else Reads.AS_NEEDED
