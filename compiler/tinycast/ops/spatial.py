"""Convolutions and pools over any number of spatial axes, with weights that may be computed at run time.

Tensors stay in ONNX's order (N, C, spatial…). Two-dimensional layers with constant weights have kernels of their
own, in `conv` and `pool`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, prod

import numpy as np

from tinycast.ir.graph import Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm, QuantizedInput
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.node import Node
from tinycast.ops.requantize import add_requantize
from tinycast.ops.shape import Move, perm_back
from tinycast.ops.sums import chunked_sum
from tinycast.ops.weights import integer_weights
from tinycast.tvm_bridge import expr as te


@dataclass(frozen=True)
class Frame:
    """How a window slides over the spatial axes: one number an axis each."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begins: tuple[int, ...]
    ends: tuple[int, ...]

    def output(self, spatial: Sequence[int]) -> tuple[int, ...]:
        rows = zip(spatial, self.kernel, self.strides, self.dilations, self.begins, self.ends, strict=True)
        return tuple((n + b + e - (k - 1) * d - 1) // s + 1 for n, k, s, d, b, e in rows)

    def patches(self, x: Array, fill: float) -> Array:
        """All windows of (N, C, spatial…): (N, C, positions…, taps…)."""
        padded = np.pad(x, [(0, 0), (0, 0), *zip(self.begins, self.ends, strict=True)], constant_values=fill)
        spans = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]
        rank = len(spans)
        windows = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=tuple(range(2, 2 + rank)))
        steps = [slice(None)] * 2 + [slice(None, None, s) for s in self.strides]
        return windows[(*steps, *(slice(None, None, d) for d in self.dilations))]

    def read(
        self, x: Tensor, n: te.Expr, c: te.Expr, at: Sequence[te.Expr], tap: Sequence[te.Expr], fill: te.Expr
    ) -> te.Expr:
        """The element under a tap; `fill` in the border."""
        where, checks = [], []
        for i, k, s, d, b, e, length in zip(
            at, tap, self.strides, self.dilations, self.begins, self.ends, x.shape[2:], strict=True
        ):
            position = i * s + k * d - b
            where.append(position)
            if b:
                checks.append(position >= 0)
            if b or e:
                checks.append(position < int(length))
        element = x(n, c, *where)
        return te.select(te.all_of(checks), element, fill) if checks else element


@dataclass(frozen=True)
class SpatialConv(Op):
    """y[n, o, p…] = bias[o] + sum of x[n, g * C / G + c, …] * weight[o, c, k…]. Inputs: x, weight, bias if any.

    x of 8 or 16 bits with weights of 8 gives int32, and the border is `pad_value` there.
    """

    pattern = Pattern.CHANNELWISE
    has_wide_form = True
    frame: Frame
    group: int
    pad_value: int = 0

    @property
    def title(self) -> str:
        return "Conv"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        x, weight = inputs[0], inputs[1]
        return TensorType((x.shape[0], weight.shape[0], *self.frame.output(x.shape[2:])), _sum_type(x.dtype))

    def reference(self, arrays: Sequence[Array]) -> Array:
        x, weight = arrays[0].astype(np.float64), arrays[1].astype(np.float64)
        rank = len(self.frame.kernel)
        patches = self.frame.patches(x, self.pad_value)
        each, channels = weight.shape[0] // self.group, weight.shape[1]
        parts = []
        for g in range(self.group):
            own = patches[:, g * channels : (g + 1) * channels]
            axes = [1, *range(2 + rank, 2 + 2 * rank)]
            part = np.tensordot(own, weight[g * each : (g + 1) * each], (axes, list(range(1, 2 + rank))))
            parts.append(np.moveaxis(part, -1, 1))
        y = np.concatenate(parts, 1)
        if len(arrays) > 2:
            y = y + arrays[2].reshape((-1,) + (1,) * rank)
        return y.astype(_sum_type(DType(arrays[0].dtype.name)).numpy)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x, weight = tensors[0], tensors[1]
        each, channels = out.shape[1] // self.group, int(weight.shape[1])
        fill = te.const(self.pad_value, te.dtype_of(x))

        def term(i: Sequence[te.Expr], k: Sequence[te.Expr]) -> te.Expr:
            channel = k[0] if self.group == 1 else i[1] // each * channels + k[0]
            element = self.frame.read(x, i[0], channel, i[2:], k[1:], fill)
            return te.cast(element, out.dtype) * te.cast(weight(i[1], *k), out.dtype)

        acc = chunked_sum(out, [channels, *self.frame.kernel], term)
        if len(tensors) == 2:
            return acc
        return te.compute(out.shape, lambda *i: acc(*i) + tensors[2](i[1]), name="biased")

    def macs(self, inputs: Sequence[Value], out: TensorType) -> int:
        return prod(out.shape) * prod(inputs[1].shape[1:])

    def integer_form(self, form: IntegerForm) -> Value | None:
        x, weight, *bias = form.inputs
        zeros = form.build.constant(np.zeros(weight.value.shape[0], np.float32), "bias")
        weights = integer_weights(replace(form, inputs=(x, weight, bias[0] if bias else QuantizedInput(zeros))))
        if weights is None:
            return None
        op = replace(self, pad_value=weights.pad_value)
        total = form.build.call(op, [x.value, weights.weight, weights.bias])
        shape = (1, -1, *(1 for _ in self.frame.kernel))
        ratio = weights.ratio.reshape(shape) if weights.ratio.size > 1 else weights.ratio
        return add_requantize(
            form.build, total, ratio, form.zero_point, form.bounds, weights.bound, form.output.name, form.dtype
        )


def _sum_type(dtype: DType) -> DType:
    return DType.INT32 if dtype in (DType.INT8, DType.INT16) else dtype


@dataclass(frozen=True)
class SpatialPool(Op):
    """y = the sum, or the largest, of the elements under the window; borders are zeros, or never win."""

    pattern = Pattern.CHANNELWISE
    frame: Frame
    largest: bool

    @property
    def title(self) -> str:
        return "MaxPool" if self.largest else "AveragePool"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        x = inputs[0]
        return TensorType((*x.shape[:2], *self.frame.output(x.shape[2:])), x.dtype)

    def _fill(self, dtype: DType) -> float:
        if not self.largest:
            return 0
        return float(-np.inf if dtype is DType.FLOAT32 else np.iinfo(dtype.numpy).min)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x = arrays[0]
        taps = tuple(range(-len(self.frame.kernel), 0))
        patches = self.frame.patches(x, self._fill(DType(x.dtype.name)))
        return np.asarray(patches.max(taps) if self.largest else patches.astype(np.float64).sum(taps), x.dtype)

    @property
    def picks(self) -> bool:
        return self.largest

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        fill = te.const(self._fill(out.dtype), out.dtype)

        def term(i: Sequence[te.Expr], k: Sequence[te.Expr]) -> te.Expr:
            return self.frame.read(tensors[0], i[0], i[1], i[2:], k, fill)

        if not self.largest:
            return chunked_sum(out, self.frame.kernel, term)
        taps = [te.reduce_axis((0, n), f"k{i}") for i, n in enumerate(self.frame.kernel)]
        return te.compute(out.shape, lambda *i: te.max(term(i, taps), axis=taps), name="accumulator")


@dataclass(frozen=True)
class Spread(Move):
    """`strides[a] - 1` times `value` between neighbours of axis a, and a border of it, for ConvTranspose.

    Negative borders cut elements off.
    """

    strides: tuple[int, ...]
    begins: tuple[int, ...]
    ends: tuple[int, ...]
    value: int = 0

    @property
    def title(self) -> str:
        return "ConvTranspose"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        rows = zip(inputs[0].shape, self.strides, self.begins, self.ends, strict=True)
        return TensorType(tuple((n - 1) * s + 1 + b + e for n, s, b, e in rows), inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x = arrays[0]
        shape = ((n - 1) * s + 1 for n, s in zip(x.shape, self.strides, strict=True))
        spread = np.full(tuple(shape), self.value, x.dtype)
        spread[tuple(slice(None, None, s) for s in self.strides)] = x
        borders = list(zip(self.begins, self.ends, strict=True))
        spread = np.pad(spread, [(max(0, b), max(0, e)) for b, e in borders], constant_values=self.value)
        kept = (slice(max(0, -b), n - max(0, -e)) for n, (b, e) in zip(spread.shape, borders, strict=True))
        return spread[tuple(kept)]

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x = tensors[0]

        def body(*at: te.Expr) -> te.Expr:
            where, checks = [], []
            for i, s, b, e, length in zip(at, self.strides, self.begins, self.ends, x.shape, strict=True):
                if (s, b, e) == (1, 0, 0):
                    where.append(i)
                    continue
                shifted = i - b
                checks += [shifted >= 0, shifted < (int(length) - 1) * s + 1]
                if s > 1:
                    checks.append(te.equal((shifted + (b + s) * s) % s, te.const(0, DType.INT32)))
                where.append((shifted + (b + s) * s) // s - (b + s) if s > 1 else shifted)
            return te.select(te.all_of(checks), x(*where), te.const(self.value, out.dtype)) if checks else x(*where)

        return te.compute(out.shape, body, name="spread")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        strides, begins, ends = (tuple(v[b] for b in perm_back(perm)) for v in (self.strides, self.begins, self.ends))
        return Spread(strides, begins, ends, self.value)

    def quantized(self, scale: float, zero_point: int, dtype: DType) -> Op:
        return replace(self, value=zero_point)

    def less(self, offset: int) -> Op:
        return replace(self, value=self.value - offset)


def frame_of(node: Node, kernel: Sequence[int], spatial: Sequence[int]) -> tuple[Frame, tuple[int, ...]]:
    """The window of a node's attributes, and how much of its end border comes from `ceil_mode` alone."""
    rank = len(kernel)
    strides = node.ints("strides", [1] * rank)
    dilations = node.ints("dilations", [1] * rank)
    pads = node.ints("pads", [0] * 2 * rank)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    mode = node.text("auto_pad", "NOTSET")
    if mode == "VALID":
        pads = [0] * 2 * rank
    elif mode.startswith("SAME"):
        total = [max(0, (ceil(n / s) - 1) * s + span - n) for n, s, span in zip(spatial, strides, spans, strict=True)]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = small + large if mode == "SAME_UPPER" else large + small
    begins, ends = pads[:rank], pads[rank:]
    extra = [0] * rank
    if node.int("ceil_mode", 0):
        for a, (n, s, span) in enumerate(zip(spatial, strides, spans, strict=True)):
            out = ceil((n + begins[a] + ends[a] - span) / s) + 1
            if (out - 1) * s >= n + begins[a]:  # a window that starts in the border is dropped
                out -= 1
            extra[a] = max(0, (out - 1) * s + span - (n + begins[a] + ends[a]))
            ends[a] += extra[a]
    frame = Frame(*(tuple(v) for v in (kernel, strides, dilations, begins, ends)))
    return frame, tuple(extra)


def window_counts(frame: Frame, extra: Sequence[int], spatial: Sequence[int], count_padding: bool) -> Array:
    """How many elements an average pool divides by: (1, 1, positions…)."""
    ones = np.ones((1, 1, *spatial), np.float32)
    if count_padding:
        border = [(b, e - x) for b, e, x in zip(frame.begins, frame.ends, extra, strict=True)]
        ones = np.pad(ones, [(0, 0), (0, 0), *border], constant_values=1)
        frame = Frame(frame.kernel, frame.strides, frame.dilations, (0,) * len(extra), tuple(extra))
    return np.asarray(frame.patches(ones, 0).sum(tuple(range(-len(frame.kernel), 0))))
