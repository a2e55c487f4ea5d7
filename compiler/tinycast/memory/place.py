"""Offsets for the buffers, in an arena as small as can be found.

Buffers computed in place form chains that start at one offset (a group). For two groups of which some
members are live at once, `Separations` says how far apart their offsets must be, for either one below
the other; the search below knows nothing else about buffers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product
from typing import NamedTuple

from tinycast.errors import InternalError
from tinycast.memory.liveness import Graph, Pair, lifetimes, live_bytes

EXACT_GROUPS = 12
EXHAUSTIVE_PAIRS = 6
# Work limits instead of clocks: nodes of the exact search, and neighbours looked at by the heuristics.
EXACT_NODES = 60_000
CHOICE_WORK = 300_000
CLIMB_WORK = 1_000_000
SEED = 20  # any constant: the same input must give the same plan


@dataclass(frozen=True)
class Layout:
    """`offsets[b]` is the place of buffer b; `pairs` are the (output, input) buffers computed in place."""

    offsets: tuple[int, ...]
    arena_bytes: int
    pairs: tuple[Pair, ...]


def place(graph: Graph, order: Sequence[int], lower_bound_bytes: int) -> Layout:
    """Place the buffers of `graph` for `order`; stops as soon as the arena is `lower_bound_bytes`."""
    spans = lifetimes(graph, order)
    overlaps = legal_overlaps(graph, order)
    nodes, work = _Budget(EXACT_NODES), _Budget(CHOICE_WORK)
    best: tuple[_Arrangement, _Problem, list[Pair], bool] | None = None
    for pairs in _pair_choices(graph, order, lower_bound_bytes):
        problem = _Problem(graph, spans, pairs, overlaps)
        found = problem.greedy(work)
        is_least = False
        if found.arena_bytes > lower_bound_bytes and len(problem.groups) <= EXACT_GROUPS:
            found = problem.exact(found, lower_bound_bytes, nodes)
            is_least = not nodes.is_spent
        if best is None or found.arena_bytes < best[0].arena_bytes:
            best = found, problem, pairs, is_least
        if best[0].arena_bytes <= lower_bound_bytes or work.is_spent:
            break
    if best is None:
        raise InternalError("no choice of in-place pairs was tried", where="memory plan")
    found, problem, pairs, is_least = best
    if not is_least:
        found = problem.climb(found, lower_bound_bytes, _Budget(CLIMB_WORK))
    return Layout(problem.buffer_offsets(found), found.arena_bytes, tuple(pairs))


def place_quickly(graph: Graph, order: Sequence[int], room_bytes: int) -> Layout:
    """As `place`, by fixed rules alone: the first layout within `room_bytes`, or the smallest of a few."""
    spans, overlaps, work = lifetimes(graph, order), legal_overlaps(graph, order), _Budget(CHOICE_WORK)
    best: Layout | None = None
    for pairs in islice(_pair_choices(graph, order, room_bytes), 2):
        problem = _Problem(graph, spans, pairs, overlaps)
        found = problem.greedy(work)
        if best is None or found.arena_bytes < best.arena_bytes:
            best = Layout(problem.buffer_offsets(found), found.arena_bytes, tuple(pairs))
        if best.arena_bytes <= room_bytes:
            break
    assert best is not None
    return best


def legal_overlaps(graph: Graph, order: Sequence[int]) -> dict[Pair, int]:
    """(output, input) -> how far below the input the output has to start to be allowed to reach into it."""
    legal: dict[Pair, int] = {}
    done = 0
    for step in order:
        legal.update({(o, i): distance for o, i, distance in graph.overlaps_at(step, done)})
        done |= 1 << step
    return legal


def _pair_choices(graph: Graph, order: Sequence[int], lower_bound_bytes: int) -> Iterable[list[Pair]]:
    """Choices of the pairs to compute in place, the most promising first.

    All pairs that save bytes; then, as sharing ties buffers to one offset, which can cost room elsewhere,
    those alone without which a step has more than `lower_bound_bytes` live; then changes to these (every
    choice there is, where the legal pairs are few).
    """
    needed: list[Pair] = []
    saving: list[Pair] = []
    legal: list[Pair] = []
    done = 0
    for step, live in zip(order, live_bytes(graph, order), strict=True):
        here = graph.pairs_at(step, done)
        best = sorted(graph.best_pairs(here), key=lambda pair: (graph.saving([pair]), pair))
        legal += here
        saving += best
        for pair in best:
            live += graph.saving([pair])
            if live > lower_bound_bytes:
                needed.append(pair)
                live -= graph.saving([pair])
        done |= 1 << step
    yield saving
    if needed != saving:
        yield needed
    if len(legal) <= EXHAUSTIVE_PAIRS:
        for count in range(len(legal), -1, -1):
            yield from (list(c) for c in combinations(legal, count) if _is_matching(c))
    else:
        for pair in legal:
            others = [p for p in needed if p != pair and p[0] != pair[0] and p[1] != pair[1]]
            yield others if pair in needed else [*others, pair]


def _is_matching(pairs: Sequence[Pair]) -> bool:
    return all(len({pair[side] for pair in pairs}) == len(pairs) for side in (0, 1))


class _Budget:
    def __init__(self, units: int) -> None:
        self.left = units

    def spend(self, units: int) -> None:
        self.left -= units

    @property
    def is_spent(self) -> bool:
        return self.left <= 0


class _Arrangement(NamedTuple):
    arena_bytes: int
    offsets: list[int]  # of each group
    sequence: list[int]  # of placing that gives these offsets
    tight: bool = False
    tops: Sequence[int] = ()  # bytes taken, and work done, once each of the sequence is placed
    work: Sequence[int] = ()


class _Problem:
    """Groups to place. `apart[g][h]`: how far h must lie above g if it lies above it and both are live at once."""

    def __init__(
        self,
        graph: Graph,
        spans: Sequence[tuple[int, int]],
        pairs: Sequence[Pair],
        overlaps: Mapping[Pair, int],
    ) -> None:
        self.groups = _groups(len(graph.buffers), pairs)
        self.group_of = {b: g for g, members in enumerate(self.groups) for b in members}
        self.sizes = [max(graph.buffers[b].size for b in members) for members in self.groups]
        self.spans = [(min(spans[b][0] for b in m), max(spans[b][1] for b in m)) for m in self.groups]
        self.apart: list[dict[int, int]] = [{} for _ in self.groups]
        by_start = sorted((b for b in range(len(spans)) if graph.buffers[b].size), key=lambda b: spans[b])
        for at, b in enumerate(by_start):
            for c in by_start[at + 1 :]:
                if spans[c][0] > spans[b][1]:
                    break
                g, h = self.group_of[b], self.group_of[c]
                if g != h:
                    above, below = overlaps.get((b, c)), overlaps.get((c, b))
                    gap = graph.buffers[b].size if above is None else above
                    self.apart[g][h] = max(self.apart[g].get(h, 0), gap)
                    gap = graph.buffers[c].size if below is None else below
                    self.apart[h][g] = max(self.apart[h].get(g, 0), gap)

        self.near = [[(h, gap, self.apart[h][g]) for h, gap in row.items()] for g, row in enumerate(self.apart)]

    def buffer_offsets(self, found: _Arrangement) -> tuple[int, ...]:
        return tuple(found.offsets[self.group_of[b]] for b in range(len(self.group_of)))

    def arrange(
        self,
        sequence: list[int],
        budget: _Budget,
        *,
        tight: bool,
        limit: int,
        like: _Arrangement | None = None,
        same: int = 0,
    ) -> _Arrangement | None:
        """Place the groups one by one: at the lowest free offset, or (`tight`) in the smallest gap that takes them.

        None as soon as the arena passes `limit` bytes. The first `same` groups are those of `like`, and lie as there;
        they are charged for nevertheless, so that what is found does not depend on it.
        """
        offsets = [-1] * len(self.groups)
        tops: list[int] = []
        work: list[int] = []
        arena = done = 0
        if like is not None and same:
            tops, work = list(like.tops[:same]), list(like.work[:same])
            arena, done = tops[-1], work[-1]
            for g in sequence[:same]:
                offsets[g] = like.offsets[g]
        for g in sequence[same:]:
            # Forbidden are the offsets strictly between the two bounds of each neighbour already placed.
            blocked = [(o - below, o + above) for h, below, above in self.near[g] if (o := offsets[h]) >= 0]
            done += 1 + len(blocked)
            blocked.sort()
            at, gaps = 0, []
            for low, high in blocked:
                if at <= low:
                    if not tight:
                        break
                    gaps.append((low - at, at))
                if high > at:
                    at = high
            if gaps:
                at = min(gaps)[1]
            offsets[g] = at
            if at + self.sizes[g] > arena:
                arena = at + self.sizes[g]
                if arena > limit:
                    budget.spend(done)
                    return None
            tops.append(arena)
            work.append(done)
        budget.spend(done)
        return _Arrangement(arena, offsets, sequence, tight, tops, work)

    def greedy(self, budget: _Budget) -> _Arrangement:
        """The best of several fixed rules."""
        length = [last - first + 1 for first, last in self.spans]
        crowd = [sum(self.sizes[h] for h in near) for near in self.apart]
        rules: list[Callable[[int], tuple[int, ...]]] = [
            lambda g: (-self.sizes[g], -length[g]),
            lambda g: (-self.sizes[g] * length[g],),
            lambda g: (-length[g], -self.sizes[g]),
            lambda g: (-crowd[g] - self.sizes[g], -self.sizes[g]),
            lambda g: (self.spans[g][0], -self.sizes[g]),
            lambda g: (-self.spans[g][1], -self.sizes[g]),
        ]
        best: _Arrangement | None = None
        for rule, tight in product(rules, (False, True)):
            sequence = sorted(range(len(self.groups)), key=lambda g: (*rule(g), g))
            limit = best.arena_bytes - 1 if best else sum(self.sizes)
            best = self.arrange(sequence, budget, tight=tight, limit=limit) or best
        if best is None:
            raise InternalError("buffers one above the other take more than their bytes", where="memory plan")
        return best

    def climb(self, best: _Arrangement, lower_bound_bytes: int, budget: _Budget) -> _Arrangement:
        """Hill climbing over sequences: a group that lies high is placed before a neighbour, or two change places."""
        if not best.tops:  # from the exact search; placed by its sequence, no group comes to lie higher
            best = self.arrange(best.sequence, budget, tight=best.tight, limit=best.arena_bytes) or best
        rng = random.Random(SEED)
        count = len(self.groups)
        high: list[int] = []  # positions of those that lie high
        while best.arena_bytes > lower_bound_bytes and not budget.is_spent:
            trial = list(best.sequence)
            high = high or [p for p, g in enumerate(trial) if best.offsets[g] + self.sizes[g] > lower_bound_bytes]
            position = rng.choice(high)
            earlier = [p for p in range(position) if trial[p] in self.apart[trial[position]]]
            if earlier and rng.random() < 0.7:
                first = rng.choice(earlier)
                trial.insert(first, trial.pop(position))
            else:
                a, b = rng.randrange(count), rng.randrange(count)
                trial[a], trial[b] = trial[b], trial[a]
                first = min(a, b)
            found = self.arrange(trial, budget, tight=best.tight, limit=best.arena_bytes, like=best, same=first)
            if found is not None:
                best, high = found, []
        return best

    def exact(self, best: _Arrangement, lower_bound_bytes: int, budget: _Budget) -> _Arrangement:
        """Branch and bound over sequences of rising offsets, each group resting on the ones below it.

        Every layout can be pushed down into one of these without growing.
        """
        count = len(self.groups)
        current = [0] * count
        floor = [0] * count  # lowest offset of each group above those placed so far

        def descend(waiting: int, last: tuple[int, int]) -> None:
            nonlocal best
            if not waiting:
                arena = max(current[g] + self.sizes[g] for g in range(count))
                best = _Arrangement(arena, list(current), sorted(range(count), key=lambda g: (current[g], g)))
                return
            candidates = [g for g in range(count) if waiting >> g & 1]
            if any(max(floor[g], last[0]) + self.sizes[g] >= best.arena_bytes for g in candidates):
                return
            for at, g in sorted((floor[g], g) for g in candidates):
                if (at, g) < last or best.arena_bytes <= lower_bound_bytes or budget.is_spent:
                    continue
                budget.spend(1)
                saved = {h: floor[h] for h in self.apart[g]}
                current[g] = at
                for h in saved:
                    floor[h] = max(floor[h], at + self.apart[g][h])
                descend(waiting & ~(1 << g), (at, g))
                for h, value in saved.items():
                    floor[h] = value

        descend((1 << count) - 1, (0, -1))
        return best


def _groups(count: int, pairs: Sequence[Pair]) -> list[list[int]]:
    """Chains of buffers computed in place, each a list from its first buffer to its last."""
    output_of = {source: output for output, source in pairs}
    inner = set(output_of.values())
    groups = []
    for buffer in range(count):
        if buffer in inner:
            continue
        chain = [buffer]
        while chain[-1] in output_of:
            chain.append(output_of[chain[-1]])
        groups.append(chain)
    return groups
