"""Resize of a region that is only known at run time (`tf_crop_and_resize` with a computed roi)."""

from __future__ import annotations

import numpy as np

from tinycast.ir.types import DType, Value
from tinycast.ops.elementwise import Binary, BinaryFunction, Clip
from tinycast.ops.gather import Gather
from tinycast.ops.logic import Cast, Logic, Where
from tinycast.ops.node import Node
from tinycast.ops.shape import Reshape, Slice
from tinycast.ops.unary import Unary


def crop_along(node: Node, x: Value, axis: int, outputs: int, bounds: tuple[Value, Value]) -> tuple[Value, Value]:
    """`x` (float32) with `outputs` elements along `axis`, from the first of `bounds` to the second.

    The bounds are float32 scalars, fractions of the axis. Returns the result and which of its indices lie outside of
    x: bool of shape (outputs, 1, …), one axis for each from `axis` on. Modes: linear, and nearest.
    """
    build, length = node.build, x.shape[axis]
    behind = (1,) * (len(x.shape) - axis - 1)
    begin, end = bounds
    if outputs == 1:
        share = build.constant(np.full(1, 0.5, np.float32), "middle")
    else:
        share = build.constant((np.arange(outputs) / (outputs - 1)).astype(np.float32), "shares")
    span = build.call(Binary(BinaryFunction.SUB), [end, begin])
    place = build.call(Binary(BinaryFunction.ADD), [build.call(Binary(BinaryFunction.MUL), [share, span]), begin])
    wide = build.constant(np.asarray(length - 1, np.float32), "last")
    place = build.call(Binary(BinaryFunction.MUL), [place, wide])
    zero = build.constant(np.asarray(0, np.float32), "zero")
    sides = [build.call(Logic("Less"), [place, zero]), build.call(Logic("Greater"), [place, wide])]
    outside = build.call(Reshape((outputs, *behind)), [build.call(Logic("Or"), sides)])

    def taken(positions: Value) -> Value:
        inside = build.call(Clip(0.0, float(length - 1)), [positions])
        return build.call(Gather(axis), [x, build.call(Cast(DType.INT32), [inside])])

    if node.text("mode", "nearest") == "nearest":
        return taken(_rounded(node, place)), outside
    lower = build.call(Unary("Floor"), [place])
    one = build.constant(np.asarray(1, np.float32), "one")
    fraction = build.call(Binary(BinaryFunction.SUB), [place, lower])
    fraction = build.call(Reshape((outputs, *behind)), [fraction])
    first, second = taken(lower), taken(build.call(Binary(BinaryFunction.ADD), [lower, one]))
    difference = build.call(Binary(BinaryFunction.SUB), [second, first])
    return build.call(
        Binary(BinaryFunction.ADD), [first, build.call(Binary(BinaryFunction.MUL), [difference, fraction])]
    ), outside


def _rounded(node: Node, place: Value) -> Value:
    rule = node.text("nearest_mode", "round_prefer_floor")
    if rule in ("floor", "ceil"):
        return node.build.call(Unary(rule.capitalize()), [place])
    half = node.build.constant(np.asarray(0.5 if rule == "round_prefer_ceil" else -0.5, np.float32), "half")
    moved = node.build.call(Binary(BinaryFunction.ADD), [place, half])
    return node.build.call(Unary("Floor" if rule == "round_prefer_ceil" else "Ceil"), [moved])


def crop_and_resize(node: Node, x: Value, roi: Value, lengths: dict[int, int]) -> Value:
    """The Resize with the region `roi`; `lengths` has the output's length of each axis that it names, in order."""
    build, y = node.build, x
    if x.dtype is not DType.FLOAT32:
        node.reject(f"a region that is computed, of {x.dtype.value}", "cast the input to float32")
    if node.text("mode", "nearest") not in ("linear", "nearest"):
        node.reject("a region that is computed, with cubic interpolation", "use mode linear or nearest")
    edges = build.call(Cast(DType.FLOAT32), [roi]) if roi.dtype is not DType.FLOAT32 else roi
    fill = build.constant(np.asarray(node.float("extrapolation_value", 0.0), np.float32), "outside")
    outsides = []
    for i, (axis, outputs) in enumerate(lengths.items()):
        first, second = (
            build.call(Reshape(()), [build.call(Slice((at,), (1,), (1,)), [edges])]) for at in (i, len(lengths) + i)
        )
        y, outside = crop_along(node, y, axis, outputs, (first, second))
        outsides.append(outside)
    for outside in outsides:
        y = build.call(Where(), [outside, fill, y])
    return y
