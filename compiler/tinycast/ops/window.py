"""Sliding windows: what convolutions and pools share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinycast.ir.graph import Tensor
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.node import Node
from tinycast.ops.shape import Reshape
from tinycast.tvm_bridge import expr as te


@dataclass(frozen=True)
class Window:
    """How a window slides: (height, width) each; pads are top, left, bottom, right."""

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    def output(self, height: int, width: int) -> tuple[int, int]:
        top, left, bottom, right = self.pads
        return tuple(
            (size + before + after - (k - 1) * d - 1) // s + 1
            for size, before, after, k, s, d in zip(
                (height, width), (top, left), (bottom, right), self.kernel, self.strides, self.dilations, strict=True
            )
        )

    def patches(self, x: Array, pad_value: float) -> Array:
        """All windows of an NHWC array: (N, OH, OW, KH, KW, C), without copying the padded input."""
        top, left, bottom, right = self.pads
        padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=pad_value)
        span = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]
        windows = np.lib.stride_tricks.sliding_window_view(padded, span, axis=(1, 2))  # N H W C kh kw
        s, d = self.strides, self.dilations
        return windows[:, :: s[0], :: s[1], :, :: d[0], :: d[1]].transpose(0, 1, 2, 4, 5, 3)

    def padded(self, x: Tensor, pad_value: float, dtype: DType) -> Tensor:
        """The NHWC input with its border, as a stage of its own (the schedule keeps a few rows of it)."""
        top, left, bottom, right = self.pads
        if not any(self.pads):
            return x
        n, height, width, channels = (int(s) for s in x.shape)

        def body(b: te.Expr, h: te.Expr, w: te.Expr, c: te.Expr) -> te.Expr:
            checks = []
            if top:
                checks.append(h >= top)
            if bottom:
                checks.append(h < height + top)
            if left:
                checks.append(w >= left)
            if right:
                checks.append(w < width + left)
            return te.select(te.all_of(checks), x[b, h - top, w - left, c], te.const(pad_value, dtype))

        return te.compute((n, height + top + bottom, width + left + right, channels), body, name="padded")

    def read(self, x: Tensor, b: te.Expr, h: te.Expr, w: te.Expr, kh: te.Expr, kw: te.Expr, c: te.Expr) -> te.Expr:
        s, d = self.strides, self.dilations
        return x[b, h * s[0] + kh * d[0], w * s[1] + kw * d[1], c]


def window_of(node: Node, kernel: Sequence[int], spatial: Sequence[int]) -> Window:
    """The window of a Conv or pool node, from its attributes; one-dimensional ones get a height of 1."""
    rank = len(kernel)
    strides = node.ints("strides", [1] * rank)
    dilations = node.ints("dilations", [1] * rank)
    pads = node.ints("pads", [0] * 2 * rank)
    mode = node.text("auto_pad", "NOTSET")
    if mode == "VALID":
        pads = [0] * 2 * rank
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        total = [
            max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
            for n, k, s, d in zip(spatial, kernel, strides, dilations, strict=True)
        ]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = small + large if mode == "SAME_UPPER" else large + small
    if any(p < 0 for p in pads):
        node.reject("negative pads", "crop the input with Slice instead")
    if rank == 1:
        return Window((1, kernel[0]), (1, strides[0]), (1, dilations[0]), (0, pads[0], 0, pads[1]))
    return Window(*(tuple(v) for v in (kernel, strides, dilations, pads)))  # type: ignore[arg-type]


def as_image(node: Node, x: Value) -> Value:
    """(N, C, L) as (N, C, 1, L); four dimensions stay."""
    if len(x.shape) == 4:
        return x
    if len(x.shape) != 3:
        node.reject(f"{len(x.shape) - 2} spatial dimensions", "one and two are supported")
    return node.build.call(Reshape((*x.shape[:2], 1, x.shape[2])), [x])


def from_image(node: Node, y: Value, rank: int) -> Value:
    """The inverse of as_image."""
    return y if rank == 4 else node.build.call(Reshape((*y.shape[:2], y.shape[3])), [y])
