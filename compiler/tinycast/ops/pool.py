"""Pooling: sums and maxima over sliding windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, prod

import numpy as np

from tinycast.ir.fixed_point import INT32_MAX
from tinycast.ir.graph import Builder, Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.elementwise import Binary, BinaryFunction
from tinycast.ops.extrema import Extremum, ReduceExtremum
from tinycast.ops.node import Node
from tinycast.ops.reduce import ReduceMean
from tinycast.ops.requantize import add_requantize
from tinycast.ops.shape import rescaled
from tinycast.ops.spatial import SpatialPool, frame_of, window_counts
from tinycast.ops.sums import chunked_sum
from tinycast.ops.unary import Unary
from tinycast.ops.unpool import max_pool_with_positions
from tinycast.ops.window import Window, as_image, from_image, window_of
from tinycast.tvm_bridge import expr as te


@dataclass(frozen=True)
class Pool(Op):
    """Base of the window reductions: (N, H, W, C), or (N, C, H, W) while `channels_first`."""

    pattern = Pattern.CHANNELWISE
    has_wide_form = True
    window: Window
    channels_first: bool = False

    def _spatial(self, shape: Sequence[int]) -> tuple[int, ...]:
        if self.channels_first:
            return (shape[0], shape[1], *self.window.output(shape[2], shape[3]))
        return (shape[0], *self.window.output(shape[1], shape[2]), shape[3])

    def reference(self, arrays: Sequence[Array]) -> Array:
        x = arrays[0]
        if self.channels_first:
            same = replace(self, channels_first=False)
            return same.reference([x.transpose(0, 2, 3, 1)]).transpose(0, 3, 1, 2)
        return self.reduce(x)

    def reduce(self, x: Array) -> Array:
        raise NotImplementedError


@dataclass(frozen=True)
class WindowSum(Pool):
    """y = the sum over the window; borders count as `pad_value`. int8 gives int32, less `offset`."""

    pad_value: int = 0
    offset: int = 0
    counted: tuple[int, ...] = ()  # elements an average divides by: one, or one an output position

    @property
    def title(self) -> str:
        return "AveragePool"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        dtype = DType.FLOAT32 if inputs[0].dtype is DType.FLOAT32 else DType.INT32
        return TensorType(self._spatial(inputs[0].shape), dtype)

    def reduce(self, x: Array) -> Array:
        total = self.window.patches(x, self.pad_value).astype(np.float64).sum(axis=(3, 4))
        return np.asarray(total - self.offset, np.float32 if x.dtype == np.float32 else np.int32)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        padded = self.window.padded(tensors[0], self.pad_value, te.dtype_of(tensors[0]))
        acc = chunked_sum(
            out,
            self.window.kernel,
            lambda i, k: te.cast(self.window.read(padded, i[0], i[1], i[2], k[0], k[1], i[3]), out.dtype),
        )
        if not self.offset:
            return acc
        return te.compute(out.shape, lambda *i: acc(*i) - self.offset, name="centred")


@dataclass(frozen=True)
class MaxPool(Pool):
    """y = the largest element of the window; borders never win."""

    @property
    def picks(self) -> bool:
        return True

    @property
    def title(self) -> str:
        return "MaxPool"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(self._spatial(inputs[0].shape), inputs[0].dtype)

    @staticmethod
    def _lowest(dtype: DType) -> float:
        return float(-np.inf if dtype is DType.FLOAT32 else np.iinfo(dtype.value).min)

    def reduce(self, x: Array) -> Array:
        return np.asarray(self.window.patches(x, self._lowest(DType(x.dtype.name))).max(axis=(3, 4)))

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        padded = self.window.padded(tensors[0], self._lowest(out.dtype), out.dtype)
        kh, kw = (te.reduce_axis((0, n), f"k{i}") for i, n in enumerate(self.window.kernel))
        return te.compute(
            out.shape,
            lambda b, h, w, c: te.max(self.window.read(padded, b, h, w, kh, kw, c), axis=[kh, kw]),
            name="accumulator",
        )

    def integer_form(self, form: IntegerForm) -> Value | None:
        x = form.inputs[0].activation
        if x is None:
            return None
        return rescaled(form, replace(x, value=form.build.call(self, [x.value])))


@dataclass(frozen=True)
class WindowMean(Pool):
    """y = the mean over the window: how AveragePool is imported; kernels see WindowSum and a division.

    `count_padding` counts border elements too (as zeros); `extra` of the bottom and right padding
    come from rounding the output size up and are never counted.
    """

    count_padding: bool = False
    extra: tuple[int, int] = (0, 0)

    @property
    def title(self) -> str:
        return "AveragePool"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(self._spatial(inputs[0].shape), inputs[0].dtype)

    def counts(self, height: int, width: int) -> Array:
        """Elements that each output position averages: (1, OH, OW, 1)."""
        top, left, bottom, right = self.window.pads
        ones = np.ones((1, height, width, 1), np.float32)
        window = self.window
        if self.count_padding:
            inner = (bottom - self.extra[0], right - self.extra[1])
            ones = np.pad(ones, ((0, 0), (top, inner[0]), (left, inner[1]), (0, 0)), constant_values=1)
            window = replace(window, pads=(0, 0, *self.extra))
        return np.asarray(window.patches(ones, 0).sum(axis=(3, 4)))

    def _parts(self, shape: Sequence[int]) -> tuple[WindowSum, Array]:
        height, width = shape[2:] if self.channels_first else shape[1:3]
        counts = self.counts(height, width)
        if np.all(counts == counts.reshape(-1)[0]):
            counts = counts.reshape(-1)[0].reshape(())
        elif self.channels_first:
            counts = counts.transpose(0, 3, 1, 2)
        return WindowSum(self.window, self.channels_first), counts

    def reference(self, arrays: Sequence[Array]) -> Array:
        total, counts = self._parts(arrays[0].shape)
        return (total.reference(arrays) / counts).astype(np.float32)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        raise NotImplementedError  # expand() replaces it before kernels are made

    def expand(self, build: Builder, inputs: Sequence[Value], name: str) -> Value:
        """The float form: a sum and a division."""
        (x,) = inputs
        total, counts = self._parts(x.shape)
        summed = build.call(total, [x])
        divisor = build.constant(counts.astype(np.float32), "count")
        return build.call(Binary(BinaryFunction.DIV), [summed, divisor], name)

    def integer_form(self, form: IntegerForm) -> Value | None:
        x = form.inputs[0].activation
        if x is None:
            return None
        total, counts = self._parts(x.value.shape)
        zero, size = x.zero_point, prod(self.window.kernel)
        acc = form.build.call(replace(total, pad_value=zero, offset=zero * size), [x.value])
        ratio = x.scale / (form.scale * counts.astype(np.float64))
        bound = form.most(zero) * size
        if form.dtype is DType.INT16 and bound + abs(zero) * size > INT32_MAX:
            return None
        return add_requantize(form.build, acc, ratio, form.zero_point, form.bounds, bound, form.output.name, form.dtype)


def _pool_window(node: Node, x: Value) -> tuple[Window, tuple[int, int]]:
    """The window, and the padding that `ceil_mode` adds at the bottom and right."""
    kernel = node.ints("kernel_shape", [])
    window = window_of(node, kernel, x.shape[2:])
    if not node.int("ceil_mode", 0):
        return window, (0, 0)
    image = x.shape[2:] if len(x.shape) == 4 else (1, x.shape[2])
    top, left, bottom, right = window.pads
    extra = []
    for size, before, after, k, s, d in zip(
        image, (top, left), (bottom, right), window.kernel, window.strides, window.dilations, strict=True
    ):
        span = (k - 1) * d + 1
        out = ceil((size + before + after - span) / s) + 1
        if (out - 1) * s >= size + before:  # a window that starts in the padding is dropped
            out -= 1
        extra.append(max(0, (out - 1) * s + span - (size + before + after)))
    pads = (top, left, bottom + extra[0], right + extra[1])
    return replace(window, pads=pads), (extra[0], extra[1])


def spatial_pool(node: Node, x: Value, *, largest: bool) -> Value:
    """The form for any number of spatial axes."""
    frame, extra = frame_of(node, node.ints("kernel_shape", []), x.shape[2:])
    y = node.build.call(SpatialPool(frame, largest), [x])
    if largest:
        return y
    counts = window_counts(frame, extra, x.shape[2:], bool(node.int("count_include_pad", 0)))
    return node.build.call(Binary(BinaryFunction.DIV), [y, node.build.constant(counts.astype(np.float32), "count")])


def import_lp_pool(node: Node) -> Value:
    """The p-norm of each window."""
    x, build, p = node.input(0), node.build, node.int("p", 2)
    frame, _ = frame_of(node, node.ints("kernel_shape", []), x.shape[2:])
    powers = build.call(Unary("Abs"), [x])
    exponent = [build.constant(np.asarray(e, np.float32), "p") for e in (p, 1 / p)]
    if p != 1:
        powers = build.call(Binary(BinaryFunction.POW), [powers, exponent[0]])
    total = build.call(SpatialPool(frame, False), [powers])
    return total if p == 1 else build.call(Binary(BinaryFunction.POW), [total, exponent[1]])


def import_max_pool(node: Node) -> Value | tuple[Value, ...]:
    x = node.input(0)
    if len(node.onnx.outputs) > 1 and node.onnx.outputs[1].name:
        return max_pool_with_positions(node, x)
    if len(x.shape) not in (3, 4):
        return spatial_pool(node, x, largest=True)
    image = as_image(node, x)
    window, _ = _pool_window(node, x)
    return from_image(node, node.build.call(MaxPool(window, True), [image]), len(x.shape))


def import_average_pool(node: Node) -> Value:
    x = node.input(0)
    if len(x.shape) not in (3, 4):
        return spatial_pool(node, x, largest=False)
    image = as_image(node, x)
    window, extra = _pool_window(node, x)
    op = WindowMean(window, True, bool(node.int("count_include_pad", 0)), extra)
    return from_image(node, node.build.call(op, [image]), len(x.shape))


def import_global(node: Node) -> Value:
    x = node.input(0)
    if len(x.shape) not in (3, 4):
        axes = tuple(range(2, len(x.shape)))
        largest = node.kind == "GlobalMaxPool"
        return node.build.call(ReduceExtremum(Extremum.MAX, axes) if largest else ReduceMean(axes), [x])
    image = as_image(node, x)
    window = Window((image.shape[2], image.shape[3]))
    op = MaxPool(window, True) if node.kind == "GlobalMaxPool" else WindowMean(window, True)
    return from_image(node, node.build.call(op, [image]), len(x.shape))


IMPORTERS = {
    "LpPool": import_lp_pool,
    "MaxPool": import_max_pool,
    "AveragePool": import_average_pool,
    "GlobalAveragePool": import_global,
    "GlobalMaxPool": import_global,
}
