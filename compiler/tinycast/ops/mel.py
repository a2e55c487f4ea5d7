"""MelWeightMatrix: which share of each frequency belongs to which mel band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinycast.ir.graph import Routine, TensorType
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.logic import Cast
from tinycast.ops.node import Node


@dataclass(frozen=True)
class MelWeightMatrix(Routine):
    """Triangles (length // 2 + 1, bands) between the edges of mel bands. Inputs: sample rate, lower and upper edge.

    float32; a constant one is made in double precision, as ONNX's own is.
    """

    runtime = frozenset({"tc_math.h"})
    bands: int
    length: int

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType((self.length // 2 + 1, self.bands), DType.FLOAT32),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        rate, lower, upper = (float(a.reshape(-1)[0]) for a in arrays)
        edges = 2595 * np.log1p(np.asarray([lower, upper]) / 700) / np.log(10)
        step = (edges[1] - edges[0]) / (self.bands + 2)
        hertz = 700 * np.expm1((np.arange(self.bands + 2) * step + edges[0]) / 2595 * np.log(10))
        bins = np.floor((self.length + 1) * hertz / rate).astype(np.int64)
        j = np.arange(self.length // 2 + 1)[:, None]
        low, center, high = bins[:-2], bins[1:-1], bins[2:]
        rising = (j - low) / np.maximum(center - low, 1)
        falling = (high - j) / np.maximum(high - center, 1)
        y = np.where((j >= low) & (j <= center) & (center > low), rising, (j == center) & (center == low))
        y = np.where((j >= center) & (j < high), falling, y)
        return (y.astype(np.float32),)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        rows = self.length // 2 + 1
        ratio = f"{np.float32(np.log(10) / 2595)!s}f"
        return f"""
const float rate = (float)input_0[0];
const float low_mel = tc_log(1.0f + (float)input_1[0] / 700.0f) / {ratio};
const float high_mel = tc_log(1.0f + (float)input_2[0] / 700.0f) / {ratio};
const float step = (high_mel - low_mel) / {self.bands + 2}.0f;
int32_t edges[3];
for (int32_t i = 0; i < {rows * self.bands}; ++i) {{
    output_0[i] = 0.0f;
}}
for (int32_t i = 0; i < {self.bands + 2}; ++i) {{
    const float hertz = 700.0f * tc_expm1((low_mel + (float)i * step) * {ratio});
    edges[0] = i > 0 ? edges[1] : 0;
    edges[1] = i > 0 ? edges[2] : 0;
    edges[2] = (int32_t)tc_floor({self.length + 1}.0f * hertz / rate);
    for (int32_t j = i < 2 || edges[0] < 0 ? {rows} : edges[0]; j < {rows} && j <= edges[2]; ++j) {{
        float share = 0.0f;
        if (j >= edges[1] && j < edges[2]) {{
            share = (float)(edges[2] - j) / (float)(edges[2] - edges[1]);
        }} else if (j <= edges[1]) {{
            share = edges[1] > edges[0] ? (float)(j - edges[0]) / (float)(edges[1] - edges[0]) : 1.0f;
        }}
        output_0[j * {self.bands} + i - 2] = share;
    }}
}}
"""


def import_mel_weight_matrix(node: Node) -> Value:
    bands, length = (int(node.required(i)[0]) for i in range(2))
    (y,) = node.build.call_all(MelWeightMatrix(bands, length), [node.input(i) for i in (2, 3, 4)])
    dtype = node.output_type().inside
    return y if dtype is DType.FLOAT32 else node.build.call(Cast(dtype), [y])


IMPORTERS = {"MelWeightMatrix": import_mel_weight_matrix}
