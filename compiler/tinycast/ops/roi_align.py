"""RoiAlign: regions of an image, each averaged (or its maximum taken) over a grid of bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinycast.ir.graph import Builder, Routine, TensorType
from tinycast.ir.sizes import axis_count, sizes_of
from tinycast.ir.types import Array, DType, Sizes, Value
from tinycast.ops.node import Node

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RoiAlign(Routine):
    """y (R, C, height, width) from x (N, C, H, W), regions (R, 4) as x1, y1, x2, y2, and the image of each (R,).

    Each bin has `samples` x `samples` points, as many as it is pixels wide and high where that is 0; between pixels
    values are interpolated. With `half_pixel` a region's coordinates count from the middle of the first pixel, and
    regions may be smaller than one pixel. The maximum is of the weighted corners, as ONNX has it.
    """

    runtime = frozenset({"tc_region.h"})
    height: int
    width: int
    scale: float
    samples: int
    half_pixel: bool
    maximum: bool

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        x, regions, _ = inputs
        return (TensorType((regions.shape[0], x.shape[1], self.height, self.width), x.dtype),)

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        x, regions, images = inputs
        fits = not any((*sizes_of(x), axis_count(regions, 1))) and axis_count(images, 0) is axis_count(regions, 0)
        return (axis_count(regions, 0), None, None, None) if fits else None

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x, regions, images = arrays
        y = np.zeros((len(regions), x.shape[1], self.height, self.width), np.float32)
        bins = (self.height, self.width)
        for r, (region, image) in enumerate(zip(regions, images, strict=True)):
            offset = np.float32(0.5 if self.half_pixel else 0)
            first, last = (region[i : i + 2][::-1] * np.float32(self.scale) - offset for i in (0, 2))
            extent = last - first if self.half_pixel else np.maximum(last - first, np.float32(1))
            step = extent / np.asarray(bins, np.float32)
            counts = [self.samples or max(0, int(np.ceil(s))) for s in step]
            axes = [_points(first[a], step[a], bins[a], counts[a], x.shape[2 + a]) for a in range(2) if counts[a] > 0]
            if len(axes) < 2:
                continue
            (top, bottom, low, inside_y), (left, right, near, inside_x) = axes
            plane = x[int(np.clip(image, 0, len(x) - 1))]
            inside = (inside_y[:, None] & inside_x[None, :]).astype(np.float32)
            corners = [
                plane[:, rows[:, None], columns[None, :]] * (a[:, None] * b[None, :] * inside)
                for rows, a in ((top, 1 - low), (bottom, low))
                for columns, b in ((left, 1 - near), (right, near))
            ]
            values = np.max(corners, 0) if self.maximum else np.sum(corners, 0)
            cells = values.reshape(-1, self.height, counts[0], self.width, counts[1])
            y[r] = cells.max((2, 4)) if self.maximum else cells.mean((2, 4))
        return (y,)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        images, channels, rows, columns = inputs[0].shape
        regions, plane, cells = inputs[1].shape[0], rows * columns, self.height * self.width
        offset = "0.5f" if self.half_pixel else "0.0f"
        scale = f"{np.float32(self.scale)!s}f"
        least = (
            ""
            if self.half_pixel
            else "\n    height = height < 1.0f ? 1.0f : height;\n    width = width < 1.0f ? 1.0f : width;"
        )
        count_y, count_x = (
            (str(self.samples),) * 2
            if self.samples
            else (f"tc_region_samples(height / {self.height}.0f)", f"tc_region_samples(width / {self.width}.0f)")
        )
        if self.maximum:
            update = "target[c * {cells}] = i + j == 0 || corner > target[c * {cells}] ? corner : target[c * {cells}];"
            value, finish = "tc_region_largest", ""
        else:
            update, value = "target[c * {cells}] += corner;", "tc_region_value"
            finish = f"""
            for (int32_t c = 0; c < {channels}; ++c) {{
                target[c * {cells}] /= (float)(count_y * count_x > 1 ? count_y * count_x : 1);
            }}"""
        return f"""
for (int32_t r = 0; r < {regions}; ++r) {{
    const float *const region = input_1 + 4 * r;
    const int32_t image = (int32_t)input_2[r];
    const int32_t known = image < 0 ? 0 : image > {images - 1} ? {images - 1} : image;
    const float *const planes = input_0 + known * {channels * plane};
    const float left = region[0] * {scale} - {offset};
    const float top = region[1] * {scale} - {offset};
    float width = region[2] * {scale} - {offset} - left;
    float height = region[3] * {scale} - {offset} - top;{least}
    const float step_y = height / {self.height}.0f;
    const float step_x = width / {self.width}.0f;
    const int32_t count_y = {count_y};
    const int32_t count_x = {count_x};
    for (int32_t row = 0; row < {self.height}; ++row) {{
        for (int32_t column = 0; column < {self.width}; ++column) {{
            float *const target = output_0 + r * {channels * cells} + row * {self.width} + column;
            for (int32_t c = 0; c < {channels}; ++c) {{
                target[c * {cells}] = 0.0f;
            }}
            for (int32_t i = 0; i < count_y; ++i) {{
                const float y = top + ((float)row + ((float)i + 0.5f) / (float)count_y) * step_y;
                for (int32_t j = 0; j < count_x; ++j) {{
                    const float x = left + ((float)column + ((float)j + 0.5f) / (float)count_x) * step_x;
                    const tc_region_point point = tc_region_at(y, x, {rows}, {columns});
                    for (int32_t c = 0; c < {channels}; ++c) {{
                        const float corner = {value}(planes + c * {plane}, &point);
                        {update.replace("{cells}", str(cells))}
                    }}
                }}
            }}{finish}
        }}
    }}
}}
"""


def _points(
    first: np.float32, step: np.float32, bins: int, count: int, length: int
) -> tuple[Array, Array, Floats, Array]:
    """Along an axis: the pixels before and behind each point, the weight of the second, and whether it is inside."""
    i = np.arange(bins * count)
    at = first + ((i // count).astype(np.float32) + (i % count + np.float32(0.5)) / np.float32(count)) * step
    inside = (at >= -1) & (at <= length)
    at = np.clip(at, 0, length - 1).astype(np.float32)
    low = np.minimum(at.astype(np.int64), length - 1)
    return low, np.minimum(low + 1, length - 1), at - low.astype(np.float32), inside


def import_roi_align(node: Node) -> Value:
    x, regions, images = (node.input(i) for i in range(3))
    if x.dtype is not DType.FLOAT32:
        node.reject(f"it takes float32 only, not {x.dtype.value}", fix="cast the operand")
    op = RoiAlign(
        node.int("output_height", 1),
        node.int("output_width", 1),
        node.float("spatial_scale", 1.0),
        node.int("sampling_ratio", 0),
        node.text("coordinate_transformation_mode", "half_pixel") == "half_pixel",
        node.text("mode", "avg") == "max",
    )
    return node.build.call_all(op, [x, regions, images])[0]


IMPORTERS = {"RoiAlign": import_roi_align}
