"""Recurrent layers on integers: int8 or int16 inputs, int8 weights, int16 states.

Both sums of products of a gate are scaled to Q12 (Q16 beside int16) and added; sigmoid and tanh are one table of 257
(1025) values, between which lines are drawn, in Q15. The hidden state is Q15 and never rounded to 8 bits on its way to
the next step; the cells of an LSTM are Q20 in int32. runtime_c/generic/tc_gates.h is the same arithmetic in C.

Beside int16 the state's own steps show: outputs lie within four steps of 2^-15 of the real layer's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tinycast.ir.fixed_point import FixedPoint, requantize
from tinycast.ir.graph import Routine, TensorType
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.recurrent_integer_kernel import Shape, kernel_body
from tinycast.ops.recurrent_kernel import Kind

HIDDEN_SCALE = 2.0**-15
CELL_SCALE = 2.0**-20
CELL_LIMIT = 2**30
Int64 = npt.NDArray[np.int64]

_TANH_END = 8  # where tanh is 1 in Q15
_CELL_BITS = 20  # after the point


@dataclass(frozen=True)
class GateRule:
    """Bits after the point of the inputs of gates, and of half a step of theirs between two entries of tanh's table."""

    fraction_bits: int
    line_bits: int

    @property
    def scale(self) -> float:
        return 2.0**-self.fraction_bits

    @property
    def limit(self) -> int:
        """The last half step that the table has."""
        return (2 * _TANH_END << self.fraction_bits) - 1

    @property
    def table(self) -> npt.NDArray[np.int16]:
        count = (self.limit + 1) >> self.line_bits
        return np.minimum(np.rint(np.tanh(np.arange(count + 1) * _TANH_END / count) * 2.0**15), 32767).astype(np.int16)

    @property
    def cell_shift(self) -> int:
        """What makes a cell the input of a gate."""
        return _CELL_BITS - self.fraction_bits


GATE_RULES = {DType.INT8: GateRule(12, 8), DType.INT16: GateRule(16, 10)}  # by the type of the inputs


@dataclass(frozen=True)
class Rescale:
    """(hi32((sum << pre_shift) * multiplier) + half) >> shift; the multipliers are an operand."""

    pre_shift: int
    shift: int

    def apply(self, total: Int64, multiplier: Int64) -> Int64:
        scaled: Int64 = (((total << self.pre_shift) * multiplier >> 32) + (1 << (self.shift - 1))) >> self.shift
        return scaled


@dataclass(frozen=True)
class OutputRule:
    """How a hidden state becomes an element of Y."""

    multiplier: int
    addend: int
    shift: int
    pre_shift: int
    low: int
    high: int

    def apply(self, hidden: Int64) -> Int64:
        multiplier, shift, addend = (np.asarray([n], np.int32) for n in (self.multiplier, self.shift, self.addend))
        rule = FixedPoint(multiplier, shift, addend, self.pre_shift, 0)
        return requantize(hidden.astype(np.int32), rule, self.low, self.high)


@dataclass(frozen=True)
class IntegerRecurrent(Routine):
    """A layer. With N samples, T steps, D directions, G gates, I inputs, H hidden units, and H4, H rounded up to fours:

    inputs: x int8 or int16, W and R int8 as `pack_gates` leaves them, start int32 (D, G, H4) of the sums of W, its
    multipliers and those of R, int32 (D, G, H4) or (1,), the table of tanh int16; of a GRU with `linear_before_reset`
    start int32 (D, H4) of the last gate's sum of R; the initial hidden state int16 and cells int32 where not zero.
    Outputs: Y of x's type where there is an output rule, the hidden state int16, the cells int32 of an LSTM.
    """

    runtime: ClassVar[frozenset[str]] = frozenset({"tc_gates.h"})
    kind: Kind
    hidden: int
    backward: tuple[bool, ...]
    batch_first: bool
    input_forget: bool
    linear_before_reset: bool
    has_hidden: bool
    has_cell: bool
    dtype: DType
    x_zero_point: int  # 0 beside int16, where the start has its share
    from_x: Rescale
    from_hidden: Rescale
    output: OutputRule | None

    @property
    def title(self) -> str:
        return self.kind.name

    def _shape(self, x: tuple[int, ...]) -> Shape:
        steps, batch = (x[1], x[0]) if self.batch_first else (x[0], x[1])
        return Shape(steps, batch, len(self.backward), x[2], self.hidden)

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        s = self._shape(inputs[0].shape)
        first = self.batch_first
        y = (s.batch, s.steps, s.directions, s.hidden) if first else (s.steps, s.directions, s.batch, s.hidden)
        state = (s.batch, s.directions, s.hidden) if first else (s.directions, s.batch, s.hidden)
        types = [TensorType(y, self.dtype)] if self.output is not None else []
        types.append(TensorType(state, DType.INT16))
        if self.kind is Kind.LSTM:
            types.append(TensorType(state, DType.INT32))
        return tuple(types)

    def macs(self, inputs: Sequence[Value], out: TensorType) -> int:
        s = self._shape(inputs[0].shape)
        return s.directions * s.batch * s.steps * self.kind.value * s.hidden * (s.inputs + s.hidden)

    def scratch(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        s = self._shape(inputs[0].shape)
        wide = [TensorType((2 * s.input_pairs,), DType.INT16), TensorType((2 * s.hidden_pairs,), DType.INT16)]
        gates = TensorType((self.gates_kept, s.rows), DType.INT32)
        has_product = self.kind is Kind.GRU and not self.linear_before_reset
        return (*wide, gates, *(wide[1:] if has_product else []))

    @property
    def gates_kept(self) -> int:
        """Gates of which the scratch memory has room for the inputs."""
        return self.kind.value + (self.kind is Kind.GRU and self.linear_before_reset)

    def in_place(self) -> tuple[tuple[int, int], ...]:
        """The states may lie where they start from: each is read once, before it is written."""
        first, given = int(self.output is not None), 7 + self.has_start
        pairs = [(first, given)] if self.has_hidden else []
        return (*pairs, *([(first + 1, given + self.has_hidden)] if self.has_cell else []))

    @property
    def gate_rule(self) -> GateRule:
        return GATE_RULES[self.dtype]

    @property
    def has_start(self) -> bool:
        """Whether the last gate's sum of R has a start of its own."""
        return self.kind is Kind.GRU and self.linear_before_reset

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        return kernel_body(self, self._shape(inputs[0].shape), [kind.shape for kind in inputs])

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x, w, r, start, from_x, from_hidden, table = arrays[:7]
        rest = list(arrays[7:])
        start_hidden = rest.pop(0) if self.has_start else None
        s = self._shape(x.shape)
        shape = (s.directions, s.batch, s.hidden)
        states = [np.zeros(shape, np.int64), np.zeros(shape, np.int64)]
        for number, given in enumerate((self.has_hidden, self.has_cell)):
            if given:
                initial = rest.pop(0).astype(np.int64)
                states[number] = initial.swapaxes(0, 1) if self.batch_first else initial
        hidden, cell = (state.copy() for state in states)
        x = x.astype(np.int64) - self.x_zero_point
        x = x.swapaxes(0, 1) if self.batch_first else x
        y = np.zeros((s.steps, *shape), np.int64)
        for d, backward in enumerate(self.backward):
            step = _Step(self, s, d, [w, r, start, from_x, from_hidden, table], start_hidden)
            for t in reversed(range(s.steps)) if backward else range(s.steps):
                for n in range(s.batch):
                    hidden[d, n], cell[d, n] = step.run(x[t, n], hidden[d, n], cell[d, n])
                y[t, d] = hidden[d]
        if self.batch_first:
            y, hidden, cell = np.moveaxis(y, 2, 0), hidden.swapaxes(0, 1), cell.swapaxes(0, 1)
        results = [] if self.output is None else [self.output.apply(y).astype(self.dtype.numpy)]
        results.append(hidden.astype(np.int16))
        if self.kind is Kind.LSTM:
            results.append(cell.astype(np.int32))
        return tuple(np.ascontiguousarray(result) for result in results)


class _Step:
    """One direction's step in NumPy."""

    def __init__(self, op: IntegerRecurrent, s: Shape, d: int, constants: Sequence[Array], start: Array | None) -> None:
        w, r, start_x, from_x, from_hidden, table = (a.astype(np.int64) for a in constants)
        self._op, self._table = op, table
        rows = op.kind.value * s.hidden
        self._w = unpack_gates(w, s.inputs, s.hidden)[d].reshape(rows, s.inputs)
        self._r = unpack_gates(r, s.hidden, s.hidden)[d].reshape(rows, s.hidden)

        def per_row(array: Int64) -> Int64:
            return array if array.size == 1 else array[d, :, : s.hidden].reshape(rows)

        self._start, self._from_x, self._from_hidden = per_row(start_x), per_row(from_x), per_row(from_hidden)
        self._start_hidden = None if start is None else start[d, : s.hidden].astype(np.int64)

    def _x_sums(self, x: Int64) -> Int64:
        return self._op.from_x.apply(self._w @ x + self._start, self._from_x).reshape(self._op.kind.value, -1)

    def _hidden_sums(self, hidden: Int64, gates: slice, start: Int64 | None = None) -> Int64:
        """The sums of R's `gates`, scaled."""
        count = self._op.hidden
        rows = slice(gates.start * count, gates.stop * count)
        total = self._r[rows] @ hidden
        multiplier = self._from_hidden if self._from_hidden.size == 1 else self._from_hidden[rows]
        scaled = self._op.from_hidden.apply(total if start is None else total + start, multiplier)
        return scaled.reshape(gates.stop - gates.start, count)

    def _tanh(self, x: Int64) -> Int64:
        return np.sign(x) * self._lookup(2 * np.minimum(np.abs(x), self._op.gate_rule.limit))

    def _sigmoid(self, x: Int64) -> Int64:
        return (32768 + np.sign(x) * self._lookup(np.abs(x))) >> 1

    def _lookup(self, x: Int64) -> Int64:
        rule = self._op.gate_rule
        limited = np.minimum(x, rule.limit)
        place, rest = limited >> rule.line_bits, limited & ((1 << rule.line_bits) - 1)
        low, high = self._table[place], self._table[place + 1]
        between: Int64 = low + (((high - low) * rest + (1 << (rule.line_bits - 1))) >> rule.line_bits)
        return between

    def run(self, x: Int64, hidden: Int64, cell: Int64) -> tuple[Int64, Int64]:
        """The states after a step."""
        op, kind = self._op, self._op.kind
        gates = self._x_sums(x)
        if kind is Kind.RNN:
            return self._tanh(gates[0] + self._hidden_sums(hidden, slice(0, 1))[0]), cell
        if kind is Kind.GRU:
            update, reset = self._sigmoid(gates[:2] + self._hidden_sums(hidden, slice(0, 2)))
            if op.linear_before_reset:
                other = self._hidden_sums(hidden, slice(2, 3), self._start_hidden)[0]
                new = self._tanh(gates[2] + _scaled(reset, other))
            else:
                new = self._tanh(gates[2] + self._hidden_sums(_product(reset, hidden), slice(2, 3))[0])
            return ((32768 - update) * new + update * hidden + 16384) >> 15, cell
        i, o, forget, candidate = gates + self._hidden_sums(hidden, slice(0, 4))
        i, candidate = self._sigmoid(i), self._tanh(candidate)
        forget = 32767 - i if op.input_forget else self._sigmoid(forget)
        cell = np.clip(_scaled(forget, cell) + ((i * candidate + 512) >> 10), -CELL_LIMIT, CELL_LIMIT)
        shift = op.gate_rule.cell_shift
        return _product(self._sigmoid(o), self._tanh((cell + (1 << (shift - 1))) >> shift)), cell


def _scaled(gate: Int64, x: Int64) -> Int64:
    return 2 * ((gate * 65536 * x) >> 32)


def _product(a: Int64, b: Int64) -> Int64:
    return (a * b + 16384) >> 15


def pack_gates(weight: npt.NDArray[np.int8], gates: int) -> npt.NDArray[np.int8]:
    """(D, G * H, columns) to (D, G, H / 4, columns / 2, 8), zeros filled up, in the order of tc_gate_dot.h."""
    directions, rows, columns = weight.shape
    hidden = rows // gates
    full = np.zeros((directions, gates, -(-hidden // 4) * 4, -(-columns // 2) * 2), np.int8)
    full[:, :, :hidden, :columns] = weight.reshape(directions, gates, hidden, columns)
    blocks, pairs = full.shape[2] // 4, full.shape[3] // 2
    split = full.reshape(directions, gates, blocks, 2, 2, pairs, 2)  # rows as words and halves, columns as pairs
    ordered = split.transpose(0, 1, 2, 5, 3, 6, 4)
    return np.ascontiguousarray(ordered.reshape(directions, gates, blocks, pairs, 8))


def unpack_gates(packed: npt.NDArray[Any], columns: int, hidden: int) -> npt.NDArray[Any]:
    """What `pack_gates` was given, as (D, G, H, columns)."""
    directions, gates, blocks, pairs, _ = packed.shape
    split = packed.reshape(directions, gates, blocks, pairs, 2, 2, 2).transpose(0, 1, 2, 4, 6, 3, 5)
    return split.reshape(directions, gates, blocks * 4, pairs * 2)[:, :, :hidden, :columns]
