"""Which positions along the axes of a model's values stand or fall together.

Every index of every axis of every value (constants too) is an atom. Operators tie atoms: removing one
removes all atoms tied to it. Atoms that cannot go (spatial positions, inputs, outputs, whatever an unknown
operator touches) are tied to atom 0. What is left forms the removable channels. (The grouping of "DepGraph:
Towards Any Structural Pruning", Fang et al. 2023, per index instead of per layer, so that Concat and
Flatten need no special case.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

Atoms = NDArray[np.int64]


class Ties:
    """A union-find over atoms; values are given atoms when first asked for."""

    def __init__(self) -> None:
        self._parents = [0]
        self._atoms: dict[ir.Value, list[Atoms]] = {}

    def shape(self, value: ir.Value) -> tuple[int, ...]:
        """The static shape; call only for values that are `known`."""
        assert value.shape is not None
        return value.shape.numpy()

    def axes(self, value: ir.Value) -> list[Atoms]:
        """The atoms of each axis. An axis of one can never go."""
        if value not in self._atoms:
            self._atoms[value] = [self._new(size) for size in self.shape(value)]
        return self._atoms[value]

    def axis(self, value: ir.Value, axis: int) -> Atoms:
        return self.axes(value)[axis]

    def pin(self, atoms: Atoms) -> None:
        """These atoms stay."""
        self.tie(atoms, np.zeros_like(atoms))

    def pin_value(self, value: ir.Value) -> None:
        """All of the value stays; one of unknown shape has no atoms to begin with."""
        if is_known(value):
            for atoms in self.axes(value):
                self.pin(atoms)

    def is_pinned(self, atoms: Atoms) -> bool:
        return all(self._root(int(atom)) == 0 for atom in atoms)

    def tie(self, first: Atoms, second: Atoms) -> None:
        """Tie two axes index by index."""
        for a, b in zip(first.tolist(), second.tolist(), strict=True):
            low, high = sorted((self._root(a), self._root(b)))
            self._parents[high] = low

    def groups(self) -> list[list[list[Position]]]:
        """The removable channels, grouped by the axes they run through; each channel is its positions.

        Groups and channels come in the order in which their first atoms were made, the model's order.
        """
        channels: dict[int, list[Position]] = {}
        for value, axes in self._atoms.items():
            for axis, atoms in enumerate(axes):
                for index, atom in enumerate(atoms.tolist()):
                    root = self._root(atom)
                    if root:
                        channels.setdefault(root, []).append((value, axis, index))
        groups: dict[frozenset[tuple[ir.Value, int]], list[list[Position]]] = {}
        for root in sorted(channels):
            key = frozenset((value, axis) for value, axis, _ in channels[root])
            groups.setdefault(key, []).append(channels[root])
        return list(groups.values())

    def _new(self, size: int) -> Atoms:
        if size == 1:
            return np.zeros(1, dtype=np.int64)
        start = len(self._parents)
        self._parents.extend(range(start, start + size))
        return np.arange(start, start + size)

    def _root(self, atom: int) -> int:
        parents = self._parents
        while parents[atom] != atom:
            parents[atom] = parents[parents[atom]]
            atom = parents[atom]
        return atom


Position = tuple[ir.Value, int, int]
"""One index of one axis of one value."""


def is_known(value: ir.Value) -> bool:
    """Whether the value's shape is static."""
    return value.shape is not None and value.shape.is_static()


def present(values: Sequence[ir.Value | None]) -> list[ir.Value]:
    """The inputs or outputs that are there: optional ones may be left out."""
    return [value for value in values if value is not None and value.name]


def tie_all_axes(x: ir.Value, y: ir.Value, ties: Ties) -> None:
    for first, second in zip(ties.axes(x), ties.axes(y), strict=True):
        ties.tie(first, second)


def pin_all(node: ir.Node, ties: Ties) -> None:
    for value in present([*node.inputs, *node.outputs]):
        ties.pin_value(value)


def integer_attribute(node: ir.Node, name: str, default: int) -> int:
    attribute = node.attributes.get(name)
    return attribute.as_int() if attribute is not None else default
