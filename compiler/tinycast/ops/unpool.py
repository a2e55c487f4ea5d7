"""Windows back to front: MaxPool with the positions of its maxima, MaxUnpool and Col2Im. Kernels in C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from tinycast.ir.graph import Routine, TensorType
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.node import Node
from tinycast.ops.scatter import indented
from tinycast.ops.shape import Pad
from tinycast.ops.spatial import Frame, frame_of


def _loops(name: str, counts: Sequence[int], inner: str) -> str:
    """C that runs `inner` for all name_0, name_1, … below the counts, the last one fastest."""
    for a in reversed(range(len(counts))):
        inner = f"for (int32_t {name}_{a} = 0; {name}_{a} < {counts[a]}; ++{name}_{a}) {{\n{indented(inner, 1)}}}\n"
    return inner


def _where_inside(frame: Frame, spatial: Sequence[int], inner: str) -> str:
    """C that runs `inner` if the taps k_0, … of the windows w_0, … lie inside of the image, at p_0, …"""
    steps, checks = "", []
    for a, (s, d, b, n) in enumerate(zip(frame.strides, frame.dilations, frame.begins, spatial, strict=True)):
        steps += f"const int32_t p_{a} = w_{a} * {s} + k_{a} * {d} - {b};\n"
        checks.append(f"p_{a} >= 0 && p_{a} < {n}")
    return f"{steps}if ({' && '.join(checks)}) {{\n{indented(inner, 1)}}}\n"


def _flat(spatial: Sequence[int], order: Sequence[int]) -> str:
    """C for the number of the element p_0, p_1, … where the axes in `order` go from slowest to fastest."""
    place = f"p_{order[0]}"
    for a in order[1:]:
        place = f"({place}) * {spatial[a]} + p_{a}"
    return place


@dataclass(frozen=True)
class MaxPoolPositions(Routine):
    """The largest element of each window of (N, C, spatial…), and its number in x (int64); the first of equal ones.

    `column_major` counts the first spatial axis as the fastest.
    """

    frame: Frame
    column_major: bool
    runtime = frozenset({"tc_math.h"})

    @property
    def title(self) -> str:
        return "MaxPool"

    def _order(self) -> tuple[int, ...]:
        axes = tuple(range(len(self.frame.kernel)))
        return axes[::-1] if self.column_major else axes

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        x = inputs[0]
        shape = (*x.shape[:2], *self.frame.output(x.shape[2:]))
        return (TensorType(shape, x.dtype), TensorType(shape, DType.INT64))

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x = arrays[0]
        order = (0, 1, *(2 + a for a in self._order()))
        numbers = np.arange(x.size).reshape([x.shape[a] for a in order]).transpose(np.argsort(order))
        fill = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        shape = (*x.shape[:2], *self.frame.output(x.shape[2:]), -1)
        elements = self.frame.patches(x, fill).reshape(shape)
        places = self.frame.patches(numbers, -1).reshape(shape)
        y = elements.max(-1)
        first = ((elements == y[..., np.newaxis]) & (places >= 0)).argmax(-1)
        return y, np.take_along_axis(places, first[..., np.newaxis], -1)[..., 0].astype(np.int64)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        shape, dtype = inputs[0].shape, inputs[0].dtype
        spatial, size = shape[2:], prod(shape[2:])
        axes = range(len(spatial))
        lowest = "-TC_INFINITY" if dtype is DType.FLOAT32 else str(np.iinfo(dtype.numpy).min)
        better = f"""
const {dtype.c_name} element = input_0[m * {size} + {_flat(spatial, axes)}];
if (place < 0 || element > largest) {{
    largest = element;
    place = m * {size} + {_flat(spatial, self._order())};
}}
"""
        taps = _loops("k", self.frame.kernel, _where_inside(self.frame, spatial, better.lstrip()))
        window = (
            f"{dtype.c_name} largest = {lowest};\nint32_t place = -1;\n"
            f"{taps}output_0[i] = largest;\noutput_1[i] = place;\n++i;\n"
        )
        windows = _loops("w", outputs[0].shape[2:], window)
        return f"int32_t i = 0;\nfor (int32_t m = 0; m < {prod(shape[:2])}; ++m) {{\n{indented(windows, 1)}}}\n"


@dataclass(frozen=True)
class MaxUnpool(Routine):
    """Zeros of `shape`, but y.flat[indices[i]] = x[i]. Inputs: x, indices; those outside of y are left out."""

    shape: tuple[int, ...]

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType(self.shape, inputs[0].dtype),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x, indices = arrays[0].reshape(-1), arrays[1].reshape(-1)
        y = np.zeros(prod(self.shape), x.dtype)
        inside = (indices >= 0) & (indices < y.size)
        y[indices[inside]] = x[inside]
        return (y.reshape(self.shape),)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        size = prod(self.shape)
        return f"""
for (int32_t i = 0; i < {size}; ++i) {{
    output_0[i] = 0;
}}
for (int32_t i = 0; i < {prod(inputs[0].shape)}; ++i) {{
    const int64_t place = input_1[i];
    if (place >= 0 && place < {size}) {{
        output_0[place] = input_0[i];
    }}
}}
"""


@dataclass(frozen=True)
class Col2Im(Routine):
    """The images (N, C, `spatial`…) whose windows are the columns of x, (N, C * taps, windows); overlaps add up."""

    frame: Frame
    spatial: tuple[int, ...]

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        batch, rows, _ = inputs[0].shape
        return (TensorType((batch, rows // prod(self.frame.kernel), *self.spatial), inputs[0].dtype),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        frame, windows = self.frame, self.frame.output(self.spatial)
        x = arrays[0].reshape((len(arrays[0]), -1, prod(frame.kernel), *windows))
        wide = [b + n + e for b, n, e in zip(frame.begins, self.spatial, frame.ends, strict=True)]
        y = np.zeros((*x.shape[:2], *wide), x.dtype)
        for number, tap in enumerate(product(*map(range, frame.kernel))):
            starts = [k * d for k, d in zip(tap, frame.dilations, strict=True)]
            each = [slice(b, b + w * s, s) for b, w, s in zip(starts, windows, frame.strides, strict=True)]
            at: tuple[Any, ...] = (..., *each)
            y[at] += x[:, :, number]
        inside: tuple[Any, ...] = (..., *(slice(b, b + n) for b, n in zip(frame.begins, self.spatial, strict=True)))
        return (np.ascontiguousarray(y[inside]),)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        shape, size = outputs[0].shape, prod(self.spatial)
        place = f"output_0[m * {size} + {_flat(self.spatial, range(len(self.spatial)))}]"
        add = f"{place} = ({outputs[0].dtype.c_name})({place} + input_0[i]);\n"
        inner = _where_inside(self.frame, self.spatial, add) + "++i;\n"
        inner = _loops("k", self.frame.kernel, _loops("w", self.frame.output(self.spatial), inner))
        return (
            f"int32_t i = 0;\nfor (int32_t j = 0; j < {prod(shape)}; ++j) {{\n    output_0[j] = 0;\n}}\n"
            f"for (int32_t m = 0; m < {prod(shape[:2])}; ++m) {{\n{indented(inner, 1)}}}\n"
        )


def max_pool_with_positions(node: Node, x: Value) -> tuple[Value, ...]:
    frame, _ = frame_of(node, node.ints("kernel_shape", []), x.shape[2:])
    return node.build.call_all(MaxPoolPositions(frame, bool(node.int("storage_order", 0))), [x])


def import_max_unpool(node: Node) -> Value:
    """Indices count the elements of the smallest fitting shape; a larger one gets zeros at the ends."""
    x = node.input(0)
    kernel = node.ints("kernel_shape", [])
    rank = len(kernel)
    strides, pads = node.ints("strides", [1] * rank), node.ints("pads", [0] * 2 * rank)
    spatial = [
        (n - 1) * s + k - pads[a] - pads[rank + a]
        for a, (n, s, k) in enumerate(zip(x.shape[2:], strides, kernel, strict=True))
    ]
    shape = (*x.shape[:2], *spatial)
    y = node.build.call_all(MaxUnpool(shape), [x, node.input(1)])[0]
    wanted = node.constant(2)
    if wanted is None or tuple(wanted.tolist()) == shape:
        return y
    ends = tuple(int(w) - n for w, n in zip(wanted.reshape(-1), shape, strict=True))
    if min(ends) < 0:
        node.reject(f"the output_shape is smaller than {shape}", "leave it out")
    return node.build.call(Pad((0,) * len(ends), ends), [y])


def import_col2im(node: Node) -> Value:
    spatial = [int(n) for n in node.required(1)]
    frame, _ = frame_of(node, [int(n) for n in node.required(2)], spatial)
    x = node.input(0)
    if len(x.shape) != 3 or x.shape[1] % prod(frame.kernel) or x.shape[2] != prod(frame.output(spatial)):
        node.reject(f"columns of shape {x.shape} do not make images of {tuple(spatial)}")
    return node.build.call_all(Col2Im(frame, tuple(spatial)), [x])[0]


IMPORTERS = {"Col2Im": import_col2im, "MaxUnpool": import_max_unpool}
