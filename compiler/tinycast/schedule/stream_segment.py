"""A run of layers as stages that pass rows to each other: who reads what, and where rows are kept.

A value that is read inside of the segment is kept as a few rows with their border (`Buffer`); as a single row that
only the next layer reads, inside of one turn (it is a temporary of the inner memory plan); or, coming from outside
and without a border, it is read where it lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tinycast.ir.types import Value
from tinycast.schedule.stream_plan import Read, Stage, least_capacities, turns_of
from tinycast.schedule.stream_strips import Image, Operand, Strip


@dataclass(frozen=True)
class Buffer:
    """Rows of `value` with their border: neighbouring rows share the columns between them.

    `left` and `right` in columns; a row of the buffer has max(left, right) columns of border, and behind the last
    row come as many again as the narrower border has.
    """

    value: Value
    image: Image
    above: int
    below: int
    left: int
    right: int
    fill: int
    planes: bool = False

    @property
    def column_bytes(self) -> int:
        return self.image[2] * self.value.dtype.itemsize

    @property
    def columns(self) -> int:
        return self.image[1] + max(self.left, self.right)

    @property
    def row_bytes(self) -> int:
        return self.columns * self.column_bytes

    def bytes(self, capacity: int) -> int:
        return capacity * self.row_bytes + min(self.left, self.right) * self.column_bytes


@dataclass
class Unit:
    """Layers that run one after the other in a turn, or (no layers) the copying of a row from outside."""

    strips: list[Strip] = field(default_factory=list)
    buffer: Buffer | None = None  # where the row goes; None: into the segment's output, or into sums

    @property
    def height(self) -> int:
        if not self.strips:
            assert self.buffer is not None
            return self.buffer.image[0]
        last = self.strips[-1]
        return last.sums or last.image[0]


@dataclass(frozen=True)
class Segment:
    """Stages in order; `capacities` of their buffers in rows, `order` of their turns."""

    strips: tuple[Strip, ...]
    units: tuple[Unit, ...]
    stages: tuple[Stage, ...]
    capacities: tuple[int, ...]
    order: tuple[int, ...]
    buffers: dict[Value, int]  # the unit that fills the buffer of a value
    temporary: frozenset[Value]  # single rows passed on inside of a turn
    outside: tuple[Value, ...]  # values from outside, each once

    @property
    def output(self) -> Value:
        return self.strips[-1].layer.output

    def columns(self, strip: Strip) -> int:
        """Columns of a row of the strip's first operand as it lies in memory."""
        operand = strip.operands[0]
        number = self.buffers.get(operand.value)
        buffer = None if number is None else self.units[number].buffer
        return operand.image[1] if buffer is None else buffer.columns


def make_segment(strips: Sequence[Strip]) -> Segment | None:
    """The strips as stages; None where they cannot pass each other rows.

    Only the last one's output may be read outside of the segment, and sums over rows can only come last.
    """
    if any(s.sums for s in strips[:-1]):
        return None
    made = {s.layer.output: s for s in strips}
    reads: dict[Value, list[tuple[Strip, Operand]]] = {}
    for strip in strips:
        for operand in strip.operands:
            reads.setdefault(operand.value, []).append((strip, operand))
    units: list[Unit] = []
    buffers: dict[Value, int] = {}
    outside = []
    for value, uses in reads.items():
        if value in made:
            continue
        outside.append(value)
        operands = [operand for _, operand in uses]
        if len({(o.image, o.planes) for o in operands}) > 1:
            return None
        if any(o.has_border or o.planes for o in operands):
            buffer = _buffer(value, operands)
            if buffer is None:
                return None
            buffers[value] = len(units)
            units.append(Unit([], buffer))
    unit_of: dict[Value, Unit] = {}
    temporary: set[Value] = set()
    for strip in strips:
        mine = [o for o in strip.operands if o.value in unit_of and _passes_on(o, reads[o.value], unit_of[o.value])]
        joined = max(mine, key=lambda o: units.index(unit_of[o.value]), default=None)
        if joined is None:
            unit = Unit()
        else:
            unit = unit_of[joined.value]
            units.remove(unit)
            temporary.add(joined.value)
        units.append(unit)
        unit.strips.append(strip)
        unit_of[strip.layer.output] = unit
    for unit in units:
        if not unit.strips or unit is units[-1]:
            continue
        value = unit.strips[-1].layer.output
        unit.buffer = _buffer(value, [operand for _, operand in reads.get(value, [])])
        if unit.buffer is None or any(o.image != unit.strips[-1].image or o.planes for _, o in reads[value]):
            return None
    if units[-1].strips[-1] is not strips[-1]:
        return None
    buffers = {u.buffer.value: n for n, u in enumerate(units) if u.buffer is not None}
    stages = tuple(_stage(unit, buffers) for unit in units)
    capacities = least_capacities(stages)
    order = turns_of(stages, capacities)
    return Segment(
        tuple(strips), tuple(units), stages, capacities, tuple(order), buffers, frozenset(temporary), tuple(outside)
    )


def _passes_on(operand: Operand, uses: Sequence[tuple[Strip, Operand]], producer: Unit) -> bool:
    """Whether a row is read once, as soon as it is made."""
    made_last = producer.strips[-1].layer.output is operand.value
    return len(uses) == 1 and operand.is_row_by_row and not operand.planes and made_last


def _buffer(value: Value, operands: Sequence[Operand]) -> Buffer | None:
    """One buffer for all who read the value; None where they want different borders."""
    if not operands:
        return None
    fills = {o.fill for o in operands if o.has_border}
    if len(fills) > 1 or None in fills:
        return None
    above, below, left, right = (
        max(getattr(o, side) for o in operands) for side in ("above", "below", "left", "right")
    )
    first = operands[0]
    return Buffer(value, first.image, above, below, left, right, next(iter(fills), 0) or 0, first.planes)


def _stage(unit: Unit, buffers: dict[Value, int]) -> Stage:
    reads = [
        Read(buffers[o.value], o.rows, o.stride, o.above)
        for strip in unit.strips
        for o in strip.operands
        if o.value in buffers
    ]
    buffer = unit.buffer
    if buffer is None:
        return Stage(tuple(reads), unit.height)
    return Stage(tuple(reads), unit.height, buffer.above, buffer.below, buffer.row_bytes)
