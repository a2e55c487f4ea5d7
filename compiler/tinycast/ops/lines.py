"""Functions of one int16 as tables with lines between their entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tinycast.ir.fixed_point import INT32_MAX, Int64
from tinycast.ir.graph import Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.types import Array, DType, Value
from tinycast.tvm_bridge import expr as te

_LEAST_BITS, _MOST_BITS = 8, 12  # of the number of lines
_INPUTS = 2**16


@dataclass(frozen=True)
class Lines(Op):
    """y on the line between table[i] and table[i + 1], i the upper bits of x + 32768, rounded half up; int16.

    With `bounds` the offset is added and y clamped: entries lie beyond what y can be where it ends to rise in a line.
    Inputs: x int16, table int16 or int32 of 2^n + 1 entries (`length`).
    """

    pattern = Pattern.ELEMENTWISE
    broadcasts = False
    length: int
    offset: int = 0
    bounds: tuple[int, int] | None = None
    meaning: str = "Table"

    @property
    def title(self) -> str:
        return self.meaning

    @property
    def fraction_bits(self) -> int:
        return (_INPUTS // (self.length - 1)).bit_length() - 1

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, DType.INT16)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x, table = arrays[0].astype(np.int32) + 32768, arrays[1].astype(np.int32)
        bits = self.fraction_bits
        place, rest = x >> bits, x & ((1 << bits) - 1)
        low, high = table[place], table[place + 1]
        y = low + (((high - low) * rest + (1 << (bits - 1))) >> bits)
        return np.asarray(y if self.bounds is None else np.clip(y + self.offset, *self.bounds), np.int16)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x, table = tensors
        bits = self.fraction_bits

        def body(element: te.Expr) -> te.Expr:
            moved = te.cast(element, DType.INT32) + 32768
            place, rest = moved >> bits, moved & ((1 << bits) - 1)
            low, high = (te.cast(table[at], DType.INT32) for at in (place, place + 1))
            y = low + (((high - low) * rest + (1 << (bits - 1))) >> bits)
            if self.bounds is not None:
                y = te.extern(DType.INT32, "tc_clamp", y + self.offset, *self.bounds)
            return te.cast(y, DType.INT16)

        return te.elementwise([x], out.shape, body, "looked_up")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self


def lines_through(results: Array, meaning: str) -> tuple[Lines, Array] | None:
    """The smallest table that is at most a step off for all 65536 inputs, if there is one, and how to read it."""
    every = np.arange(-32768, 32768).astype(np.int16)
    wanted = results.astype(np.int64)
    for bits in range(_LEAST_BITS, _MOST_BITS + 1):
        for op, table in _candidates(wanted, bits, meaning):
            found = op.reference([every, table]).astype(np.int64)
            if np.abs(found - wanted).max() <= 1:
                return op, table
    return None


def _candidates(wanted: Int64, bits: int, meaning: str) -> Iterator[tuple[Lines, Array]]:
    """Tables of 2^bits lines: one through the results, and some whose lines go on where the results end to rise."""
    each = _INPUTS >> bits
    entries = np.append(wanted[::each], 2 * wanted[-1] - wanted[-2])
    low, high = DType.INT16.bounds
    yield Lines(len(entries), meaning=meaning), np.clip(entries, low, high).astype(np.int16)
    least, most = int(wanted.min()), int(wanted.max())
    entries[-1] = wanted[-1]
    # Not where a curve has its least or greatest value: there it does not end to rise all at once.
    for limits in ((most,), (least,), (least, most)):
        longer = entries.copy()
        for limit in limits:
            _go_on(longer, wanted, limit, each)
        if np.abs(np.diff(longer)).max() * each > INT32_MAX:
            continue
        offset = max(int(longer.max()) - high, 0) or min(int(longer.min()) - low, 0)
        is_narrow = longer.max() - longer.min() <= high - low
        dtype = np.int16 if is_narrow else np.int32
        yield Lines(len(longer), offset, (least, most), meaning), (longer - offset).astype(dtype)


def _go_on(entries: Int64, wanted: Int64, limit: int, each: int) -> None:
    """Draw the lines on in which the results reach `limit`, beyond it: what is read from them is clamped there."""
    at_limit = np.append(wanted[::each], wanted[-1]) == limit
    for i in np.flatnonzero(at_limit[1:] != at_limit[:-1]):
        inside = wanted[i * each : (i + 1) * each]
        free = np.flatnonzero(inside != limit)
        if len(free) < 2:
            continue
        first, last = int(free[0]), int(free[-1])
        slope = (inside[last] - inside[first]) / (last - first)
        if at_limit[i]:
            entries[i] = round(inside[last] - slope * last)
        else:
            entries[i + 1] = round(inside[first] + slope * (each - first))
