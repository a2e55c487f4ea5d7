"""LayerNormalization and RMSNormalization, in float, in int8 and in int16."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from tinycast.ir.fixed_point import INT32_MAX, mulhi
from tinycast.ir.graph import Builder, Op, Pattern, Routine, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.elementwise import Binary, BinaryFunction
from tinycast.ops.node import Imported, Node
from tinycast.ops.reduce import ReduceMean
from tinycast.ops.unary import Real, Unary

_LONGEST = {DType.INT8: 2**14, DType.INT16: 2**13}  # elements of a row, with which no sum leaves its type
_NORMALIZED_BITS = {DType.INT8: 20, DType.INT16: 23}
_MOST_VARIANCE_BITS = 20
_LEAST_SHIFT, _MOST_SHIFT = 6, 16


@dataclass(frozen=True)
class LayerNorm(Op):
    """y = (x - mean) / sqrt(variance + epsilon) * scale + bias over the axes from `axis` on; float32.

    Not `centred` (RMSNormalization): the mean counts as zero. Inputs: x, scale, bias where there is one.
    """

    pattern = Pattern.ROWS
    has_wide_form = True
    axis: int
    epsilon: float
    centred: bool

    @property
    def title(self) -> str:
        return "LayerNormalization" if self.centred else "RMSNormalization"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x, scale, *bias = (a.astype(np.float64) for a in arrays)
        axes = tuple(range(self.axis, x.ndim))
        centred = x - x.mean(axes, keepdims=True) if self.centred else x
        y = centred / np.sqrt(np.square(centred).mean(axes, keepdims=True) + self.epsilon) * scale
        return np.asarray(y + bias[0] if bias else y, np.float32)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        raise NotImplementedError  # expand() replaces it before kernels are made

    def expand(self, build: Builder, inputs: Sequence[Value], name: str) -> Value:
        """The operators that it stands for."""
        x, scale, *bias = inputs
        axes = tuple(range(self.axis, len(x.shape)))

        def binary(function: BinaryFunction, a: Value, b: Value, wanted: str = "") -> Value:
            return build.call(Binary(function), [a, b], wanted)

        if self.centred:
            x = binary(BinaryFunction.SUB, x, build.call(ReduceMean(axes), [x]))
        variance = build.call(ReduceMean(axes), [binary(BinaryFunction.MUL, x, x)])
        epsilon = build.constant(np.asarray(self.epsilon, np.float32), "epsilon")
        deviation = build.call(Unary("Sqrt"), [binary(BinaryFunction.ADD, variance, epsilon)])
        normalized = binary(BinaryFunction.DIV, x, deviation)
        y = binary(BinaryFunction.MUL, normalized, scale, "" if bias else name)
        return binary(BinaryFunction.ADD, y, bias[0], name) if bias else y

    def integer_form(self, form: IntegerForm) -> Value | None:
        x, parameters = form.inputs[0].activation, [operand.real() for operand in form.inputs[1:]]
        if x is None or any(p is None for p in parameters):
            return None
        shape = x.value.shape[self.axis :]
        length = prod(shape)
        scale, bias = (
            np.broadcast_to(p, shape).reshape(-1) for p in (*(p for p in parameters if p is not None), np.zeros(()))[:2]
        )
        made = norm_rule(form, x.scale, length, self.epsilon, scale, bias)
        if made is None:
            return None
        rule, *tables = made
        op = IntegerLayerNorm(self.axis, self.centred, x.zero_point, rule)
        return form.build.call(op, [x.value, *tables], form.output.name)


@dataclass(frozen=True)
class NormRule:
    """How normalized elements become integers of `dtype`.

    `epsilon` is in 2^-variance_bits of the variance of the integers times the square of the row's length; normalized
    elements have `normalized_bits` after the point.
    """

    dtype: DType
    epsilon: int
    variance_bits: int
    shift: int
    low: int
    high: int

    @property
    def normalized_bits(self) -> int:
        return _NORMALIZED_BITS[self.dtype]

    @property
    def first_scale(self) -> int:
        """The shift after a product with 2^46 / sqrt(variance)."""
        return 46 - self.variance_bits // 2 - self.normalized_bits


def norm_rule(
    form: IntegerForm, x_scale: float, length: int, epsilon: float, scale: Real, bias: Real
) -> tuple[NormRule, Value, Value] | None:
    """The rule for rows of `length`, with multipliers and addends for real scales and biases; None if there is none."""
    scale, bias = scale / form.scale, bias / form.scale
    # Of int16 the sums of squares leave less room.
    room = _MOST_VARIANCE_BITS if form.dtype is DType.INT8 else 30 - 2 * (length - 1).bit_length()
    variance_bits = min(_MOST_VARIANCE_BITS, room)
    steps = max(1, round(epsilon * (length / x_scale) ** 2 * 2**variance_bits))
    low, high = form.dtype.bounds
    factor_bits = 32 - _NORMALIZED_BITS[form.dtype]
    shift = _shift(float(np.abs(scale).max()) * 2.0**factor_bits, float(np.abs(bias).max()) + high - low + 1)
    if shift < _LEAST_SHIFT or length > _LONGEST[form.dtype] or steps >= 2**61:
        return None
    multiplier = np.rint(scale * 2.0 ** (factor_bits + shift)).astype(np.int32)
    addend = np.rint((bias + form.zero_point + 0.5) * 2.0**shift).astype(np.int32)
    tables = [form.build.constant(multiplier, "multiplier"), form.build.constant(addend, "addend")]
    return NormRule(form.dtype, steps, variance_bits, shift, form.low, form.high), tables[0], tables[1]


def _shift(multiplier: float, addend: float) -> int:
    """The largest shift with which multipliers and addends stay below their bounds."""
    for shift in range(_MOST_SHIFT, 0, -1):
        if multiplier * 2.0**shift < INT32_MAX and addend * 2.0**shift < 2**30:
            return shift
    return 0


@dataclass(frozen=True)
class IntegerLayerNorm(Routine):
    """Rows from `axis` on as runtime_c/generic/tc_normalize.h computes them.

    Inputs: x int8 or int16, multiplier and addend int32, one an element of a row.
    """

    runtime: ClassVar[frozenset[str]] = frozenset({"tc_normalize.h"})
    axis: int
    centred: bool
    zero_point: int
    rule: NormRule

    @property
    def title(self) -> str:
        return "LayerNormalization" if self.centred else "RMSNormalization"

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].shape, self.rule.dtype),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x, multiplier, addend = arrays
        length = multiplier.size
        rows = x.reshape(-1, length).astype(np.int64) - self.zero_point
        y = normalized_rows(rows, self.rule, multiplier, addend, centred=self.centred)
        return (y.reshape(x.shape),)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        length = prod(inputs[1].shape)
        rows = prod(inputs[0].shape) // length
        rule = self.rule
        numbers = f"{length}, {self.zero_point}, {int(self.centred)}, INT64_C({rule.epsilon}), {rule.shift}"
        function = "tc_normalize_row"
        if rule.dtype is DType.INT16:
            function = "tc_normalize_row_s16"
            numbers = f"{rule.variance_bits}, {rule.first_scale}, {numbers}"
        return (
            f"for (int32_t row = 0; row < {rows}; ++row) {{\n"
            f"    {function}(output_0 + row * {length}, input_0 + row * {length}, input_1, input_2,\n"
            f"                     {numbers}, {rule.low}, {rule.high});\n}}\n"
        )


def normalized_rows(rows: Array, rule: NormRule, multiplier: Array, addend: Array, *, centred: bool) -> Array:
    """The results of rows (int64) of elements less their zero point; the tables broadcast to them."""
    length = rows.shape[1]
    total = rows.sum(1, keepdims=True) * centred
    variance = np.square(rows).sum(1, keepdims=True) * length - total * total
    variance = (variance << rule.variance_bits) + rule.epsilon
    scale = np.full_like(variance, rule.first_scale)
    for _ in range(16):
        large, small = variance >= 2**32, variance < 2**30
        variance = np.where(large, variance >> 2, np.where(small, variance << 2, variance))
        scale += large.astype(np.int64) - small
    factor = _reciprocal_sqrt(variance.astype(np.uint64))
    normalized = ((rows * length - total) * factor + (np.int64(1) << (scale - 1))) >> scale
    y = (mulhi(normalized.astype(np.int32), multiplier) + addend) >> rule.shift
    return np.asarray(np.clip(y, rule.low, rule.high), rule.dtype.numpy)


def _reciprocal_sqrt(m: Array) -> Array:
    """tc_reciprocal_sqrt of uint64s."""
    r = np.uint64(2362232012) - ((m * np.uint64(1395864371)) >> np.uint64(32))
    for _ in range(4):
        square = (((r * r) >> np.uint64(30)) * m) >> np.uint64(32)
        r = (r * (np.uint64(3221225472) - square)) >> np.uint64(31)
    return np.asarray(r.astype(np.int64))


def import_layer_norm(node: Node) -> Imported:
    """With the mean and 1 / deviation of each row, where something reads them."""
    x, build = node.input(0), node.build
    centred = node.kind == "LayerNormalization"
    axis, epsilon = node.axis(-1, len(x.shape)), node.float("epsilon", 1e-5)
    given = [v for v in (node.input(1), node.optional(2)) if v is not None]
    y = build.call(LayerNorm(axis, epsilon, centred), [x, *given])
    read = [bool(output.uses()) or output.is_graph_output() for output in node.onnx.outputs[1:]]
    if not any(read):
        return y
    axes = tuple(range(axis, len(x.shape)))
    mean = build.call(ReduceMean(axes), [x])
    deviations = build.call(Binary(BinaryFunction.SUB), [x, mean])
    variance = build.call(ReduceMean(axes), [build.call(Binary(BinaryFunction.MUL), [deviations, deviations])])
    total = build.call(
        Binary(BinaryFunction.ADD), [variance, build.constant(np.asarray(epsilon, np.float32), "epsilon")]
    )
    return y, mean, build.call(Unary("Reciprocal"), [build.call(Unary("Sqrt"), [total])])


IMPORTERS = {"LayerNormalization": import_layer_norm, "RMSNormalization": import_layer_norm}
