"""Det: determinants by elimination. A kernel in C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tinycast.ir.graph import Routine, TensorType
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.node import Node


@dataclass(frozen=True)
class Det(Routine):
    """The determinants of the last two axes (float32)."""

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].shape[:-2], inputs[0].dtype),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        return (np.asarray(np.linalg.det(arrays[0].astype(np.float64)), arrays[0].dtype),)

    def scratch(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].shape[-2:], inputs[0].dtype),)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        shape = inputs[0].shape
        n = shape[-1]
        return f"""
for (int32_t m = 0; m < {prod(shape[:-2])}; ++m) {{
    float determinant = 1.0f;
    for (int32_t i = 0; i < {n * n}; ++i) {{
        scratch_0[i] = input_0[m * {n * n} + i];
    }}
    for (int32_t c = 0; c < {n}; ++c) {{
        int32_t pivot = c;
        float largest = 0.0f;
        for (int32_t r = c; r < {n}; ++r) {{
            const float element = scratch_0[r * {n} + c];
            const float size = element < 0.0f ? -element : element;
            if (size > largest) {{
                largest = size;
                pivot = r;
            }}
        }}
        if (pivot != c) {{
            determinant = -determinant;
            for (int32_t i = c; i < {n}; ++i) {{
                const float element = scratch_0[c * {n} + i];
                scratch_0[c * {n} + i] = scratch_0[pivot * {n} + i];
                scratch_0[pivot * {n} + i] = element;
            }}
        }}
        determinant *= scratch_0[c * {n} + c];
        for (int32_t r = c + 1; r < {n} && largest > 0.0f; ++r) {{
            const float factor = scratch_0[r * {n} + c] / scratch_0[c * {n} + c];
            for (int32_t i = c; i < {n}; ++i) {{
                scratch_0[r * {n} + i] -= factor * scratch_0[c * {n} + i];
            }}
        }}
    }}
    output_0[m] = determinant;
}}
"""


def import_det(node: Node) -> Value:
    x = node.input(0)
    if x.dtype is not DType.FLOAT32:
        node.reject("only float32 is supported", "cast the input to float32")
    return node.build.call(Det(), [x])


IMPORTERS = {"Det": import_det}
