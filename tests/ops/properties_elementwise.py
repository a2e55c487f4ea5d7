"""Random element-wise operators: functions of one number, arithmetic, logic, conversions; with broadcasting."""

from __future__ import annotations

import numpy as np
from properties import Array, Draw, Instance, family, number, same

_WIDE = (-6.0, 6.0)
_RANGES = {
    **dict.fromkeys(("Asin", "Acos", "Atanh"), (-0.99, 0.99)),
    "Tan": (-1.4, 1.4),
    "Acosh": (1.0, 9.0),
    "Log": (0.01, 20.0),
    "Sqrt": (0.0, 9.0),
    "Reciprocal": (0.1, 9.0),
}
_ATTRIBUTES = {
    **dict.fromkeys(("Celu", "Elu", "LeakyRelu", "ThresholdedRelu", "Swish"), ("alpha",)),
    "HardSigmoid": ("alpha", "beta"),
    "Selu": ("alpha", "gamma"),
    "Shrink": ("bias", "lambd"),
}
_SIGNED = ("int8", "int16", "int32", "int64")
_INTEGERS = (*_SIGNED, "uint8", "uint16", "uint32", "uint64")


@family(
    *("Exp", "Log", "Sqrt", "Reciprocal", "Sigmoid", "Tanh", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh"),
    *("Cosh", "Asinh", "Acosh", "Atanh", "Erf", "LeakyRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "Softplus"),
    *("Softsign", "Mish", "HardSigmoid", "HardSwish", "Floor", "Ceil", "Round", "Swish", "Shrink"),
)  # fmt: skip
def unary(d: Draw, op: str) -> Instance:
    stated = {name: d.factor() for name in d.some(_ATTRIBUTES.get(op, ()))}
    x = d.input(d.shape(0), "float32", *_RANGES.get(op, _WIDE))
    return Instance(f"y = {op}(x)", {"x": x}, attributes=stated, opset=24 if op == "Swish" else 21)


@family("Gelu")
def gelu(d: Draw, op: str) -> Instance:
    how = d.of("none", "tanh")
    return Instance(f'y = {op}<approximate="{how}">(x)', {"x": d.input(d.shape(0), "float32", *_WIDE)})


@family("Abs", "Neg", "Sign")
def of_integers_too(d: Draw, op: str) -> Instance:
    kind = d.of("float32", *(("int8", "int32", "int64") if op == "Neg" else _INTEGERS))
    low = 0 if kind[0] == "u" else -120
    return Instance(f"y = {op}(x)", {"x": d.input(d.shape(0), kind, low, 120)})


@family("Relu")
def relu(d: Draw, op: str) -> Instance:
    return Instance(f"y = {op}(x)", {"x": d.input(d.shape(0), d.of("float32", "int8", "int32"), -9, 9)})


def _operands(d: Draw, count: int, kind: str, low: float, high: float) -> tuple[dict[str, Array], dict[str, Array]]:
    """`count` operands a, b, … that broadcast with each other: inputs, of which some may be constants."""
    shape = d.shape(0)
    inputs: dict[str, Array] = {}
    constants: dict[str, Array] = {}
    for name in "abcde"[:count]:
        narrow = d.narrowed(shape)
        if inputs and d.flag():
            constants[name] = d.array(narrow, kind, low, high)
        else:
            inputs[name] = d.input(narrow, kind, low, high)
    return inputs, constants


@family("Add", "Sub", "Mul", "Div")
def arithmetic(d: Draw, op: str) -> Instance:
    kind = d.of("float32", "float32", "int32", "int64")
    inputs, constants = _operands(d, 2, kind, 1 if op == "Div" else -9, 9)
    if op == "Div":  # signs without a zero among them
        inputs["a"] *= np.where(d.random.random(inputs["a"].shape) < 0.5, -1, 1).astype(kind)
    first, second = d.of("ab", "ba") if op != "Div" else "ab"
    return Instance(f"y = {op}({first}, {second})", inputs, constants)


@family("Mod")
def remainder(d: Draw, op: str) -> Instance:
    kind = d.of("float32", *_INTEGERS)
    inputs, constants = _operands(d, 2, kind, 1, 9)
    for array in (*inputs.values(), *constants.values()):
        if kind[0] != "u":
            array *= np.where(d.random.random(array.shape) < 0.5, -1, 1).astype(kind)
    as_c = 1 if kind == "float32" else d.int(0, 1)
    return Instance(f"y = {op}<fmod={as_c}>(a, b)", inputs, constants)


@family("Pow")
def power(d: Draw, op: str) -> Instance:
    kind = d.of("float32", "float32", "int32", "int64")
    whole = kind != "float32" or d.flag()
    inputs, constants = _operands(d, 2, kind, 1 if whole else 0.1, 4)
    if whole and kind == "float32":
        inputs, constants = ({n: np.rint(a) for n, a in arrays.items()} for arrays in (inputs, constants))
    return Instance(f"y = {op}(a, b)", inputs, constants)


@family("Max", "Min", "Sum", "Mean")
def variadic(d: Draw, op: str) -> Instance:
    kinds = ("float32",) if op in ("Sum", "Mean") else ("float32", "float32", "int32", "int64", "uint8", "int8")
    inputs, constants = _operands(d, d.int(1, 5), d.of(*kinds), 0, 99)
    names = sorted(inputs | constants)
    return Instance(f"y = {op}({', '.join(names)})", inputs, constants)


@family("PRelu")
def prelu(d: Draw, op: str) -> Instance:
    shape = d.shape(1)
    slope = d.array(d.narrowed(shape))
    x = {"x": d.input(shape)}
    if d.flag():
        return Instance(f"y = {op}(x, s)", x | {"s": same(slope)})
    return Instance(f"y = {op}(x, s)", x, {"s": slope})


@family("Clip")
def clip(d: Draw, op: str) -> Instance:
    kind = d.of("float32", "float32", "int8", "uint8", "int32", "int64")
    inputs = {"x": d.input(d.shape(0), kind, 0, 20)}
    constants: dict[str, Array] = {}
    bounds = {"l": number(d.int(2, 9), kind), "h": number(d.int(6, 15), kind)}
    for name in d.some(list(bounds)):
        if d.flag():
            constants[name] = bounds[name]
        else:
            inputs[name] = same(bounds[name])
    low, high = (name if name in (*inputs, *constants) else "" for name in "lh")
    return Instance(f"y = {op}(x, {low}, {high})" if low or high else f"y = {op}(x)", inputs, constants)


@family("And", "Or", "Xor")
def truths(d: Draw, op: str) -> Instance:
    return Instance(f"y = {op}(a, b)", *_operands(d, 2, "bool", 0, 1))


@family("Not")
def negation(d: Draw, op: str) -> Instance:
    return Instance(f"y = {op}(x)", {"x": d.input(d.shape(0), "bool")})


@family("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
def comparisons(d: Draw, op: str) -> Instance:
    kind = d.of("float32", "int32", "int64", *(("bool",) if op == "Equal" else ()))
    inputs, constants = _operands(d, 2, kind, -2, 2)
    if kind == "float32":
        inputs, constants = ({n: np.rint(a) for n, a in arrays.items()} for arrays in (inputs, constants))
    return Instance(f"y = {op}(a, b)", inputs, constants)


@family("BitwiseAnd", "BitwiseOr", "BitwiseXor")
def bits(d: Draw, op: str) -> Instance:
    kind = d.of(*_INTEGERS)
    return Instance(f"y = {op}(a, b)", *_operands(d, 2, kind, np.iinfo(kind).min // 2, np.iinfo(kind).max // 2))


@family("BitwiseNot")
def complement(d: Draw, op: str) -> Instance:
    kind = d.of(*_INTEGERS)
    return Instance(f"y = {op}(x)", {"x": d.input(d.shape(0), kind, np.iinfo(kind).min // 2, np.iinfo(kind).max // 2)})


@family("BitShift")
def shifts(d: Draw, op: str) -> Instance:
    kind = d.of("uint8", "uint32", "uint64")
    inputs, constants = _operands(d, 2, kind, 0, np.iinfo(kind).bits - 1)
    return Instance(f'y = {op}<direction="{d.of("LEFT", "RIGHT")}">(a, b)', inputs, constants)


@family("IsNaN")
def is_nan(d: Draw, op: str) -> Instance:
    return Instance(f"y = {op}(x)", {"x": _strange(d)})


@family("IsInf")
def is_inf(d: Draw, op: str) -> Instance:
    low, high = d.int(0, 1), d.int(0, 1)
    return Instance(f"y = {op}<detect_negative={low}, detect_positive={high}>(x)", {"x": _strange(d)})


def _strange(d: Draw) -> Array:
    x = d.input(d.shape(0))
    strange = np.asarray([np.nan, np.inf, -np.inf, 0.0], np.float32)[d.random.integers(0, 4, x.shape)]
    return np.where(d.random.random(x.shape) < 0.6, strange, x).astype(np.float32)


@family("Where")
def where(d: Draw, op: str) -> Instance:
    kind, shape = d.of("float32", "int32", "int64", "uint8"), d.shape(0)
    inputs = {"c": d.input(d.narrowed(shape), "bool"), "a": d.input(d.narrowed(shape), kind, 0, 99)}
    other = d.narrowed(shape)
    if d.flag():
        return Instance(f"y = {op}(c, b, a)", inputs, {"b": d.array(other, kind, 0, 99)})
    return Instance(f"y = {op}(c, a, b)", inputs | {"b": d.input(other, kind, 0, 99)})


_NUMBERS = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "uint16": 4,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float16": 10,
    "float64": 11,
    "uint32": 12,
    "uint64": 13,
}


@family("Cast", "CastLike")
def conversions(d: Draw, op: str) -> Instance:
    source, target = d.of(*_NUMBERS), d.of(*_NUMBERS)
    # Real numbers outside of a type's range have no meaning as one of it; integers keep their lowest bits.
    is_real, is_unsigned = source.startswith("float"), target.startswith("u") or source.startswith("u")
    low, high = (0 if is_unsigned else -99, 99) if is_real else (0 if is_unsigned else -120, 120)
    if source in ("int32", "int64") and target in _INTEGERS:
        low, high = -70000, 70000
    x = {"x": d.input(d.shape(0), source, low, high)}
    if op == "Cast":
        return Instance(f"y = {op}<to={_NUMBERS[target]}>(x)", x)
    return Instance(f"y = {op}(x, t)", x, {"t": np.zeros(1, target)})


@family("BitCast")
def bit_casts(d: Draw, op: str) -> Instance:
    pairs = (("float32", "int32"), ("int32", "float32"), ("uint32", "int32"), ("int8", "uint8"), ("uint16", "int16"))
    source, target = d.of(*pairs)
    x = d.input(d.shape(0), source, 1, 100)
    return Instance(f"y = {op}<to={_NUMBERS[target]}>(x)", {"x": x}, opset=26)


@family("Identity")
def identity(d: Draw, op: str) -> Instance:
    kind = d.of("float32", "int8", "int64", "bool")
    return Instance(f"y = {op}(x)", {"x": d.input(d.shape(0), kind, -99, 99)})
