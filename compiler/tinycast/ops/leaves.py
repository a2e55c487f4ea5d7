"""What the leaves of a forest give, as tables."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np

from tinycast.ir.types import Array
from tinycast.ops.forest import Forest, Targets
from tinycast.ops.forest_tables import bits_of, unsigned

_NOTHING: Targets = ((0, 0.0),)  # stands for the empty list: adds nothing


class Aggregate(Enum):
    """How the weights that the trees give a target become one number."""

    SUM = "SUM"
    AVERAGE = "AVERAGE"
    MIN = "MIN"
    MAX = "MAX"

    def update(self, place: str, value: str) -> str:
        """The C statement that takes a value in."""
        if self in (Aggregate.SUM, Aggregate.AVERAGE):
            return f"{place} += {value};"
        sign = "<" if self is Aggregate.MIN else ">"
        return f"{place} = {value} {sign} {place} ? {value} : {place};"


@dataclass(frozen=True, eq=False)
class LeafTables:
    """The tables of leaves: of numbers where each tree has one target, else of lists of (target, number).

    Equal numbers and equal lists are stored once, where that takes fewer bytes.
    """

    forest: Forest

    @cached_property
    def tree_targets(self) -> list[int] | None:
        """The only target of each tree, if each has one only."""
        targets: list[int] = []
        start = 0
        for size in self.forest.sizes:
            own = {t for leaf in self.forest.leaves[start : start + size + 1] for t, _ in leaf}
            alone = all(len(leaf) == 1 for leaf in self.forest.leaves[start : start + size + 1])
            if len(own) != 1 or not alone:
                return None
            targets += own
            start += size + 1
        return targets

    @cached_property
    def values(self) -> Array:
        """All numbers, each once."""
        weights = [w for leaf in self.forest.leaves for _, w in leaf or _NOTHING]
        return np.unique(np.asarray(weights, np.float32))

    @cached_property
    def lists(self) -> dict[Targets, int]:
        """The distinct lists, and where the entries of each begin."""
        lists: dict[Targets, int] = {}
        place = 0
        for leaf in self.forest.leaves:
            entries = leaf or _NOTHING
            if entries not in lists:
                lists[entries] = place
                place += len(entries)
        return lists

    @cached_property
    def value_bits(self) -> int:
        return bits_of(len(self.values) - 1)

    @cached_property
    def target_bits(self) -> int:
        return bits_of(max(t for entries in self.lists for t, _ in entries))

    @cached_property
    def shares(self) -> bool:
        """Whether leaves of one target are numbers of values, and not the values themselves."""
        indices = unsigned([len(self.values) - 1])
        return self.values.nbytes + len(self.forest.leaves) * indices.itemsize < 4 * len(self.forest.leaves)

    def _index(self, weight: float) -> int:
        return int(np.searchsorted(self.values, np.float32(weight)))

    def arrays(self) -> list[tuple[str, Array]]:
        """All tables with their names, in the order of the kernel's parameters."""
        leaves = self.forest.leaves
        if self.tree_targets is not None:
            tables = []
            if len(set(self.tree_targets)) > 1:
                tables.append(("tree_targets", unsigned(self.tree_targets)))
            if not self.shares:
                return [*tables, ("leaves", np.asarray([leaf[0][1] for leaf in leaves], np.float32))]
            indices = [self._index(leaf[0][1]) for leaf in leaves]
            return [
                *tables,
                ("leaves", np.asarray(indices, unsigned([len(self.values) - 1]).dtype)),
                ("values", self.values),
            ]
        entries = [
            self._index(weight)
            | target << self.value_bits
            | (i == len(listed) - 1) << self.value_bits + self.target_bits
            for listed in self.lists
            for i, (target, weight) in enumerate(listed)
        ]
        starts = [self.lists[leaf or _NOTHING] for leaf in leaves]
        return [("leaves", unsigned(starts)), ("entries", unsigned(entries)), ("values", self.values)]

    def use_code(self, aggregate: Aggregate) -> str:
        """C that adds the leaf number `leaf` of tree t to the scores `y`."""
        if self.tree_targets is not None:
            targets = set(self.tree_targets)
            place = f"y[{targets.pop()}]" if len(targets) == 1 else "y[tree_targets[t]]"
            value = "values[leaves[leaf]]" if self.shares else "leaves[leaf]"
            return f"    {aggregate.update(place, value)}"
        target = f"(entry >> {self.value_bits}) & {2**self.target_bits - 1}u"
        update = aggregate.update(f"y[{target}]", f"values[entry & {2**self.value_bits - 1}u]")
        return f"""    {{
        uint32_t place = leaves[leaf];
        uint32_t entry;
        do {{
            entry = entries[place++];
            {update}
        }} while (!(entry & {1 << self.value_bits + self.target_bits}u));
    }}"""
