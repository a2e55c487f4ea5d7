"""Random tree ensembles as attributes of ONNX's operators. Thresholds are multiples of 1/2: inputs meet them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import helper

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER")
Attributes = dict[str, Any]


def random_trees(
    seed: int,
    *,
    trees: int = 5,
    depth: int = 4,
    features: int = 4,
    modes: Sequence[str] = MODES[:1],
    tracks: bool = False,
) -> Attributes:
    """The nodes of TreeEnsembleClassifier and -Regressor; the last tree is a leaf alone."""
    random = np.random.default_rng(seed)
    names = "treeids nodeids featureids modes values truenodeids falsenodeids missing_value_tracks_true"
    nodes: Attributes = {f"nodes_{name}": [] for name in names.split()}

    def add(tree: int, below: int) -> int:
        """Append a node (its subtree comes after it) and give its number."""
        number = sum(t == tree for t in nodes["nodes_treeids"])
        is_leaf = below == 0 or (below < depth and random.random() < 0.2)
        row = [tree, number, int(random.integers(features)), "LEAF" if is_leaf else str(random.choice(modes))]
        row += [float(random.integers(-4, 5)) / 2, 0, 0, int(tracks and random.random() < 0.5)]
        place = len(nodes["nodes_treeids"])
        for values, value in zip(nodes.values(), row, strict=True):
            values.append(value)
        if not is_leaf:
            nodes["nodes_truenodeids"][place] = add(tree, below - 1)
            nodes["nodes_falsenodeids"][place] = add(tree, below - 1)
        return number

    for tree in range(trees):
        add(tree, depth if tree < trees - 1 else 0)
    return nodes


def with_weights(nodes: Attributes, kind: str, ids: Sequence[int], seed: int, *, low: float = -1.0) -> Attributes:
    """The nodes with one random weight a leaf for each of some (at least one) of the targets or classes `ids`.

    The last tree, a leaf alone, has all of them: what no leaf gives anything loses its base value in ONNX Runtime, and
    is never chosen, other than in ONNX's reference.
    """
    random = np.random.default_rng(seed)
    leaves = [i for i, mode in enumerate(nodes["nodes_modes"]) if mode == "LEAF"]
    rows = [
        (nodes["nodes_treeids"][i], nodes["nodes_nodeids"][i], target)
        for i in leaves
        for target in (ids if i == leaves[-1] else _some(ids, random))
    ]
    columns = zip(*rows, strict=True)
    lists = dict(zip((f"{kind}_treeids", f"{kind}_nodeids", f"{kind}_ids"), map(list, columns), strict=True))
    weights = np.round(random.uniform(low, 1.0, len(rows)), 1)  # few, so that equal ones are stored once
    return {**nodes, **lists, f"{kind}_weights": weights.astype(float).tolist()}


def _some(ids: Sequence[int], random: np.random.Generator) -> list[int]:
    return sorted(random.choice(ids, random.integers(1, len(ids) + 1), replace=False).tolist())


def as_tree_ensemble(nodes: Attributes, seed: int, targets: int) -> Attributes:
    """The nodes in the form of TreeEnsemble (ai.onnx.ml 5), without trees that are a leaf alone."""
    random = np.random.default_rng(seed)
    names = list(zip(nodes["nodes_treeids"], nodes["nodes_nodeids"], strict=True))
    inner = [i for i, mode in enumerate(nodes["nodes_modes"]) if mode != "LEAF"]
    leaves = [i for i, mode in enumerate(nodes["nodes_modes"]) if mode == "LEAF"]
    place = {names[i]: (n, 0) for n, i in enumerate(inner)} | {names[i]: (n, 1) for n, i in enumerate(leaves)}

    def children(side: str) -> tuple[list[int], list[int]]:
        found = [place[nodes["nodes_treeids"][i], nodes[f"nodes_{side}nodeids"][i]] for i in inner]
        return [n for n, _ in found], [leaf for _, leaf in found]

    true_ids, true_leafs = children("true")
    false_ids, false_leafs = children("false")
    sets: list[float] = []
    for i in inner:
        if nodes["nodes_modes"][i] == "BRANCH_MEMBER":
            sets += [*(random.choice(5, 2, replace=False) - 2.0).tolist(), float("nan")]
    weights = np.round(random.uniform(-1, 1, len(leaves)), 2).astype(np.float32)

    def floats(values: Sequence[float]) -> Any:
        return helper.make_tensor("", 1, [len(values)], values)

    attributes = {
        "n_targets": targets,
        "nodes_featureids": [nodes["nodes_featureids"][i] for i in inner],
        "nodes_splits": floats([nodes["nodes_values"][i] for i in inner]),
        "nodes_modes": helper.make_tensor("", 2, [len(inner)], [MODES.index(nodes["nodes_modes"][i]) for i in inner]),
        "nodes_missing_value_tracks_true": [nodes["nodes_missing_value_tracks_true"][i] for i in inner],
        "nodes_truenodeids": true_ids,
        "nodes_trueleafs": true_leafs,
        "nodes_falsenodeids": false_ids,
        "nodes_falseleafs": false_leafs,
        "leaf_targetids": random.integers(0, targets, len(leaves)).tolist(),
        "leaf_weights": floats(weights.tolist()),
        "tree_roots": [place[t, 0][0] for t in sorted(set(nodes["nodes_treeids"])) if place[t, 0][1] == 0],
    }
    return {**attributes, **({"membership_values": floats(sets)} if sets else {})}
