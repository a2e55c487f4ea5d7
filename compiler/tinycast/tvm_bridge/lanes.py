"""Vectorized loops over four neighbours become operations on vectors of four int32 or float32 (tc_lanes.h).

A schedule marks such loops as vectorized. int8 elements are held as int32 as well: loads widen them, stores narrow
them. A loop around anything else stays a loop.
"""

from __future__ import annotations

from typing import Any

from tvm import sym, tirx
from tvm.ir import Call, TensorLoad, prim

from tinycast.tvm_bridge.nodes import loop_around, mentions

LANES = 4
C_TYPES = {"int32x4": "tc_lanes", "float32x4": "tc_float_lanes"}
_ELEMENTS = {"int8": "s8", "int32": "s32", "float32": "f32"}
_OPERATORS = (tirx.Add, tirx.Sub, tirx.Mul)
_FLOAT_OPERATORS = (*_OPERATORS, tirx.Div)
_FLOAT_FUNCTIONS = ("tc_exp", "tc_expm1", "tc_sigmoid", "tc_tanh")  # tc_lanes_math.h
_TO_INT8 = "tc_requantize_s8_"  # its name ends with the shift
_CHOICES = {tirx.Min: "tc_lanes_min", tirx.Max: "tc_lanes_max"}

Expr = Any
Statement = Any


class _NoVectorError(Exception):
    """There is no vector operation for it."""


def use_lanes(statement: Statement) -> Statement:
    """Rewrite every vectorized loop of the statement."""
    if isinstance(statement, tirx.SeqStmt):
        return tirx.SeqStmt([use_lanes(s) for s in statement.seq])
    if isinstance(statement, tirx.IfThenElse):
        other = None if statement.else_case is None else use_lanes(statement.else_case)
        return tirx.IfThenElse(statement.condition, use_lanes(statement.then_case), other)
    if not isinstance(statement, tirx.For):
        return statement
    if statement.kind != tirx.ForKind.VECTORIZED:
        return loop_around(statement, use_lanes(statement.body))
    try:
        return _Vectorizer(statement.loop_var).store(statement.body)
    except _NoVectorError:
        return tirx.For(statement.loop_var, statement.min, statement.extent, tirx.ForKind.SERIAL, statement.body)


class _Vectorizer:
    """Expressions of a loop variable that takes four values."""

    def __init__(self, variable: Any) -> None:
        self._variable = variable

    def store(self, statement: Statement) -> Statement:
        if isinstance(statement, tirx.IfThenElse) and statement.else_case is None:
            if mentions(statement.condition, self._variable):
                raise _NoVectorError
            return tirx.IfThenElse(statement.condition, self.store(statement.then_case), None)
        if not isinstance(statement, tirx.BufferStore) or str(statement.buffer.dtype) not in _ELEMENTS:
            raise _NoVectorError
        base, step = self._linear(statement.indices[0])
        if step != 1:
            raise _NoVectorError
        place = tirx.address_of(tirx.BufferLoad(statement.buffer, [base]))
        name = _function_of(statement.value)
        if name.startswith(_TO_INT8):
            accumulator, multiplier, addend = statement.value.args[1:]
            operands = [self._lanes(accumulator), self._multiplier(multiplier), self._lanes(addend)]
            shift = tirx.const(int(name.removeprefix(_TO_INT8)), "int32")
            return tirx.Evaluate(tirx.call_extern("int32", "tc_lanes_requantize_to_s8", place, *operands, shift))
        function = f"tc_lanes_to_{_ELEMENTS[str(statement.buffer.dtype)]}"
        return tirx.Evaluate(tirx.call_extern("int32", function, place, self._lanes(statement.value)))

    def _linear(self, index: Expr) -> tuple[Expr, int]:
        """The index at the first lane, and what a lane adds to it; (index, -1) where that is not the same for all."""
        found = list(sym.detect_linear_equation(index, [self._variable]))
        if not found or not isinstance(found[0], tirx.IntImm):
            return index, -1
        return found[1], int(found[0].value)

    def _lanes(self, expr: Expr) -> Expr:
        """The expression as a vector."""
        if not mentions(expr, self._variable):
            return _call("tc_lanes_all", expr, of=expr)
        kind = type(expr)
        if kind is TensorLoad:
            return self._load(expr)
        if kind is tirx.Cast and str(expr.ty) == "int32" and str(expr.value.ty) == "int8":
            return self._lanes(expr.value)
        if kind is tirx.Cast and str(expr.ty) == "int8" and _fits_int8(expr.value):
            return self._lanes(expr.value)
        if kind in {"int32": _OPERATORS, "float32": _FLOAT_OPERATORS}.get(str(expr.ty), ()):
            return kind(self._lanes(expr.a), self._lanes(expr.b))
        if kind in _CHOICES:
            return _call(_CHOICES[kind], self._lanes(expr.a), self._lanes(expr.b), of=expr)
        if kind is prim.RShift and not mentions(expr.b, self._variable):
            return _call("tc_lanes_shift", self._lanes(expr.a), expr.b)
        if name := _function_of(expr):
            return self._function(name, list(expr.args[1:]))
        raise _NoVectorError

    def _load(self, expr: Expr) -> Expr:
        element = _ELEMENTS.get(str(expr.source.dtype))
        base, step = self._linear(expr.indices[0])
        if element is not None and step == 1:
            kind = "float32x4" if element == "f32" else "int32x4"
            place = tirx.address_of(tirx.BufferLoad(expr.source, [base]))
            return tirx.call_pure_extern(kind, f"tc_lanes_{element}", place)
        if element == "s8" and step == -1:
            table = tirx.address_of(tirx.BufferLoad(expr.source, [tirx.const(0, "int32")]))
            return _call("tc_lanes_look_up", table, self._lanes(expr.indices[0]))
        raise _NoVectorError

    def _function(self, name: str, arguments: list[Expr]) -> Expr:
        if name == "tc_clamp":
            value, *bounds = arguments
            return _call("tc_lanes_clamp", self._lanes(value), *self._same(bounds))
        if name in _FLOAT_FUNCTIONS:
            (value,) = arguments
            return _call(name.replace("tc_", "tc_lanes_"), self._lanes(value), of=value)
        if name.startswith(_TO_INT8):
            shift = tirx.const(int(name.removeprefix(_TO_INT8)), "int32")
            arguments = [*arguments, shift, tirx.const(-128, "int32"), tirx.const(127, "int32")]
        elif name != "tc_requantize":
            raise _NoVectorError
        accumulator, multiplier, addend, shift, low, high = arguments
        vectors = [self._lanes(accumulator), self._multiplier(multiplier), self._lanes(addend)]
        if mentions(shift, self._variable):
            return _call("tc_lanes_requantize_each", *vectors, self._lanes(shift), *self._same([low, high]))
        return _call("tc_lanes_requantize", *vectors, shift, *self._same([low, high]))

    def _multiplier(self, expr: Expr) -> Expr:
        """The multipliers of a requantize: cores may load them in their own way."""
        if not mentions(expr, self._variable):
            return _call("tc_lanes_multiplier", expr)
        base, step = self._linear(expr.indices[0]) if type(expr) is TensorLoad else (expr, 0)
        if step != 1:
            return self._lanes(expr)
        return _call("tc_lanes_multipliers", tirx.address_of(tirx.BufferLoad(expr.source, [base])))

    def _same(self, scalars: list[Expr]) -> list[Expr]:
        if any(mentions(s, self._variable) for s in scalars):
            raise _NoVectorError
        return scalars


def _function_of(expr: Expr) -> str:
    """The function of runtime_c that the expression calls, or ""."""
    called = isinstance(expr, Call) and expr.op.name.endswith("call_pure_extern")
    return str(expr.args[0].value) if called else ""


def _fits_int8(expr: Expr) -> bool:
    """Whether the int32 expression is a clamp to a part of int8."""
    if _function_of(expr) != "tc_clamp":
        return False
    bounds = expr.args[2:]
    return all(isinstance(b, tirx.IntImm) and -128 <= int(b.value) <= 127 for b in bounds)


def _call(function: str, *arguments: Expr, of: Expr | None = None) -> Expr:
    """A call of the function for vectors of int32, or of the type of `of`."""
    if of is None or str(of.ty) != "float32":
        return tirx.call_pure_extern("int32x4", function, *arguments)
    return tirx.call_pure_extern("float32x4", f"{function}_f32", *arguments)
