"""The schedule of convolutions of 3 x 3 taps that Winograd's micro-kernels compute, a strip of rows at a time."""

from __future__ import annotations

from tinycast.ir.graph import Tile
from tinycast.schedule.blocks import blocks_of, name_of, vectorize
from tinycast.schedule.overlap import Reads
from tinycast.tvm_bridge.function import Schedule
from tinycast.tvm_bridge.winograd_kernels import WinogradKernel

_KEPT = ("accumulator", "patches", "rows")


def schedule_winograd(schedule: Schedule, tile: Tile, *, moved: bool, in_place: bool, lanes: bool) -> Reads:
    """Patches of a strip; then, by eight output channels, its sums and the rest of the kernel on them.

    `moved`, `in_place`, `lanes`: see `schedule_rows`.
    """
    *before, output = blocks_of(schedule)
    for block in before:
        if name_of(schedule, block) not in _KEPT:
            schedule.compute_inline(block)
    sums = schedule.get_sblock("accumulator")
    strips, channels, tile_rows, tiles, *_ = schedule.get_loops(sums)
    tile_columns = int(schedule.get(tiles).extent)
    copied = [schedule.cache_write(output, 0, "local")] if in_place and not lanes else []
    for block in (output, *copied):
        schedule.reverse_compute_at(block, channels)
    if lanes:
        vectorize(schedule, output)
    schedule.set_scope(sums, 0, "local")
    patches, rows = schedule.get_sblock("patches"), schedule.get_sblock("rows")
    schedule.compute_at(patches, strips, preserve_unit_loops=True)
    schedule.compute_at(rows, strips, preserve_unit_loops=True)
    if moved:
        schedule.split(schedule.get_loops(rows)[-1], [None, tile.input_channels])
    kernel = WinogradKernel(tile.strip, tile_columns, tile.input_channels, tile.lanes)
    # TVM matches no loop of length 1.
    single = tile.strip == 1
    _, _, patch_rows, patch_row, *_ = schedule.get_loops(patches)
    schedule.tensorize(patch_row if single else patch_rows, kernel.register_patches())
    first = tiles if single else tile_rows
    start = schedule.decompose_reduction(sums, first)
    schedule.tensorize(list(schedule.get_loops(start))[3 if single else 2], kernel.register_start())
    schedule.tensorize(first, kernel.register_sums())
    return Reads.ROW_FIRST
