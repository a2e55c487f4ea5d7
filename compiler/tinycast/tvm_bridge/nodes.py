"""Walking lowered loops: TVM offers Python no visitor of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tvm

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
