"""Sums of int8 elements times constants: what constant factors and offsets are on quantized tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinycast.ir.fixed_point import INT32_MAX
from tinycast.ir.graph import Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm, QuantizedTensor
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.requantize import add_requantize
from tinycast.tvm_bridge import expr as te

MOST_BITS = 14  # of a weight's magnitude: it is an int16
LEAST_BITS = 9
Real = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WeightedSum(Op):
    """acc = (x - zero) * w + …, over the operands, + offset; int32.

    Inputs: the int8 operands, an int16 weight for each, and the int32 offset; all broadcast.
    """

    pattern = Pattern.ELEMENTWISE
    zeros: tuple[int, ...]

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(np.broadcast_shapes(*(v.shape for v in inputs)), DType.INT32)

    def reference(self, arrays: Sequence[Array]) -> Array:
        count = len(self.zeros)
        *weights, total = (a.astype(np.int32) for a in arrays[count:])
        for x, zero, weight in zip(arrays, self.zeros, weights, strict=False):
            total = total + (x.astype(np.int32) - zero) * weight
        return np.asarray(total)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        count = len(self.zeros)

        def body(*elements: te.Expr) -> te.Expr:
            total = elements[-1]
            for x, zero, weight in zip(elements, self.zeros, elements[count:], strict=False):
                total = (te.cast(x, DType.INT32) - zero) * te.cast(weight, DType.INT32) + total
            return total

        return te.elementwise(tensors, out.shape, body, "weighted")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self


def weighted_sum(
    form: IntegerForm, terms: Sequence[tuple[QuantizedTensor, Real]], offset: Real | None = None
) -> Value | None:
    """The form's output for the sum of each tensor times its factors, plus an offset; None where it has no form."""
    offset = np.zeros(()) if offset is None else offset
    reals = [x.scale * factor for x, factor in terms]
    largest = max(float(np.abs(real).max(initial=0.0)) for real in reals)
    if largest == 0.0 or not all(np.isfinite(array).all() for array in (*reals, offset)):
        return None
    for bits in range(MOST_BITS, LEAST_BITS - 1, -1):
        unit = largest / 2**bits
        whole = np.rint(offset / unit)
        bound = int(255 * len(terms) * 2**bits + np.abs(whole).max(initial=0.0))
        if bound <= INT32_MAX:
            break
    else:
        return None
    build = form.build
    weights = [build.constant(np.rint(real / unit).astype(np.int16), f"weight_{i}") for i, real in enumerate(reals)]
    op = WeightedSum(tuple(x.zero_point for x, _ in terms))
    operands = [*(x.value for x, _ in terms), *weights, build.constant(whole.astype(np.int32), "offset")]
    accumulator = build.call(op, operands)
    if accumulator.shape != form.output.shape:
        return None
    return add_requantize(
        build, accumulator, np.asarray(unit / form.scale), form.zero_point, form.bounds, bound, form.output.name
    )


@dataclass(frozen=True)
class ChannelAffine(Op):
    """y = x * factor + offset; float32, the operands broadcast to x."""

    pattern = Pattern.ELEMENTWISE

    @property
    def title(self) -> str:
        return "BatchNormalization"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, DType.FLOAT32)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x, factor, offset = arrays
        return np.asarray(x * factor + offset, np.float32)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        return te.elementwise(tensors, out.shape, lambda x, factor, offset: x * factor + offset, "scaled")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self

    def integer_form(self, form: IntegerForm) -> Value | None:
        x, (factor, offset) = form.inputs[0].activation, (operand.real() for operand in form.inputs[1:])
        if x is None or factor is None or offset is None:
            return None
        return weighted_sum(form, [(x, factor)], offset)
