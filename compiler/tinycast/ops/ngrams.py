"""TfIdfVectorizer: how often sequences of integers contain known runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tinycast.ir.graph import Routine, TensorType
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.elementwise import Binary, BinaryFunction, Clip
from tinycast.ops.node import Node
from tinycast.ops.shape import Reshape


@dataclass(frozen=True)
class CountRuns(Routine):
    """How often each known run of elements is in each row of x: float32 (rows, counters).

    Inputs: x (rows, elements), the runs (int32, one after the other: by length, and in ascending order), and the
    counter of each run (int32). `lengths` has (elements of a run, how many runs there are of that length). Elements of
    a run are 1, 2, … up to `widest` apart in x, the same way in all of it; runs of one element count once.
    """

    counters: int
    lengths: tuple[tuple[int, int], ...]
    widest: int

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType((inputs[0].shape[0], self.counters), DType.FLOAT32),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x, runs, places = arrays
        y = np.zeros((len(x), self.counters), np.float32)
        known: dict[tuple[int, ...], int] = {}
        start = 0
        for length, count in self.lengths:
            for i in range(count):
                known[tuple(runs[start + i * length : start + (i + 1) * length].tolist())] = int(places[len(known)])
            start += length * count
        for row, elements in zip(y, x.tolist(), strict=True):
            for length, _ in self.lengths:
                for apart in range(1, (1 if length == 1 else self.widest) + 1):
                    for first in range(len(elements) - apart * (length - 1)):
                        place = known.get(tuple(elements[first + apart * i] for i in range(length)))
                        if place is not None:
                            row[place] += 1
        return (y,)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        rows, elements = inputs[0].shape
        text = f"for (int32_t i = 0; i < {rows * self.counters}; ++i) {{\n    output_0[i] = 0.0f;\n}}\n"
        runs = counters = 0
        for length, count in self.lengths:
            text += f"""for (int32_t row = 0; row < {rows}; ++row) {{
    for (int32_t apart = 1; apart <= {1 if length == 1 else self.widest}; ++apart) {{
        for (int32_t first = 0; first + apart * {length - 1} < {elements}; ++first) {{
            /* A search by halves in the {count} runs of {length}. */
            int32_t low = 0;
            int32_t high = {count};
            while (low < high) {{
                const int32_t middle = (low + high) / 2;
                int32_t sign = 0;
                for (int32_t k = 0; k < {length} && sign == 0; ++k) {{
                    const {inputs[0].dtype.c_name} wanted = input_0[row * {elements} + first + k * apart];
                    const int32_t known = input_1[{runs} + middle * {length} + k];
                    sign = (wanted > known) - (wanted < known);
                }}
                if (sign == 0) {{
                    output_0[row * {self.counters} + input_2[{counters} + middle]] += 1.0f;
                    break;
                }}
                low = sign > 0 ? middle + 1 : low;
                high = sign < 0 ? middle : high;
            }}
        }}
    }}
}}
"""
            runs, counters = runs + length * count, counters + count
        return text


def import_tf_idf_vectorizer(node: Node) -> Value:
    x, build = node.input(0), node.build
    pool = node.ints("pool_int64s", [])
    if not pool or x.dtype not in (DType.INT32, DType.INT64):
        node.reject("it counts strings", fix="map them to integers before, with a LabelEncoder or outside")
    if max(map(abs, pool)) >= 2**31:
        node.reject("an element of its runs does not fit 32 bits")
    places, starts = node.ints("ngram_indexes", []), [*node.ints("ngram_counts", []), len(pool)]
    shortest, longest = node.int("min_gram_length", 1), node.int("max_gram_length", 1)
    counters = max(places) + 1
    lengths: list[tuple[int, int]] = []
    runs: list[int] = []
    order: list[int] = []
    passed = 0
    for length, (start, end) in enumerate(pairwise(starts), 1):
        found = sorted(
            (tuple(pool[i : i + length]), places[passed + n]) for n, i in enumerate(range(start, end, length))
        )
        passed += len(found)
        if shortest <= length <= longest and found:
            lengths.append((length, len(found)))
            runs += [element for run, _ in found for element in run]
            order += [place for _, place in found]
    rows = x if len(x.shape) == 2 else build.call(Reshape((1, x.size)), [x])
    tables = [
        build.constant(np.asarray(table, np.int32), name) for table, name in ((runs, "runs"), (order, "counters"))
    ]
    (y,) = build.call_all(CountRuns(counters, tuple(lengths), node.int("max_skip_count", 0) + 1), [rows, *tables])
    mode = node.text("mode", "TF")
    weights = build.constant(_weights(node, places), "weights")
    if mode == "IDF":
        y = build.call(Clip(0.0, 1.0), [y])
    if mode != "TF":
        y = build.call(Binary(BinaryFunction.MUL), [y, weights])
    return y if len(x.shape) == 2 else build.call(Reshape((counters,)), [y])


def _weights(node: Node, places: Sequence[int]) -> Array:
    """The factor of each counter: that of the run it counts."""
    stated = dict.fromkeys(places, 1.0)
    for place, weight in zip(places, node.floats("weights", []), strict=False):
        stated[place] = weight
    return np.asarray([stated.get(place, 1.0) for place in range(max(places) + 1)], np.float32)


IMPORTERS = {"TfIdfVectorizer": import_tf_idf_vectorizer}
