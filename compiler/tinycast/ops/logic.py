"""Comparisons, truth values and bits, element by element with NumPy's broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinycast.ir.graph import Builder, Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm
from tinycast.ir.sizes import axis_count
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.counts import Mask
from tinycast.ops.elementwise import rescaled_operand
from tinycast.ops.node import Node
from tinycast.tvm_bridge import expr as te


class Definition(NamedTuple):
    """A function of elements: in NumPy, as an expression, and whether it gives truth values."""

    numpy: Callable[..., Any]
    expression: Callable[..., te.Expr]
    gives_bool: bool = True


def _bits(x: te.Expr) -> int:
    return te.dtype_of(x).itemsize * 8


def _flip(x: te.Expr) -> te.Expr:
    dtype = te.dtype_of(x)
    return x ^ te.const(int(np.invert(np.zeros((), dtype.numpy))), dtype)


def _shift_left(x: te.Expr, count: te.Expr) -> te.Expr:
    return te.select(_fits(x, count), x << count, te.const(0, te.dtype_of(x)))


def _shift_right(x: te.Expr, count: te.Expr) -> te.Expr:
    none = te.const(0, te.dtype_of(x))
    rest = none if te.dtype_of(x).value.startswith("u") else te.select(x < none, te.const(-1, te.dtype_of(x)), none)
    return te.select(_fits(x, count), x >> count, rest)


def _fits(x: te.Expr, count: te.Expr) -> te.Expr:
    """C leaves shifts by a negative count, or by all bits and more, undefined."""
    dtype = te.dtype_of(x)
    below = count < te.const(_bits(x), dtype)
    return below if dtype.value.startswith("u") else te.all_of([count >= te.const(0, dtype), below])


def _numpy_shift(shift: Callable[..., Array]) -> Callable[[Array, Array], Array]:
    def function(x: Array, count: Array) -> Array:
        bits = x.dtype.itemsize * 8
        inside = (count >= 0) & (count < bits)
        filled = np.where((x < 0) & (shift is np.right_shift), -1, 0).astype(x.dtype)
        return np.where(inside, shift(x, np.where(inside, count, 0).astype(x.dtype)), filled)

    return function


FUNCTIONS: dict[str, Definition] = {
    "Equal": Definition(np.equal, te.equal),
    "Greater": Definition(np.greater, lambda a, b: a > b),
    "GreaterOrEqual": Definition(np.greater_equal, lambda a, b: a >= b),
    "Less": Definition(np.less, lambda a, b: a < b),
    "LessOrEqual": Definition(np.less_equal, lambda a, b: a <= b),
    "And": Definition(np.logical_and, lambda a, b: te.all_of([a, b])),
    "Or": Definition(np.logical_or, te.either),
    "Xor": Definition(np.logical_xor, te.not_equal),
    "Not": Definition(np.logical_not, te.negation),
    "IsNaN": Definition(np.isnan, lambda x: te.extern(DType.BOOL, "tc_is_nan", x)),
    "IsPositiveInf": Definition(np.isposinf, lambda x: x > te.const(float(np.finfo(np.float32).max), DType.FLOAT32)),
    "IsNegativeInf": Definition(np.isneginf, lambda x: x < te.const(float(np.finfo(np.float32).min), DType.FLOAT32)),
    "BitwiseAnd": Definition(np.bitwise_and, lambda a, b: a & b, False),
    "BitwiseOr": Definition(np.bitwise_or, lambda a, b: a | b, False),
    "BitwiseXor": Definition(np.bitwise_xor, lambda a, b: a ^ b, False),
    "BitwiseNot": Definition(np.invert, _flip, False),
    "ShiftLeft": Definition(_numpy_shift(np.left_shift), _shift_left, False),
    "ShiftRight": Definition(_numpy_shift(np.right_shift), _shift_right, False),
}


@dataclass(frozen=True)
class Logic(Op):
    """y = FUNCTIONS[function](elements): truth values, or bits of the operands' type."""

    pattern = Pattern.ELEMENTWISE
    function: str

    @property
    def title(self) -> str:
        return self.function

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        shape = np.broadcast_shapes(*(v.shape for v in inputs))
        return TensorType(shape, DType.BOOL if FUNCTIONS[self.function].gives_bool else inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        return np.asarray(FUNCTIONS[self.function].numpy(*arrays))

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        return te.elementwise(tensors, out.shape, FUNCTIONS[self.function].expression, self.function.lower())

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self


@dataclass(frozen=True)
class Where(Op):
    """y = a where the condition holds, else b."""

    pattern = Pattern.ELEMENTWISE
    has_wide_form = True

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(np.broadcast_shapes(*(v.shape for v in inputs)), inputs[1].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        return np.where(*arrays)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        return te.elementwise(tensors, out.shape, te.select, "chosen")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self

    def integer_form(self, form: IntegerForm) -> Value | None:
        condition, *operands = form.inputs
        values = [rescaled_operand(form, operand) for operand in operands]
        known = [v for v in values if v is not None]
        if len(known) < len(values) or condition.value.dtype is not DType.BOOL:
            return None
        return form.build.call(self, [condition.value, *known], form.output.name)


@dataclass(frozen=True)
class Cast(Op):
    """y = x in another element type; floats are cut off toward zero, and saturate where they do not fit int32."""

    pattern = Pattern.ELEMENTWISE
    dtype: DType

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, self.dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        with np.errstate(invalid="ignore"):
            return arrays[0].astype(self.dtype.numpy)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        def body(x: te.Expr) -> te.Expr:
            if self.dtype is DType.BOOL and te.dtype_of(x) is not DType.BOOL:
                return te.not_equal(x, te.const(0, te.dtype_of(x)))
            return te.cast(x, self.dtype)

        return te.elementwise(tensors, out.shape, body, "cast")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self


def masked(build: Builder, x: Value, axes: Sequence[int], fill: float) -> Value:
    """x with `fill` behind its real elements along `axes`, which become static."""
    for axis in axes:
        count = axis_count(x, axis)
        if count is None:
            continue
        real = build.call(Mask(x.shape[axis], len(x.shape) - 1 - axis), [count])
        sizes = tuple(None if a == axis else other for a, other in enumerate(x.sizes))
        rest = build.constant(np.asarray(fill, x.dtype.numpy), "fill")
        x = build.call(Where(), [real, x, rest], sizes=sizes if any(sizes) else ())
    return x


def import_logic(node: Node) -> Value:
    return node.build.call(Logic(node.kind), [node.input(i) for i in range(len(node.inputs))])


def import_is_inf(node: Node) -> Value:
    x, build = node.input(0), node.build
    signs = [s for s in ("Positive", "Negative") if node.int(f"detect_{s.lower()}", 1)]
    found = [build.call(Logic(f"Is{sign}Inf"), [x]) for sign in signs]
    if not found:
        return build.call(Logic("Xor"), [build.call(Logic("IsNaN"), [x])] * 2)
    return found[0] if len(found) == 1 else build.call(Logic("Or"), found)


def import_bit_shift(node: Node) -> Value:
    function = "ShiftLeft" if node.text("direction", "") == "LEFT" else "ShiftRight"
    return node.build.call(Logic(function), [node.input(0), node.input(1)])


def import_where(node: Node) -> Value:
    return node.build.call(Where(), [node.input(i) for i in range(3)])


IMPORTERS = {
    **{
        name: import_logic
        for name in FUNCTIONS
        if name not in ("IsPositiveInf", "IsNegativeInf", "ShiftLeft", "ShiftRight")
    },
    "BitShift": import_bit_shift,
    "IsInf": import_is_inf,
    "Where": import_where,
}
