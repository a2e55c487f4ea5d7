"""How each pattern of operator becomes a loop nest."""

from __future__ import annotations

from math import prod

from tinycast.ir.graph import Call, Pattern
from tinycast.ops.conv import Conv2D
from tinycast.ops.dot import VECTOR
from tinycast.schedule.blocks import (
    accumulate_at,
    blocks_of,
    is_reduced,
    is_reduction,
    loop_depth,
    sort_stages,
    stage_rows,
    unroll,
    vectorize,
    write_out,
)
from tinycast.schedule.choice import Choice
from tinycast.schedule.dot import schedule_dot
from tinycast.schedule.flat import flat_positions
from tinycast.schedule.overlap import Reads
from tinycast.schedule.planes import schedule_planes
from tinycast.schedule.rows import schedule_rows
from tinycast.schedule.runs import schedule_depthwise, schedule_runs
from tinycast.schedule.winograd import schedule_winograd
from tinycast.tvm_bridge.function import Schedule
from tinycast.tvm_bridge.lanes import LANES


def schedule_group(
    schedule: Schedule,
    anchor: Call | None,
    choice: Choice,
    *,
    flat: bool,
    moved: bool,
    in_place: bool,
    lanes: bool,
    scalar: bool,
) -> Reads:
    """Schedule a group around `anchor`; returns how it reads the anchor's input.

    `flat`: there is no anchor, and output and operands have the same elements.

    `moved`: operators before the anchor bring its input into order. `in_place`: the output may take the memory of
    another operand. `lanes`: the core has vectors of four int32; `scalar`: it has none of any type.
    """
    tile = choice.tile
    if anchor is None:
        return _elementwise(schedule, choice, flat=flat, lanes=lanes)
    if tile.planes:
        return schedule_planes(schedule, anchor, tile)
    if tile.packs_positions:
        return schedule_depthwise(schedule, anchor, tile, moved=moved, lanes=lanes)
    if tile.strip:
        return schedule_winograd(schedule, tile, moved=moved, in_place=in_place, lanes=lanes)
    if tile.vector:
        return schedule_rows(schedule, anchor, tile, moved=moved, in_place=in_place, lanes=lanes, scalar=scalar)
    if tile.lanes == VECTOR:
        return schedule_runs(schedule, anchor, tile, moved=moved, lanes=lanes)
    if tile.lanes:
        return schedule_dot(schedule, anchor, tile, moved=moved)
    if anchor.op.pattern is Pattern.ROWS:
        return _rows(schedule, anchor, lanes=lanes)
    if anchor.op.pattern is Pattern.DENSE:
        return _dense(schedule, anchor, choice)
    if lanes and anchor.output.shape[-1] % LANES == 0:
        return _channel_lanes(schedule)
    return _channelwise(schedule, anchor, choice)


def _elementwise(schedule: Schedule, choice: Choice, *, flat: bool, lanes: bool) -> Reads:
    *before, output = blocks_of(schedule)
    for block in before:
        schedule.compute_inline(block)
    loops = list(schedule.get_loops(output))
    whole_vectors = bool(loops) and int(schedule.get(loops[-1]).extent) % LANES == 0
    if flat and len(loops) > 1 and not (lanes and whole_vectors):
        schedule.fuse(*loops)
    if lanes:
        vectorize(schedule, output)
    elif choice.terms > 1:
        write_out(schedule, list(schedule.get_loops(output))[-1], choice.terms)
    return Reads.AS_NEEDED


def _dense(schedule: Schedule, anchor: Call, choice: Choice) -> Reads:
    """positions x channels tiles in registers; the input's rows staged where they need a border."""
    tile = choice.tile
    stages = sort_stages(schedule)
    *outer, last, channels = schedule.get_loops(stages.output)
    if flat_positions(anchor) and stages.staged is None and outer:
        last, outer = schedule.fuse(*outer, last), []
    last, position = schedule.split(last, [None, tile.positions])
    channels, channel = schedule.split(channels, [None, tile.channels])
    schedule.reorder(*outer, last, channels, position, channel)
    unroll(schedule, [position, channel])
    depth = len(outer) + 2
    *partial, total = stages.reductions
    contiguous = not isinstance(anchor.op, Conv2D) or (anchor.op.group == 1 and anchor.op.window.dilations[1] == 1)
    together = 2 if contiguous and isinstance(anchor.op, Conv2D) and not partial else 1
    inner = accumulate_at(schedule, total, channels, depth, choice.terms, fuse_last=together)
    if partial:
        accumulate_at(schedule, partial[0], inner, loop_depth(schedule, total, inner), choice.terms)
    if stages.staged is None:
        return Reads.AS_NEEDED
    rows = schedule.get_loops(stages.output)
    return stage_rows(schedule, stages.staged, rows[len(outer) - 1] if outer else rows[0], keep=choice.keep_rows)


def _channelwise(schedule: Schedule, anchor: Call, choice: Choice) -> Reads:
    """A window reduced for each channel; small windows written out, positions sharing their loads."""
    stages = sort_stages(schedule)
    loops = list(schedule.get_loops(stages.output))
    image = len(loops) == 4 and hasattr(anchor.op, "window")
    depth = len(loops)
    if image:
        batch, rows, columns, channels = loops
        columns, position = schedule.split(columns, [None, choice.tile.positions])
        inside = [channels, columns] if choice.channels_outside else [columns, channels]
        schedule.reorder(batch, rows, *inside, position)
        unroll(schedule, [position])
        inner = inside[-1]
        depth = 4
    else:
        inner = loops[-1]
    *partial, total = stages.reductions
    last = accumulate_at(schedule, total, inner, depth, choice.terms, unroll_taps=choice.whole_window and not partial)
    if partial:
        accumulate_at(schedule, partial[0], last, loop_depth(schedule, total, last), choice.terms)
    if stages.staged is not None and image:
        return stage_rows(schedule, stages.staged, rows, keep=choice.keep_rows)
    return Reads.AS_NEEDED


def _channel_lanes(schedule: Schedule) -> Reads:
    """A window reduced for four channels at once."""
    stages = sort_stages(schedule)
    (total,) = stages.reductions
    *outer, channels = schedule.get_loops(stages.output)
    channels, lane = schedule.split(channels, [None, LANES])
    schedule.vectorize(lane)
    depth = len(outer) + 1
    schedule.compute_at(total, channels, preserve_unit_loops=True)
    schedule.set_scope(total, 0, "local")
    own = list(schedule.get_loops(total))[depth:]
    kinds = [is_reduced(v) for v in schedule.get(total).iter_vars]
    tile = [loop for loop, reduced in zip(own, kinds, strict=True) if not reduced]
    window = [loop for loop, reduced in zip(own, kinds, strict=True) if reduced]
    schedule.reorder(*window, *tile)
    schedule.vectorize(tile[-1])
    start = schedule.decompose_reduction(total, window[0])
    schedule.vectorize(schedule.get_loops(start)[-1])
    if stages.staged is None:
        return Reads.AS_NEEDED
    schedule.compute_at(stages.staged, outer[-2] if len(outer) > 2 else outer[0])
    return Reads.ROW_FIRST if len(outer) == 3 else Reads.AS_NEEDED


def _rows(schedule: Schedule, anchor: Call, *, lanes: bool) -> Reads:
    """Several passes over one axis, a row at a time; only what two passes read is kept."""
    *before, output = blocks_of(schedule)
    for block in before:
        if not is_reduction(schedule, block) and len(schedule.get_consumers(block)) == 1:
            schedule.compute_inline(block)
    axis = anchor.op.axis  # type: ignore[attr-defined]
    loops = list(schedule.get_loops(output))
    rows = [x for i, x in enumerate(loops) if i != axis]
    if rows and prod(int(schedule.get(x).extent) for x in rows) > 1:
        schedule.reorder(*rows, loops[axis])
        for block in reversed(blocks_of(schedule)[:-1]):
            schedule.compute_at(block, rows[-1])
    for block in blocks_of(schedule):
        if is_reduction(schedule, block):
            schedule.decompose_reduction(block, schedule.get_loops(block)[-1])
        elif lanes and axis == len(loops) - 1:
            vectorize(schedule, block)
    return Reads.AS_NEEDED
