"""Tree ensembles: the kernel, and the ONNX operators that have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from tinycast.ir.graph import Builder, Routine, TensorType
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.forest import Forest, read_forest
from tinycast.ops.forest_tables import SplitTables, choose_tables, keys_code, walk_code
from tinycast.ops.leaves import Aggregate, LeafTables
from tinycast.ops.node import Node
from tinycast.ops.scatter import indented
from tinycast.ops.scores import (
    Terms,
    Transform,
    as_rows,
    best_label,
    both_classes,
    checked,
    label_above,
    read_labels,
    read_transform,
    transformed,
    two_scores,
)
from tinycast.ops.tree_attributes import read_nodes

_FLOAT_MAX = "3.40282347e+38f"


@dataclass(frozen=True, eq=False)
class TreeSums(Routine):
    """y[n, target] = what the trees' leaves give that target, together. Inputs: x (N, F), and the tables."""

    runtime: ClassVar[frozenset[str]] = frozenset({"tc_ordered.h"})
    forest: Forest
    aggregate: Aggregate
    targets: int

    @property
    def title(self) -> str:
        return "TreeEnsemble"

    @cached_property
    def splits(self) -> SplitTables:
        return choose_tables(self.forest)

    @cached_property
    def leaves(self) -> LeafTables:
        return LeafTables(self.forest)

    def tables(self) -> list[tuple[str, Array]]:
        return [*self.splits.arrays(), *self.leaves.arrays()]

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType((inputs[0].shape[0], self.targets), DType.FLOAT32),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        y = np.zeros((len(arrays[0]), self.targets), np.float32)
        for row, scores in zip(arrays[0], y, strict=True):
            given: dict[int, list[np.float32]] = {}
            for leaf in self.forest.leaves_of(row):
                for target, weight in self.forest.leaves[leaf]:
                    given.setdefault(target, []).append(np.float32(weight))
            for target, weights in given.items():
                scores[target] = self._together(weights)
        return (y,)

    def _together(self, weights: list[np.float32]) -> np.float32:
        if self.aggregate in (Aggregate.MIN, Aggregate.MAX):
            return (min if self.aggregate is Aggregate.MIN else max)(weights)
        total = np.cumsum(weights, dtype=np.float32)[-1]
        count = len(self.forest.sizes) if self.aggregate is Aggregate.AVERAGE else 1
        return np.float32(total / np.float32(count))

    def scratch(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        return (TensorType((len(self.forest.keys),), self.splits.key_type),)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        rows, columns = inputs[0].shape
        names = [
            f"const {DType(array.dtype.name).c_name} *{name} = input_{i};\n"
            for i, (name, array) in enumerate(self.tables(), 1)
        ]
        extreme = self.aggregate in (Aggregate.MIN, Aggregate.MAX)
        start = {Aggregate.MIN: _FLOAT_MAX, Aggregate.MAX: f"-{_FLOAT_MAX}"}.get(self.aggregate, "0.0f")
        code = _each(self.targets, f"y[k] = {start};")
        code += keys_code(self.splits) + walk_code(self.splits, self.leaves.use_code(self.aggregate))
        if extreme:  # a target to which no leaf gave anything
            code += _each(
                self.targets, f"y[k] = y[k] {'<' if self.aggregate is Aggregate.MIN else '>'} {start} ? y[k] : 0.0f;"
            )
        elif self.aggregate is Aggregate.AVERAGE:
            code += _each(self.targets, f"y[k] /= {len(self.forest.sizes)}.0f;")
        if rows == 1:
            return "".join(names) + "const float *x = input_0;\nfloat *y = output_0;\n" + code
        pointers = f"const float *x = input_0 + n * {columns};\nfloat *y = output_0 + n * {self.targets};\n"
        return "".join(names) + f"for (int32_t n = 0; n < {rows}; ++n) {{\n{indented(pointers + code, 1)}}}\n"


def _each(count: int, statement: str) -> str:
    if count == 1:
        return statement.replace("[k]", "[0]") + "\n"
    return f"for (int32_t k = 0; k < {count}; ++k) {{\n    {statement}\n}}\n"


def tree_sums(build: Builder, x: Value, forest: Forest, aggregate: Aggregate, targets: int) -> Value:
    """Scores (N, targets) of the rows x. Converters write weights of 0, too: they add nothing to a sum."""
    if targets > 1 and aggregate in (Aggregate.SUM, Aggregate.AVERAGE):
        leaves = tuple(tuple(entry for entry in leaf if entry[1]) for leaf in forest.leaves)
        forest = replace(forest, leaves=leaves)
    if not all(0 <= key.feature < x.shape[1] for key in forest.keys):
        raise ValueError(f"there are {x.shape[1]} features, and trees that read others")
    if not all(0 <= target < targets for leaf in forest.leaves for target, _ in leaf):
        raise ValueError(f"there are {targets} targets, and leaves with others")
    op = TreeSums(forest, aggregate, targets)
    tables = [build.constant(array, name) for name, array in op.tables()]
    return build.call_all(op, [x, *tables])[0]


def import_regressor(node: Node) -> Value:
    if node.kind == "TreeEnsemble":
        aggregate = (Aggregate.AVERAGE, Aggregate.SUM, Aggregate.MIN, Aggregate.MAX)[node.int("aggregate_function", 1)]
    else:
        aggregate = Aggregate(node.text("aggregate_function", "SUM"))
    targets = node.int("n_targets", 1)
    scores = tree_sums(node.build, as_rows(node, node.input(0)), _forest(node), aggregate, targets)
    transform = read_transform(node)
    base = _base_values(node)
    if base.any():
        scores = Terms(node.build).add(scores, node.build.constant(base, "base_values"))
    if targets == 1 and transform is not Transform.PROBIT:
        return scores  # as in ONNX Runtime: of one score there is nothing to transform
    return transformed(node.build, scores, transform)


def import_classifier(node: Node) -> tuple[Value, ...]:
    labels, build = read_labels(node, "classlabels_int64s"), node.build
    x, forest, transform, base = as_rows(node, node.input(0)), _forest(node), read_transform(node), _base_values(node)
    ids = {target for leaf in forest.leaves for target, _ in leaf}
    if len(labels) != 2 or len(ids) > 1:
        scores = tree_sums(build, x, forest, Aggregate.SUM, len(labels))
        if base.any():
            scores = Terms(build).add(scores, build.constant(base, "base_values"))
        return best_label(build, scores, labels), transformed(build, scores, transform)
    return _binary(node, x, forest, labels, transform, base)


def _binary(
    node: Node, x: Value, forest: Forest, labels: Sequence[int], transform: Transform, base: Array
) -> tuple[Value, ...]:
    """Two classes of which the trees score one: by a probability where no weight is negative.

    Converters call that class 0. Where it is 1, ONNX Runtime takes class 0 for one that always has the score 0.
    """
    build, terms = node.build, Terms(node.build)
    leaves = tuple(tuple((0, weight) for _, weight in leaf) for leaf in forest.leaves)
    score = tree_sums(build, x, replace(forest, leaves=leaves), Aggregate.SUM, 1)
    is_share = all(weight >= 0 for leaf in leaves for _, weight in leaf)
    bound = 0.5 if is_share else 0.0
    scored = {target for leaf in forest.leaves for target, _ in leaf}
    if transform is Transform.PROBIT or (base.any() and (base.size > 1 or 1 in scored)):
        node.reject("this combination of post transform, base values and class ids is not supported")
    if 1 in scored:
        scores = two_scores(build, terms.constant(np.zeros(score.shape)), score)
        return label_above(build, score, bound, labels), transformed(build, scores, transform)
    if base.any():
        score = terms.add(score, float(base[0]))
    label = label_above(build, score, bound, labels)
    if is_share:
        return label, both_classes(build, score, transform)
    other = terms.unary("Neg", score)
    if transform is Transform.LOGISTIC:
        score, other = terms.unary("Sigmoid", score), terms.unary("Sigmoid", other)
    return label, two_scores(build, other, score)


def _forest(node: Node) -> Forest:
    return read_forest(*read_nodes(node))


def _base_values(node: Node) -> Array:
    tensor = node.onnx.attributes.get("base_values_as_tensor")
    if tensor is not None:
        return tensor.as_tensor().numpy().astype(np.float32)
    return np.asarray(node.floats("base_values", []), np.float32)


IMPORTERS = {
    "ai.onnx.ml.TreeEnsemble": checked(import_regressor),
    "ai.onnx.ml.TreeEnsembleClassifier": checked(import_classifier),
    "ai.onnx.ml.TreeEnsembleRegressor": checked(import_regressor),
}
