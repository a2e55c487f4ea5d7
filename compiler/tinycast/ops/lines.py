"""Functions of one int16 as tables with lines between their entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinycast.ir.graph import Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.types import Array, DType, Value
from tinycast.tvm_bridge import expr as te

_LEAST_BITS, _MOST_BITS = 8, 12  # of the number of lines
_INPUTS = 2**16


@dataclass(frozen=True)
class Lines(Op):
    """y on the line between table[i] and table[i + 1], i the upper bits of x + 32768, rounded half up; int16.

    Inputs: x int16, table int16 of 2^n + 1 entries (`length`).
    """

    pattern = Pattern.ELEMENTWISE
    broadcasts = False
    length: int
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
        return np.asarray(low + (((high - low) * rest + (1 << (bits - 1))) >> bits), np.int16)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x, table = tensors
        bits = self.fraction_bits

        def body(element: te.Expr) -> te.Expr:
            moved = te.cast(element, DType.INT32) + 32768
            place, rest = moved >> bits, moved & ((1 << bits) - 1)
            low, high = (te.cast(table[at], DType.INT32) for at in (place, place + 1))
            return te.cast(low + (((high - low) * rest + (1 << (bits - 1))) >> bits), DType.INT16)

        return te.elementwise([x], out.shape, body, "looked_up")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self


def lines_through(results: Array) -> npt.NDArray[np.int16] | None:
    """The entries of the smallest table that is at most a step off for each of the 65536 inputs, if there is one."""
    every = np.arange(-32768, 32768).astype(np.int16)
    wanted = results.astype(np.int64)
    for bits in range(_LEAST_BITS, _MOST_BITS + 1):
        each = _INPUTS >> bits
        last = np.clip(2 * wanted[-1] - wanted[-2], -32768, 32767)
        table = np.append(wanted[::each], last).astype(np.int16)
        found = Lines(len(table)).reference([every, table]).astype(np.int64)
        if np.abs(found - wanted).max() <= 1:
            return table
    return None
