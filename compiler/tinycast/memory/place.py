"""Offsets for the buffers, in an arena as small as can be found.

Buffers computed in place form chains that start at one offset (a group). For two groups of which some
members are live at once, `Separations` says how far apart their offsets must be, for either one below
the other; the search below knows nothing else about buffers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tinycast.memory.liveness import Graph, Pair, lifetimes

EXACT_GROUPS = 12
# Work limits instead of clocks: nodes of the exact search, and pairs of groups looked at while climbing.
EXACT_NODES = 60_000
CLIMB_WORK = 400_000
PAIR_CHOICES = 24
SEED = 20  # any constant: the same input must give the same plan


@dataclass(frozen=True)
class Layout:
    """`offsets[b]` is the place of buffer b; `pairs` are the (output, input) buffers computed in place."""

    offsets: tuple[int, ...]
    arena_bytes: int
    pairs: tuple[Pair, ...]


def place(graph: Graph, order: Sequence[int], lower_bound_bytes: int) -> Layout:
    """Place the buffers of `graph` for `order`; stops as soon as the arena is `lower_bound_bytes`."""
    best: tuple[Layout, _Problem, list[int]] | None = None
    nodes = _Budget(EXACT_NODES)
    for pairs in _pair_choices(graph, order):
        problem = _Problem(graph, lifetimes(graph, order), pairs)
        arena, offsets, sequence = problem.greedy()
        if arena > lower_bound_bytes and len(problem.groups) <= EXACT_GROUPS:
            arena, offsets = problem.exact(arena, offsets, lower_bound_bytes, nodes)
        layout = Layout(problem.buffer_offsets(offsets), arena, tuple(pairs))
        if best is None or arena < best[0].arena_bytes:
            best = layout, problem, sequence
        if best[0].arena_bytes <= lower_bound_bytes:
            return best[0]
    assert best is not None
    layout, problem, sequence = best
    arena, offsets = problem.climb(sequence, lower_bound_bytes)
    if arena < layout.arena_bytes:
        return Layout(problem.buffer_offsets(offsets), arena, layout.pairs)
    return layout


def _pair_choices(graph: Graph, order: Sequence[int]) -> Iterable[list[Pair]]:
    """Choices of pairs to compute in place: all that save most, then with one left out or exchanged, then none."""
    legal: list[Pair] = []
    chosen: list[Pair] = []
    done = 0
    for step in order:
        here = graph.pairs_at(step, done)
        legal += here
        chosen += graph.best_pairs(here)
        done |= 1 << step
    yield chosen
    for pair in legal[:PAIR_CHOICES]:
        if pair in chosen:
            yield [p for p in chosen if p != pair]
        else:
            yield [p for p in chosen if p[0] != pair[0] and p[1] != pair[1]] + [pair]
    if len(chosen) > 1:
        yield []


class _Budget:
    def __init__(self, units: int) -> None:
        self.left = units

    def spend(self) -> bool:
        self.left -= 1
        return self.left >= 0


class _Problem:
    """Groups to place. `apart[g][h]`: how far h must lie above g if it lies above it and both are live at once."""

    def __init__(self, graph: Graph, spans: Sequence[tuple[int, int]], pairs: Sequence[Pair]) -> None:
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
                    self.apart[g][h] = max(self.apart[g].get(h, 0), graph.buffers[b].size)
                    self.apart[h][g] = max(self.apart[h].get(g, 0), graph.buffers[c].size)

    def buffer_offsets(self, offsets: Sequence[int]) -> tuple[int, ...]:
        return tuple(offsets[self.group_of[b]] for b in range(len(self.group_of)))

    def arrange(self, sequence: Iterable[int], *, tight: bool = False) -> tuple[int, list[int]]:
        """Place the groups one by one: at the lowest free offset, or (`tight`) in the smallest gap that takes them."""
        offsets = [-1] * len(self.groups)
        arena = 0
        for g in sequence:
            # Forbidden are the offsets strictly between the two bounds of each neighbour already placed.
            blocked = sorted(
                (offsets[h] - below, offsets[h] + self.apart[h][g])
                for h, below in self.apart[g].items()
                if offsets[h] >= 0
            )
            at, gaps = 0, []
            for low, high in blocked:
                if at <= low:
                    gaps.append((low - at, at))
                    if not tight:
                        break
                at = max(at, high)
            offsets[g] = min(gaps)[1] if gaps else at
            arena = max(arena, offsets[g] + self.sizes[g])
        return arena, offsets

    def greedy(self) -> tuple[int, list[int], list[int]]:
        """The best of several fixed rules: (arena, offsets, the sequence that gave them)."""
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
        results = []
        for rule in rules:
            sequence = sorted(range(len(self.groups)), key=lambda g: (*rule(g), g))
            results += [(*self.arrange(sequence, tight=tight), sequence) for tight in (False, True)]
        return min(results, key=lambda result: result[0])

    def climb(self, sequence: list[int], lower_bound_bytes: int) -> tuple[int, list[int]]:
        """Hill climbing over sequences: groups at the top of the arena move forward, others swap."""
        rng = random.Random(SEED)
        best, offsets = self.arrange(sequence)
        count = len(sequence)
        rounds = min(2000, CLIMB_WORK // (count + sum(len(near) for near in self.apart))) if count > 1 else 0
        for _ in range(rounds):
            if best <= lower_bound_bytes:
                break
            trial = list(sequence)
            top = [p for p, g in enumerate(trial) if offsets[g] + self.sizes[g] == best and p]
            if top and rng.random() < 0.5:
                position = rng.choice(top)
                trial.insert(rng.randrange(position), trial.pop(position))
            else:
                a, b = rng.sample(range(count), 2)
                trial[a], trial[b] = trial[b], trial[a]
            arena, placed = self.arrange(trial)
            if arena <= best:
                best, offsets, sequence = arena, placed, trial
        return best, offsets

    def exact(self, arena: int, offsets: list[int], lower_bound_bytes: int, budget: _Budget) -> tuple[int, list[int]]:
        """Branch and bound over sequences of rising offsets, each group resting on the ones below it.

        Every layout can be pushed down into one of these without growing.
        """
        best, best_offsets = arena, list(offsets)
        count = len(self.groups)
        current = [0] * count
        floor = [0] * count  # lowest offset of each group above those placed so far

        def descend(waiting: int, last: tuple[int, int]) -> None:
            nonlocal best, best_offsets
            if not waiting:
                best, best_offsets = max(current[g] + self.sizes[g] for g in range(count)), list(current)
                return
            candidates = [g for g in range(count) if waiting >> g & 1]
            if any(max(floor[g], last[0]) + self.sizes[g] >= best for g in candidates):
                return
            for at, g in sorted((floor[g], g) for g in candidates):
                if (at, g) < last or best <= lower_bound_bytes or not budget.spend():
                    continue
                saved = {h: floor[h] for h in self.apart[g]}
                current[g] = at
                for h in saved:
                    floor[h] = max(floor[h], at + self.apart[g][h])
                descend(waiting & ~(1 << g), (at, g))
                for h, value in saved.items():
                    floor[h] = value

        descend((1 << count) - 1, (0, -1))
        return best, best_offsets


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
