"""Transposed convolution: a convolution with flipped weights over the input with zeros between its elements."""

from __future__ import annotations

import numpy as np

from tinycast.ir.types import Value
from tinycast.ops.conv import Conv2D
from tinycast.ops.node import Node
from tinycast.ops.shape import Reshape, Slice, Transpose
from tinycast.ops.spatial import Frame, SpatialConv, Spread
from tinycast.ops.window import Window, as_image, from_image


def import_conv_transpose(node: Node) -> Value:
    x, weight, bias = node.input(0), node.input(1), node.optional(2)
    rank, group = len(x.shape) - 2, node.int("group", 1)
    kernel = weight.shape[2:]
    strides, dilations = node.ints("strides", [1] * rank), node.ints("dilations", [1] * rank)
    begins, ends = _pads(node, x.shape[2:], kernel, strides, dilations)
    spans = [(k - 1) * d for k, d in zip(kernel, dilations, strict=True)]
    border = [(span - b, span - e) for span, b, e in zip(spans, begins, ends, strict=True)]
    spread = Spread((1, 1, *strides), (0, 0, *(b for b, _ in border)), (0, 0, *(e for _, e in border)))
    wide = node.build.call(spread, [x])
    flipped = _flipped(node, weight, group)
    constant = node.is_weight(1) and (bias is None or node.is_weight(2))
    if rank in (1, 2) and constant:
        image = (1,) * (2 - rank)
        window = Window((*image, *kernel), (1, 1), (*image, *dilations))  # type: ignore[arg-type]
        if rank == 1:
            flipped = node.build.call(Reshape((*flipped.shape[:2], 1, kernel[0])), [flipped])
        ohwi = node.build.call(Transpose((0, 2, 3, 1)), [flipped])
        if bias is None:
            bias = node.build.constant(np.zeros(flipped.shape[0], np.float32), "bias")
        depthwise = group == x.shape[1] == flipped.shape[0] and group > 1
        op = Conv2D(window, group, 0, channels_first=True, depthwise=depthwise)
        return from_image(node, node.build.call(op, [as_image(node, wide), ohwi, bias]), rank + 2)
    none = (0,) * rank
    frame = Frame(tuple(kernel), (1,) * rank, tuple(dilations), none, none)
    return node.build.call(SpatialConv(frame, group), [wide, flipped] if bias is None else [wide, flipped, bias])


def _flipped(node: Node, weight: Value, group: int) -> Value:
    """(C, O / G, k…) as (O, C / G, k…), the taps back to front."""
    build = node.build
    channels, each, *kernel = weight.shape
    rank = len(weight.shape)
    split = build.call(Reshape((group, channels // group, each, *kernel)), [weight])
    moved = build.call(Transpose((0, 2, 1, *range(3, 1 + rank))), [split])
    whole = build.call(Reshape((group * each, channels // group, *kernel)), [moved])
    starts = (0, 0, *(k - 1 for k in kernel))
    return build.call(Slice(starts, (1, 1, *(-1,) * len(kernel)), whole.shape), [whole])


def _pads(
    node: Node, spatial: tuple[int, ...], kernel: tuple[int, ...], strides: list[int], dilations: list[int]
) -> tuple[list[int], list[int]]:
    """What is cut off the full output at begin and end of each axis; `output_padding` is cut off less at the end."""
    rank = len(kernel)
    pads, added = node.ints("pads", [0] * 2 * rank), node.ints("output_padding", [0] * rank)
    shape, mode = node.ints("output_shape", [])[-rank:], node.text("auto_pad", "NOTSET")
    full = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(spatial, strides, kernel, dilations, strict=True)]
    if mode.startswith("SAME") and not shape:
        shape = [n * s for n, s in zip(spatial, strides, strict=True)]
    if mode == "VALID":
        pads = [0] * 2 * rank
    if not shape:
        return pads[:rank], [e - a for e, a in zip(pads[rank:], added, strict=True)]
    total = [max(0, f + a - n) for f, a, n in zip(full, added, shape, strict=True)]
    begins = [t // 2 if mode == "SAME_UPPER" else t - t // 2 for t in total]
    return begins, [f - n - b for f, n, b in zip(full, shape, begins, strict=True)]


IMPORTERS = {"ConvTranspose": import_conv_transpose}
