"""Random quantized operators: conversions, integer products, QDQ forms, and those of ONNX Runtime's own quantizer."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from properties import SAMPLES, Array, Draw, Instance, family, number
from properties_spatial import channels, window

_MS = "com.microsoft"
_BYTES = ("int8", "uint8")
_NARROW = {"int4": ml_dtypes.int4, "uint4": ml_dtypes.uint4}
Pair = tuple[Array, Array]


def _bounds(kind: str) -> tuple[int, int]:
    info: Any = ml_dtypes.iinfo(_NARROW[kind]) if kind in _NARROW else np.iinfo(kind)
    return int(info.min), int(info.max)


def _codes(d: Draw, shape: list[int], kind: str) -> Array:
    """Random elements over the whole range of the type."""
    low, high = _bounds(kind)
    return d.random.integers(low, high, shape, endpoint=True).astype(_NARROW.get(kind, kind))


def _point(d: Draw, kind: str, *, symmetric: bool = False) -> Array:
    low, high = _bounds(kind)
    return number(0 if symmetric else d.int(low, high), kind)


def _scale(d: Draw, shape: list[int] | None = None, low: float = 0.01, high: float = 0.1) -> Array:
    return d.array(shape or [], low=low, high=high)


@family("QuantizeLinear")
def quantize(d: Draw, op: str) -> Instance:
    kind = d.of("int8", "uint8", "int8", "uint8", "int16", "uint16", "int4", "uint4")
    shape = d.shape(2)
    how = d.of("tensor", "channel", "blocks", "run time")
    axis = d.axis(len(shape))
    scales, attributes = [], []
    if how == "channel":
        scales, attributes = [shape[axis]], [f"axis={axis}"]
    if how == "blocks":
        size = d.int(1, 3)
        attributes = [f"axis={axis}, block_size={size}"]
        scales = list(shape)
        shape[axis] *= size
    zeros = np.zeros(scales, _NARROW.get(kind, kind)) if how == "channel" else np.asarray(_codes(d, scales, kind))
    constants = {"s": _scale(d, scales), "z": zeros}
    x = {"x": d.input(shape, low=-4, high=4)}
    if how == "run time":
        x["s"] = np.stack([constants.pop("s")] * SAMPLES)
    attribute = f"<{attributes[0]}>" if attributes else ""
    # Behind another node: an input of the model that is quantized at once is an input of that type.
    node = f"a = Neg(x) y = {op}{attribute}(a, s, z)"
    return Instance(node, x, constants, steps=1, by_reference=kind in _NARROW)


@family("DequantizeLinear")
def dequantize(d: Draw, op: str) -> Instance:
    kind = d.of("int8", "uint8", "int16", "uint16", "int32", "int4", "uint4")
    shape = d.shape(2)
    how = d.of("tensor", "channel", "blocks", "run time")
    axis = d.axis(len(shape))
    scales, attribute = [], ""
    if how == "channel":
        scales, attribute = [shape[axis]], f"<axis={axis}>"
    if how == "blocks":
        size = d.int(1, 3)
        attribute, scales = f"<axis={axis}, block_size={size}>", list(shape)
        shape[axis] *= size
    is_constant = kind in _NARROW or d.flag()
    several = how == "blocks" or (how == "channel" and is_constant)
    zeros = np.asarray(_codes(d, scales, kind)) if (several or not scales) and kind != "int32" else None
    constants = {"s": _scale(d, scales)} | ({"z": zeros} if zeros is not None else {})
    node = f"a = {op}{attribute}(x, s{', z' if zeros is not None else ''})"
    x = _codes(d, [SAMPLES, *shape], kind) if kind != "int32" else d.input(shape, kind, -(10**5), 10**5)
    inputs = {}
    if how == "run time":
        inputs["s"] = np.stack([constants.pop("s")] * SAMPLES)
    if is_constant:  # weights
        return Instance(f"{node} y = Add(a, o)", {"o": d.input(shape), **inputs}, constants | {"x": x[0]})
    return Instance(f"{node} y = Neg(a)", {"x": x, **inputs}, constants)


@family("DynamicQuantizeLinear")
def dynamic(d: Draw, op: str) -> Instance:
    low, high = d.of((-4.0, 4.0), (0.5, 4.0), (-4.0, -0.5), (0.0, 0.0))
    return Instance(f"y, s, z = {op}(x)", {"x": d.input(d.shape(1), low=low, high=high)}, outputs="y s z", steps=1)


@family("MatMulInteger")
def mat_mul_integer(d: Draw, op: str) -> Instance:
    n, k, m = d.int(1, 5), d.of(1, 4, 33), d.int(1, 9)
    batch = d.shape(0, 1, 3)
    kinds = d.of(*_BYTES), d.of(*_BYTES)
    a, b = _codes(d, [SAMPLES, *batch, n, k], kinds[0]), _codes(d, [*batch, k, m], kinds[1])
    constants = {"z": _point(d, kinds[0]), "p": _point(d, kinds[1])}
    if not batch and d.flag():
        constants["p"] = np.asarray(_codes(d, [m], kinds[1]))
    operands = d.of("a, b", "a, b, z", "a, b, z, p")
    inputs = {"a": a}
    if d.flag():
        constants["b"] = b
    else:
        inputs["b"] = np.stack([b] * SAMPLES)
    used = operands.split(", ")
    return Instance(f"y = {op}({operands})", inputs, {n: v for n, v in constants.items() if n in used})


@family("ConvInteger")
def conv_integer(d: Draw, op: str) -> Instance:
    w, (group, inner, outer) = window(d, d.of(1, 2, 2)), channels(d)
    x = _codes(d, [SAMPLES, 1, group * inner, *w.image], "uint8")
    kind = d.of(*_BYTES)
    weights = _codes(d, [group * outer, inner, *w.kernel], kind)
    node = f"y = {op}<group={group}, {w.attributes}>(x, w, z)"
    return Instance(node, {"x": x}, {"w": weights, "z": _point(d, "uint8")})


def _ratio(d: Draw, count: int) -> float:
    """The output's scale over the product of the inputs', such that outputs spread over the range."""
    return float(np.sqrt(count)) * d.factor(20, 90)


@family("QLinearConv", f"{_MS}.QLinearConv")
def qlinear_conv(d: Draw, op: str) -> Instance:
    w, (group, inner, outer) = window(d, d.of(1, 2, 2)), channels(d)
    kind = d.of(*_BYTES)
    weight_kind = "int8" if kind == "int8" else d.of(*_BYTES)
    x = _codes(d, [SAMPLES, 1, group * inner, *w.image], kind)
    by_channel = weight_kind == "int8" and d.flag()
    scales = _scale(d, [group * outer] if by_channel else [])
    zero = np.zeros(scales.shape, weight_kind) if weight_kind == "int8" else _point(d, weight_kind)
    constants = {
        "sx": _scale(d),
        "zx": _point(d, kind),
        "w": _codes(d, [group * outer, inner, *w.kernel], weight_kind),
        "sw": scales,
        "zw": zero,
        "zy": _point(d, kind),
        "b": d.array([group * outer], "int32", -3000, 3000),
    }
    constants["sy"] = np.float32(constants["sx"] * scales.mean() * _ratio(d, inner * int(np.prod(w.kernel))))
    bias = d.of("", ", b")
    channels_last = ""
    if op.startswith(_MS):
        channels_last = "channels_last=1, "
        x = np.ascontiguousarray(np.moveaxis(x, 2, -1))
    node = f"y = {op}<{channels_last}group={group}, {w.attributes}>(x, sx, zx, w, sw, zw, sy, zy{bias})"
    return Instance(node, {"x": x}, {n: v for n, v in constants.items() if n != "b" or bias}, steps=1)


@family("QLinearMatMul")
def qlinear_mat_mul(d: Draw, op: str) -> Instance:
    n, k, m, batch = d.int(1, 5), d.of(1, 4, 33, 70), d.int(1, 9), d.shape(0, 1, 3)
    kind = d.of(*_BYTES)
    a, b = _codes(d, [SAMPLES, *batch, n, k], kind), _codes(d, [*batch, k, m], kind)
    inputs, constants = {"a": a}, {"sa": _scale(d), "za": _point(d, kind), "sb": _scale(d), "zb": _point(d, kind)}
    constants |= {"sy": np.float32(constants["sa"] * constants["sb"] * _ratio(d, k)), "zy": _point(d, kind)}
    if d.flag():
        inputs["b"] = np.stack([b] * SAMPLES)
    else:
        constants["b"] = b
    return Instance(f"y = {op}(a, sa, za, b, sb, zb, sy, zy)", inputs, constants, steps=1)


@family(f"{_MS}.QGemm")
def qgemm(d: Draw, op: str) -> Instance:
    n, k, m, flip = d.int(1, 4), d.of(1, 5, 40), d.int(1, 9), d.int(0, 1)
    kind = d.of(*_BYTES)
    by_channel = kind == "int8" and d.flag()
    constants = {
        "sa": _scale(d),
        "za": _point(d, kind),
        "b": _codes(d, [m, k] if flip else [k, m], kind),
        "sb": _scale(d, [m] if by_channel else []),
        "zy": _point(d, kind),
        "c": d.array([m], "int32", -3000, 3000),
    }
    constants["zb"] = np.zeros([m], kind) if by_channel else _point(d, kind)
    constants["sy"] = np.float32(constants["sa"] * constants["sb"].mean() * _ratio(d, k))
    node = f"y = {op}<transB={flip}>(a, sa, za, b, sb, zb, c, sy, zy)"
    return Instance(node, {"a": _codes(d, [SAMPLES, n, k], kind)}, constants, steps=1)


def _quantized(d: Draw, names: str, kind: str) -> dict[str, Array]:
    """A scale s… and a zero point z… for each of the tensors."""
    constants = {}
    for name in names:
        constants |= {f"s{name}": _scale(d), f"z{name}": _point(d, kind)}
    return constants


@family(f"{_MS}.QLinearAdd", f"{_MS}.QLinearMul")
def qlinear_pairs(d: Draw, op: str) -> Instance:
    shape, kind = d.shape(1), d.of(*_BYTES)
    constants = _quantized(d, "aby", kind)
    constants["sy"] = np.float32(constants["sa"] * (constants["sb"] * 90 if op.endswith("Mul") else d.factor(0.5, 3)))
    a, b = _codes(d, [SAMPLES, *shape], kind), _codes(d, [SAMPLES, *d.narrowed(shape)], kind)
    return Instance(f"y = {op}(a, sa, za, b, sb, zb, sy, zy)", {"a": a, "b": b}, constants, steps=1)


@family(f"{_MS}.QLinearSigmoid", f"{_MS}.QLinearLeakyRelu", f"{_MS}.QLinearSoftmax")
def qlinear_of_one(d: Draw, op: str) -> Instance:
    shape, kind = d.shape(2, 3, 7), d.of(*_BYTES)
    constants = _quantized(d, "xy", kind)
    attributes = ""
    if op.endswith("LeakyRelu"):
        attributes = f"<alpha={d.factor(0.05, 0.5)}>"
    if op.endswith("Softmax"):
        attributes = f"<axis={d.axis(len(shape))}, opset={d.of(11, 13)}>"
    if op.endswith(("Softmax", "Sigmoid")):
        constants |= {"sy": number(1 / 256), "zy": number(_bounds(kind)[0], kind)}
    node = f"y = {op}{attributes}(x, sx, zx, sy, zy)"
    return Instance(node, {"x": _codes(d, [SAMPLES, *shape], kind)}, constants, steps=1)


@family(f"{_MS}.QLinearAveragePool", f"{_MS}.QLinearGlobalAveragePool")
def qlinear_pools(d: Draw, op: str) -> Instance:
    kind = d.of(*_BYTES)
    w = window(d, 2, pools=True, dilated=False)
    last, depth = d.int(0, 1), d.int(1, 5)
    attributes = f"kernel_shape={w.kernel}, {w.attributes}, count_include_pad={d.int(0, 1)}, channels_last={last}"
    if op.endswith("GlobalAveragePool"):
        attributes = f"channels_last={last}"
    x = _codes(d, [SAMPLES, 1, *([*w.image, depth] if last else [depth, *w.image])], kind)
    return Instance(f"y = {op}<{attributes}>(x, sx, zx, sy, zy)", {"x": x}, _quantized(d, "xy", kind), steps=1)


@family(f"{_MS}.QLinearConcat")
def qlinear_concat(d: Draw, op: str) -> Instance:
    shape, kind = d.shape(1, 3), d.of(*_BYTES)
    axis = d.int(0, len(shape) - 1)
    names = "abc"[: d.int(1, 3)]
    inputs = {name: _codes(d, [SAMPLES, *shape[:axis], d.int(1, 4), *shape[axis + 1 :]], kind) for name in names}
    operands = ", ".join(f"{name}, s{name}, z{name}" for name in names)
    return Instance(f"y = {op}<axis={axis}>(sy, zy, {operands})", inputs, _quantized(d, names + "y", kind), steps=1)


@family(f"{_MS}.QLinearWhere")
def qlinear_where(d: Draw, op: str) -> Instance:
    shape, kind = d.shape(1, 3), d.of(*_BYTES)
    inputs = {
        "c": d.input(shape, "bool"),
        "a": _codes(d, [SAMPLES, *shape], kind),
        "b": _codes(d, [SAMPLES, *shape], kind),
    }
    node = f"y = {op}(c, a, sa, za, b, sb, zb, sy, zy)"
    return Instance(node, inputs, _quantized(d, "aby", kind), steps=1)
