"""Arithmetic element by element: unary functions and broadcasting pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import prod

import numpy as np

from tinycast.ir.graph import Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm, QuantizedInput
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.node import Node
from tinycast.ops.scaled_sum import integer_product, integer_sum
from tinycast.ops.shape import rescaled
from tinycast.ops.weighted_sum import weighted_sum
from tinycast.tvm_bridge import expr as te


class BinaryFunction(Enum):
    ADD = "Add"
    SUB = "Sub"
    MUL = "Mul"
    DIV = "Div"
    MIN = "Min"
    MAX = "Max"
    POW = "Pow"
    MOD = "Mod"  # the sign of the divisor
    REMAINDER = "Remainder"  # the sign of the dividend, as C's fmod and %


def _truncated(a: Array, b: Array) -> Array:
    quotient = np.floor_divide(a, b)
    return np.asarray(quotient + ((quotient < 0) & (quotient * b != a)))


def _power(a: te.Expr, b: te.Expr) -> te.Expr:
    if te.is_float(a):
        return te.extern(DType.FLOAT32, "tc_pow", a, te.cast(b, DType.FLOAT32))
    wide = DType.INT64
    return te.cast(te.extern(wide, "tc_integer_power", te.cast(a, wide), te.cast(b, wide)), te.dtype_of(a))


def _remainder(a: te.Expr, b: te.Expr) -> te.Expr:
    if te.is_float(a):
        return te.extern(DType.FLOAT32, "tc_fmod", a, b)
    return te.truncated_remainder(a, b)


def _modulo(a: te.Expr, b: te.Expr) -> te.Expr:
    rest, none = _remainder(a, b), te.const(0, te.dtype_of(a))
    if te.dtype_of(a).value.startswith("u"):
        return rest
    wrong = te.all_of([te.not_equal(rest, none), te.not_equal(rest < none, b < none)])
    return te.select(wrong, rest + b, rest)


_NUMPY: dict[BinaryFunction, Callable[[Array, Array], Array]] = {
    BinaryFunction.ADD: np.add,
    BinaryFunction.SUB: np.subtract,
    BinaryFunction.MUL: np.multiply,
    BinaryFunction.DIV: lambda a, b: np.divide(a, b) if a.dtype.kind == "f" else _truncated(a, b),
    BinaryFunction.MIN: np.minimum,
    BinaryFunction.MAX: np.maximum,
    BinaryFunction.POW: lambda a, b: np.power(a.astype(np.float64), b),
    BinaryFunction.MOD: np.mod,
    BinaryFunction.REMAINDER: np.fmod,
}
_EXPR: dict[BinaryFunction, Callable[[te.Expr, te.Expr], te.Expr]] = {
    BinaryFunction.ADD: lambda a, b: a + b,
    BinaryFunction.SUB: lambda a, b: a - b,
    BinaryFunction.MUL: lambda a, b: a * b,
    BinaryFunction.DIV: lambda a, b: a / b if te.is_float(a) else te.truncated_division(a, b),
    BinaryFunction.MIN: te.minimum,
    BinaryFunction.MAX: te.maximum,
    BinaryFunction.POW: _power,
    BinaryFunction.MOD: _modulo,
    BinaryFunction.REMAINDER: _remainder,
}


@dataclass(frozen=True)
class Binary(Op):
    """y = function(a, b), NumPy's broadcasting."""

    pattern = Pattern.ELEMENTWISE
    has_wide_form = True
    function: BinaryFunction

    @property
    def title(self) -> str:
        return self.function.value

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(np.broadcast_shapes(*(v.shape for v in inputs)), inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return np.asarray(_NUMPY[self.function](*arrays)).astype(arrays[0].dtype)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        return te.elementwise(tensors, out.shape, _EXPR[self.function], self.function.value.lower())

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self

    def integer_form(self, form: IntegerForm) -> Value | None:
        a, b = (x.tensor for x in form.inputs)
        if self.function in (BinaryFunction.MIN, BinaryFunction.MAX):
            return _extreme_of(form, self)
        if a is None or b is None or self.function is BinaryFunction.DIV:
            return _with_constant(form, self.function) if form.dtype is DType.INT8 else None
        if self.function in (BinaryFunction.ADD, BinaryFunction.SUB):
            return integer_sum(form, a, b, -1.0 if self.function is BinaryFunction.SUB else 1.0)
        if self.function is not BinaryFunction.MUL:
            return None
        return integer_product(form, a, b)


def _extreme_of(form: IntegerForm, op: Binary) -> Value | None:
    """Both operands in the output's steps: rounding keeps their order."""
    values = [rescaled_operand(form, operand) for operand in form.inputs]
    known = [v for v in values if v is not None]
    return form.build.call(op, known, form.output.name) if len(known) == len(values) else None


def rescaled_operand(form: IntegerForm, operand: QuantizedInput) -> Value | None:
    """An operand, constant or not, in the output's scale, zero point and bounds; None for floats of run time."""
    real = operand.real()
    if real is None:
        return None if operand.activation is None else rescaled(form, operand.activation, named=False)
    steps = np.floor(real / form.scale + 0.5) + form.zero_point
    return form.build.constant(np.clip(steps, form.low, form.high).astype(form.dtype.numpy), "steps")


def _with_constant(form: IntegerForm, function: BinaryFunction) -> Value | None:
    """An int8 tensor and a constant that is not quantized, or a divisor."""
    (x, y), (a, b) = (operand.activation for operand in form.inputs), (operand.real() for operand in form.inputs)
    tensor, real = (x, b) if a is None else (y, a)
    if tensor is None or real is None:
        return None
    one, swapped = np.ones(()), a is not None
    if function is BinaryFunction.MUL:
        return weighted_sum(form, [(tensor, real)])
    if function is BinaryFunction.ADD:
        return weighted_sum(form, [(tensor, one)], real)
    if function is BinaryFunction.SUB:
        return weighted_sum(form, [(tensor, -one if swapped else one)], real if swapped else -real)
    if function is BinaryFunction.DIV and not swapped and np.all(real != 0):
        return weighted_sum(form, [(tensor, 1.0 / real)])
    return None


@dataclass(frozen=True)
class Clip(Op):
    """y = min(max(x, low), high); infinite bounds are none. Relu is Clip(0, inf)."""

    pattern = Pattern.ELEMENTWISE
    has_wide_form = True
    low: float = -np.inf
    high: float = np.inf

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        return np.clip(arrays[0], self.low, self.high).astype(arrays[0].dtype)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        def body(x: te.Expr) -> te.Expr:
            y = x if self.low == -np.inf else te.maximum(x, te.const(self.low, out.dtype))
            return y if self.high == np.inf else te.minimum(y, te.const(self.high, out.dtype))

        return te.elementwise(tensors, out.shape, body, "clipped")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self

    def integer_form(self, form: IntegerForm) -> Value | None:
        x = form.inputs[0].activation
        if x is None:
            return None
        steps = np.rint(np.clip(np.asarray([self.low, self.high]) / form.scale, -1e6, 1e6)) + form.zero_point
        low, high = (int(n) for n in np.clip(steps, form.low, form.high))
        return rescaled(replace(form, low=low, high=high), x)


def import_binary(node: Node) -> Value:
    function = BinaryFunction(node.kind)
    values = [node.input(i) for i in range(len(node.inputs))]
    result = values[0]
    for value in values[1:]:
        divides = function is BinaryFunction.DIV
        result = node.build.call(Binary(function), [result, _divisor(node, value) if divides else value])
    return result


def import_mod(node: Node) -> Value:
    function = BinaryFunction.REMAINDER if node.int("fmod", 0) else BinaryFunction.MOD
    return node.build.call(Binary(function), [node.input(0), _divisor(node, node.input(1))])


def _divisor(node: Node, x: Value) -> Value:
    """x, ones behind its real elements where its size depends on data: processors stop at a division by zero."""
    if x.data is not None and not (x.data.any() if x.dtype is DType.FLOAT32 else x.data.all()):
        node.reject(f"it divides by {x.name}, a constant zero", "export the model again with what it should divide by")
    if not x.sizes or x.dtype is DType.FLOAT32:
        return x
    from tinycast.ops.logic import masked  # made of operators of this kind

    whole = masked(node.build, x, range(len(x.shape)), 1)
    whole.sizes = x.sizes
    return whole


def import_relu(node: Node) -> Value:
    return node.build.call(Clip(0.0), [node.input(0)])


def import_clip(node: Node) -> Value:
    given = [node.optional(1), node.optional(2)]
    if any(v is not None and v.data is None for v in given):
        y = node.input(0)
        for function, bound in zip((BinaryFunction.MAX, BinaryFunction.MIN), given, strict=True):
            y = y if bound is None else node.build.call(Binary(function), [y, bound])
        return y
    low, high = node.constant(1), node.constant(2)
    bounds = [
        fallback if data is None or prod(data.shape) == 0 else float(data.reshape(-1)[0])
        for data, fallback in ((low, -np.inf), (high, np.inf))
    ]
    return node.build.call(Clip(*bounds), [node.input(0)])


def import_sum(node: Node) -> Value:
    values = [node.input(i) for i in range(len(node.inputs))]
    result = values[0]
    for value in values[1:]:
        result = node.build.call(Binary(BinaryFunction.ADD), [result, value])
    if node.kind == "Sum" or len(values) == 1:
        return result
    share = node.build.constant(np.asarray(1 / len(values), np.float32), "share")
    return node.build.call(Binary(BinaryFunction.MUL), [result, share])


IMPORTERS = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Min", "Max"), import_binary),
    "Mod": import_mod,
    "Sum": import_sum,
    "Mean": import_sum,
    "Relu": import_relu,
    "Clip": import_clip,
}
