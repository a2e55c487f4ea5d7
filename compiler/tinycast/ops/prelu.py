"""PRelu: a slope below zero, in float and in int8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinycast.ir.graph import Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.node import Node
from tinycast.ops.requantize import add_requantize
from tinycast.ops.weighted_sum import LEAST_BITS, MOST_BITS
from tinycast.tvm_bridge import expr as te


@dataclass(frozen=True)
class PRelu(Op):
    """y = x where x >= 0, else slope * x. Inputs: x, slope (broadcasts to x)."""

    pattern = Pattern.ELEMENTWISE

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x, slope = arrays
        return np.asarray(np.where(x < 0, x * slope, x), x.dtype)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        zero = te.const(0, out.dtype)
        return te.elementwise(tensors, out.shape, lambda x, slope: te.select(x < zero, x * slope, x), "prelu")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self

    def integer_form(self, form: IntegerForm) -> Value | None:
        return _integer_prelu(form)


def import_prelu(node: Node) -> Value:
    return node.build.call(PRelu(), [node.input(0), node.input(1)])


@dataclass(frozen=True)
class SlopedProduct(Op):
    """acc = (x - zero) * (slope where x < zero, else `one`); int32. Inputs: x int8, slope int16 that broadcasts."""

    pattern = Pattern.ELEMENTWISE
    zero: int
    one: int

    @property
    def title(self) -> str:
        return "PRelu"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, DType.INT32)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x, slope = (a.astype(np.int32) for a in arrays)
        return np.asarray((x - self.zero) * np.where(x < self.zero, slope, self.one))

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        def body(x: te.Expr, slope: te.Expr) -> te.Expr:
            centred = te.cast(x, DType.INT32) - self.zero
            return centred * te.select(centred < 0, te.cast(slope, DType.INT32), te.const(self.one, DType.INT32))

        return te.elementwise(tensors, out.shape, body, "sloped")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self


def _integer_prelu(form: IntegerForm) -> Value | None:
    """PRelu with constant slopes."""
    x, slope = form.inputs[0].activation, form.inputs[1].real()
    if x is None or slope is None or not np.isfinite(slope).all():
        return None
    bits = MOST_BITS
    while bits > 0 and float(np.abs(slope).max(initial=0.0)) * 2**bits > 2**15 - 1:
        bits -= 1
    if bits < LEAST_BITS:
        return None
    build, one = form.build, 1 << bits
    weight = build.constant(np.rint(slope * one).astype(np.int16), "slope")
    accumulator = build.call(SlopedProduct(x.zero_point, one), [x.value, weight])
    ratio = np.asarray(x.scale / (one * form.scale))
    return add_requantize(build, accumulator, ratio, form.zero_point, form.bounds, 255 * 2**15, form.output.name)


IMPORTERS = {"PRelu": import_prelu}
