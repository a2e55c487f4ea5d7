"""Walking lowered loops: TVM offers Python no visitor of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tvm
from tvm import tirx

_LISTS = ("seq", "indices", "args")
_FIELDS = (*_LISTS, "body", "then_case", "else_case", "condition", "value", "a", "b", "true_value", "false_value")


def walk(node: Any) -> Iterator[Any]:
    """The node and everything below it."""
    yield node
    for field in _FIELDS:
        child = getattr(node, field, None)
        for part in child if field in _LISTS and child is not None else (child,):
            if isinstance(part, tvm.runtime.Object):
                yield from walk(part)


def mentions(expression: Any, variable: Any) -> bool:
    return any(variable.same_as(node) for node in walk(expression))


def map_loops(statement: Any, rewrite: Callable[[Any], Any | None]) -> Any:
    """The statement with every outermost loop for which `rewrite` has something else replaced by it."""
    if isinstance(statement, tirx.SeqStmt):
        return tirx.SeqStmt([map_loops(s, rewrite) for s in statement.seq])
    if isinstance(statement, tirx.IfThenElse):
        other = None if statement.else_case is None else map_loops(statement.else_case, rewrite)
        return tirx.IfThenElse(statement.condition, map_loops(statement.then_case, rewrite), other)
    if not isinstance(statement, tirx.For):
        return statement
    replaced = rewrite(statement)
    return loop_around(statement, map_loops(statement.body, rewrite)) if replaced is None else replaced


def loop_around(loop: Any, body: Any) -> Any:
    """The loop with another body."""
    return tirx.For(loop.loop_var, loop.min, loop.extent, loop.kind, body)
