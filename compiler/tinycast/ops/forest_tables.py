"""A forest as tables of the smallest types that hold it, and the C that reads them.

Before the trees, each key becomes a number: how many of the forest's limits of that feature lie below it (its rank), or
the float itself as an integer of the same order; 0 or 1 where it is a question of membership. A split then is one
comparison of integers. Which form is taken, and whether a split is one word or two, is a matter of bytes alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tinycast.ir.types import Array, DType
from tinycast.ops.forest import Forest, ordered


def smallest_type(largest: int) -> DType:
    """The narrowest unsigned type that holds 0..largest."""
    return next(d for d in (DType.UINT8, DType.UINT16, DType.UINT32) if largest < 2 ** (8 * d.itemsize))


def bits_of(largest: int) -> int:
    return max(1, largest.bit_length())


def unsigned(values: Sequence[int]) -> Array:
    """The numbers in the narrowest type that holds them."""
    return np.asarray(values, smallest_type(max(values, default=0)).numpy)


@dataclass(frozen=True, eq=False)
class SplitTables:
    """The tables of keys and splits of a forest.

    A link has, from the lowest bit on, the key, whether the no child is a leaf, whether the yes child is one, and how
    many splits the no child is further on. With `packed` the limit is in the highest bits of the same word, so that the
    word itself compares with a key moved there.
    """

    forest: Forest
    ranked: bool
    packed: bool

    @cached_property
    def order(self) -> list[int]:
        """Keys in the order of the tables: those with limits (NaN is no, then NaN is yes), then those with members."""
        keys = self.forest.keys
        return sorted(range(len(keys)), key=lambda k: (bool(keys[k].members), keys[k].nan_is_yes, len(keys[k].members)))

    @cached_property
    def counts(self) -> tuple[int, int, int]:
        """Numbers of keys with limits where NaN is no, where NaN is yes, and of keys with members."""
        keys = self.forest.keys
        plain = [k.nan_is_yes for k in keys if not k.members]
        return plain.count(False), plain.count(True), len(keys) - len(plain)

    @cached_property
    def limits(self) -> list[Array]:
        """What each key (in their order) compares with: its limits, ascending, or its members."""
        found: list[set[float]] = [set(key.members) for key in self.forest.keys]
        if self.ranked:
            for split in self.forest.splits:
                if not self.forest.keys[split.key].members:
                    found[split.key].add(split.limit)
        return [np.unique(ordered(sorted(found[k]))) for k in self.order]

    @cached_property
    def codes(self) -> Array:
        """The number that each split's key is compared with."""
        place = {key: i for i, key in enumerate(self.order)}
        floats = ordered([split.limit for split in self.forest.splits])
        codes = [
            0
            if self.forest.keys[split.key].members
            else int(np.searchsorted(self.limits[place[split.key]], number))
            if self.ranked
            else int(number)
            for split, number in zip(self.forest.splits, floats, strict=True)
        ]
        return np.asarray(codes, np.int64)

    @cached_property
    def key_bits(self) -> int:
        return bits_of(len(self.order) - 1)

    @cached_property
    def link_bits(self) -> int:
        return self.key_bits + 2 + bits_of(max(split.skipped for split in self.forest.splits))

    @cached_property
    def rank_bits(self) -> int:
        return bits_of(max(len(limits) for limits in self.limits))

    @property
    def fits(self) -> bool:
        """Whether such words exist."""
        return self.link_bits <= 32 and (not self.packed or (self.ranked and self.link_bits + self.rank_bits <= 32))

    @property
    def key_type(self) -> DType:
        if not self.ranked:
            return DType.INT32
        return DType.UINT32 if self.packed else smallest_type(max(len(limits) for limits in self.limits))

    @cached_property
    def links(self) -> Array:
        place = {key: i for i, key in enumerate(self.order)}
        links = [
            place[s.key]
            | s.no_is_leaf << self.key_bits
            | s.yes_is_leaf << self.key_bits + 1
            | s.skipped << self.key_bits + 2
            for s in self.forest.splits
        ]
        if self.packed:
            links = [link | int(code) << 32 - self.rank_bits for link, code in zip(links, self.codes, strict=True)]
        return unsigned(links)

    def arrays(self) -> list[tuple[str, Array]]:
        """All tables with their names, in the order of the kernel's parameters."""
        keys = [self.forest.keys[k] for k in self.order]
        tables = [("features", unsigned([key.feature for key in keys]))]
        if any(limits.size for limits in self.limits):
            tables.append(("limit_counts", unsigned([len(limits) for limits in self.limits])))
            tables.append(("limits", np.concatenate(self.limits).astype(np.int32)))
        if self.counts[2]:
            tables.append(("nan_is_member", np.asarray([key.nan_is_yes for key in keys[-self.counts[2] :]], np.uint8)))
        tables += [("splits", self.links), ("sizes", unsigned(self.forest.sizes))]
        if not self.packed:
            tables.append(("split_limits", self.codes.astype(self.key_type.numpy)))
        return tables

    @property
    def bytes(self) -> int:
        return sum(array.nbytes for _, array in self.arrays())


def choose_tables(forest: Forest) -> SplitTables:
    """The form with the fewest bytes; of equal ones that with the fewest loads."""
    forms = [SplitTables(forest, ranked, packed) for ranked, packed in ((True, True), (True, False), (False, False))]
    return min((form for form in forms if form.fits), key=lambda form: form.bytes)


def keys_code(tables: SplitTables) -> str:
    """C that fills scratch_0 with the keys of the row `x`."""
    no, yes, members = tables.counts
    code = "const int32_t *limit = limits;\n" if tables.ranked or members else ""
    for first, count, nan in ((0, no, "INT32_MAX"), (no, yes, "INT32_MIN")):
        if count:
            code += _ranks(tables, first, first + count, nan) if tables.ranked else _floats(first, first + count, nan)
    if members:
        code += _memberships(no + yes, members, _shift(tables))
    return code


def _shift(tables: SplitTables) -> str:
    return f" << {32 - tables.rank_bits}" if tables.packed else ""


def _floats(first: int, end: int, nan: str) -> str:
    return f"for (int32_t k = {first}; k < {end}; ++k) {{\n    scratch_0[k] = tc_ordered(x[features[k]], {nan});\n}}\n"


def _ranks(tables: SplitTables, first: int, end: int, nan: str) -> str:
    """Binary searches: the number of limits below."""
    kind = tables.key_type.c_name
    return f"""for (int32_t k = {first}; k < {end}; ++k) {{
    const int32_t number = tc_ordered(x[features[k]], {nan});
    const int32_t *below = limit;
    uint32_t count = limit_counts[k];
    while (count > 1) {{
        const uint32_t half = count >> 1;
        below += below[half - 1] < number ? half : 0;
        count -= half;
    }}
    below += *below < number;
    scratch_0[k] = ({kind})((uint32_t)(below - limit){_shift(tables)});
    limit += limit_counts[k];
}}
"""


def _memberships(first: int, count: int, shift: str) -> str:
    """0 where the number is one of the members, else 1."""
    one = f"1u{shift}"
    return f"""for (int32_t k = {first}; k < {first + count}; ++k) {{
    const int32_t number = tc_ordered(x[features[k]], INT32_MAX);
    uint32_t is_other = number == INT32_MAX && nan_is_member[k - {first}] ? 0 : 1;
    for (uint32_t i = 0; i < limit_counts[k]; ++i) {{
        is_other = limit[i] == number ? 0 : is_other;
    }}
    limit += limit_counts[k];
    scratch_0[k] = is_other ? {one} : 0;
}}
"""


def walk_code(tables: SplitTables, use_leaf: str) -> str:
    """C that walks down every tree t; `use_leaf` are the statements on the number `leaf` of the leaf it ends in."""
    bits = tables.key_bits
    mask = 2**bits - 1
    compared = "link" if tables.packed else "split_limits[node]"
    skipped = f"link >> {bits + 2}"
    if tables.packed:
        skipped = f"({skipped}) & {2 ** (tables.link_bits - bits - 2) - 1}u"
    return f"""uint32_t root = 0;
uint32_t first_leaf = 0;
for (int32_t t = 0; t < {len(tables.forest.sizes)}; ++t) {{
    uint32_t node = root;
    uint32_t leaf = first_leaf;
    for (;;) {{
        const uint32_t link = splits[node];
        if (scratch_0[link & {mask}u] <= {compared}) {{
            ++node;
            if (link & {1 << bits + 1}u) {{
                break;
            }}
        }} else {{
            const uint32_t skipped = {skipped};
            node += skipped;
            leaf += skipped;
            if (link & {1 << bits}u) {{
                break;
            }}
        }}
    }}
{use_leaf}
    root += sizes[t];
    first_leaf += sizes[t] + 1u;
}}
"""
