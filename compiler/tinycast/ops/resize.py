"""Resize: along each axis, every output element is a weighted sum of few neighbours, known at compile time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

import numpy as np
import numpy.typing as npt

from tinycast.ir.types import DType, Value
from tinycast.ops.crop_resize import crop_and_resize
from tinycast.ops.elementwise import Clip
from tinycast.ops.gather import Gather
from tinycast.ops.logic import Cast, Where
from tinycast.ops.node import Node
from tinycast.ops.rearrange import Repeat
from tinycast.ops.resample import Interpolate

Taps = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]  # positions and weights, both (outputs, taps)


@dataclass(frozen=True)
class Grid:
    """One axis: its lengths, its scale, and the attributes that say where output elements lie on the input."""

    length: int
    outputs: int
    scale: float
    transform: str
    begin: float = 0.0  # of the region of interest, as a fraction
    end: float = 1.0

    def sources(self) -> npt.NDArray[np.float64]:
        """The coordinate on the input of each output element."""
        i = np.arange(self.outputs, dtype=np.float64)
        match self.transform:
            case "half_pixel":
                return (i + 0.5) / self.scale - 0.5
            case "half_pixel_symmetric":
                adjusted = self.outputs / (self.scale * self.length)
                return self.length / 2 * (1 - adjusted) + (i + 0.5) / self.scale - 0.5
            case "pytorch_half_pixel":
                return (i + 0.5) / self.scale - 0.5 if self.outputs > 1 else i * 0.0
            case "align_corners":
                wide = self.scale * self.length
                return i * (self.length - 1) / (wide - 1) if wide != 1 else i * 0.0
            case "tf_crop_and_resize":
                if self.outputs == 1:
                    return i + 0.5 * (self.begin + self.end) * (self.length - 1)
                span = (self.end - self.begin) * (self.length - 1)
                return self.begin * (self.length - 1) + i * span / (self.outputs - 1)
            case _:  # asymmetric
                return i / self.scale


def nearest(grid: Grid, rule: str) -> npt.NDArray[np.int64]:
    """The element on the input that each output element is."""
    x = grid.sources()
    match rule:
        case "floor":
            position = np.floor(x)
        case "ceil":
            position = np.ceil(x)
        case "round_prefer_ceil":
            position = np.floor(x + 0.5)
        case _:
            position = np.ceil(x - 0.5)
    return np.clip(position, 0, grid.length - 1).astype(np.int64)


def smooth_taps(grid: Grid, mode: str, cubic_a: float, exclude_outside: bool, antialias: bool) -> Taps:
    """Linear or cubic neighbours; with `antialias` the filter is as wide as a step of the output."""
    x = grid.sources()
    stretch = min(grid.scale, 1.0) if antialias else 1.0
    radius = (1.0 if mode == "linear" else 2.0) / stretch
    count = 2 * ceil(radius) if antialias else int(2 * radius)
    first = np.floor(x) - (floor(radius) if antialias and radius != int(radius) else int(radius) - 1)
    positions = first[:, None] + np.arange(count + (1 if antialias else 0))
    distance = np.abs(x[:, None] - positions) * stretch
    if mode == "linear":
        weights = np.maximum(0.0, 1.0 - distance)
    else:
        a, d = cubic_a, distance
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        weights = np.where(d <= 1, near, np.where(d < 2, far, 0.0))
    if exclude_outside:
        weights = np.where((positions < 0) | (positions > grid.length - 1), 0.0, weights)
    if exclude_outside or antialias:
        weights = weights / weights.sum(1, keepdims=True)
    return np.clip(positions, 0, grid.length - 1).astype(np.int64), weights


def import_resize(node: Node) -> Value:
    x, build = node.input(0), node.build
    rank = len(x.shape)
    axes = [a % rank for a in node.ints("axes", range(rank))]
    roi = node.optional(1) if node.kind == "Resize" else None
    if roi is not None and roi.data is None and _crops(node):
        sizes = node.constant(3)
        if sizes is None or node.text("keep_aspect_ratio_policy", "stretch") != "stretch":
            node.reject(
                "the region is computed, and so the size of the output", "give the operand sizes, or a constant region"
            )
        return crop_and_resize(node, x, roi, dict(zip(axes, map(int, sizes), strict=True)))
    grids = _grids(node, x, axes)
    mode, y = node.text("mode", "nearest"), x
    counts = [1] * rank
    smooth: list[int] = []
    parameters: list[Value] = []
    outside = [np.zeros(n, np.bool_) for n in x.shape]
    for axis, grid in grids.items():
        crop = _crops(node)
        if grid.outputs == grid.length and grid.scale == 1.0 and not crop:
            continue
        if crop:
            coordinates = grid.sources()
            outside[axis] = (coordinates < 0) | (coordinates > grid.length - 1)
        if mode == "nearest":
            rule = "floor" if node.kind == "Upsample" else node.text("nearest_mode", "round_prefer_floor")
            taken = nearest(grid, rule)
            repeats = grid.outputs // grid.length
            if np.array_equal(taken, np.repeat(np.arange(grid.length), repeats)):
                counts[axis] = repeats
            else:
                y = build.call(Gather(axis), [y, build.constant(taken.astype(np.int32), "positions")])
            continue
        positions, weights = smooth_taps(
            grid,
            mode,
            node.float("cubic_coeff_a", -0.75),
            bool(node.int("exclude_outside", 0)),
            bool(node.int("antialias", 0)),
        )
        tables = [
            build.constant(positions.astype(np.int32), "positions"),
            build.constant(weights.astype(np.float32), "weights"),
        ]
        smooth.append(axis)
        parameters += tables
    if smooth:
        y = _interpolated(node, y, tuple(smooth), parameters)
    if any(n > 1 for n in counts):
        y = build.call(Repeat(tuple(counts)), [y])
    if any(mask.any() for mask in outside):
        full = [m if len(m) == n else np.zeros(n, np.bool_) for m, n in zip(outside, y.shape, strict=True)]
        mask = np.logical_or.reduce(np.meshgrid(*full, indexing="ij"))
        fill = build.constant(np.asarray(node.float("extrapolation_value", 0.0), np.float32), "outside")
        y = build.call(Where(), [build.constant(mask, "is_outside"), fill, y])
    return y


def _interpolated(node: Node, x: Value, axes: tuple[int, ...], parameters: Sequence[Value]) -> Value:
    """Integers are what ONNX Runtime makes of them: floats whose fraction is dropped."""
    build, dtype = node.build, x.dtype
    if dtype is DType.FLOAT32:
        return build.call(Interpolate(axes), [x, *parameters])
    if dtype not in (DType.INT8, DType.UINT8, DType.INT16, DType.UINT16):
        node.reject(f"smooth resizing of {dtype.value}", "cast the input to float32, and the output back")
    y = build.call(Interpolate(axes), [build.call(Cast(DType.FLOAT32), [x]), *parameters])
    return build.call(Cast(dtype), [build.call(Clip(*map(float, dtype.bounds)), [y])])


def _scaled(length: int, scale: float) -> int:
    """In float32, as shape inference does it: a scale of 18/11 makes 18 of 11 although it is a bit less."""
    return floor(np.float32(length) * np.float32(scale))


def _crops(node: Node) -> bool:
    return node.text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize"


def _grids(node: Node, x: Value, axes: Sequence[int]) -> dict[int, Grid]:
    """The resized axes, from the operands scales or sizes."""
    if node.kind == "Upsample":
        scales = [float(s) for s in node.required(1)]
        return {a: Grid(x.shape[a], _scaled(x.shape[a], s), s, "asymmetric") for a, s in zip(axes, scales, strict=True)}
    transform = node.text("coordinate_transformation_mode", "half_pixel")
    sizes, scales_in = node.constant(3), node.constant(2)
    lengths = [x.shape[a] for a in axes]
    if sizes is not None and sizes.size:
        wanted = [int(n) for n in sizes]
        scales = [n / length for n, length in zip(wanted, lengths, strict=True)]
        policy = node.text("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            scale = min(scales) if policy == "not_larger" else max(scales)
            scales = [scale] * len(scales)
            wanted = [floor(scale * length + 0.5) for length in lengths]
    else:
        scales = [float(s) for s in node.required(2)] if scales_in is not None else [1.0] * len(axes)
        wanted = [_scaled(length, s) for length, s in zip(lengths, scales, strict=True)]
    roi_in = node.constant(1) if _crops(node) else None
    roi = [0.0] * len(axes) + [1.0] * len(axes) if roi_in is None else [float(r) for r in roi_in]
    return {
        a: Grid(length, n, s, transform, roi[i], roi[len(axes) + i])
        for i, (a, length, n, s) in enumerate(zip(axes, lengths, wanted, scales, strict=True))
    }


IMPORTERS = {"Resize": import_resize, "Upsample": import_resize}
