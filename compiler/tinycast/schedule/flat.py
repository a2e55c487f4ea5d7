"""Positions that are counted in one loop, whatever axes they have: the same bytes, for kernels of matrices and rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod

from tinycast.ir.graph import Call, Pattern
from tinycast.ir.kernel import Argument
from tinycast.ir.types import Value
from tinycast.ops.conv import Conv2D
from tinycast.ops.dense import FullyConnected
from tinycast.ops.shape import TO_NHWC, Reshape, Transpose
from tinycast.ops.window import Window


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
    """The group on matrices, or on images of one row: element-wise work on what a layer gives, and Reshapes around.

    The layer is a fully connected one on (…, K), or a convolution along columns of a single pixel, which may be brought
    to NHWC first. Any other group is returned as it is.
    """
    unchanged = FlatGroup(list(calls), anchor, {})
    if anchor is None:
        return unchanged
    first = calls.index(anchor)
    kept = [call for call in calls[first:] if not isinstance(call.op, Reshape)]
    around = [*calls[:first], *calls[first + len(kept) :]]
    shape = anchor.output.shape
    is_moved = calls[0].op == Transpose(TO_NHWC) and first == 1
    before = [anchor.inputs[0], *(call.inputs[0] for call in reversed(calls[:first]))]
    is_chain = before[:-1] == [call.output for call in reversed(calls[:first])]
    if not is_chain or not all(isinstance(call.op, Reshape) for call in around[is_moved:]):
        return unchanged
    if isinstance(anchor.op, FullyConnected) and len(shape) > 2 and not is_moved:
        view: Callable[[Value], Value | None] = partial(_flat, rows=shape[:-1])
    elif isinstance(anchor.op, Conv2D) and _is_column(anchor, anchor.op.window):
        view, anchor = _turned, _turned_layer(anchor, anchor.op)
        kept[0] = anchor
    else:
        return unchanged
    flat: dict[Value, Value] = {}
    for call in kept:
        if call is not anchor and (call.op.pattern is not Pattern.ELEMENTWISE or call.output.shape[:-1] != shape[:-1]):
            return unchanged
        operands = call.inputs[:1] if call is anchor or not call.op.broadcasts else call.inputs
        for value in (*operands, call.output):
            seen = value if len(value.shape) < 2 else view(value)
            if seen is None:
                return unchanged
            flat.setdefault(value, seen)
    made = [replace(c, inputs=tuple(flat.get(v, v) for v in c.inputs), output=flat[c.output]) for c in kept]
    originals = {v: k for k, v in flat.items()}
    x, source = made[0].inputs[0], before[-1]
    moves = []
    if is_moved:
        n, height, width, channels = x.shape
        image = replace(source, shape=(n, channels, height, width))
        moves = [replace(calls[0], inputs=(image,), output=x)]
        x = image
    originals[x] = source
    return FlatGroup([*moves, *made, *calls[first + len(kept) :]], made[0], originals)


def _is_column(layer: Call, window: Window) -> bool:
    """Whether a convolution slides down a single column of pixels."""
    x = layer.inputs[0]
    return x.shape[0] == 1 and x.shape[1] > x.shape[2] == window.kernel[1] == 1 and not any(window.pads[1::2])


def _turned_layer(layer: Call, op: Conv2D) -> Call:
    """The convolution along a row instead of a column; its input and output are still those of the column."""
    x, weight, *rest = layer.inputs
    (kh, kw), (sh, sw), (dh, dw) = op.window.kernel, op.window.strides, op.window.dilations
    window = Window((kw, kh), (sw, sh), (dw, dh), (0, op.window.pads[0], 0, op.window.pads[2]))
    return replace(layer, op=replace(op, window=window), inputs=(x, _turned(weight), *rest))


def _turned(value: Value) -> Value:
    """(N, H, W, C) as (N, W, H, C), one of H and W being 1; others have no such axes."""
    if len(value.shape) != 4:
        return value
    n, height, width, channels = value.shape
    shape = (n, width, height, channels)
    return replace(value, shape=shape, data=None if value.data is None else value.data.reshape(shape))


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
