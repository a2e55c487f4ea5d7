"""A layer that makes one row of its output at a time: what it reads for a row, and the calls that make it.

Borders are part of the rows that are read, so that the calls themselves have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinycast.ir.graph import Call, Pattern
from tinycast.ir.kernel import Step
from tinycast.ir.types import DType, Value
from tinycast.ops.conv import Conv2D
from tinycast.ops.elementwise import Binary, BinaryFunction
from tinycast.ops.pool import MaxPool, WindowSum
from tinycast.ops.shape import TO_NHWC, Reshape, Transpose

Image = tuple[int, int, int]  # rows, columns, channels


@dataclass(frozen=True)
class Layer:
    """A group of calls around at most one reduction, and the step that runs it as a whole."""

    calls: tuple[Call, ...]
    anchor: Call | None
    step: Step

    @property
    def output(self) -> Value:
        return self.calls[-1].output


@dataclass(frozen=True)
class Operand:
    """What is read of `value` for one row: `rows` of them, `stride` further on for each row, with their borders.

    `above` and `below`, `left` and `right`: rows and columns of border, all bytes of which are `fill` (None: there
    are none, or their elements are not of equal bytes). `image` is the value seen as rows; `planes`: its channels
    lie one after the other.
    """

    value: Value
    image: Image
    rows: int = 1
    stride: int = 1
    above: int = 0
    below: int = 0
    left: int = 0
    right: int = 0
    fill: int | None = 0
    planes: bool = False

    @property
    def is_row_by_row(self) -> bool:
        return (self.rows, self.stride) == (1, 1) and not self.has_border

    @property
    def has_border(self) -> bool:
        return any((self.above, self.below, self.left, self.right))


@dataclass(frozen=True)
class Strip:
    """How a layer is computed by rows. `operands`: first what the anchor reads, then the others.

    `sums`: its one row of output is the sum over so many rows of input, which are added up one by one.
    """

    layer: Layer
    operands: tuple[Operand, ...]
    image: Image  # of the output
    core: tuple[Call, ...]  # without what only sees bytes in another order or shape
    sums: int = 0


def strip_of(layer: Layer) -> Strip | None:
    """How the layer is computed by rows; None where it is not."""
    calls = list(layer.calls)
    while len(calls) > 1 and isinstance(calls[-1].op, Reshape):
        calls.pop()
    lead = []
    while calls and layer.anchor is not None and calls[0] is not layer.anchor:
        lead.append(calls.pop(0))
    if not calls or any(c.op.pattern is not Pattern.ELEMENTWISE for c in calls if c is not layer.anchor):
        return None
    shape = calls[-1].output.shape
    if any(c.output.shape != shape for c in calls) or len(shape) != 4 or shape[0] != 1 or 0 in shape:
        return None
    image = (shape[1], shape[2], shape[3])
    inside = {c.output for c in (*lead, *calls)}
    others: dict[Value, Operand] = {}
    for call in calls:
        for value in call.inputs[1:] if call is layer.anchor else call.inputs:
            if value.data is not None:
                if call is not layer.anchor and value.data.ndim == 4 and value.data.shape[1] != 1:
                    return None
            elif value not in inside:
                if call is layer.anchor or value.shape != shape:
                    return None
                others[value] = Operand(value, image)
    if layer.anchor is None:
        return Strip(layer, tuple(others.values()), image, tuple(calls)) if others else None
    main = _main_operand(layer.anchor, lead, image)
    if main is None:
        return None
    sums = _rows_summed(layer.anchor, image) if len(calls) > 1 and not others else 0
    if sums:
        main = replace(main, rows=1, stride=1)
    return Strip(layer, (main, *others.values()), image, tuple(calls), sums)


def _main_operand(anchor: Call, lead: Sequence[Call], image: Image) -> Operand | None:
    op, x = anchor.op, anchor.inputs[0]
    if not isinstance(op, Conv2D | WindowSum | MaxPool) or op.channels_first:
        return None
    if lead and (len(lead) > 1 or lead[0].output is not x or not isinstance(lead[0].op, Reshape | Transpose)):
        return None
    planes = bool(lead) and isinstance(lead[0].op, Transpose)
    if planes and lead[0].op != Transpose(TO_NHWC):
        return None
    _, height, width, channels = x.shape
    window = op.window
    top, left, _, _ = window.pads
    (rows, columns), strides = (
        ((k - 1) * d + 1 for k, d in zip(window.kernel, window.dilations, strict=True)),
        window.strides,
    )
    below = max(0, (image[0] - 1) * strides[0] + rows - top - height)
    right = max(0, (image[1] - 1) * strides[1] + columns - left - width)
    value = lead[0].inputs[0] if lead else x
    fill = _fill(op, x.dtype)
    operand = Operand(
        value, (height, width, channels), rows, strides[0], top, below, left, right, fill, planes and channels > 1
    )
    return None if operand.has_border and fill is None else operand


def _fill(op: Conv2D | WindowSum | MaxPool, dtype: DType) -> int | None:
    """The byte that all bytes of a border's elements have."""
    if isinstance(op, MaxPool):
        return -128 if dtype is DType.INT8 else None
    if dtype is DType.INT8:
        return int(op.pad_value)
    return 0 if op.pad_value == 0 else None


def _rows_summed(anchor: Call, image: Image) -> int:
    """How many rows are added to one; 0 where there are other windows."""
    op = anchor.op
    if not isinstance(op, WindowSum) or image[0] != 1 or any(op.window.pads) or op.window.dilations[0] != 1:
        return 0
    return op.window.kernel[0]


def window_name(strip: Strip, operand: Operand) -> str:
    """The name of the value that a strip's kernel sees in place of an operand."""
    kind = "window" if operand is strip.operands[0] else "row"
    return f"{operand.value.name}.{kind} of {strip.layer.output.name}"


def row_name(strip: Strip) -> str:
    """The name of the row that a strip's kernel makes."""
    return f"{strip.layer.output.name}.row"


def strip_calls(strip: Strip, columns: int) -> tuple[list[Call], Call | None]:
    """The calls that make one row, and the reduction among them; the first operand's rows hold `columns` columns."""
    anchor, (_, width, channels) = strip.layer.anchor, strip.image
    known: dict[Value, Value] = {}
    for operand in strip.operands[0 if anchor is None else 1 :]:
        known[operand.value] = Value(window_name(strip, operand), (1, 1, width, channels), operand.value.dtype)
    made: list[Call] = []
    for call in strip.core[:1] if strip.sums else strip.core:
        inputs = [known.get(v, v) for v in call.inputs]
        op = call.op
        if call is anchor:
            main = strip.operands[0]
            assert isinstance(op, Conv2D | WindowSum | MaxPool)
            window = replace(op.window, pads=(0, 0, 0, 0))
            if strip.sums:
                assert isinstance(op, WindowSum)
                op = replace(op, offset=0)
                window = replace(window, kernel=(1, window.kernel[1]), strides=(1, window.strides[1]))
            op = replace(op, window=window)
            inputs[0] = Value(window_name(strip, main), (1, main.rows, columns, main.image[2]), main.value.dtype)
        output = Value(f"{call.output.name}.row", (1, 1, width, channels), call.output.dtype)
        known[call.output] = output
        made.append(Call(op, tuple(inputs), output, call.source, call.title))
    made[-1].output.name = row_name(strip)
    return made, next((c for c, old in zip(made, strip.core, strict=False) if old is anchor), None)


def sum_calls(strip: Strip) -> list[Call]:
    """The calls that make the output of the sums over rows, the value `<output>.total`."""
    anchor = strip.layer.anchor
    assert anchor is not None
    op = anchor.op
    assert isinstance(op, WindowSum)
    total = Value(f"{strip.layer.output.name}.total", anchor.output.shape, anchor.output.dtype)
    calls: list[Call] = []
    value = total
    if op.offset:
        offset = Value(f"{total.name}.offset", (), total.dtype, data=np.asarray(-op.offset, total.dtype.numpy))
        value = Value(f"{total.name}.centred", total.shape, total.dtype)
        calls.append(Call(Binary(BinaryFunction.ADD), (total, offset), value, anchor.source, anchor.title))
    after = strip.layer.calls[strip.layer.calls.index(anchor) + 1 :]
    for call in after:
        inputs = tuple(value if v is anchor.output else v for v in call.inputs)
        calls.append(Call(call.op, inputs, call.output, call.source, call.title))
    return calls
