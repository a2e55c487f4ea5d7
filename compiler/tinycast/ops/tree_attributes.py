"""The attributes of ONNX's three tree operators as a list of nodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from tinycast.ir.types import Array
from tinycast.ops.forest import Mode, Targets
from tinycast.ops.forest import Node as TreeNode
from tinycast.ops.node import Node


def read_nodes(node: Node) -> tuple[list[TreeNode], list[int]]:
    """All nodes of all trees, and the root of each tree."""
    return _of_tensors(node) if node.kind == "TreeEnsemble" else _of_lists(node)


def _numbers(node: Node, name: str) -> Array:
    """A list of floats, or the tensor that may stand in its place."""
    for key in (name, f"{name}_as_tensor"):
        attribute = node.onnx.attributes.get(key)
        if attribute is not None and key == name and node.kind != "TreeEnsemble":
            return np.asarray(attribute.as_floats(), np.float32).astype(np.float64)
        if attribute is not None:
            return attribute.as_tensor().numpy().reshape(-1).astype(np.float64)
    return np.zeros(0)


def _of_lists(node: Node) -> tuple[list[TreeNode], list[int]]:
    """TreeEnsembleClassifier and -Regressor: nodes are named by tree and number."""
    trees, numbers = node.ints("nodes_treeids", []), node.ints("nodes_nodeids", [])
    place = {name: i for i, name in enumerate(zip(trees, numbers, strict=True))}
    kind = "class" if node.kind == "TreeEnsembleClassifier" else "target"
    targets: dict[tuple[int, int], list[tuple[int, float]]] = defaultdict(list)
    weights = (node.ints(f"{kind}_{part}", []) for part in ("treeids", "nodeids", "ids"))
    for tree, number, target, weight in zip(*weights, _numbers(node, f"{kind}_weights"), strict=True):
        targets[tree, number].append((target, float(np.float32(weight))))
    modes = [_mode(node, name) for name in node.texts("nodes_modes", [])]
    features, values = node.ints("nodes_featureids", []), _numbers(node, "nodes_values").tolist()
    tracks = node.ints("nodes_missing_value_tracks_true", [0] * len(trees))
    children = [
        [
            0 if mode is Mode.LEAF else place.get((tree, number), -1)
            for tree, number, mode in zip(trees, ids, modes, strict=True)
        ]
        for ids in (node.ints("nodes_truenodeids", []), node.ints("nodes_falsenodeids", []))
    ]
    nodes = [
        TreeNode(
            mode, features[i], values[i], (), bool(tracks[i]), children[0][i], children[1][i], tuple(targets[name])
        )
        for (name, i), mode in zip(place.items(), modes, strict=True)
    ]
    return nodes, _roots(node, nodes, trees)


def _roots(node: Node, nodes: Sequence[TreeNode], trees: Sequence[int]) -> list[int]:
    """The node of each tree that is no child. (Converters of categories put a node below several others.)"""
    inner = [n for n in nodes if n.mode is not Mode.LEAF]
    below = {child for n in inner for child in (n.true_child, n.false_child)}
    roots = [i for i in range(len(nodes)) if i not in below]
    if -1 in below or len(roots) != len(set(trees)):
        node.reject("its nodes do not form trees", fix="export the model again")
    return roots


def _mode(node: Node, name: str) -> Mode:
    if name not in {mode.value for mode in Mode}:
        node.reject(f"the mode {name} is not known")
    return Mode(name)


_MODES = (Mode.LEQ, Mode.LT, Mode.GTE, Mode.GT, Mode.EQ, Mode.NEQ, Mode.MEMBER)


def _of_tensors(node: Node) -> tuple[list[TreeNode], list[int]]:
    """TreeEnsemble: inner nodes and leaves are apart; a NaN ends each of the sets of BRANCH_MEMBER."""
    features = node.ints("nodes_featureids", [])
    modes = [_MODES[int(mode)] for mode in _numbers(node, "nodes_modes")]
    values = _numbers(node, "nodes_splits").tolist()
    tracks = node.ints("nodes_missing_value_tracks_true", [0] * len(features))
    sets = iter(_sets(_numbers(node, "membership_values")))
    sides = [
        [
            child + len(features) * is_leaf
            for child, is_leaf in zip(node.ints(ids, []), node.ints(leaves, []), strict=True)
        ]
        for ids, leaves in (("nodes_truenodeids", "nodes_trueleafs"), ("nodes_falsenodeids", "nodes_falseleafs"))
    ]
    nodes = [
        TreeNode(
            mode,
            features[i],
            values[i],
            next(sets) if mode is Mode.MEMBER else (),
            bool(tracks[i]),
            sides[0][i],
            sides[1][i],
        )
        for i, mode in enumerate(modes)
    ]
    weights = np.asarray(_numbers(node, "leaf_weights"), np.float32)
    leaves: list[Targets] = [
        ((target, float(weight)),) for target, weight in zip(node.ints("leaf_targetids", []), weights, strict=True)
    ]
    return [*nodes, *(TreeNode(Mode.LEAF, targets=leaf) for leaf in leaves)], node.ints("tree_roots", [])


def _sets(values: Array) -> list[tuple[float, ...]]:
    sets: list[tuple[float, ...]] = []
    members: list[float] = []
    for value in values.tolist():
        if np.isnan(value):
            sets.append(tuple(members))
            members = []
        else:
            members.append(value)
    return [*sets, tuple(members)] if members else sets
