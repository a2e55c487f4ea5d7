"""The micro-kernel of depthwise layers that copy planes: what it computes, the call that takes its place, the copy.

As in row_kernels, loops of length 1 are left out, since TVM matches none.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import cache
from typing import Any

from tvm import tirx
from tvm.ir import TensorLoad

from tinycast.tvm_bridge.copies import linear
from tinycast.tvm_bridge.function import Schedule
from tinycast.tvm_bridge.micro_kernels import register
from tinycast.tvm_bridge.nodes import loop_around, walk
from tinycast.tvm_bridge.run_kernels import function_of, loops_of

_MARK = "tinycast.plane"


@dataclass(frozen=True)
class TapKernel:
    """`positions` neighbours of a row; windows of three taps in each of `rows` rows, `dilation` rows apart."""

    positions: int
    rows: int
    dilation: int

    def register(self) -> str:
        """Tell TVM of it. Returns the intrinsic's name."""
        return _register(self)


@cache
def _register(kernel: TapKernel) -> str:
    positions, rows, dilation = astuple(kernel)
    height, width = (rows - 1) * dilation + 1, positions + 2
    header = [
        f'    x: T.Buffer(({height}, {width}), "int16", offset_factor=1, strides=[T.int32(), 1]),',
        f'    weight: T.Buffer(({rows}, 2), "int32", offset_factor=1),',
        f'    sums: T.Buffer(({positions},), "int32", offset_factor=1, scope="local"),',
    ]
    regions = [
        f"T.reads(sums[0:{positions}], x[0:{height}, 0:{width}], weight[0:{rows}, 0:2])",
        f"T.writes(sums[0:{positions}])",
    ]
    index, loops = loops_of({"i": positions, "r": rows, "q": 3}, "rq")
    i, r, q = (index[name] for name in "irq")
    half = f'T.Cast("int16", T.shift_right(weight[{r}, {q} // 2], ({q} + {q} // 2) % 2 * 16))'
    element = f'T.Cast("int32", x[{r} * {dilation}, {i} + {q}])'
    meaning = [*loops, f'        sums[{i}] = sums[{i}] + {element} * T.Cast("int32", {half})']
    pointers = 'sums.access_ptr("rw"), x.access_ptr("r"), weight.access_ptr("r")'
    call = [
        f'T.evaluate(T.call_extern("int32", "tc_taps", {pointers}, {positions}, {rows}, x.strides[0] * {dilation}))'
    ]
    functions = [function_of(header, regions, body) for body in (meaning, call)]
    return register(f"tinycast.tc_taps_{positions}_{rows}_{dilation}", *functions)


def mark_plane(schedule: Schedule, loop: Any, top: int, left: int, height: int, width: int) -> None:
    """Say that the nest of `loop` copies a plane of `height` x `width` elements into the middle of a larger one."""
    schedule.annotate(loop, _MARK, [top, left, height, width])


def use_planes(statement: Any) -> Any:
    """The copies of planes as calls of tc_plane; what is around them is only written for the first channel."""
    if isinstance(statement, tirx.SeqStmt):
        return tirx.SeqStmt([use_planes(s) for s in statement.seq])
    if not isinstance(statement, tirx.For):
        return statement
    if _MARK not in statement.annotations:
        return loop_around(statement, use_planes(statement.body))
    return _copy(statement)


def _copy(rows: Any) -> Any:
    top, left, height, width = (int(n) for n in rows.annotations[_MARK])
    columns = rows.body
    store = columns.body
    _, inside, border = store.value.args
    (load,) = walk(inside, TensorLoad)
    variables = [rows.loop_var, columns.loop_var]
    to, origin = linear(store.indices[0], variables), linear(load.indices[0], variables)
    assert to is not None
    assert origin is not None
    begin = tirx.address_of(tirx.BufferLoad(store.buffer, [to[2] + top * to[0] + left]))
    there = tirx.address_of(tirx.BufferLoad(load.source, [origin[2] + top * origin[0] + left * origin[1]]))
    sizes = [tirx.const(n, "int32") for n in (height, width, to[0], origin[0], origin[1])]
    copy = tirx.Evaluate(tirx.call_extern("int32", "tc_plane", begin, there, *sizes))
    (channel,) = walk(origin[2], tirx.Var)
    fill = loop_around(rows, loop_around(columns, tirx.BufferStore(store.buffer, border, store.indices)))
    return tirx.SeqStmt([tirx.IfThenElse(channel == 0, fill, None), copy])
