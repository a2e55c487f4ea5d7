"""Loops that copy where a condition holds and fill where it does not: the condition moves out of them.

What remains are plain copies and fills, which C compilers turn into memcpy and memset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.ir import Call

from tinycast.tvm_bridge.nodes import loop_around, map_loops, mentions

Statement = Any
Expr = Any


def unswitch(statement: Statement) -> Statement:
    """Rewrite every loop nest around one conditional store."""
    return map_loops(statement, _rewrite)


def _rewrite(loop: Any) -> Statement | None:
    loops, store = _nest(loop)
    if store is None:
        return None
    condition, yes, no = store.value.args
    return _place(loops, _conjuncts(condition), _with_value(store, yes), _with_value(store, no))


def _nest(loop: Any) -> tuple[list[Any], Any]:
    """The loops around a single store of `if_then_else`; no store where it is something else."""
    loops = []
    statement = loop
    while isinstance(statement, tirx.For):
        loops.append(statement)
        statement = statement.body
    value = statement.value if isinstance(statement, tirx.BufferStore) else None
    chosen = isinstance(value, Call) and value.op.name.endswith("if_then_else")
    return loops, statement if chosen else None


def _conjuncts(condition: Expr) -> list[Expr]:
    if isinstance(condition, tirx.And):
        return _conjuncts(condition.a) + _conjuncts(condition.b)
    return [condition]


def _place(loops: Sequence[Any], conditions: list[Expr], yes: Statement, no: Statement) -> Statement:
    """The nest with each condition as far out as its variables allow."""
    if not loops:
        return tirx.IfThenElse(_all(conditions), yes, no) if conditions else yes
    ready = [c for c in conditions if not any(mentions(c, loop.loop_var) for loop in loops)]
    rest = [c for c in conditions if c not in ready]
    loop, inner = loops[0], loops[1:]
    begin, end = int(loop.min), int(loop.min) + int(loop.extent)
    low, high, others = _range(loop.loop_var, begin, end, rest)
    parts = [
        _part(loop, _fill(inner, no), begin, low),
        _part(loop, _place(inner, others, yes, no), low, high),
        _part(loop, _fill(inner, no), high, end),
    ]
    kept = [p for p in parts if int(p.extent) > 0]
    result = kept[0] if len(kept) == 1 else tirx.SeqStmt(kept)
    return tirx.IfThenElse(_all(ready), result, _fill(loops, no)) if ready else result


def _range(variable: Any, begin: int, end: int, conditions: list[Expr]) -> tuple[int, int, list[Expr]]:
    """The part of begin..end where the conditions hold that bound the variable alone, and the other conditions."""
    low, high, others = begin, end, []
    for c in conditions:
        constant = next(
            (int(x.value) for x in (getattr(c, "a", None), getattr(c, "b", None)) if isinstance(x, tirx.IntImm)), None
        )
        on_left = constant is not None and variable.same_as(c.a)
        on_right = constant is not None and variable.same_as(c.b)
        if constant is None or not (on_left or on_right):
            others.append(c)
        elif isinstance(c, tirx.LE | tirx.LT):
            strict = int(isinstance(c, tirx.LT))
            low, high = (low, min(high, constant + 1 - strict)) if on_left else (max(low, constant + strict), high)
        elif isinstance(c, tirx.GE | tirx.GT):
            strict = int(isinstance(c, tirx.GT))
            low, high = (max(low, constant + strict), high) if on_left else (low, min(high, constant + 1 - strict))
        else:
            others.append(c)
    return low, max(low, high), others


def _fill(loops: Sequence[Any], store: Statement) -> Statement:
    return loop_around(loops[0], _fill(loops[1:], store)) if loops else store


def _part(loop: Any, body: Statement, begin: int, end: int) -> Any:
    """The turns begin..end of the loop, with another body."""
    extent = tirx.const(max(0, end - begin), "int32")
    return tirx.For(loop.loop_var, tirx.const(begin, "int32"), extent, loop.kind, body)


def _all(conditions: Sequence[Expr]) -> Expr:
    return tirx.all(*conditions)


def _with_value(store: Any, value: Expr) -> Any:
    return tirx.BufferStore(store.buffer, value, store.indices)
