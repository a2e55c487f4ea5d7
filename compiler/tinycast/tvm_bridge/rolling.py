"""Staged rows that stay for the next output row, in a buffer that is written around."""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.s_tir import SBlock

from tinycast.tvm_bridge.function import Schedule
from tinycast.tvm_bridge.nodes import walk

_PARALLEL, _OPAQUE = 0, 4  # TVM's kinds of iteration variables


def roll_rows(schedule: Schedule, staged: Any) -> None:
    """Let `staged`, which copies the rows that its loop's turn reads, copy only those that the last turn did not."""
    schedule.rolling_buffer(staged, 0)


def parallel_again(body: Any) -> Any:
    """Undo what rolling_buffer does to other statements.

    It calls the loop's variable opaque in all of them, and then no temporary is placed inside of the loop.
    """
    return tvm_ffi.structural_map(body, (SBlock, _make_parallel))


def _make_parallel(block: Any) -> Any:
    rolled = any(walk(r.min, tirx.FloorMod) for region in block.writes for r in region.region)
    if rolled or all(int(v.iter_type) != _OPAQUE for v in block.iter_vars):
        return block
    variables = [
        tirx.IterVar(v.dom, v.var, _PARALLEL, v.thread_tag) if int(v.iter_type) == _OPAQUE else v
        for v in block.iter_vars
    ]
    return SBlock(
        variables,
        block.reads,
        block.writes,
        block.name_hint,
        block.body,
        block.init,
        block.alloc_buffers,
        block.match_buffers,
        block.annotations,
    )
