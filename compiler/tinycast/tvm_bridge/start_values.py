"""Sums start at what is added to them afterwards.

Where sums are set to zero, added to, and each is then read only as `sum + bias[i]`, the sums are set to `bias[i]`
instead: the same integers (and floats, but for rounding), without the additions.
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
    stored = {store.buffer for store in walk(statement, tirx.BufferStore)}

    def rewrite(sequence: Node) -> Node:
        statements = list(sequence.seq)
        zeroed = dict.fromkeys(statement.buffer for statement in statements if _is_zeroed(statement))
        for sums in zeroed:
            rewritten = _rewrite(statements, sums, stored)
            if rewritten is not None:
                return tirx.SeqStmt(rewritten)
        return sequence

    return tvm_ffi.structural_map(statement, (tirx.SeqStmt, rewrite))


def _rewrite(statements: list[Node], sums: Node, stored: set[Node]) -> list[Node] | None:
    starts = [s for s in statements if _is_zeroed(s) and s.buffer.same_as(sums)]
    rest = [s for s in statements if not any(s is start for start in starts)]

    def is_summed(node: Node) -> bool:
        return isinstance(node, tirx.BufferStore) and bool(node.buffer.same_as(sums))

    if not all(_adds_to_itself(node) for node in walk(rest, tirx.BufferStore) if is_summed(node)):
        return None
    later = walk(rest, tirx.BufferStore, tirx.Add, TensorLoad, skip=is_summed)
    additions = [node for node in later if isinstance(node, tirx.Add) and _addend(node, sums) is not None]
    by_kernels = [c for c in walk(rest, Call) if _is_named(c, "tvm_access_ptr") and c.args[1].same_as(sums)]
    reads = [node for node in later if isinstance(node, TensorLoad) and node.source.same_as(sums)]
    # Compilers do it themselves for integers, if they see the sum.
    seen = not by_kernels and "float" not in str(sums.dtype)
    if seen or len(reads) != len(additions):
        return None
    addends: dict[int, Node] = {}
    for add in additions:
        index, addend = _addend(add, sums) or (0, None)
        if not tvm_ffi.structural_equal(addends.setdefault(index, addend), addend):
            return None
    changing = [loop.loop_var for loop in walk(rest, tirx.For)]
    # What is read under a condition only may lie beyond the end of its array.
    arrays = {addend.source for addend in addends.values()}
    if not arrays.isdisjoint(stored):
        return None
    always = [load for load in _always(rest) if load.source in arrays]
    for addend in addends.values():
        if not _is_among(addend, always):
            return None
        if any(v.same_as(c) for v in walk(addend, tirx.Var) for c in changing):
            return None
    if addends.keys() != {int(s.indices[0]) for s in starts}:
        return None

    def keep_sums(store: Node, mutator: Any) -> Node:
        return store if is_summed(store) else mutator.default_mutate(store)

    def without_addend(add: Node, mutator: Any) -> Node:
        found = _addend(add, sums)
        return mutator.default_mutate(add) if found is None else tirx.BufferLoad(sums, [tirx.const(found[0], "int32")])

    return [
        tirx.BufferStore(sums, addends[int(s.indices[0])], s.indices)
        if any(s is start for start in starts)
        else tvm_ffi.structural_mutate(s, [(tirx.BufferStore, keep_sums), (tirx.Add, without_addend)])
        for s in statements
    ]


def _is_zeroed(statement: Node) -> bool:
    return (
        isinstance(statement, tirx.BufferStore)
        and isinstance(statement.value, tirx.IntImm | tirx.FloatImm)
        and statement.value.value == 0
        and isinstance(statement.indices[0], tirx.IntImm)
    )


def _adds_to_itself(store: Node) -> bool:
    """Whether the statement is `sums[i] = sums[i] + …`."""
    here = tirx.BufferLoad(store.buffer, store.indices)
    value = store.value
    return isinstance(value, tirx.Add) and any(tvm_ffi.structural_equal(here, side) for side in (value.a, value.b))


def _addend(add: Node, sums: Node) -> tuple[int, Node] | None:
    """The index of the sum and the element added to it, if `add` is `sums[constant] + array[i]`."""
    for one, other in ((add.a, add.b), (add.b, add.a)):
        if not (isinstance(one, TensorLoad) and isinstance(other, TensorLoad) and one.source.same_as(sums)):
            continue
        if isinstance(one.indices[0], tirx.IntImm) and not other.source.same_as(sums):
            return int(one.indices[0]), other
    return None


def _always(roots: Iterable[Node]) -> list[Node]:
    """The elements that are read whatever conditions say."""
    conditional = (Call, tirx.IfThenElse, tirx.Select)
    nodes = walk(roots, TensorLoad, *conditional, skip=_is_conditional)
    return [node for node in nodes if isinstance(node, TensorLoad)]


def _is_conditional(node: Node) -> bool:
    if isinstance(node, Call):
        return _is_named(node, "if_then_else")
    return isinstance(node, tirx.IfThenElse | tirx.Select)


def _is_among(load: Node, loads: list[Node]) -> bool:
    return any(tvm_ffi.structural_equal(load, other) for other in loads)


def _is_named(call: Node, name: str) -> bool:
    return str(getattr(call.op, "name", "")).rsplit(".", 1)[-1] == name
