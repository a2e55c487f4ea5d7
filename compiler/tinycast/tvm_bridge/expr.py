"""Tensor expressions: what operators say their meaning to TVM with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import te, tirx

from tinycast.ir.types import DType

Expr = Any  # tvm.tirx.PrimExpr
Tensor = Any  # tvm.te.Tensor

compute = te.compute
placeholder = te.placeholder
reduce_axis = te.reduce_axis
sum = te.sum
product = te.comm_reducer(lambda a, b: a * b, lambda dtype: tirx.const(1, dtype), name="product")
# TVM's own start from the largest finite number, which infinities do not reach.
max = te.comm_reducer(lambda a, b: tirx.max(a, b), lambda dtype: _extreme(dtype, largest=False), name="max")
min = te.comm_reducer(lambda a, b: tirx.min(a, b), lambda dtype: _extreme(dtype, largest=True), name="min")


def _extreme(dtype: str, *, largest: bool) -> Expr:
    """The largest or smallest value of an element type; infinite for floats."""
    if dtype.startswith("float"):
        return tirx.const(float("inf" if largest else "-inf"), dtype)
    return tirx.max_value(dtype) if largest else tirx.min_value(dtype)


def const(value: float, dtype: DType) -> Expr:
    return tirx.const(value, dtype.value)


def dtype_of(value: Expr) -> DType:
    """The element type of a tensor or an expression."""
    # Tensors and their elements have a dtype, expressions a type.
    return DType(str(value.dtype if hasattr(value, "dtype") else value.ty))


def cast(value: Expr, dtype: DType) -> Expr:
    return value if dtype_of(value) is dtype else value.astype(dtype.value)


def select(condition: Expr, yes: Expr, no: Expr) -> Expr:
    """`yes` where the condition holds; the other side is not read."""
    return tirx.if_then_else(condition, yes, no)


def all_of(conditions: Sequence[Expr]) -> Expr:
    return tirx.all(*conditions)


def extern(dtype: DType, function: str, *args: Expr) -> Expr:
    """A call of a function of runtime_c, which must have no side effect."""
    return tirx.call_pure_extern(dtype.value, function, *args)


def constant_value(value: Expr) -> int | None:
    """The value of an integer constant; None where the expression is none."""
    return int(value.value) if isinstance(value, tirx.IntImm) else None


def absolute(x: Expr) -> Expr:
    return x if dtype_of(x).value.startswith("u") else tirx.max(x, -x)


def truncated_division(a: Expr, b: Expr) -> Expr:
    """a / b on integers, rounded toward zero as C does."""
    return tirx.truncdiv(a, b)


def truncated_remainder(a: Expr, b: Expr) -> Expr:
    """a - b * (a / b) on integers: the sign of a, as in C."""
    return tirx.truncmod(a, b)


def low_bits(value: Expr, mask: int) -> Expr:
    return tirx.bitwise_and(value, tirx.const(mask, "int32"))


def is_float(value: Expr) -> bool:
    return dtype_of(value) is DType.FLOAT32


def equal(a: Expr, b: Expr) -> Expr:
    return tirx.EQ(a, b)


def not_equal(a: Expr, b: Expr) -> Expr:
    return tirx.NE(a, b)


def either(a: Expr, b: Expr) -> Expr:
    return tirx.any(a, b)


def negation(a: Expr) -> Expr:
    return tirx.Not(a)


def minimum(a: Expr, b: Expr) -> Expr:
    return tirx.min(a, b)


def maximum(a: Expr, b: Expr) -> Expr:
    return tirx.max(a, b)


def broadcast_read(tensor: Tensor, index: Sequence[Expr]) -> Expr:
    """Read `tensor` at `index` of a shape that it broadcasts to (NumPy's rule)."""
    offset = len(index) - len(tensor.shape)
    where = [tirx.const(0, "int32") if int(n) == 1 else index[offset + i] for i, n in enumerate(tensor.shape)]
    return tensor(*where) if where else tensor()


def elementwise(tensors: Sequence[Tensor], shape: Sequence[int], body: Callable[..., Expr], name: str) -> Tensor:
    """`body` applied to the elements of the tensors, which broadcast to `shape`."""
    return te.compute(tuple(shape), lambda *i: body(*(broadcast_read(t, i) for t in tensors)), name=name)


def immediate(value: float, dtype: DType) -> Callable[..., Expr]:
    """A constant in the place of a tensor without axes."""
    return _Scalar(const(value, dtype), dtype)


def by_value(variable: Expr) -> Callable[..., Expr]:
    """A scalar parameter in the place of a tensor without axes."""
    return _Scalar(variable, DType.INT32)


class _Scalar:
    """Looks like a tensor of shape () to the operators."""

    shape: tuple[int, ...] = ()

    def __init__(self, value: Expr, dtype: DType) -> None:
        self._value = value
        self.dtype = dtype.value

    def __call__(self) -> Expr:
        return self._value
