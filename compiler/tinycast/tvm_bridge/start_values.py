"""Sums of a micro-kernel start at what is added to them afterwards.

Where sums are set to zero, a micro-kernel adds to them in place, and each is then read only as `sum + bias[i]`,
the sums are set to `bias[i]` instead: the same integers (and floats, but for rounding), without the additions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Call, TensorLoad

from tinycast.tvm_bridge.nodes import walk

Node = Any


def start_from_addends(statement: Node) -> Node:
    """Rewrite every sequence of statements that sets, computes and reads sums."""
    stored = [store.buffer for store in _below([statement], tirx.BufferStore)]

    def rewrite(sequence: Node) -> Node:
        statements = _rewrite(list(sequence.seq), stored)
        return sequence if statements is None else tirx.SeqStmt(statements)

    return tvm_ffi.structural_map(statement, (tirx.SeqStmt, rewrite))


def _rewrite(statements: list[Node], stored: list[Node]) -> list[Node] | None:
    zeroed = [s for s in statements if _is_zeroed_sum(s)]
    if not zeroed:
        return None
    sums, rest = zeroed[0].buffer, [s for s in statements if not _is_zeroed_sum(s)]
    additions = [add for add in _below(rest, tirx.Add) if _addend(add, sums) is not None]
    by_kernels = [c for c in _below(rest, Call) if _is_named(c, "tvm_access_ptr") and c.args[1].same_as(sums)]
    reads = [load for load in _below(rest, TensorLoad) if load.source.same_as(sums)]
    if not by_kernels or len(reads) != len(additions):
        return None
    addends: dict[int, Node] = {}
    for add in additions:
        index, addend = _addend(add, sums) or (0, None)
        if not tvm_ffi.structural_equal(addends.setdefault(index, addend), addend):
            return None
    changing = [loop.loop_var for loop in _below(rest, tirx.For)]
    # What is read under a condition only may lie beyond the end of its array.
    always = _below(rest, TensorLoad, unconditionally=True)
    for addend in addends.values():
        if any(addend.source.same_as(s) for s in stored) or not _is_among(addend, always):
            return None
        if any(v.same_as(c) for v in _below([addend], tirx.Var) for c in changing):
            return None
    if addends.keys() != {int(s.indices[0]) for s in zeroed if s.buffer.same_as(sums)}:
        return None

    def without_addend(add: Node) -> Node:
        found = _addend(add, sums)
        return add if found is None else tirx.BufferLoad(sums, [tirx.const(found[0], "int32")])

    return [
        tirx.BufferStore(sums, addends[int(s.indices[0])], s.indices)
        if _is_zeroed_sum(s)
        else tvm_ffi.structural_map(s, (tirx.Add, without_addend))
        for s in statements
    ]


def _is_zeroed_sum(statement: Node) -> bool:
    return (
        isinstance(statement, tirx.BufferStore)
        and isinstance(statement.value, tirx.IntImm | tirx.FloatImm)
        and statement.value.value == 0
        and isinstance(statement.indices[0], tirx.IntImm)
    )


def _addend(add: Node, sums: Node) -> tuple[int, Node] | None:
    """The index of the sum and the element added to it, if `add` is `sums[constant] + array[i]`."""
    for one, other in ((add.a, add.b), (add.b, add.a)):
        if not (isinstance(one, TensorLoad) and isinstance(other, TensorLoad) and one.source.same_as(sums)):
            continue
        if isinstance(one.indices[0], tirx.IntImm) and not other.source.same_as(sums):
            return int(one.indices[0]), other
    return None


def _below(roots: Iterable[Node], kind: type, *, unconditionally: bool = False) -> list[Node]:
    """Every node of that kind; `unconditionally`: only those that are evaluated whatever conditions say."""
    nodes = (walk(root, _is_conditional) if unconditionally else walk(root) for root in roots)
    return [node for below in nodes for node in below if isinstance(node, kind)]


def _is_conditional(node: Node) -> bool:
    if isinstance(node, Call):
        return _is_named(node, "if_then_else")
    return isinstance(node, tirx.IfThenElse | tirx.Select)


def _is_among(load: Node, loads: list[Node]) -> bool:
    return any(tvm_ffi.structural_equal(load, other) for other in loads)


def _is_named(call: Node, name: str) -> bool:
    return str(getattr(call.op, "name", "")).rsplit(".", 1)[-1] == name
