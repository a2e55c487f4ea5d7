"""Elements chosen by their value or by a condition: how many there are depends on data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tinycast.ir.graph import Builder, Routine, TensorType
from tinycast.ir.sizes import sizes_of
from tinycast.ir.types import Array, DType, Sizes, Value
from tinycast.ops.logic import masked
from tinycast.ops.node import Node
from tinycast.ops.scatter import indented
from tinycast.ops.shape import Reshape

COUNT = TensorType((1,), DType.INT32)


def loops(lengths: Sequence[int | str], body: str) -> str:
    """Nested loops over i0, i1, … around the statements."""
    for axis in reversed(range(len(lengths))):
        head = f"for (int32_t i{axis} = 0; i{axis} < {lengths[axis]}; ++i{axis}) {{\n"
        body = head + indented(body, 1) + "}\n"
    return body


@dataclass(frozen=True)
class NonZero(Routine):
    """The positions of the elements that are not zero, in row-major order: int64 (rank, count <= size), and the count.

    Behind the last one there are zeros.
    """

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        x = inputs[0]
        return (TensorType((len(x.shape), x.size), DType.INT64), COUNT)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        found = np.stack(np.nonzero(arrays[0]))
        places = np.zeros((arrays[0].ndim, arrays[0].size), np.int64)
        places[:, : found.shape[1]] = found
        return (places, np.asarray([found.shape[1]], np.int32))

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        shape = inputs[0].shape
        size, rank = prod(shape), len(shape)
        place = " + ".join(f"i{a} * {prod(shape[a + 1 :])}" for a in range(rank))
        none = "false" if inputs[0].dtype is DType.BOOL else "0"
        store = "".join(f"    output_0[{a * size} + count] = i{a};\n" for a in range(rank))
        clear = "".join(f"    output_0[{a * size} + i] = 0;\n" for a in range(rank))
        return (
            "int32_t count = 0;\n"
            + loops(shape, f"if (input_0[{place}] != {none}) {{\n{store}    ++count;\n}}")
            + f"output_1[0] = count;\nfor (int32_t i = count; i < {size}; ++i) {{\n{clear}}}\n"
        )


@dataclass(frozen=True)
class Compress(Routine):
    """The slices of x along `axis` where the condition (one element a slice) holds, and their count.

    Behind the last one there are zeros. Inputs: x, condition, which may be shorter than the axis.
    """

    axis: int

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        x, condition = inputs
        shape = list(x.shape)
        shape[self.axis] = min(shape[self.axis], condition.size)
        return (TensorType(tuple(shape), x.dtype), COUNT)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x, condition = arrays
        most = min(x.shape[self.axis], condition.size)
        found = np.compress(condition[:most], x, self.axis)
        count = found.shape[self.axis]
        widths = [(0, most - count if a == self.axis else 0) for a in range(x.ndim)]
        return (np.pad(found, widths), np.asarray([count], np.int32))

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        return sizes_of(inputs[0])  # but for the axis, which gets the count

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        shape, most = inputs[0].shape, outputs[0].shape[self.axis]
        outer, length, inner = prod(shape[: self.axis]), shape[self.axis], prod(shape[self.axis + 1 :])
        rows = f"for (int32_t i = 0; i < {outer}; ++i) {{\n    for (int32_t j = 0; j < {inner}; ++j) {{"
        target = f"output_0[(i * {most} + count) * {inner} + j]"
        zero = "false" if inputs[0].dtype is DType.BOOL else "0"
        return f"""
int32_t count = 0;
for (int32_t k = 0; k < {most}; ++k) {{
    if (!input_1[k]) {{
        continue;
    }}
{indented(rows, 1)}            {target} = input_0[(i * {length} + k) * {inner} + j];
        }}
    }}
    ++count;
}}
output_1[0] = count;
for (; count < {most}; ++count) {{
{indented(rows, 1)}            {target} = {zero};
        }}
    }}
}}
"""


def counted(node: Node, value: Value, axis: int, count: Value) -> Value:
    """The value, its axis as long as the count says."""
    if value.data is not None and count.data is not None:
        return node.build.constant(np.take(value.data, range(int(count.data[0])), axis), "chosen")
    count.name = node.build.program.unique_name(f"{node.build.source}.count")
    count.sizes = ()
    value.sizes = tuple(count if a == axis else other for a, other in enumerate(sizes_of(value)))
    return value


def import_non_zero(node: Node) -> Value:
    x = node.input(0)
    if not x.shape:
        node.reject("a scalar has no positions")
    if x.size == 0:
        return node.build.constant(np.zeros((len(x.shape), 0), np.int64), "places")
    places, count = node.build.call_all(NonZero(), [masked(node.build, x, range(len(x.shape)), 0)])
    return counted(node, places, 1, count)


def import_compress(node: Node) -> Value:
    x, condition = node.input(0), node.input(1)
    if "axis" not in node.onnx.attributes:
        x = node.build.call(Reshape((x.size,)), [x])
    axis = node.axis(0, len(x.shape))
    if not condition.sizes:
        node.require_static(x, axis)
    chosen, count = node.build.call_all(Compress(axis), [x, masked(node.build, condition, [0], 0)])
    return counted(node, chosen, axis, count)


IMPORTERS = {"Compress": import_compress, "NonZero": import_non_zero}
