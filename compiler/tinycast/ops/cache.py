"""TensorScatter: new steps of a sequence written into a cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tinycast.ir.graph import Routine, TensorType
from tinycast.ir.types import Array, Value
from tinycast.ops.node import Node


@dataclass(frozen=True)
class TensorScatter(Routine):
    """A copy of the cache with the update along `axis` from start[b] on, for each batch b (axis 0).

    Inputs: cache, update (shorter along the axis), start (B,). What reaches beyond the end goes on at the beginning
    where it is `circular`, and is left out else.
    """

    axis: int
    circular: bool

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].shape, inputs[0].dtype),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        cache, update, start = arrays
        y = cache.copy()
        for batch, first in enumerate(start.tolist()):
            rows, new = np.moveaxis(y[batch], self.axis - 1, 0), np.moveaxis(update[batch], self.axis - 1, 0)
            for step, row in enumerate(new):
                place = (first + step) % len(rows) if self.circular else first + step
                if 0 <= place < len(rows):
                    rows[place] = row
        return (y,)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        shape, steps = inputs[0].shape, inputs[1].shape[self.axis]
        length, inner = shape[self.axis], prod(shape[self.axis + 1 :])
        middle = prod(shape[1 : self.axis])
        wrap = (
            f"place %= {length};\n            place = place < 0 ? place + {length} : place;"
            if self.circular
            else f"if (place < 0 || place >= {length}) {{\n                continue;\n            }}"
        )
        return f"""
for (int32_t i = 0; i < {prod(shape)}; ++i) {{
    output_0[i] = input_0[i];
}}
for (int32_t b = 0; b < {shape[0]}; ++b) {{
    for (int32_t i = b * {middle}; i < (b + 1) * {middle}; ++i) {{
        for (int32_t step = 0; step < {steps}; ++step) {{
            int32_t place = (int32_t)input_2[b] + step;
            {wrap}
            for (int32_t j = 0; j < {inner}; ++j) {{
                output_0[(i * {length} + place) * {inner} + j] = input_1[(i * {steps} + step) * {inner} + j];
            }}
        }}
    }}
}}
"""


def import_tensor_scatter(node: Node) -> Value:
    cache, update, start = node.input(0), node.input(1), node.optional(2)
    axis = node.axis(-2, len(cache.shape))
    if axis == 0:
        node.reject("its axis is that of the batch")
    if start is None:
        start = node.build.constant(np.zeros(cache.shape[0], np.int64), "start")
    op = TensorScatter(axis, node.text("mode", "linear") == "circular")
    return node.build.call_all(op, [cache, update, start])[0]


IMPORTERS = {"TensorScatter": import_tensor_scatter}
