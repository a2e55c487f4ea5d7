"""Convolution, also depthwise and grouped, in one and two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinycast.ir.graph import QUAD, Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.dot import Runs, dot_convolution, pack_weights
from tinycast.ops.node import Node
from tinycast.ops.planes import Planes, plane_sums
from tinycast.ops.requantize import add_requantize
from tinycast.ops.rows import VectorRows, pack_depthwise, pack_quads, vector_sums, widened
from tinycast.ops.shape import Reshape, Transpose
from tinycast.ops.spatial import SpatialConv, frame_of
from tinycast.ops.sums import chunked_sum
from tinycast.ops.weights import integer_weights
from tinycast.ops.window import Window, as_image, from_image, window_of
from tinycast.ops.winograd import Strips
from tinycast.tvm_bridge import expr as te


@dataclass(frozen=True)
class Conv2D(Op):
    """acc[n, h, w, o] = bias[o] + sum over the window and the group's channels of x * weight.

    Inputs: x (N, H, W, C), or (N, C, H, W) while `channels_first`; weight (O, KH, KW, C / group);
    bias (O). int8 inputs give an int32 accumulator; borders read `pad_value`, the input's zero point.
    """

    has_wide_form = True
    window: Window
    group: int = 1
    pad_value: float = 0
    channels_first: bool = False
    depthwise: bool = False

    @property
    def pattern(self) -> Pattern:  # type: ignore[override]
        return Pattern.CHANNELWISE if self.depthwise else Pattern.DENSE

    @property
    def taps_lie_apart(self) -> bool:
        """Whether what an output channel sums up of a row is more than one run of neighbours."""
        return not self.depthwise and self.window.kernel[1] > 1 and (self.group > 1 or self.window.dilations[1] > 1)

    @property
    def title(self) -> str:
        return "Conv"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        x, weight = inputs[0], inputs[1]
        n, height, width = (x.shape[0], *x.shape[2:]) if self.channels_first else x.shape[:3]
        oh, ow = self.window.output(height, width)
        channels = weight.shape[0]
        shape = (n, channels, oh, ow) if self.channels_first else (n, oh, ow, channels)
        return TensorType(shape, DType.FLOAT32 if x.dtype is DType.FLOAT32 else DType.INT32)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x, weight, bias = arrays
        if self.channels_first:
            y = replace(self, channels_first=False).reference([x.transpose(0, 2, 3, 1), weight, bias])
            return y.transpose(0, 3, 1, 2)
        exact = np.float64  # int8 products and their sums are exact in float64, and BLAS is fast
        patches = self.window.patches(x, self.pad_value).astype(exact)
        n, oh, ow, kh, kw, channels = patches.shape
        group, out_channels = self.group, weight.shape[0]
        patches = patches.reshape(n * oh * ow, kh * kw, group, channels // group).transpose(2, 0, 1, 3)
        columns = patches.reshape(group, n * oh * ow, -1)
        matrix = weight.astype(exact).reshape(group, out_channels // group, -1)
        y = np.matmul(columns, matrix.transpose(0, 2, 1)).transpose(1, 0, 2).reshape(n, oh, ow, out_channels)
        y += bias
        return np.asarray(y, np.float32 if x.dtype == np.float32 else np.int32)

    def pack(self, index: int, data: Array, tile: Tile) -> Array:
        if index != 1:
            return data
        if tile.vector and self.taps_lie_apart:
            data = data.reshape(data.shape[0], -1, 1, data.shape[3])
        if tile.vector and tile.lanes == QUAD:
            return pack_quads(data, tile, depthwise=self.depthwise)
        if self.depthwise:
            if tile.vector:
                return pack_depthwise(data[..., 0], tile)
            return data[..., 0] if tile.planes else np.ascontiguousarray(data[..., 0].transpose(1, 2, 0))
        if tile.lanes:
            return pack_weights(data, tile)
        out, kh, kw, channels = data.shape
        blocks = data.reshape(out // tile.channels, tile.channels, kh, kw, channels)
        return np.ascontiguousarray(blocks.transpose(0, 2, 3, 4, 1))

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x, weight, bias = tensors
        if tile.planes:
            planes = Planes(self.window, out.shape[1], out.shape[2], tile)
            acc, p = plane_sums(x, weight, planes, self.pad_value), tile.positions
            return te.compute(out.shape, lambda b, h, w, o: acc(o, h, w // p, w % p) + bias[o], name="biased")
        if tile.strip:
            strips = Strips(self.window, tile.input_channels, out.shape[1], out.shape[2], tile)
            total = strips.sums(x, weight, self.pad_value)
            return te.compute(out.shape, lambda _, h, w, o: strips.read(total, h, w, o) + bias[o], name="biased")
        if tile.vector:
            acc = self._vector_sums(x, weight, out, tile)
        elif tile.lanes:
            runs = Runs(self.window, tile.input_channels, out.shape[2], tile, len(x.shape) == 4)
            acc = dot_convolution(runs.rows(x, self.pad_value), weight, runs, out.shape[1])
        if tile.lanes:
            p, c = tile.positions, tile.channels

            def biased(b: te.Expr, h: te.Expr, w: te.Expr, o: te.Expr) -> te.Expr:
                channel = (o % c,) if len(acc.shape) == 5 else ()
                return acc(h, w // p, o // c, w % p, *channel) + bias[o]

            return te.compute(out.shape, biased, name="biased")
        kh_size, kw_size = self.window.kernel
        padded = self.window.padded(x, self.pad_value, te.dtype_of(x))
        per_group_out = out.shape[3] // self.group
        channels = int(x.shape[3]) // self.group
        dtype = out.dtype

        def product(i: Sequence[te.Expr], k: Sequence[te.Expr]) -> te.Expr:
            (b, h, w, o), (kh, kw), c = i, k[:2], k[-1]
            if self.depthwise:
                source, factor = o, weight[kh, kw, o]
            else:
                source = c if self.group == 1 else (o // per_group_out) * channels + c
                factor = weight[o // tile.channels, kh, kw, c, o % tile.channels]
            return te.cast(self.window.read(padded, b, h, w, kh, kw, source), dtype) * te.cast(factor, dtype)

        reduced = (kh_size, kw_size) if self.depthwise else (kh_size, kw_size, channels)
        acc = chunked_sum(out, reduced, product)
        return te.compute(out.shape, lambda b, h, w, o: acc[b, h, w, o] + bias[o], name="biased")

    def _vector_sums(self, x: Tensor, weight: Tensor, out: TensorType, tile: Tile) -> Tensor:
        channels = tile.input_channels
        group = 1 if self.depthwise else self.group
        layer = VectorRows(self.window, channels, out.shape[2], tile, self.depthwise, group, self.taps_lie_apart)
        height = int(x.shape[1])
        if len(x.shape) == 4:  # computed in the same kernel, in another order
            rows = layer.copy(
                lambda h, f: x[0, h, f // channels, f % channels], height, int(x.shape[2]), self.pad_value
            )
        elif tile.lanes == 1 and not layer.needs_copy(int(x.shape[2]) // channels):
            rows = x
        else:
            rows = layer.copy(lambda h, f: x[0, h, f], height, int(x.shape[2]) // channels, self.pad_value)
        return vector_sums(lambda h, f: rows[0, h, f], widened(weight, tile), layer, out.shape[1])

    def macs(self, inputs: Sequence[Value], out: TensorType) -> int:
        return int(np.prod(out.shape)) * int(np.prod(inputs[1].shape[1:]))

    def integer_form(self, form: IntegerForm) -> Value | None:
        weights = integer_weights(form)
        if weights is None:
            return None
        op = replace(self, pad_value=weights.pad_value)
        accumulator = form.build.call(op, [form.inputs[0].value, weights.weight, weights.bias])
        axis = 1 if self.channels_first else 3
        shape = [1] * 4
        shape[axis] = -1
        ratio = weights.ratio.reshape(shape) if weights.ratio.size > 1 else weights.ratio
        return add_requantize(
            form.build, accumulator, ratio, form.zero_point, form.bounds, weights.bound, form.output.name, form.dtype
        )


def spatial_conv(node: Node, x: Value, weight: Value, bias: Value | None, group: int) -> Value:
    """The form for any number of spatial axes and weights computed at run time."""
    frame, _ = frame_of(node, weight.shape[2:], x.shape[2:])
    operands = [x, weight] if bias is None else [x, weight, bias]
    return node.build.call(SpatialConv(frame, group), operands)


def import_conv(node: Node) -> Value:
    x, weight, bias = node.input(0), node.input(1), node.optional(2)
    rank, group = len(x.shape), node.int("group", 1)
    if rank not in (3, 4) or not node.is_weight(1) or (bias is not None and not node.is_weight(2)):
        return spatial_conv(node, x, weight, bias, group)
    kernel = weight if rank == 4 else node.build.call(Reshape((*weight.shape[:2], 1, weight.shape[2])), [weight])
    kernel = node.build.call(Transpose((0, 2, 3, 1)), [kernel])
    if bias is None:
        bias = node.build.constant(np.zeros(weight.shape[0], np.float32), "bias")
    return image_conv(node, x, kernel, bias)


def image_conv(node: Node, x: Value, kernel: Value, bias: Value) -> Value:
    """The form for one or two spatial axes: x as ONNX has it, kernel (O, KH, KW, C), KH 1 with one axis, bias (O,)."""
    rank, group = len(x.shape), node.int("group", 1)
    image = as_image(node, x)
    window = window_of(node, kernel.shape[5 - rank : 3], x.shape[2:])
    depthwise = group == image.shape[1] == kernel.shape[0] and group > 1
    op = Conv2D(window, group, 0, channels_first=True, depthwise=depthwise)
    return from_image(node, node.build.call(op, [image, kernel, bias]), rank)


IMPORTERS = {"Conv": import_conv}
