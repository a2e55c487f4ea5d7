"""Decision trees as data: what they compute, whatever ONNX operator they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from tinycast.ir.types import Array

Floats = npt.NDArray[np.float32]
_MOST_COPIES = 8  # of nodes below several others, on average
Targets = tuple[tuple[int, float], ...]  # what a leaf adds: (target, weight), weights exact in float32


class Mode(Enum):
    """How a node compares the feature with its value; MEMBER is in a set."""

    LEQ = "BRANCH_LEQ"
    LT = "BRANCH_LT"
    GTE = "BRANCH_GTE"
    GT = "BRANCH_GT"
    EQ = "BRANCH_EQ"
    NEQ = "BRANCH_NEQ"
    MEMBER = "BRANCH_MEMBER"
    LEAF = "LEAF"


@dataclass(frozen=True)
class Node:
    """A node as ONNX has it: children are indices into the list of all nodes. A NaN goes where it `tracks`."""

    mode: Mode
    feature: int = 0
    value: float = 0.0
    members: tuple[float, ...] = ()
    tracks_true: bool = False
    true_child: int = 0
    false_child: int = 0
    targets: Targets = ()


@dataclass(frozen=True)
class Key:
    """What splits ask of a feature: is it at most a limit, or (where there are members) one of them?"""

    feature: int
    nan_is_yes: bool
    members: tuple[float, ...] = ()


@dataclass(frozen=True)
class Split:
    """An inner node: the yes child is what follows it; `skipped` inner nodes, itself included, precede the no child.

    As a tree has one leaf more than inner nodes, so many leaves precede those of the no child as well.
    """

    key: int
    limit: float  # no meaning for a key with members
    skipped: int = 0
    yes_is_leaf: bool = False
    no_is_leaf: bool = False


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees in depth-first order, yes children first: the splits of all, the leaves of all, and the splits of each."""

    keys: tuple[Key, ...]
    splits: tuple[Split, ...]
    leaves: tuple[Targets, ...]
    sizes: tuple[int, ...]

    def leaves_of(self, row: Floats) -> Iterator[int]:
        """The leaf that each tree ends in, by the definition of the splits."""
        answers = [_Answer(key, row) for key in self.keys]
        place = leaf_place = 0
        for size in self.sizes:
            node, leaf = place, leaf_place
            while True:
                split = self.splits[node]
                if answers[split.key].is_yes(split.limit):
                    node += 1
                    if split.yes_is_leaf:
                        break
                else:
                    node += split.skipped
                    leaf += split.skipped
                    if split.no_is_leaf:
                        break
            yield leaf
            place += size
            leaf_place += size + 1


class _Answer:
    def __init__(self, key: Key, row: Floats) -> None:
        self._x = float(row[key.feature])
        self._fixed: bool | None = None
        if np.isnan(self._x):
            self._fixed = key.nan_is_yes
        elif key.members:
            self._fixed = self._x in key.members

    def is_yes(self, limit: float) -> bool:
        return self._x <= limit if self._fixed is None else self._fixed


def read_forest(nodes: Sequence[Node], roots: Sequence[int]) -> Forest:
    """Bring all comparisons to the two that a Key knows, and the nodes into depth-first order."""
    keys: dict[Key, int] = {}
    splits: list[Split] = []
    leaves: list[Targets] = []
    sizes = []
    for root in roots:
        start = len(splits)
        if nodes[root].mode is Mode.LEAF:  # a tree that asks nothing: whatever is asked, the answer is the same
            splits.append(Split(keys.setdefault(Key(0, False), len(keys)), 0.0, 1, True, True))
            leaves += [nodes[root].targets] * 2
        else:
            _read_tree(nodes, root, keys, splits, leaves)
        sizes.append(len(splits) - start)
    return Forest(tuple(keys), tuple(splits), tuple(leaves), tuple(sizes))


def _read_tree(
    nodes: Sequence[Node], root: int, keys: dict[Key, int], splits: list[Split], leaves: list[Targets]
) -> None:
    pending: list[tuple[int, int]] = [(root, -1)]  # (node, the split whose no child it is)
    while pending:
        index, parent = pending.pop()
        node = nodes[index]
        is_leaf = node.mode is Mode.LEAF
        if parent >= 0:
            split = splits[parent]
            splits[parent] = Split(split.key, split.limit, len(splits) - parent, split.yes_is_leaf, is_leaf)
        if is_leaf:
            leaves.append(node.targets)
            continue
        if len(splits) > _MOST_COPIES * len(nodes):
            raise ValueError("the nodes form no trees")
        key, limit, yes, no = _question(_joined(nodes, node))
        pending += [(no, len(splits)), (yes, -1)]
        splits.append(Split(keys.setdefault(key, len(keys)), limit, yes_is_leaf=nodes[yes].mode is Mode.LEAF))


def _joined(nodes: Sequence[Node], node: Node) -> Node:
    """A chain of nodes that compare one feature with a value each and share the true child is a question of a set."""
    members = [node.value]
    below = nodes[node.false_child]
    while node.mode is Mode.EQ and replace(below, value=0.0, false_child=0) == replace(node, value=0.0, false_child=0):
        members.append(below.value)
        node = replace(node, false_child=below.false_child)
        below = nodes[node.false_child]
    return node if len(members) == 1 else replace(node, mode=Mode.MEMBER, members=tuple(members))


def _question(node: Node) -> tuple[Key, float, int, int]:
    """(key, limit, yes child, no child) of a node.

    Greater is the opposite of at most; less than t is at most the float before t. A NaN is unequal to everything, and
    so goes to the true child of NEQ.
    """
    swapped = node.mode in (Mode.GTE, Mode.GT, Mode.NEQ)
    yes, no = (node.false_child, node.true_child) if swapped else (node.true_child, node.false_child)
    nan_is_yes = node.tracks_true != swapped
    if node.mode in (Mode.EQ, Mode.NEQ, Mode.MEMBER):
        members = node.members if node.mode is Mode.MEMBER else (node.value,)
        return Key(node.feature, nan_is_yes and node.mode is not Mode.NEQ, members), 0.0, yes, no
    limit = _at_most(node.value)
    if node.mode in (Mode.LT, Mode.GTE):
        limit = float(np.nextafter(np.float32(limit), np.float32(-np.inf))) if limit == node.value else limit
    return Key(node.feature, nan_is_yes), limit, yes, no


def _at_most(value: float) -> float:
    """The largest float32 that is not above a value of higher precision."""
    single = np.float32(value)
    return float(np.nextafter(single, np.float32(-np.inf)) if single > value else single)


def ordered(values: Sequence[float]) -> Array:
    """Integers in the order of the floats: tc_ordered in runtime_c."""
    bits = np.asarray(values, np.float32).view(np.int32)
    magnitude = bits & np.int32(2**31 - 1)
    return np.where(bits < 0, -magnitude, magnitude).astype(np.int32)
