"""Steps that the schedules share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinycast.schedule.overlap import Reads
from tinycast.tvm_bridge.function import Schedule
from tinycast.tvm_bridge.lanes import LANES
from tinycast.tvm_bridge.rolling import roll_rows

Block = Any  # TVM's handle of a stage
Loop = Any  # TVM's handle of a loop
LONG_ROW_BYTES = 1024
_REDUCED = 2  # TVM's kind of an iteration variable that is summed over


@dataclass(frozen=True)
class Stages:
    """`output` writes the result, `reductions` come before it; `staged` copies the input they read."""

    output: Block
    reductions: tuple[Block, ...]
    staged: Block | None


def name_of(schedule: Schedule, block: Block) -> str:
    return str(schedule.get(block).name_hint)


def blocks_of(schedule: Schedule) -> list[Block]:
    return list(schedule.get_child_blocks(schedule.get_sblock("root")))


def is_reduced(variable: Any) -> bool:
    """Whether the iteration variable of a block is summed over."""
    return int(variable.iter_type) == _REDUCED


def is_reduction(schedule: Schedule, block: Block) -> bool:
    return any(is_reduced(v) for v in schedule.get(block).iter_vars)


def sort_stages(schedule: Schedule) -> Stages:
    """Inline what is element-wise; leave the output, the reductions and at most one staged input."""
    if is_reduction(schedule, blocks_of(schedule)[-1]):
        # The sum itself is the output: give it a place in registers first.
        schedule.cache_write(blocks_of(schedule)[-1], 0, "local")
    *before, output = blocks_of(schedule)
    reductions = [b for b in before if is_reduction(schedule, b)]
    names = {name_of(schedule, b) for b in reductions}
    staged = None
    for block in before:
        if name_of(schedule, block) in names:
            continue
        if any(name_of(schedule, c) in names for c in schedule.get_consumers(block)):
            staged = block
        else:
            schedule.compute_inline(block)
    return Stages(output, tuple(reductions), staged)


def unroll(schedule: Schedule, loops: Sequence[Loop]) -> None:
    for loop in loops:
        schedule.unroll(loop)


def accumulate_at(
    schedule: Schedule,
    block: Block,
    loop: Loop,
    depth: int,
    terms: int,
    *,
    fuse_last: int = 1,
    unroll_taps: bool = False,
) -> Loop:
    """Sum `block` in registers inside `loop` (number `depth` of its nest, from 1), the tile innermost.

    The last `fuse_last` loops of the sum run as one. A turn of the innermost adds `terms`, or another number that
    divides what there is. Returns the innermost loop of the sum.
    """
    schedule.compute_at(block, loop, preserve_unit_loops=True)
    schedule.set_scope(block, 0, "local")
    own = list(schedule.get_loops(block))[depth:]
    kinds = [int(v.iter_type) for v in schedule.get(block).iter_vars]
    tile = [x for x, kind in zip(own, kinds, strict=True) if kind != _REDUCED]
    reduced = [x for x, kind in zip(own, kinds, strict=True) if kind == _REDUCED]
    schedule.reorder(*reduced, *tile)
    unroll(schedule, tile)
    if unroll_taps:
        unroll(schedule, reduced)
    elif fuse_last > 1:
        reduced[-fuse_last:] = [schedule.fuse(*reduced[-fuse_last:])]
    if not unroll_taps:
        reduced[-1] = write_out(schedule, reduced[-1], terms)
    start = schedule.decompose_reduction(block, reduced[0])
    unroll(schedule, list(schedule.get_loops(start))[depth:])
    return reduced[-1]


def write_out(schedule: Schedule, loop: Loop, terms: int) -> Loop:
    """Write out `terms` turns of `loop`, or as many as divide their number: the loop that is left."""
    length = int(schedule.get(loop).extent)
    together = next(n for n in (terms, terms + 1, *range(terms - 1, 0, -1)) if length % n == 0)
    if together > 1:
        loop, inner = schedule.split(loop, [None, together])
        schedule.unroll(inner)
    return loop


def stage_rows(schedule: Schedule, staged: Block, rows: Loop, *, keep: bool) -> Reads:
    """Copy the rows that an output row reads in its turn of `rows`. Comes last, after all else is scheduled.

    `keep`: those that the next output row reads as well stay.
    """
    schedule.compute_at(staged, rows)
    if not keep:
        return Reads.ROW_FIRST
    roll_rows(schedule, staged)
    return Reads.ROWS_ONCE


def vectorize(schedule: Schedule, block: Block) -> None:
    """Take the innermost loop of `block` by four, where nothing is left."""
    loops = list(schedule.get_loops(block))
    if not loops:
        return  # a scalar
    last = loops[-1]
    fours, rest = divmod(int(schedule.get(last).extent), LANES)
    if rest == 0:
        together = next(n for n in (4, 3, 2, 1) if fours % n == 0)  # compilers count four addresses up a turn
        _, several, lane = schedule.split(last, [None, together, LANES])
        schedule.unroll(several)
        schedule.vectorize(lane)


def loop_depth(schedule: Schedule, block: Block, loop: Loop) -> int:
    """The number of `loop` in the nest around `block`, from 1."""
    wanted = schedule.get(loop).loop_var
    return next(i for i, x in enumerate(schedule.get_loops(block), 1) if schedule.get(x).loop_var.same_as(wanted))
