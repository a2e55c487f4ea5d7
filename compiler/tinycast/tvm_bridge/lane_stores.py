"""Two stores of four bytes each, one after the other, become one of eight: vectors narrow two of themselves at once."""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import sym, tirx
from tvm.ir import Call

from tinycast.tvm_bridge.lanes import LANES

Node = Any
# Up to here the addend and what may be added to it without leaving int8's range fit int16: 255 << 7 is below 2^15.
_MOST_NARROW_SHIFT = 7
_STORES = {"tc_lanes_to_s8", "tc_lanes_requantize_to_s8"}


def pair_stores(statement: Node) -> Node:
    """Rewrite every sequence of statements. Each stores what it alone reads, so that the first can wait."""

    def rewrite(sequence: Node) -> Node:
        kept: list[Node] = []
        for following in sequence.seq:
            both = _both(kept[-1], following) if kept else None
            if both is None:
                kept.append(following)
            else:
                kept[-1] = both
        return tirx.SeqStmt(kept) if len(kept) > 1 else kept[0]

    return tvm_ffi.structural_map(statement, (tirx.SeqStmt, rewrite))


def _both(first: Node, second: Node) -> Node | None:
    calls = [call for statement in (first, second) if (call := _store(statement)) is not None]
    if len(calls) < 2:
        return None
    loads = [call.args[1].args[0] for call in calls]
    distance = sym.Analyzer().simplify(loads[1].indices[0] - loads[0].indices[0])
    neighbours = isinstance(distance, tirx.IntImm) and int(distance.value) == LANES
    if not neighbours or not loads[0].source.same_as(loads[1].source):
        return None
    place = calls[0].args[1]
    if (rule := _narrow_rule(calls)) is not None:
        products = [operand for call in calls for operand in call.args[2:4]]
        return tirx.Evaluate(tirx.call_extern("int32", "tc_lanes_requantize_both_to_s8", place, *products, *rule))
    values = [_value(call) for call in calls]
    return tirx.Evaluate(tirx.call_extern("int32", "tc_lanes_both_to_s8", place, *values))


def _narrow_rule(calls: list[Node]) -> tuple[Node, Node] | None:
    """The addend and shift of both where they requantize by the same, and int16 has room for it."""
    if any(str(call.args[0].value) != "tc_lanes_requantize_to_s8" for call in calls):
        return None
    (addend, shift), other = (call.args[4:] for call in calls)
    if not tvm_ffi.structural_equal((addend, shift), tuple(other)) or int(shift.value) > _MOST_NARROW_SHIFT:
        return None
    is_one = isinstance(addend, Call) and str(addend.args[0].value) == "tc_lanes_all"
    return (addend.args[1], shift) if is_one else None


def _store(statement: Node) -> Node | None:
    """The call that stores four bytes, if the statement is one."""
    if not isinstance(statement, tirx.Evaluate) or not isinstance(statement.value, Call):
        return None
    call: Node = statement.value
    return call if call.op.name.endswith("call_extern") and str(call.args[0].value) in _STORES else None


def _value(call: Node) -> Node:
    """What the call stores, before it is narrowed (which saturates)."""
    if str(call.args[0].value) == "tc_lanes_to_s8":
        return call.args[2]
    return tirx.call_pure_extern("int32x4", "tc_lanes_scale", *call.args[2:])
