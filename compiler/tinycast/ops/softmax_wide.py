"""Softmax of int16: shares of the whole in Q30, which a requantization makes int16 of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinycast.ir.graph import Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm, QuantizedTensor
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.requantize import add_requantize
from tinycast.ops.rows_of_axis import kept_indices, largest, stage_shape
from tinycast.tvm_bridge import expr as te

_LONGEST = 2**12  # elements of a row, with which rounded exponentials cost a quarter of a step of 2^-16 at most
_ONE = 2.0**31
_PLACES = 256  # of each half of an exponent


def wide_softmax(form: IntegerForm, x: QuantizedTensor, axis: int) -> Value | None:
    """The integer form of a softmax of int16 along `axis`; None where its rows are too long."""
    length = x.value.shape[axis]
    if length > _LONGEST:
        return None
    places = np.arange(_PLACES)
    table = np.concatenate([np.exp(-x.scale * _PLACES * places), np.exp(-x.scale * places)])
    exponentials = form.build.constant(np.rint(_ONE * table).astype(np.uint32), "exponentials")
    shares = form.build.call(WideSoftmax(axis, (length - 1).bit_length()), [x.value, exponentials])
    ratio = np.asarray(1 / (form.scale * 2.0**30))
    name = form.output.name
    return add_requantize(form.build, shares, ratio, form.zero_point, form.bounds, 2**30 + 2**18, name, DType.INT16)


@dataclass(frozen=True)
class WideSoftmax(Op):
    """exp(x) / sum(exp(x)) along `axis` in Q30, int32, as runtime_c/generic/tc_softmax_wide.h computes it.

    Inputs: x int16; the exponentials in Q31 of the upper and of the lower halves of max - x, uint32[512]. A row has at
    most 2^bits elements.
    """

    pattern = Pattern.ROWS
    broadcasts = False
    axis: int
    bits: int

    @property
    def title(self) -> str:
        return "Softmax"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, DType.INT32)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x, table = arrays[0].astype(np.int64), arrays[1].astype(np.uint64)
        below = x.max(self.axis, keepdims=True) - x
        power = (table[below // _PLACES] * table[_PLACES + below % _PLACES]) >> np.uint64(31)
        half = np.uint64((1 << self.bits) >> 1)
        total = (power.sum(self.axis, keepdims=True, dtype=np.uint64) + half) >> np.uint64(self.bits)
        reciprocal = np.uint64(1 << (62 - self.bits)) // total
        return np.asarray((power * reciprocal) >> np.uint64(32), np.int32)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x, table = tensors
        axis = self.axis
        top = largest(x, axis)

        def power(element: te.Expr, most: te.Expr) -> te.Expr:
            below = te.cast(most, DType.INT32) - te.cast(element, DType.INT32)
            halves = table[below >> 8], table[(below & (_PLACES - 1)) + _PLACES]
            return te.extern(DType.UINT32, "tc_softmax_power", *halves)

        k = te.reduce_axis((0, out.shape[axis]), "k")
        shape = stage_shape(axis, out.shape)
        total = te.compute(
            shape,
            lambda *i: te.sum(te.cast(power(x(*i[:axis], k, *i[axis:]), top(*i)), DType.UINT64), axis=[k]),
            name="total",
        )
        reciprocal = te.compute(
            shape, lambda *i: te.extern(DType.UINT32, "tc_softmax_reciprocal", total(*i), self.bits), name="reciprocal"
        )

        def body(*i: te.Expr) -> te.Expr:
            kept = kept_indices(axis, i)
            return te.extern(DType.INT32, "tc_softmax_share", power(x(*i), top(*kept)), reciprocal(*kept))

        return te.compute(out.shape, body, name="softmax")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return replace(self, axis=perm[self.axis])
