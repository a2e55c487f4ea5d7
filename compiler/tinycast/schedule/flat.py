"""Positions that are counted in one loop, whatever axes they have: the same bytes, for kernels of matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from tinycast.ir.graph import Call, Pattern
from tinycast.ir.kernel import Argument
from tinycast.ir.types import Value
from tinycast.ops.conv import Conv2D
from tinycast.ops.dense import FullyConnected
from tinycast.ops.shape import Reshape


@dataclass(frozen=True)
class FlatGroup:
    """`calls` around `anchor` on matrices; `originals` are the values that these stand for."""

    calls: list[Call]
    anchor: Call | None
    originals: Mapping[Value, Value]

    def original(self, argument: Argument) -> Argument:
        """What a kernel of the group takes in the place of `argument`."""
        return self.originals.get(argument, argument) if isinstance(argument, Value) else argument


def flatten_rows(calls: Sequence[Call], anchor: Call | None) -> FlatGroup:
    """The group as it is where it is no fully connected layer on (…, K) and element-wise work on what that gives."""
    unchanged = FlatGroup(list(calls), anchor, {})
    if anchor is not calls[0] or not isinstance(anchor.op, FullyConnected) or len(anchor.output.shape) < 3:
        return unchanged
    rows = anchor.output.shape[:-1]
    flat: dict[Value, Value] = {}
    for call in calls:
        if isinstance(call.op, Reshape):
            continue  # only at the end: see below
        if call is not anchor and (call.op.pattern is not Pattern.ELEMENTWISE or call.output.shape[:-1] != rows):
            return unchanged
        operands = call.inputs[:1] if call is anchor or not call.op.broadcasts else call.inputs
        for value in (*operands, call.output):
            seen = value if len(value.shape) < 2 else _flat(value, rows)
            if seen is None:
                return unchanged
            flat.setdefault(value, seen)
    kept = [call for call in calls if not isinstance(call.op, Reshape)]
    if list(calls[: len(kept)]) != kept:
        return unchanged
    made = {
        call: replace(
            call, inputs=tuple(flat.get(v, v) for v in call.inputs), output=flat.get(call.output, call.output)
        )
        for call in calls
    }
    return FlatGroup(list(made.values()), made[anchor], {v: k for k, v in flat.items()})


def _flat(value: Value, rows: tuple[int, ...]) -> Value | None:
    """The value as a matrix, if it has all rows or one for all."""
    lead = value.shape[:-1]
    if lead != rows and prod(lead) != 1:
        return None
    shape = (prod(lead), value.shape[-1])
    return replace(value, shape=shape, data=None if value.data is None else value.data.reshape(shape))


def flat_positions(call: Call) -> bool:
    """Whether output positions can be counted in one loop: no window that slides over rows."""
    op = call.op
    if not isinstance(op, Conv2D):
        return True
    window = op.window
    return window.kernel == (1, 1) and window.strides == (1, 1) and not any(window.pads)
