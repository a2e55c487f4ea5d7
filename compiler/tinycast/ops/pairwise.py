"""One against one: scores of pairs of classes, their votes, and the probabilities that suit all pairs at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tinycast.ir.graph import Routine, TensorType
from tinycast.ir.types import Array, DType, Value

_ROUNDS = 100
_TOLERANCE = 0.005  # divided by the number of classes
_LEAST = 1e-7  # probability of a class in a pair


@dataclass(frozen=True)
class PairScores(Routine):
    """Decision values of all pairs i < j, in order: sums over the support vectors of both classes.

    The vectors of class i are starts[i]..starts[i + 1].
    Inputs: kernel (N, V), coefficients (K - 1, V), rho (K (K - 1) / 2).
    """

    runtime: ClassVar[frozenset[str]] = frozenset({"tc_careful_product.h"})
    starts: tuple[int, ...]

    @property
    def classes(self) -> int:
        return len(self.starts) - 1

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType((inputs[0].shape[0], inputs[2].size), DType.FLOAT32),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        kernel, coefficients, rho = (array.astype(np.float64) for array in arrays)
        parts = [slice(*self.starts[i : i + 2]) for i in range(self.classes)]
        sums = [
            kernel[:, parts[i]] @ coefficients[j - 1, parts[i]] + kernel[:, parts[j]] @ coefficients[i, parts[j]]
            for i, j in combinations(range(self.classes), 2)
        ]
        return ((np.stack(sums, 1) + rho).astype(np.float32),)

    def macs(self, inputs: Sequence[Value], out: TensorType) -> int:
        return out.shape[0] * inputs[1].size

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        rows, vectors = inputs[0].shape
        pairs = outputs[0].shape[1]
        starts = ", ".join(map(str, self.starts))
        return f"""
static const int32_t starts[{len(self.starts)}] = {{{starts}}};
for (int32_t n = 0; n < {rows}; ++n) {{
    const float *kernel = input_0 + n * {vectors};
    int32_t pair = 0;
    for (int32_t i = 0; i < {self.classes - 1}; ++i) {{
        for (int32_t j = i + 1; j < {self.classes}; ++j) {{
            const float *of_i = input_1 + (j - 1) * {vectors} + starts[i];
            const float *of_j = input_1 + i * {vectors} + starts[j];
            const float first = tc_careful_product(0.0f, of_i, kernel + starts[i], starts[i + 1] - starts[i]);
            const float second = tc_careful_product(first, of_j, kernel + starts[j], starts[j + 1] - starts[j]);
            output_0[n * {pairs} + pair] = second + input_2[pair];
            ++pair;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class PairVotes(Routine):
    """How many pairs each class wins: the first of a pair where its score is above 0. float32."""

    classes: int

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType((inputs[0].shape[0], self.classes), DType.FLOAT32),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        votes = np.zeros((len(arrays[0]), self.classes), np.float32)
        for pair, (i, j) in enumerate(combinations(range(self.classes), 2)):
            votes[:, i] += arrays[0][:, pair] > 0
            votes[:, j] += arrays[0][:, pair] <= 0
        return (votes,)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        rows, pairs = inputs[0].shape
        return f"""
for (int32_t n = 0; n < {rows}; ++n) {{
    float *votes = output_0 + n * {self.classes};
    const float *score = input_0 + n * {pairs};
    for (int32_t i = 0; i < {self.classes}; ++i) {{
        votes[i] = 0.0f;
    }}
    for (int32_t i = 0; i < {self.classes - 1}; ++i) {{
        for (int32_t j = i + 1; j < {self.classes}; ++j) {{
            votes[*score++ > 0.0f ? i : j] += 1.0f;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class PairProbabilities(Routine):
    """Probabilities of the classes from the scores of pairs, by Platt's sigmoid and pairwise coupling.

    Wu, Lin, Weng: Probability estimates for multi-class classification by pairwise coupling, algorithm 2; with the
    bounds and stopping rule of libsvm and ONNX Runtime. Inputs: scores (N, pairs), a, b (pairs).
    """

    runtime: ClassVar[frozenset[str]] = frozenset({"tc_math.h", "tc_coupling.h"})
    classes: int

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType((inputs[0].shape[0], self.classes), DType.FLOAT32),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        scores, a, b = arrays
        wins = np.clip(1 / (1 + np.exp((scores * a + b).astype(np.float64))), _LEAST, 1 - _LEAST).astype(np.float32)
        return (np.stack([self._coupled(row) for row in wins]),)

    def _coupled(self, wins: Array) -> npt.NDArray[np.float32]:
        count = self.classes
        r = np.zeros((count, count), np.float32)
        for probability, (i, j) in zip(wins, combinations(range(count), 2), strict=True):
            r[i, j], r[j, i] = probability, 1 - probability
        q = -r.T * r
        np.fill_diagonal(q, (r * r).sum(0))
        p = np.full(count, 1 / count, np.float32)
        for _ in range(_ROUNDS):
            product = q @ p
            total = p @ product
            if np.abs(product - total).max() < _TOLERANCE / count:
                break
            for i in range(count):
                change = (total - product[i]) / q[i, i]
                p[i] += change
                total = (total + change * (change * q[i, i] + 2 * product[i])) / (1 + change) ** 2
                product = (product + change * q[i]) / (1 + change)
                p /= 1 + change
        return p

    def scratch(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        return (TensorType((self.classes, self.classes), DType.FLOAT32), TensorType((self.classes,), DType.FLOAT32))

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        rows, pairs = inputs[0].shape
        return f"""
for (int32_t n = 0; n < {rows}; ++n) {{
    int32_t pair = 0;
    for (int32_t i = 0; i < {self.classes}; ++i) {{
        scratch_0[i * {self.classes} + i] = 0.0f;
    }}
    for (int32_t i = 0; i < {self.classes - 1}; ++i) {{
        for (int32_t j = i + 1; j < {self.classes}; ++j) {{
            float wins = tc_sigmoid(-(input_0[n * {pairs} + pair] * input_1[pair] + input_2[pair]));
            wins = wins < {_LEAST}f ? {_LEAST}f : wins > 1.0f - {_LEAST}f ? 1.0f - {_LEAST}f : wins;
            scratch_0[i * {self.classes} + i] += (1.0f - wins) * (1.0f - wins);
            scratch_0[j * {self.classes} + j] += wins * wins;
            scratch_0[i * {self.classes} + j] = -wins * (1.0f - wins);
            scratch_0[j * {self.classes} + i] = -wins * (1.0f - wins);
            ++pair;
        }}
    }}
    tc_coupling(scratch_0, scratch_1, {self.classes}, output_0 + n * {self.classes});
}}
"""
