"""C text of lowered expressions: as few parentheses as C's precedence allows, no implicit narrowing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import tirx
from tvm.ir import Call, TensorLoad, prim

from tinycast.errors import InternalError
from tinycast.ir.types import DType
from tinycast.tvm_bridge.lanes import C_TYPES as LANES

# C's precedence levels, higher binds tighter.
_TERNARY, _OR, _AND, _BIT_OR, _BIT_XOR, _BIT_AND, _EQUAL, _LESS, _SHIFT, _ADD, _MUL, _UNARY, _ATOM = range(1, 14)

_BINARY: dict[type, tuple[str, int]] = {
    tirx.Add: ("+", _ADD),
    tirx.Sub: ("-", _ADD),
    tirx.Mul: ("*", _MUL),
    tirx.Div: ("/", _MUL),
    tirx.Mod: ("%", _MUL),
    tirx.EQ: ("==", _EQUAL),
    tirx.NE: ("!=", _EQUAL),
    tirx.LT: ("<", _LESS),
    tirx.LE: ("<=", _LESS),
    tirx.GT: (">", _LESS),
    tirx.GE: (">=", _LESS),
    tirx.And: ("&&", _AND),
    tirx.Or: ("||", _OR),
    prim.LShift: ("<<", _SHIFT),
    prim.RShift: (">>", _SHIFT),
    prim.BitwiseAnd: ("&", _BIT_AND),
    prim.BitwiseOr: ("|", _BIT_OR),
    prim.BitwiseXor: ("^", _BIT_XOR),
}
_NARROW = {"int8", "uint8", "int16", "uint16"}


def c_type(dtype: str) -> str:
    return LANES.get(dtype) or DType(dtype).c_name


def literal(value: float, dtype: str) -> str:
    """A constant of the type, exact."""
    if dtype == "bool":
        return "true" if value else "false"
    if dtype != "float32":
        if dtype in ("int32", "int64") and value == -(2 ** (31 if dtype == "int32" else 63)):
            return f"INT{dtype[3:]}_MIN"
        suffix = {"uint32": "U", "int64": "LL", "uint64": "ULL"}.get(dtype, "")
        return f"{int(value)}{suffix}"
    number = np.float32(value)
    if np.isinf(number):
        return "TC_INFINITY" if number > 0 else "-TC_INFINITY"
    if np.isnan(number):
        return "TC_NAN"
    text = np.format_float_scientific(number, unique=True) if not 1e-4 <= abs(number) < 1e7 and number else str(number)
    return (text if "." in text or "e" in text else f"{text}.0") + "f"


class ExpressionPrinter:
    """Prints expressions. `variable` names variables, `element` prints a buffer's element."""

    def __init__(self, variable: Callable[[Any], str], element: Callable[[Any, str], str]) -> None:
        self._variable = variable
        self._element = element
        self.functions: set[str] = set()  # functions of runtime_c that were called

    def text(self, expr: Any) -> str:
        return self._print(expr)[0]

    def _operand(self, expr: Any, level: int) -> str:
        text, own = self._print(expr)
        return text if own >= level else f"({text})"

    def _print(self, expr: Any) -> tuple[str, int]:
        kind = type(expr)
        if kind in (tirx.IntImm, tirx.FloatImm):
            text = literal(expr.value, str(expr.ty))
            if "TC_" in text:
                self.functions.add(text.removeprefix("-"))
            return text, _UNARY if text.startswith("-") else _ATOM
        if isinstance(expr, tirx.Var):
            return self._variable(expr), _ATOM
        if kind is TensorLoad:
            (index,) = expr.indices
            return self._element(expr.source, self.text(index)), _ATOM
        if kind is tirx.Cast:
            return f"({c_type(str(expr.ty))}){self._operand(expr.value, _UNARY)}", _UNARY
        if kind in _BINARY:
            return self._binary(expr.a, expr.b, *_BINARY[kind], str(expr.ty))
        if kind in (tirx.FloorDiv, tirx.FloorMod):
            raise InternalError("a floor division was not lowered")
        if kind is tirx.Max and isinstance(expr.b, tirx.FloatImm) and expr.b.value == 0 and str(expr.ty) == "float32":
            self.functions.add("tc_relu")
            return f"tc_relu({self.text(expr.a)})", _ATOM
        if kind in (tirx.Min, tirx.Max):
            return self._extreme(expr.a, expr.b, "min" if kind is tirx.Min else "max", str(expr.ty))
        if kind is tirx.Not:
            return f"!{self._operand(expr.a, _UNARY)}", _UNARY
        if kind is tirx.Select:
            return self._choice(expr.condition, expr.true_value, expr.false_value, str(expr.ty))
        if isinstance(expr, Call):
            return self._call(expr)
        raise InternalError(f"no C for {kind.__name__}: {expr}")

    def _binary(self, a: Any, b: Any, sign: str, level: int, dtype: str) -> tuple[str, int]:
        # The right operand is bracketed at the same level: - / % and shifts are not associative.
        if sign == "&&":
            left, right = self._operand(a, _AND), self._operand(b, _AND)
        elif sign == "||":  # compilers warn of && inside of || without brackets
            left, right = self._operand(a, _EQUAL), self._operand(b, _EQUAL)
        elif level in (_EQUAL, _LESS):
            left, right = self._operand(a, _SHIFT), self._operand(b, _SHIFT)
        elif level < _ADD:  # nor do they like + inside of >>, or any of these inside of another
            left, right = self._operand(a, _UNARY), self._operand(b, _UNARY)
        else:
            left, right = self._operand(a, level), self._operand(b, level + 1)
        return self._narrow(f"{left} {sign} {right}", dtype, level)

    def _extreme(self, a: Any, b: Any, name: str, dtype: str) -> tuple[str, int]:
        """min or max; by a function where an operand, which a condition would print twice, takes work to compute."""
        if not (_takes_work(a) or _takes_work(b)):
            left, right = self._operand(a, _SHIFT), self._operand(b, _SHIFT)
            return self._narrow(f"{left} {'<' if name == 'min' else '>'} {right} ? {left} : {right}", dtype, _TERNARY)
        function = f"tc_{name}_{'int32' if dtype in _NARROW else dtype}"
        self.functions.add(function)
        return self._narrow(f"{function}({self.text(a)}, {self.text(b)})", dtype, _ATOM)

    def _narrow(self, text: str, dtype: str, level: int) -> tuple[str, int]:
        """C computes in int: what TVM calls int8 arithmetic is cast back to it."""
        if dtype not in _NARROW:
            return text, level
        return f"({c_type(dtype)}){text if level == _ATOM else f'({text})'}", _UNARY

    def _choice(self, condition: Any, yes: Any, no: Any, dtype: str) -> tuple[str, int]:
        text = f"{self._operand(condition, _OR)} ? {self._operand(yes, _OR)} : {self._operand(no, _TERNARY)}"
        return self._narrow(text, dtype, _TERNARY)

    def _call(self, expr: Any) -> tuple[str, int]:
        name = expr.op.name.rsplit(".", 1)[-1]
        if name == "if_then_else":
            condition, yes, no = expr.args
            return self._choice(condition, yes, no, str(expr.ty))
        if name in ("call_pure_extern", "call_extern"):
            function = expr.args[0].value
            self.functions.add(function)
            return f"{function}({', '.join(self.text(a) for a in expr.args[1:])})", _ATOM
        if name == "address_of":
            load = expr.args[0]
            return f"&{self._element(load.source, self.text(load.indices[0]))}", _UNARY
        raise InternalError(f"no C for the intrinsic {name}")


def _takes_work(expr: Any) -> bool:
    """Whether the expression is more than an element, a variable, a constant, or an index made of these."""
    if isinstance(expr, tirx.Add | tirx.Sub | tirx.Mul) and str(expr.ty) == "int32":
        return _takes_work(expr.a) or _takes_work(expr.b)
    return not isinstance(expr, tirx.IntImm | tirx.FloatImm | tirx.Var | TensorLoad)
