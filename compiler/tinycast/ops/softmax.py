"""Softmax, in float32 and in integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, log2, prod

import numpy as np

from tinycast.ir.graph import Builder, Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm
from tinycast.ir.sizes import kept_sizes
from tinycast.ir.types import Array, DType, Sizes, Value
from tinycast.ops.elementwise import Binary, BinaryFunction
from tinycast.ops.extrema import Extremum, ReduceExtremum
from tinycast.ops.node import Node
from tinycast.ops.reduce import ReduceSum
from tinycast.ops.rows_of_axis import kept_indices, largest, stage_shape
from tinycast.ops.shape import Reshape
from tinycast.ops.softmax_wide import wide_softmax
from tinycast.ops.unary import Unary
from tinycast.tvm_bridge import expr as te

_STEPS = 255  # of an int8 output


def _softmax_rule(scale: float, length: int, fraction: int) -> tuple[float, int, int, int]:
    """(largest error in steps, factor, fraction, exponent of the table) for one choice of `fraction`.

    Rounding 2^fraction / scale to the factor costs something, and so does rounding each exponential.
    """
    factor = round(2**fraction / scale)
    largest = max(length * 2.0**fraction, factor + length * 2.0 ** (fraction - 1))
    exponent = max(0, min(22, ceil(32 - log2(largest)) - 1))  # what is divided and its divisor stay below 2^32
    error = abs(factor * scale / 2**fraction - 1) + (length - 1) / 2 ** (exponent + 1)
    return _STEPS * error, factor, fraction, exponent


@dataclass(frozen=True)
class Softmax(Op):
    """y = exp(x - max) / sum(exp(x - max)) along `axis`, float32."""

    pattern = Pattern.ROWS
    has_wide_form = True
    axis: int

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x = arrays[0].astype(np.float64)
        e = np.exp(x - x.max(self.axis, keepdims=True))
        return np.asarray(e / e.sum(self.axis, keepdims=True), np.float32)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x, axis = tensors[0], self.axis
        top = largest(x, axis)
        power = te.compute(
            out.shape,
            lambda *i: te.extern(DType.FLOAT32, "tc_exp", x(*i) - top(*kept_indices(axis, i))),
            name="power",
        )
        k = te.reduce_axis((0, out.shape[axis]), "k")
        total = te.compute(
            stage_shape(axis, out.shape),
            lambda *i: te.sum(power(*i[:axis], k, *i[axis:]), axis=[k]),
            name="total",
        )
        return te.compute(out.shape, lambda *i: power(*i) / total(*kept_indices(axis, i)), name="softmax")

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        return kept_sizes(inputs[0], [self.axis])

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return replace(self, axis=perm[self.axis])

    def integer_form(self, form: IntegerForm) -> Value | None:
        x = form.inputs[0].activation
        if x is None:
            return None
        if form.dtype is DType.INT16:
            return wide_softmax(form, x, self.axis)
        length = x.value.shape[self.axis]
        rules = [_softmax_rule(form.scale, length, fraction) for fraction in range(9)]
        error, factor, fraction, exponent = min(rules)
        if error > 0.9:
            return None
        table = np.rint(2.0**exponent * np.exp(-x.scale * np.arange(256))).astype(np.uint32)
        op = IntegerSoftmax(self.axis, factor, fraction, form.zero_point, form.low, form.high)
        return form.build.call(op, [x.value, form.build.constant(table, "exponentials")], form.output.name)


@dataclass(frozen=True)
class IntegerSoftmax(Op):
    """y = clamp((T[max - x] * factor + den / 2) / den + zero_point), den = sum(T[max - x]) << fraction.

    Inputs: x int8, T uint32[256]. All in uint32; factor / 2^fraction is 1 / output scale.
    """

    pattern = Pattern.ROWS
    broadcasts = False
    axis: int
    factor: int
    fraction: int
    zero_point: int
    low: int
    high: int

    @property
    def title(self) -> str:
        return "Softmax"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, DType.INT8)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x, table = arrays[0].astype(np.int64), arrays[1].astype(np.int64)
        power = table[x.max(self.axis, keepdims=True) - x]
        denominator = power.sum(self.axis, keepdims=True) << self.fraction
        y = (power * self.factor + denominator // 2) // denominator + self.zero_point
        return np.asarray(np.clip(y, self.low, self.high), np.int8)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x, table = tensors
        axis = self.axis
        top = largest(x, axis)

        def power(element: te.Expr, top: te.Expr) -> te.Expr:
            return table[te.cast(top, DType.INT32) - te.cast(element, DType.INT32)]

        k = te.reduce_axis((0, out.shape[axis]), "k")
        total = te.compute(
            stage_shape(axis, out.shape),
            lambda *i: te.sum(power(x(*i[:axis], k, *i[axis:]), top(*i)), axis=[k]),
            name="total",
        )

        def body(*i: te.Expr) -> te.Expr:
            kept = kept_indices(axis, i)
            y = te.extern(
                DType.INT32,
                "tc_softmax",
                power(x(*i), top(*kept)),
                total(*kept),
                self.factor,
                self.fraction,
                self.zero_point,
            )
            return te.cast(te.extern(DType.INT32, "tc_clamp", y, self.low, self.high), DType.INT8)

        return te.compute(out.shape, body, name="softmax")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return replace(self, axis=perm[self.axis])


def import_softmax(node: Node) -> Value:
    x = node.input(0)
    if node.opset >= 13:
        return node.build.call(Softmax(node.axis(-1, len(x.shape))), [x])
    axis = node.axis(1, len(x.shape))
    flat = node.build.call(Reshape((prod(x.shape[:axis]), prod(x.shape[axis:]))), [x])
    return node.build.call(Reshape(x.shape), [node.build.call(Softmax(1), [flat])])


def import_log_softmax(node: Node) -> Value:
    """x - max - log(sum(exp(x - max))): the logarithm of a Softmax would lose the small ones."""
    x, build = node.input(0), node.build
    axis = node.axis(-1, len(x.shape))
    flat = x
    if node.opset < 13:
        axis = node.axis(1, len(x.shape))
        flat = build.call(Reshape((prod(x.shape[:axis]), prod(x.shape[axis:]))), [x])
        axis = 1
    largest = build.call(ReduceExtremum(Extremum.MAX, (axis,)), [flat])
    centred = build.call(Binary(BinaryFunction.SUB), [flat, largest])
    total = build.call(ReduceSum((axis,)), [build.call(Unary("Exp"), [centred])])
    y = build.call(Binary(BinaryFunction.SUB), [centred, build.call(Unary("Log"), [total])])
    return y if flat is x else build.call(Reshape(x.shape), [y])


IMPORTERS = {"Softmax": import_softmax, "LogSoftmax": import_log_softmax}
