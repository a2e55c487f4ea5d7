"""Weighted sums of neighbours along axes: what Resize is, in float and in int8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinycast.ir.graph import Builder, Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.requantize import add_requantize
from tinycast.tvm_bridge import expr as te

_WEIGHT_BITS = 14
_KEPT_BITS = 6  # of a step, that elements between two axes have
_LARGEST_GAIN = 1.9  # sum of |weights| of an element, with which int16 holds what lies between two axes


@dataclass(frozen=True)
class Resample(Op):
    """y[…, i, …] = sum over t of x[…, positions[i, t], …] * weights[i, t]. Inputs: x, positions, weights."""

    pattern = Pattern.CHANNELWISE
    axis: int

    @property
    def title(self) -> str:
        return "Resize"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        shape = list(inputs[0].shape)
        shape[self.axis] = inputs[1].shape[0]
        return TensorType(tuple(shape), inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x, positions, weights = arrays
        return np.asarray(_weighted(x.astype(np.float64), positions, weights, self.axis), x.dtype)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x, positions, weights = tensors
        axis = self.axis
        tap = te.reduce_axis((0, int(positions.shape[1])), "tap")

        def body(*i: te.Expr) -> te.Expr:
            element = x(*i[:axis], positions(i[axis], tap), *i[axis + 1 :])
            return te.sum(element * weights(i[axis], tap), axis=[tap])

        return te.compute(out.shape, body, name="accumulator")


def _weighted(x: Array, positions: Array, weights: Array, axis: int) -> Array:
    taken = np.take(x, positions, axis)  # (…, outputs, taps, …)
    shape = [1] * taken.ndim
    shape[axis : axis + 2] = positions.shape
    return np.asarray((taken * weights.reshape(shape)).sum(axis + 1))


@dataclass(frozen=True)
class IntegerResample(Op):
    """acc = the sum of (x - zero) * weight as Resample has it, in int32; with a `shift` rounded to int16 by it.

    Inputs: x int8 or int16, positions int32, weights int16.
    """

    pattern = Pattern.CHANNELWISE
    axis: int
    zero: int
    shift: int

    @property
    def title(self) -> str:
        return "Resize"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        shape = list(inputs[0].shape)
        shape[self.axis] = inputs[1].shape[0]
        return TensorType(tuple(shape), DType.INT16 if self.shift else DType.INT32)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x, positions, weights = arrays
        total = _weighted(x.astype(np.int64) - self.zero, positions, weights.astype(np.int64), self.axis)
        if not self.shift:
            return total.astype(np.int32)
        return ((total + (1 << (self.shift - 1))) >> self.shift).astype(np.int16)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x, positions, weights = tensors
        axis, shift = self.axis, self.shift
        tap = te.reduce_axis((0, int(positions.shape[1])), "tap")

        def body(*i: te.Expr) -> te.Expr:
            element = te.cast(x(*i[:axis], positions(i[axis], tap), *i[axis + 1 :]), DType.INT32) - self.zero
            return te.sum(element * te.cast(weights(i[axis], tap), DType.INT32), axis=[tap])

        acc = te.compute(out.shape, body, name="accumulator")
        if not shift:
            return acc
        half = 1 << (shift - 1)
        return te.compute(out.shape, lambda *i: te.cast((acc(*i) + half) >> shift, DType.INT16), name="rounded")


@dataclass(frozen=True)
class Interpolate(Op):
    """`Resample` along each of `axes`, one after the other; float32. Inputs: x, then positions and weights an axis."""

    pattern = Pattern.CHANNELWISE
    axes: tuple[int, ...]

    @property
    def title(self) -> str:
        return "Resize"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        shape = list(inputs[0].shape)
        for axis, positions in zip(self.axes, inputs[1::2], strict=True):
            shape[axis] = positions.shape[0]
        return TensorType(tuple(shape), inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x = arrays[0]
        for axis, positions, weights in zip(self.axes, arrays[1::2], arrays[2::2], strict=True):
            x = Resample(axis).reference([x, positions, weights])
        return x

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        raise NotImplementedError  # expand() replaces it before kernels are made

    def expand(self, build: Builder, inputs: Sequence[Value], name: str) -> Value:
        """A Resample an axis."""
        x = inputs[0]
        for axis, positions, weights in zip(self.axes, inputs[1::2], inputs[2::2], strict=True):
            x = build.call(Resample(axis), [x, positions, weights], name if axis == self.axes[-1] else "")
        return x

    def integer_form(self, form: IntegerForm) -> Value | None:
        """Weights get 14 bits; what lies between two axes is int16 with 6 bits behind the point."""
        x, weights = form.inputs[0].activation, [operand.value.data for operand in form.inputs[2::2]]
        if x is None:
            return None
        value, zero, magnitude = x.value, x.zero_point, 255.0
        for i, (axis, real) in enumerate(zip(self.axes, weights, strict=True)):
            if real is None or float(np.abs(real).sum(1).max()) > _LARGEST_GAIN:
                return None
            steps = _whole_weights(real)
            gain = float(np.abs(steps.astype(np.int64)).sum(1).max())
            tables = [form.inputs[1 + 2 * i].value, form.build.constant(steps, "weights")]
            shift = 0 if i == len(self.axes) - 1 else _WEIGHT_BITS - (_KEPT_BITS if i == 0 else 0)
            magnitude *= gain
            value = form.build.call(IntegerResample(axis, zero, shift), [value, *tables])
            zero = 0
            if shift:
                magnitude = magnitude / 2**shift + 1
                if magnitude > 2**15 - 1:
                    return None
        kept = _KEPT_BITS if len(self.axes) > 1 else 0
        ratio = np.asarray(x.scale / (form.scale * 2 ** (_WEIGHT_BITS + kept)))
        bound = int(np.ceil(magnitude))
        return add_requantize(form.build, value, ratio, form.zero_point, form.bounds, bound, form.output.name)


def _whole_weights(real: Array) -> npt.NDArray[np.int16]:
    """Weights in 2^-14, whose sums are the real ones' rounded, so that what is constant stays so."""
    scaled = real.astype(np.float64) * 2**_WEIGHT_BITS
    steps = np.rint(scaled)
    missing = np.rint(scaled.sum(1)) - steps.sum(1)
    largest = np.abs(steps).argmax(1)
    steps[np.arange(len(steps)), largest] += missing
    return np.asarray(steps, np.int16)
