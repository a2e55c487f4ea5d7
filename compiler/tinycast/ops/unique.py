"""Unique: the different elements or slices, where they are first, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tinycast.ir.graph import Routine, TensorType
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.node import Node
from tinycast.ops.scatter import indented
from tinycast.ops.select import COUNT, counted
from tinycast.ops.shape import Reshape


@dataclass(frozen=True)
class Unique(Routine):
    """The different slices of x along `axis`, in ascending order or as they come first.

    Outputs: the slices; for each where it is first (int64); for each slice of x which one it is (int64); how often
    each occurs (int64); how many there are. Behind the last one there are zeros. NaN is equal to NaN and above all
    numbers, as in NumPy. A merge sort of the positions, in scratch.
    """

    axis: int
    ascending: bool

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        x = inputs[0]
        places = TensorType((x.shape[self.axis],), DType.INT64)
        return (TensorType(x.shape, x.dtype), places, places, places, COUNT)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x = np.moveaxis(arrays[0], self.axis, 0)
        length = len(x)
        rows = x.reshape(length, -1)
        keys = [(np.where(np.isnan(c), 0, c), np.isnan(c)) if c.dtype.kind == "f" else (c,) for c in rows.T]
        order = np.lexsort([key for pair in reversed(keys) for key in pair])  # stable
        known = np.stack([key for pair in keys for key in pair], 1)[order]
        is_first = np.concatenate([[True], (known[1:] != known[:-1]).any(1)])
        first = order[is_first]
        inverse = np.empty(length, np.int64)
        inverse[order] = np.cumsum(is_first) - 1
        if not self.ascending:
            ranks = np.argsort(np.argsort(first))
            first, inverse = np.sort(first), ranks[inverse]
        count = len(first)
        y = np.zeros_like(x)
        y[:count] = x[first]
        padded = [np.pad(a, (0, length - count)) for a in (first, np.bincount(inverse))]
        places, occurrences = (a.astype(np.int64) for a in padded)
        whole = np.ascontiguousarray(np.moveaxis(y, 0, self.axis))
        return (whole, places, inverse, occurrences, np.asarray([count], np.int32))

    def scratch(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        return (TensorType((inputs[0].shape[self.axis],), DType.INT32),) * 2

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        shape, dtype = inputs[0].shape, inputs[0].dtype
        outer, length, inner = prod(shape[: self.axis]), shape[self.axis], prod(shape[self.axis + 1 :])
        nan = " + (p != p) - (q != q)" if dtype is DType.FLOAT32 else ""

        def compare(a: str, b: str, depth: int) -> str:
            """C that sets `sign` to that of slice a less slice b."""
            text = f"""
for (int32_t k = 0; k < {outer * inner} && sign == 0; ++k) {{
    const int32_t row = k / {inner} * {length * inner} + k % {inner};
    const {dtype.c_name} p = input_0[row + {a} * {inner}];
    const {dtype.c_name} q = input_0[row + {b} * {inner}];
    sign = (p > q) - (p < q){nan};
}}"""
            return indented(text.strip(), depth)

        return f"""
int32_t *order = scratch_0;
int32_t *other = scratch_1;
int32_t unique = 0;
int32_t first = 0;
for (int32_t i = 0; i < {length}; ++i) {{
    order[i] = i;
}}
for (int32_t width = 1; width < {length}; width *= 2) {{
    int32_t *const sorted = other;
    for (int32_t start = 0; start < {length}; start += 2 * width) {{
        const int32_t middle = {length} - start < width ? {length} : start + width;
        const int32_t end = {length} - middle < width ? {length} : middle + width;
        int32_t left = start;
        int32_t right = middle;
        for (int32_t i = start; i < end; ++i) {{
            int32_t sign = left == middle ? 1 : right == end ? -1 : 0;
{compare("order[left]", "order[right]", 3)}            sorted[i] = sign > 0 ? order[right++] : order[left++];
        }}
    }}
    other = order;
    order = sorted;
}}
/* For each position the first one with the same slice. */
for (int32_t i = 0; i < {length}; ++i) {{
    int32_t sign = i == 0;
{compare("order[i]", "first", 1)}    first = sign != 0 ? order[i] : first;
    output_2[order[i]] = first;
}}
for (int32_t i = 0; i < {length}; ++i) {{
    const int32_t position = {"order[i]" if self.ascending else "i"};
    const int32_t leader = (int32_t)output_2[position];
    if (leader == position) {{
        other[leader] = unique;
        output_1[unique] = leader;
        output_3[unique] = 0;
        ++unique;
    }}
    ++output_3[other[leader]];
}}
for (int32_t i = 0; i < {length}; ++i) {{
    output_2[i] = other[output_2[i]];
}}
for (int32_t i = unique; i < {length}; ++i) {{
    output_1[i] = 0;
    output_3[i] = 0;
}}
output_4[0] = unique;
for (int32_t i = 0; i < {outer}; ++i) {{
    for (int32_t j = 0; j < {length}; ++j) {{
        for (int32_t k = 0; k < {inner}; ++k) {{
            output_0[(i * {length} + j) * {inner} + k] =
                j < unique ? input_0[(i * {length} + (int32_t)output_1[j]) * {inner} + k] : 0;
        }}
    }}
}}
"""


def import_unique(node: Node) -> tuple[Value, ...]:
    x = node.input(0)
    if "axis" not in node.onnx.attributes:
        x = node.build.call(Reshape((x.size,)), [x])
    axis = node.axis(0, len(x.shape))
    for a in range(len(x.shape)):
        node.require_static(x, a)
    if x.size == 0:
        node.reject("it has no elements")
    y, first, inverse, occurrences, count = node.build.call_all(Unique(axis, bool(node.int("sorted", 1))), [x])
    counted(node, first, 0, count)
    counted(node, occurrences, 0, count)
    return (counted(node, y, axis, count), first, inverse, occurrences)


IMPORTERS = {"Unique": import_unique}
