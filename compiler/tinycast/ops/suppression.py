"""NonMaxSuppression: the best of boxes that overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinycast.ir.graph import Builder, Routine, TensorType
from tinycast.ir.sizes import axis_count
from tinycast.ir.types import Array, DType, Sizes, Value
from tinycast.ops.node import Node
from tinycast.ops.select import COUNT, counted

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class NonMaxSuppression(Routine):
    """For each batch and class the boxes by descending score, without those that overlap a better one too much.

    Inputs: boxes (B, N, 4), scores (B, C, N), the largest intersection over union that is allowed (1,), where it
    `has_least` the score that has to be exceeded (1,), and, where `is_counted`, how many of the N boxes there are.
    Outputs: (batch, class, box) of each chosen box, int64 (B * C * most, 3), and their count; behind them zeros. A box
    is (y1, x1, y2, x2), of two corners in any order, or (x, y, width, height) around its centre. As ONNX Runtime: of
    equal scores the first comes first, empty boxes overlap nothing, and arithmetic is in float32. Boxes that are left
    are kept as a list, which each chosen one shortens.
    """

    runtime = frozenset({"tc_boxes.h"})
    most: int
    center: bool
    has_least: bool
    is_counted: bool

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        batches, classes, _ = inputs[1].shape
        return (TensorType((batches * classes * self.most, 3), DType.INT64), COUNT)

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        return (None, None) if self.is_counted else None

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        boxes, scores, overlap = arrays[0], arrays[1], arrays[2].reshape(-1)
        least = arrays[3].reshape(-1) if self.has_least else overlap
        batches, classes, length = scores.shape
        real = int(arrays[-1][0]) if self.is_counted else length
        chosen = np.zeros((batches * classes * self.most, 3), np.int64)
        count = 0
        for b in range(batches):
            corners = _corners(boxes[b], self.center)
            for c in range(classes):
                order = np.argsort(-scores[b, c, :real].astype(np.float64), kind="stable")
                left = order[scores[b, c, order] > least[0]] if self.has_least else order
                for _ in range(self.most):
                    if not left.size:
                        break
                    best, left = left[0], left[1:]
                    chosen[count] = (b, c, best)
                    count += 1
                    left = left[~_overlaps(corners[best], corners[left], overlap[0])]
        return chosen, np.asarray([count], np.int32)

    def scratch(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        return (TensorType((inputs[1].shape[2],), DType.INT32),)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        batches, classes, length = inputs[1].shape
        real = f"input_{3 + self.has_least}[0]" if self.is_counted else str(length)
        function = "tc_boxes_overlap_center" if self.center else "tc_boxes_overlap"
        return f"""
int32_t *const left = scratch_0;
int32_t count = 0;
for (int32_t b = 0; b < {batches}; ++b) {{
    const float *const boxes = input_0 + b * {length * 4};
    for (int32_t c = 0; c < {classes}; ++c) {{
        const float *const scores = input_1 + (b * {classes} + c) * {length};
        int32_t candidates = 0;
        int32_t best = 0; /* a place in `left` */
        for (int32_t i = 0; i < {real}; ++i) {{
            if ({"scores[i] > input_3[0]" if self.has_least else "true"}) {{
                best = candidates > 0 && scores[i] <= scores[left[best]] ? best : candidates;
                left[candidates++] = i;
            }}
        }}
        for (int32_t chosen = 0; chosen < {self.most} && candidates > 0; ++chosen) {{
            const int32_t box = left[best];
            int32_t kept = 0;
            output_0[3 * count] = b;
            output_0[3 * count + 1] = c;
            output_0[3 * count + 2] = box;
            ++count;
            best = 0;
            for (int32_t i = 0; i < candidates; ++i) {{
                const int32_t other = left[i];
                if (other != box && !{function}(boxes + 4 * box, boxes + 4 * other, input_2[0])) {{
                    best = kept > 0 && scores[other] <= scores[left[best]] ? best : kept;
                    left[kept++] = other;
                }}
            }}
            candidates = kept;
        }}
    }}
}}
output_1[0] = count;
for (int32_t i = 3 * count; i < {outputs[0].shape[0] * 3}; ++i) {{
    output_0[i] = 0;
}}
"""


def _corners(boxes: Floats, center: bool) -> Floats:
    """(N, 4): the lower two coordinates and the upper two, each in the box's own order."""
    if center:
        half = boxes[:, 2:] / np.float32(2)
        return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], 1)
    a, b = boxes[:, :2], boxes[:, 2:]
    return np.concatenate([np.minimum(a, b), np.maximum(a, b)], 1)


def _overlaps(one: Floats, others: Floats, most: np.float32) -> npt.NDArray[np.bool_]:
    """Whether the intersection over union is above `most`; corners as `_corners` gives them."""
    sides = np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2])
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    area = (one[2] - one[0]) * (one[3] - one[1])
    common = sides[:, 0] * sides[:, 1]
    union = area + areas - common
    meets = (sides > 0).all(1) & (common > 0) & (area > 0) & (areas > 0) & (union > 0)
    shares = np.divide(common, union, out=np.zeros_like(common), where=meets)
    return np.asarray(meets & (shares > most), np.bool_)


def import_non_max_suppression(node: Node) -> Value:
    boxes, scores, build = node.input(0), node.input(1), node.build
    wanted = node.constant(2)
    most = 0 if wanted is None else min(int(wanted.reshape(-1)[0]), scores.shape[2])
    if most <= 0 or 0 in scores.shape:
        return build.constant(np.zeros((0, 3), np.int64), "chosen")
    overlap, least = node.optional(3), node.optional(4)
    thresholds = [build.constant(np.zeros(1, np.float32), "threshold") if overlap is None else overlap]
    thresholds += [] if least is None else [least]
    length = axis_count(boxes, 1)
    for value, axes in ((boxes, (0, 2)), (scores, (0, 1))):
        for axis in axes:
            node.require_static(value, axis)
    if axis_count(scores, 2) is not length:
        node.reject("boxes and scores may differ in number")
    op = NonMaxSuppression(most, bool(node.int("center_point_box", 0)), least is not None, length is not None)
    chosen, count = build.call_all(op, [boxes, scores, *thresholds, *([] if length is None else [length])])
    return counted(node, chosen, 0, count)


IMPORTERS = {"NonMaxSuppression": import_non_max_suppression}
