"""Sums start at what is added to them afterwards.

Where sums are set to zero, added to, and each is then read only as `sum + bias[i]`, the sums are set to `bias[i]`
instead: the same integers (and floats, but for rounding), without the additions. Vectors of four sums (lanes.py) are
treated alike: an element is then what a call loads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Call, TensorLoad

from tinycast.tvm_bridge.nodes import walk

Node = Any
_LOADS = {"tc_lanes_s32", "tc_lanes_f32"}
_STORES = {"tc_lanes_to_s32", "tc_lanes_to_f32"}
_REPEATS = {"tc_lanes_all", "tc_lanes_all_f32"}


def start_from_addends(statement: Node) -> Node:
    """Rewrite every sequence of statements that sets, computes and reads sums."""
    stored = {store.buffer for store in walk(statement, tirx.BufferStore)}
    stored |= {place.source for call in walk(statement, Call) if (place := _vector_place(call, _STORES)) is not None}

    def rewrite(sequence: Node) -> Node:
        statements = list(sequence.seq)
        zeroed = dict.fromkeys(place.source for s in statements if (place := _zeroed(s)) is not None)
        for sums in zeroed:
            rewritten = _rewrite(statements, sums, stored)
            if rewritten is not None:
                return tirx.SeqStmt(rewritten)
        return sequence

    return tvm_ffi.structural_map(statement, (tirx.SeqStmt, rewrite))


def _rewrite(statements: list[Node], sums: Node, stored: set[Node]) -> list[Node] | None:
    starts: list[Node] = []
    rest: list[Node] = []
    for s in statements:
        place = _zeroed(s)
        (starts if place is not None and place.source.same_as(sums) else rest).append(s)

    def is_summed(node: Node) -> bool:
        return isinstance(node, tirx.BufferStore) and bool(node.buffer.same_as(sums))

    if not all(_adds_to_itself(node) for node in walk(rest, tirx.BufferStore) if is_summed(node)):
        return None
    calls = walk(rest, Call)
    if any(place.source.same_as(sums) for c in calls if (place := _vector_place(c, _STORES)) is not None):
        return None
    later = walk(rest, tirx.BufferStore, tirx.Add, TensorLoad, skip=is_summed)
    adds = [node for node in later if isinstance(node, tirx.Add)]
    additions = [found for add in adds if (found := _addend(add, sums)) is not None]
    by_kernels = [c for c in calls if _is_named(c, "tvm_access_ptr") and c.args[1].same_as(sums)]
    reads = [node for node in later if isinstance(node, TensorLoad) and node.source.same_as(sums)]
    # Compilers do it themselves for integers, if they see the sum.
    seen = not by_kernels and "float" not in str(sums.dtype)
    if seen or len(reads) != len(additions):
        return None
    addends: dict[int, Node] = {}
    for element, addend in additions:
        if not tvm_ffi.structural_equal(addends.setdefault(_index(_place(element)), addend), addend):
            return None
    changing = [loop.loop_var for loop in walk(rest, tirx.For)]
    # What is read under a condition only may lie beyond the end of its array.
    places = [_place(addend) for addend in addends.values()]
    arrays = {place.source for place in places}
    if not arrays.isdisjoint(stored):
        return None
    always = [load for load in _always(rest) if load.source in arrays]
    if not all(_is_among(place, always) for place in places):
        return None
    for addend in addends.values():
        if any(v.same_as(c) for v in walk(addend, tirx.Var) for c in changing):
            return None
    if addends.keys() != {_index(_zeroed(s)) for s in starts}:
        return None

    def keep_sums(store: Node, mutator: Any) -> Node:
        return store if is_summed(store) else mutator.default_mutate(store)

    def without_addend(add: Node, mutator: Any) -> Node:
        found = _addend(add, sums)
        return mutator.default_mutate(add) if found is None else found[0]

    return [
        _with_value(s, addends[_index(_zeroed(s))])
        if any(s is start for start in starts)
        else tvm_ffi.structural_mutate(s, [(tirx.BufferStore, keep_sums), (tirx.Add, without_addend)])
        for s in statements
    ]


def _index(place: Node) -> int:
    return int(place.indices[0])


def _zeroed(statement: Node) -> Node | None:
    """The place (or the first of four) that the statement sets to zero, if its index is constant."""
    if isinstance(statement, tirx.BufferStore):
        place, value = tirx.BufferLoad(statement.buffer, statement.indices), statement.value
    elif isinstance(statement, tirx.Evaluate) and isinstance(statement.value, Call):
        place = _vector_place(statement.value, _STORES)
        repeated = None if place is None else statement.value.args[2]
        value = repeated.args[1] if isinstance(repeated, Call) and _function(repeated) in _REPEATS else None
    else:
        return None
    is_zero = isinstance(value, tirx.IntImm | tirx.FloatImm) and value.value == 0
    return place if is_zero and isinstance(place.indices[0], tirx.IntImm) else None


def _with_value(start: Node, value: Node) -> Node:
    """What sets sums, with another value."""
    if isinstance(start, tirx.BufferStore):
        return tirx.BufferStore(start.buffer, value, start.indices)
    return tirx.Evaluate(tirx.call_extern("int32", _function(start.value), start.value.args[1], value))


def _adds_to_itself(store: Node) -> bool:
    """Whether the statement is `sums[i] = sums[i] + …`."""
    here = tirx.BufferLoad(store.buffer, store.indices)
    value = store.value
    return isinstance(value, tirx.Add) and any(tvm_ffi.structural_equal(here, side) for side in (value.a, value.b))


def _addend(add: Node, sums: Node) -> tuple[Node, Node] | None:
    """The sum and the element added to it, if `add` is `sums[constant] + array[i]`."""
    for one, other in ((add.a, add.b), (add.b, add.a)):
        place, beside = _place(one), _place(other)
        if place is None or beside is None or not place.source.same_as(sums):
            continue
        if isinstance(place.indices[0], tirx.IntImm) and not beside.source.same_as(sums):
            return one, other
    return None


def _place(value: Node) -> Node:
    """Where the value is loaded from, if it is an element or four neighbours; else None."""
    if isinstance(value, TensorLoad):
        return value
    return _vector_place(value, _LOADS) if isinstance(value, Call) else None


def _vector_place(call: Node, functions: set[str]) -> Node | None:
    """The first element that the call loads or stores, if it is one of these functions."""
    return call.args[1].args[0] if _function(call) in functions else None


def _function(call: Node) -> str:
    """The function of runtime_c that is called, or ""."""
    return str(call.args[0].value) if _is_named(call, "call_extern") or _is_named(call, "call_pure_extern") else ""


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
