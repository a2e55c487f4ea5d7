"""GridSample and DeformConv: samples between elements, at coordinates that are computed at run time. Kernels in C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
import numpy.typing as npt

from tinycast.ir.graph import Routine, TensorType
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.node import Node
from tinycast.ops.product import BatchedProduct
from tinycast.ops.scatter import indented
from tinycast.ops.shape import Reshape, Transpose

_TAPS = {"nearest": 1, "linear": 2, "cubic": 4}
_MODES = {"bilinear": "linear", "bicubic": "cubic"}  # the names of opset 16
_PADDINGS = ("zeros", "border", "reflection")


def _reflect(x: Array, length: int, align: bool) -> Array:
    first, span = (0.0, length - 1.0) if align else (-0.5, float(length))
    if span <= 0:
        return np.zeros_like(x)
    distance = np.abs(x - np.float32(first))
    turns = np.floor(distance / np.float32(span))
    rest = distance - turns * np.float32(span)
    return np.asarray(np.float32(first) + np.where(turns % 2 == 1, np.float32(span) - rest, rest), np.float32)


@dataclass(frozen=True)
class Sampler:
    """How a coordinate on an axis becomes weighted elements; tc_grid.h says the same in C."""

    mode: str
    padding: str
    align: bool

    @property
    def taps(self) -> int:
        return _TAPS[self.mode]

    def places(self, x: Array, length: int) -> list[tuple[Array, Array]]:
        """Of coordinates on an axis in -1..1: by tap, the element (-1 for none) and its weight."""
        one, two = np.float32(1), np.float32(2)
        at = (x + one) / two * np.float32(length - 1) if self.align else ((x + one) * np.float32(length) - one) / two
        if self.mode == "nearest":
            at = np.rint(at)
        if self.padding == "reflection":
            at = _reflect(at, length, self.align)
        return self.around(at, length)

    def around(self, at: Array, length: int) -> list[tuple[Array, Array]]:
        """`places` of coordinates that count elements."""
        at = np.fmin(np.fmax(np.nan_to_num(at, nan=-4.0), np.float32(-4)), np.float32(length + 3))
        first = np.floor(at).astype(np.int64) - (self.taps - 1) // 2
        return [
            (self._element(first + t, length), self._weight(np.abs(at - (first + t)).astype(np.float32)))
            for t in range(self.taps)
        ]

    def _element(self, i: npt.NDArray[np.int64], length: int) -> Array:
        if self.padding == "zeros":
            return np.where((i < 0) | (i >= length), -1, i)
        if self.padding == "reflection" and length > 1:
            period = 2 * length - (2 if self.align else 0)
            i = i % period
            i = np.where(i >= length, period - (0 if self.align else 1) - i, i)
        return np.clip(i, 0, length - 1)

    def _weight(self, d: Array) -> Array:
        if self.mode == "cubic":
            return np.where(d <= 1, (1.25 * d - 2.25) * d * d + 1, ((-0.75 * d + 3.75) * d - 6) * d + 3)
        return 1 - d if self.mode == "linear" else np.ones_like(d)

    def read(self, axis: int, coordinate: str, length: int) -> str:
        """C that defines at_A and first_A, the coordinate of axis A and its first element."""
        align = int(self.align)
        at = f"tc_grid_coordinate({coordinate}, {length}, {align})"
        if self.mode == "nearest":
            at = f"tc_rint({at})"
        if self.padding == "reflection":
            at = f"tc_grid_reflect({at}, {length}, {align})"
        return self.start(axis, at, length)

    def start(self, axis: int, at: str, length: int) -> str:
        """`read` of a coordinate that counts elements."""
        return (
            f"const float at_{axis} = tc_grid_near({at}, {length});\n"
            f"const int32_t first_{axis} = (int32_t)tc_floor(at_{axis}) - {(self.taps - 1) // 2};\n"
        )

    def each_tap(self, axis: int, length: int, inner: str) -> str:
        """C that runs `inner` for every element of the axis under the sample, its weight times those before."""
        a, align = axis, int(self.align)
        position = f"first_{a}" if self.taps == 1 else f"first_{a} + tap_{a}"
        steps = (
            f"const int32_t element_{a} = "
            f"tc_grid_element({position}, {length}, TC_GRID_{self.padding.upper()}, {align});\n"
        )
        if self.taps > 1:
            before = f"weight_{a - 1} * " if a else ""
            weight = f"tc_grid_{self.mode}(at_{a} - (float)({position}))"
            steps += f"const float weight_{a} = {before}{weight};\n"
        steps += f"if (element_{a} >= 0) {{\n{indented(inner, 1)}}}\n" if self.padding == "zeros" else inner
        if self.taps == 1:
            return steps
        return f"for (int32_t tap_{a} = 0; tap_{a} < {self.taps}; ++tap_{a}) {{\n{indented(steps, 1)}}}\n"


@dataclass(frozen=True)
class GridSample(Routine):
    """y[n, c, p…] = x[n, c] at the coordinates grid[n, p…, :], last axis first, in -1..1. Inputs: x, grid.

    Coordinates are computed once a position for all channels.
    """

    runtime = frozenset({"tc_grid.h"})
    sampler: Sampler

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        x, grid = inputs
        return (TensorType((*x.shape[:2], *grid.shape[1:-1]), x.dtype),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x, grid = arrays
        axes = [self.sampler.places(grid[..., -1 - a], n) for a, n in enumerate(x.shape[2:])]
        y = np.zeros((*grid.shape[:-1], x.shape[1]), np.float64 if x.dtype.kind == "f" else x.dtype)
        batch = np.arange(len(x)).reshape((-1,) + (1,) * (grid.ndim - 2))
        for taps in product(*axes):
            elements = np.moveaxis(x, 1, -1)[(batch, *(e for e, _ in taps))]  # (N, p…, C)
            inside = np.logical_and.reduce([e >= 0 for e, _ in taps])[..., np.newaxis]
            if self.sampler.taps > 1:
                elements = elements * np.prod([w.astype(np.float64) for _, w in taps], axis=0)[..., np.newaxis]
            y = np.where(inside, y + elements, y)
        return (np.moveaxis(y, -1, 1).astype(x.dtype),)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        batch, channels, *lengths = inputs[0].shape
        positions, size, rank = prod(outputs[0].shape[2:]), prod(lengths), len(lengths)
        element = "element_0"
        for a, n in enumerate(lengths[1:], 1):
            element = f"({element}) * {n} + element_{a}"
        x = f"input_0[(n * {channels} + c) * {size} + {element}]"
        y = f"output_0[(n * {channels} + c) * {positions} + p]"
        step = f"{y} = {x};" if self.sampler.taps == 1 else f"{y} += weight_{rank - 1} * {x};"
        each = f"for (int32_t c = 0; c < {channels}; ++c) {{\n    {{}}\n}}\n"
        inner = each.replace("{}", step)
        for a in reversed(range(rank)):
            inner = self.sampler.each_tap(a, lengths[a], inner)
        read = "".join(
            self.sampler.read(a, f"input_1[(n * {positions} + p) * {rank} + {rank - 1 - a}]", n)
            for a, n in enumerate(lengths)
        )
        inner = read + each.replace("{}", f"{y} = 0;") + inner
        inner = f"for (int32_t p = 0; p < {positions}; ++p) {{\n{indented(inner, 1)}}}\n"
        return f"for (int32_t n = 0; n < {batch}; ++n) {{\n{indented(inner, 1)}}}\n"


def import_grid_sample(node: Node) -> Value:
    x, grid = node.input(0), node.input(1)
    mode = node.text("mode", "linear")
    sampler = Sampler(_MODES.get(mode, mode), node.text("padding_mode", "zeros"), bool(node.int("align_corners", 0)))
    if sampler.mode not in _TAPS or sampler.padding not in _PADDINGS:
        node.reject(f"mode {mode} with padding_mode {sampler.padding} is unknown")
    if grid.dtype is not DType.FLOAT32 or (sampler.taps > 1 and x.dtype is not DType.FLOAT32):
        node.reject("only float32 coordinates, and float32 elements to interpolate, are supported")
    return node.build.call_all(GridSample(sampler), [x, grid])[0]


def import_affine_grid(node: Node) -> Value:
    """The positions of an image's pixels, (x, y, 1) or (x, y, z, 1) each, times the matrices: (N, H, W, 2) or so.

    ONNX's function body of it has no meaning for a batch of one.
    """
    matrices, size = node.input(0), [int(n) for n in node.required(1)]
    if matrices.dtype is not DType.FLOAT32:
        node.reject("only float32 is supported", "cast the input to float32")
    lengths = size[2:]
    centres = [
        np.linspace(-1, 1, n) if node.int("align_corners", 0) and n > 1 else (2 * np.arange(n) + 1) / n - 1
        for n in lengths
    ]
    axes = [axis.reshape(-1) for axis in np.meshgrid(*centres, indexing="ij")]
    positions = np.stack([*reversed(axes), np.ones(prod(lengths))], -1).astype(np.float32)
    columns = node.build.call(Transpose((0, 2, 1)), [matrices])
    y = node.build.call(BatchedProduct(), [node.build.constant(positions, "positions"), columns])
    return node.build.call(Reshape((size[0], *lengths, len(lengths))), [y])


IMPORTERS = {"AffineGrid": import_affine_grid, "GridSample": import_grid_sample}
