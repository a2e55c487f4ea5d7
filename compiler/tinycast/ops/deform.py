"""DeformConv: a convolution whose taps lie beside their places by offsets that are computed at run time. In C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tinycast.ir.graph import Routine, TensorType
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.grid import Sampler
from tinycast.ops.node import Node
from tinycast.ops.scatter import indented
from tinycast.ops.spatial import Frame, frame_of

_SAMPLER = Sampler("linear", "zeros", True)


@dataclass(frozen=True)
class DeformConv(Routine):
    """y[n, o, p] = bias[o] + sum of x[n, c] at (p's window + tap + offset) * mask[tap] * weight[o, c, tap]. float32.

    Inputs: x (N, C, H, W), weight, offset (N, G * taps * 2, OH, OW), bias, mask (N, G * taps, OH, OW) if any, for G
    groups of channels with offsets of their own. Each sample is taken once for all output channels.
    """

    runtime = frozenset({"tc_grid.h"})
    frame: Frame
    group: int
    offset_group: int

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        x, weight = inputs[0], inputs[1]
        return (TensorType((x.shape[0], weight.shape[0], *self.frame.output(x.shape[2:])), x.dtype),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x, weight, offset, bias = arrays[:4]
        batch, channels, *image = x.shape
        rows, columns = self.frame.output(image)
        taps, own = prod(self.frame.kernel), channels // self.offset_group
        offset = offset.reshape(batch, self.offset_group, taps, 2, rows, columns)
        shifts = np.indices(self.frame.kernel).reshape(2, taps)
        axes = []
        for a, windows in enumerate(np.indices((rows, columns))):
            frame = self.frame
            start = windows * frame.strides[a] - frame.begins[a]
            place = start + (shifts[a] * frame.dilations[a])[:, np.newaxis, np.newaxis]
            at = place.astype(np.float32) + offset[:, :, :, a]  # (N, G, taps, OH, OW)
            axes.append(_SAMPLER.around(at, image[a]))
        grouped = x.reshape(batch, self.offset_group, own, *image).astype(np.float64)
        n, g = (i[..., np.newaxis, np.newaxis, np.newaxis] for i in np.indices((batch, self.offset_group)))
        samples = np.zeros((batch, self.offset_group, taps, rows, columns, own))
        for i, u in axes[0]:
            for j, v in axes[1]:
                weights = np.where((i >= 0) & (j >= 0), u.astype(np.float64) * v, 0)
                samples += grouped[n, g, :, i, j] * weights[..., np.newaxis]
        if len(arrays) > 4:
            samples *= arrays[4].reshape(*samples.shape[:-1], 1)
        each = channels // self.group
        patches = samples.transpose(0, 1, 5, 2, 3, 4).reshape(batch, self.group, each, taps, rows, columns)
        split = weight.reshape(self.group, -1, each, taps)
        y = np.einsum("ngckhw,gock->ngohw", patches, split).reshape(batch, -1, rows, columns)
        return ((y + bias.reshape(-1, 1, 1)).astype(np.float32),)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        batch, channels, height, width = inputs[0].shape
        _, filters, rows, columns = outputs[0].shape
        taps, positions = prod(self.frame.kernel), rows * columns
        own, each = channels // self.offset_group, channels // self.group
        sample = f"sample += weight_1 * input_0[((n * {channels} + c) * {height} + element_0) * {width} + element_1];\n"
        for a, length in ((1, width), (0, height)):
            sample = _SAMPLER.each_tap(a, length, sample)
        masked = f"sample *= input_4[((n * {self.offset_group} + g) * {taps} + k) * {positions} + p];\n"
        output = f"output_0[(n * {filters} + o) * {positions} + p]"
        spread = (
            f"const int32_t first = c / {each} * {filters // self.group};\n"
            f"for (int32_t o = first; o < first + {filters // self.group}; ++o) {{\n"
            f"    {output} += sample * input_1[(o * {each} + c % {each}) * {taps} + k];\n}}\n"
        )
        inner = f"float sample = 0.0f;\n{sample}{masked if len(inputs) > 4 else ''}{spread}"
        inner = f"for (int32_t c = g * {own}; c < (g + 1) * {own}; ++c) {{\n{indented(inner, 1)}}}\n"
        starts = ""
        frame, places = self.frame, (f"p / {columns}", f"p % {columns}")
        shifts = (f"k / {frame.kernel[1]}", f"k % {frame.kernel[1]}")
        for a, length in enumerate((height, width)):
            window = f"{places[a]} * {frame.strides[a]} + {shifts[a]} * {frame.dilations[a]} - {frame.begins[a]}"
            offset = f"input_2[(((n * {self.offset_group} + g) * {taps} + k) * 2 + {a}) * {positions} + p]"
            starts += _SAMPLER.start(a, f"(float)({window}) + {offset}", length)
        inner = starts + inner
        for name, count in (("g", self.offset_group), ("k", taps)):
            inner = f"for (int32_t {name} = 0; {name} < {count}; ++{name}) {{\n{indented(inner, 1)}}}\n"
        inner = f"for (int32_t o = 0; o < {filters}; ++o) {{\n    {output} = input_3[o];\n}}\n{inner}"
        for name, count in (("p", positions), ("n", batch)):
            inner = f"for (int32_t {name} = 0; {name} < {count}; ++{name}) {{\n{indented(inner, 1)}}}\n"
        return inner


def import_deform_conv(node: Node) -> Value:
    x, weight, bias, mask = node.input(0), node.input(1), node.optional(3), node.optional(4)
    if len(x.shape) != 4 or x.dtype is not DType.FLOAT32:
        node.reject("only float32 images (N, C, H, W) are supported")
    if bias is None:
        bias = node.build.constant(np.zeros(weight.shape[0], np.float32), "bias")
    frame, _ = frame_of(node, weight.shape[2:], x.shape[2:])
    op = DeformConv(frame, node.int("group", 1), node.int("offset_group", 1))
    operands = [x, weight, node.input(2), bias]
    return node.build.call_all(op, operands if mask is None else [*operands, mask])[0]


IMPORTERS = {"DeformConv": import_deform_conv}
