"""What is refused of classical models, and how large their tables are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from host_batch import loaded, program_of
from matrix_classical import LABELED, LINEAR, ROW, SVM, row
from random_trees import random_trees, with_weights
from tinycast.errors import ModelError
from tinycast.ops.forest import ordered
from tinycast.ops.trees import TreeSums

REGRESSOR = "y = ai.onnx.ml.TreeEnsembleRegressor(x)"
TREES = {**with_weights(random_trees(1), "target", [0], 1), "n_targets": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nodes_truenodeids": [9999] * len(TREES["nodes_modes"])}, "do not form trees"),
        ({"nodes_featureids": [50] * len(TREES["nodes_modes"])}, "4 features"),
        ({"target_ids": [3] * len(TREES["target_ids"])}, "1 targets"),
        ({"nodes_values": [0.0]}, "do not fit together"),
        ({"nodes_modes": ["BRANCH_X"] * len(TREES["nodes_modes"])}, "BRANCH_X is not known"),
    ],
)
def test_trees_that_are_none_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        program_of(loaded(row("bad", REGRESSOR, {**TREES, **change}).proto()))


@pytest.mark.parametrize(
    ("nodes", "attributes", "message"),
    [
        ("l, y = ai.onnx.ml.SVMClassifier(x)", {**SVM[0].attributes, "support_vectors": [1.0]}, "do not fit together"),
        ("l, y = ai.onnx.ml.LinearClassifier(x)", {**LINEAR[2].attributes, "coefficients": [1.0]}, "do not fit"),
    ],
)
def test_classifiers_that_are_none_are_refused(nodes: str, attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        program_of(loaded(row("bad", nodes, attributes, ROW, **LABELED).proto()))


def test_tables_of_a_forest_are_small() -> None:
    """Thresholds that repeat take a byte, links two, shared leaves one: 6 bytes a split at most, limits included."""
    nodes = {**with_weights(random_trees(3, trees=60, depth=8), "target", [0], 3), "n_targets": 1}
    (call,) = program_of(loaded(row("forest", REGRESSOR, nodes).proto())).calls
    assert isinstance(call.op, TreeSums)
    splits = sum(mode != "LEAF" for mode in nodes["nodes_modes"])
    assert splits > 1000
    assert sum(array.nbytes for _, array in call.op.tables()) < 6 * splits
    assert call.op.splits.ranked


def test_integers_in_the_order_of_floats() -> None:
    values = np.asarray([-np.inf, -3.5, -1e-45, -0.0, 0.0, 1e-45, 1.0, np.inf], np.float32)
    numbers = ordered(values.tolist())
    assert numbers[3] == numbers[4] == 0
    assert (np.diff(numbers)[[0, 1, 2, 4, 5, 6]] > 0).all()
