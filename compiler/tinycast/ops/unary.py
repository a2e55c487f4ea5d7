"""Functions of one real number. int8 forms of all of them are tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinycast.ir.graph import Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.elementwise import Binary, BinaryFunction
from tinycast.ops.node import Node
from tinycast.tvm_bridge import expr as te

Real = npt.NDArray[np.float64]


class Definition(NamedTuple):
    """A function of x and up to two attributes a, b: in NumPy, as an expression, and the attributes' ONNX names."""

    numpy: Callable[[Real, float, float], Real]
    expression: Callable[[te.Expr, te.Expr, te.Expr], te.Expr]
    attributes: tuple[tuple[str, float], ...] = ()


def _call(function: str) -> Callable[[te.Expr, te.Expr, te.Expr], te.Expr]:
    return lambda x, a, b: te.extern(DType.FLOAT32, function, x)


def _f(value: float) -> te.Expr:
    return te.const(value, DType.FLOAT32)


def _unit(x: te.Expr) -> te.Expr:
    return te.maximum(te.minimum(x, _f(1.0)), _f(0.0))


def _erf(x: Real) -> Real:
    from math import erf

    return np.asarray(np.vectorize(erf, otypes=[np.float64])(x), np.float64)


def _sign(x: te.Expr) -> te.Expr:
    zero, one = (te.const(v, te.dtype_of(x)) for v in (0, 1))
    if te.dtype_of(x).value.startswith("u"):
        return te.select(x > zero, one, zero)
    return te.select(x > zero, one, te.select(x < zero, zero - one, zero))


def _softplus(x: Real) -> Real:
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


_GELU = (2.0 / np.pi) ** 0.5

FUNCTIONS: dict[str, Definition] = {
    "Abs": Definition(lambda x, a, b: np.abs(x), lambda x, a, b: te.absolute(x)),
    "Neg": Definition(lambda x, a, b: -x, lambda x, a, b: -x),
    "Sign": Definition(lambda x, a, b: np.sign(x), lambda x, a, b: _sign(x)),
    "Floor": Definition(lambda x, a, b: np.floor(x), _call("tc_floor")),
    "Ceil": Definition(lambda x, a, b: np.ceil(x), _call("tc_ceil")),
    "Round": Definition(lambda x, a, b: np.rint(x), _call("tc_rint")),
    "Exp": Definition(lambda x, a, b: np.exp(x), _call("tc_exp")),
    "Log": Definition(lambda x, a, b: np.log(x), _call("tc_log")),
    "Pow": Definition(lambda x, a, b: np.power(x, a), lambda x, a, b: te.extern(DType.FLOAT32, "tc_pow", x, a)),
    "Sqrt": Definition(lambda x, a, b: np.sqrt(x), _call("tc_sqrt")),
    "Reciprocal": Definition(lambda x, a, b: 1.0 / x, lambda x, a, b: _f(1.0) / x),
    "Sigmoid": Definition(lambda x, a, b: 1.0 / (1.0 + np.exp(-x)), _call("tc_sigmoid")),
    "Tanh": Definition(lambda x, a, b: np.tanh(x), _call("tc_tanh")),
    **{
        name: Definition(
            lambda x, a, b, function=function: function(x),  # type: ignore[misc]
            _call(f"tc_{name.lower()}"),
        )
        for name, function in {
            "Sin": np.sin,
            "Cos": np.cos,
            "Tan": np.tan,
            "Asin": np.arcsin,
            "Acos": np.arccos,
            "Atan": np.arctan,
            "Sinh": np.sinh,
            "Cosh": np.cosh,
            "Asinh": np.arcsinh,
            "Acosh": np.arccosh,
            "Atanh": np.arctanh,
        }.items()
    },
    "Swish": Definition(
        lambda x, a, b: x / (1.0 + np.exp(-a * x)),
        lambda x, a, b: x * te.extern(DType.FLOAT32, "tc_sigmoid", a * x),
        (("alpha", 1.0),),
    ),
    "Erf": Definition(lambda x, a, b: _erf(x), _call("tc_erf")),
    "LeakyRelu": Definition(
        lambda x, a, b: np.where(x < 0, a * x, x), lambda x, a, b: te.select(x < _f(0.0), a * x, x), (("alpha", 0.01),)
    ),
    "Elu": Definition(
        lambda x, a, b: np.where(x < 0, a * np.expm1(x), x),
        lambda x, a, b: te.select(x < _f(0.0), a * te.extern(DType.FLOAT32, "tc_expm1", x), x),
        (("alpha", 1.0),),
    ),
    "Selu": Definition(
        lambda x, a, b: b * np.where(x < 0, a * np.expm1(x), x),
        lambda x, a, b: b * te.select(x < _f(0.0), a * te.extern(DType.FLOAT32, "tc_expm1", x), x),
        (("alpha", 1.67326319), ("gamma", 1.05070102)),
    ),
    "Celu": Definition(
        lambda x, a, b: np.where(x < 0, a * np.expm1(x / a), x),
        lambda x, a, b: te.select(x < _f(0.0), a * te.extern(DType.FLOAT32, "tc_expm1", x / a), x),
        (("alpha", 1.0),),
    ),
    "ThresholdedRelu": Definition(
        lambda x, a, b: np.where(x > a, x, 0.0), lambda x, a, b: te.select(x > a, x, _f(0.0)), (("alpha", 1.0),)
    ),
    "Softplus": Definition(lambda x, a, b: _softplus(x), _call("tc_softplus")),
    "Softsign": Definition(lambda x, a, b: x / (1.0 + np.abs(x)), lambda x, a, b: x / (_f(1.0) + te.absolute(x))),
    "Mish": Definition(
        lambda x, a, b: x * np.tanh(_softplus(x)),
        lambda x, a, b: x * te.extern(DType.FLOAT32, "tc_tanh", te.extern(DType.FLOAT32, "tc_softplus", x)),
    ),
    "Gelu": Definition(
        lambda x, a, b: 0.5 * x * (1.0 + _erf(x / 2**0.5)),
        lambda x, a, b: _f(0.5) * x * (_f(1.0) + te.extern(DType.FLOAT32, "tc_erf", x * _f(0.5**0.5))),
    ),
    "GeluTanh": Definition(
        lambda x, a, b: 0.5 * x * (1.0 + np.tanh(_GELU * (x + 0.044715 * x**3))),
        lambda x, a, b: (
            _f(0.5) * x * (_f(1.0) + te.extern(DType.FLOAT32, "tc_tanh", _f(_GELU) * (x + _f(0.044715) * x * x * x)))
        ),
    ),
    "HardSigmoid": Definition(
        lambda x, a, b: np.clip(a * x + b, 0.0, 1.0), lambda x, a, b: _unit(a * x + b), (("alpha", 0.2), ("beta", 0.5))
    ),
    "HardSwish": Definition(
        lambda x, a, b: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
        lambda x, a, b: x * _unit(x * _f(1.0 / 6.0) + _f(0.5)),
    ),
}


@dataclass(frozen=True)
class Unary(Op):
    """y = FUNCTIONS[function](x, a, b), float32."""

    pattern = Pattern.ELEMENTWISE
    function: str
    a: float = 0.0
    b: float = 0.0

    @property
    def title(self) -> str:
        return self.function

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            x = arrays[0] if arrays[0].dtype.kind in "iu" else arrays[0].astype(np.float64)
            return np.asarray(FUNCTIONS[self.function].numpy(x, self.a, self.b)).astype(arrays[0].dtype)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        expression = FUNCTIONS[self.function].expression
        return te.elementwise(
            tensors, out.shape, lambda x: expression(x, _f(self.a), _f(self.b)), self.function.lower()
        )

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self


def import_unary(node: Node) -> Value:
    attributes = [node.float(name, default) for name, default in FUNCTIONS[node.kind].attributes]
    return node.build.call(Unary(node.kind, *attributes), [node.input(0)])


def import_gelu(node: Node) -> Value:
    exact = node.text("approximate", "none") == "none"
    return node.build.call(Unary("Gelu" if exact else "GeluTanh"), [node.input(0)])


def import_pow(node: Node) -> Value:
    """One constant exponent of floats is part of the function; 2, 3 and 4 are products."""
    x, exponent = node.input(0), node.input(1)
    if (
        exponent.data is None
        or exponent.size != 1
        or len(exponent.shape) > len(x.shape)
        or x.dtype is not DType.FLOAT32
    ):
        return node.build.call(Binary(BinaryFunction.POW), [x, exponent])
    power = float(exponent.data.reshape(-1)[0])
    if power in (0.5, -1.0):
        return node.build.call(Unary("Sqrt" if power == 0.5 else "Reciprocal"), [x])
    if power not in (1.0, 2.0, 3.0, 4.0):
        return node.build.call(Unary("Pow", power), [x])
    y = x
    for _ in range(int(power) - 1):
        y = node.build.call(Binary(BinaryFunction.MUL), [y, x])
    return y


IMPORTERS = {
    **{name: import_unary for name in FUNCTIONS if name != "GeluTanh"},
    "Gelu": import_gelu,
    "Pow": import_pow,
}
