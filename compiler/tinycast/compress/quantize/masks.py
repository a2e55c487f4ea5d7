"""Ranges of what a Softmax reads: what masks leave far below the largest number of a row does not count.

A mask adds -10000, the least float or minus infinity to scores. A scale for the whole of such a range would leave the
scores themselves no steps, so it ends where the exponential is nothing; QuantizeLinear clamps what lies below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinycast.compress.quantize.scheme import Scheme

Range = tuple[float, float]

_NEGLIGIBLE = 16.0  # exp(-16) is far below half a step of a probability, of 16 bits too
_FAR = np.float32(1e30)
_MASKED = 1000.0  # rows that lie so far below others are masked as a whole
_SAME_ROWS = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})


def finite(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The values, infinities and what is nearly so as numbers that can be calculated with."""
    return np.clip(np.nan_to_num(values), -_FAR, _FAR)


def softmax_floor(value: ir.Value, samples: Sequence[NDArray[np.float32]]) -> float:
    """The least number that counts where a Softmax over the last axis reads `value`; minus infinity elsewhere."""
    if not any(_is_softmax_of_rows(node, value) for node in _readers(value)):
        return -np.inf
    tops = np.concatenate([array.max(axis=-1).reshape(-1) for array in samples])
    tops = tops[np.isfinite(tops)]
    return float(tops[tops > tops.max() - _MASKED].min()) - _NEGLIGIBLE if tops.size else -np.inf


def _readers(value: ir.Value) -> Iterator[ir.Node]:
    for node in value.consumers():
        if node.op_type in _SAME_ROWS:
            yield from _readers(node.outputs[0])
        else:
            yield node


def _is_softmax_of_rows(node: ir.Node, value: ir.Value) -> bool:
    source = node.inputs[0] if node.inputs else None
    if node.op_type != "Softmax" or source is None or source.shape is None or value.shape is None:
        return False
    rank = len(source.shape)
    last = node.attributes.get_int("axis", -1) % rank == rank - 1
    return last and len(value.shape) > 0 and source.shape[-1] == value.shape[-1]


def clip_masks(scheme: Scheme, ranges: Mapping[ir.Value, Range]) -> dict[ir.Value, Range]:
    """The ranges of sources and constant operands, those of terms of a Softmax's input cut where the sum's end.

    `ranges` are in the graph's order, those of what a Softmax reads cut already (`softmax_floor`).
    """
    groups: dict[ir.Value, list[ir.Value]] = {}
    for value, source in scheme.shared.items():
        groups.setdefault(source, []).append(value)
    result = dict(ranges)
    for source in reversed(list(scheme.sources)):
        result[source] = _clipped(source, groups[source], scheme, result, ranges)
    for operand in scheme.operands:
        result[operand] = _clipped(operand, [operand], scheme, result, ranges)
    return result


def _clipped(
    owner: ir.Value,
    group: Sequence[ir.Value],
    scheme: Scheme,
    clipped: Mapping[ir.Value, Range],
    ranges: Mapping[ir.Value, Range],
) -> Range:
    """The owner's range, cut below where all that reads it are sums whose own range ends there."""
    low, high = ranges[owner]
    floor = np.inf
    members = set(group)
    for value in group:
        if value.is_graph_output():
            return low, high
        for node in value.consumers():
            made = node.outputs[0]
            if made in members:  # a move
                continue
            if node.op_type == "Softmax":
                floor = min(floor, low)
                continue
            total = scheme.shared.get(made)
            others = [v for v in node.inputs if v is not None and v is not value]
            if node.op_type != "Add" or total is None or len(others) != 1 or not _only_scores(made):
                return low, high
            other = scheme.shared.get(others[0]) or others[0]
            if other not in ranges:
                return low, high
            floor = min(floor, clipped[total][0] - ranges[other][1])
    return (max(low, min(0.0, floor)), high) if np.isfinite(floor) else (low, high)


def _only_scores(value: ir.Value) -> bool:
    """Whether nothing but Softmax reads the value, other scores added and moves between."""
    readers = list(_readers(value))
    return bool(readers) and all(
        node.op_type == "Softmax" or (node.op_type == "Add" and _only_scores(node.outputs[0])) for node in readers
    )
