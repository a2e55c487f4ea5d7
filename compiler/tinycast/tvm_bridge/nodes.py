"""Walking lowered loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm_ffi
from tvm import tirx


def walk(root: Any, *kinds: type, skip: Callable[[Any], bool] | None = None) -> list[Any]:
    """The nodes of these kinds among `root` and all below it, as often as they occur.

    Left out is what `skip`, which is asked of these kinds only, holds for, and what is below that.
    """
    found: list[Any] = []

    def visit(node: Any) -> Any:
        if skip(node):  # type: ignore[misc]
            return tvm_ffi.WalkResult.SKIP
        found.append(node)
        return None

    tvm_ffi.structural_walk(root, (kinds, found.append if skip is None else visit), order="pre")
    return found


def mentions(expression: Any, variable: Any) -> bool:
    return any(variable.same_as(node) for node in walk(expression, tirx.Var))


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
