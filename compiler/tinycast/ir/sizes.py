"""Sizes that depend on data.

A value whose size depends on data has the upper bound as its shape, and in `Value.sizes` one entry an axis: the
count (an int32 tensor of shape (1,)) that says how long the axis really is, or None where it is as long as the shape
says. Every element lies where it would lie in the whole shape; behind the real ones there is something harmless. So
operators compute on the upper bound and know nothing of counts: `Op.sizes` says which of their axes stay what they
are. What leaves the model is packed to the front (program/results.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from tinycast.errors import ModelError
from tinycast.ir.types import Sizes, Value


def axis_count(value: Value, axis: int) -> Value | None:
    """The count of the axis; None where its length is static."""
    return value.sizes[axis] if value.sizes else None


def sizes_of(value: Value) -> Sizes:
    """One entry an axis, for static values too."""
    return value.sizes or (None,) * len(value.shape)


def broadcast_sizes(inputs: Sequence[Value]) -> Sizes | None:
    """The sizes of an element-wise result; None where axes meet that may differ in length."""
    rank = max(len(v.shape) for v in inputs)
    sizes: list[Value | None] = []
    for axis in range(-rank, 0):
        operands = [(v.shape[axis], axis_count(v, axis)) for v in inputs if len(v.shape) >= -axis]
        counts = {count for _, count in operands if count is not None}
        if len(counts) > 1 or (counts and any(count is None and n != 1 for n, count in operands)):
            return None
        sizes.append(next(iter(counts), None))
    return tuple(sizes)


def kept_sizes(value: Value, used: Sequence[int]) -> Sizes | None:
    """The sizes of a result with the value's axes, whose operator mixes elements along `used` axes only."""
    sizes = sizes_of(value)
    return None if any(sizes[axis] is not None for axis in used) else sizes


def size_error(title: str, source: str, inputs: Sequence[Value]) -> ModelError:
    """What the user reads where an operator does not take operands of such sizes."""
    axes = [
        f"axis {axis} of {value.name} is as long as {count.name} says (at most {value.shape[axis]})"
        for value in dict.fromkeys(inputs)
        for axis, count in enumerate(value.sizes)
        if count is not None
    ]
    return ModelError(
        f"{title}: it cannot compute along a size that depends on data: {'; '.join(axes)}",
        where=source,
        fix="make it an output of the model and go on outside, or give the tensor a fixed size before",
    )
