"""An order of the steps with a small peak of live bytes.

The live bytes after a set of steps depend on the set alone, so the smallest peak is a bottleneck shortest
path through the sets that are closed under predecessors (Ahn et al., "Ordering Chaos", MLSys 2020, do the
same by dynamic programming). Three things keep the number of sets small:

* A step that all others come before or after splits the problem in two.
* A chain of steps that ends with no more live bytes than it began with, and whose own peak is within
  what is needed anyway, is run at once: any order can be changed to do so without raising its peak.
* The search starts from a lower bound, so that orders below it are all as good.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tinycast.errors import InternalError
from tinycast.memory.liveness import Graph, live_bytes

# Segments of up to so many steps are always searched to the end.
EXACT_STEPS = 15
# Work limits, in steps tried; they replace a clock so that the result is the same on every machine.
SEARCH_LIMIT = 30_000
BEAM_LIMIT = 100_000

_History = tuple["_History", tuple[int, ...]] | None


@dataclass(frozen=True)
class Order:
    steps: tuple[int, ...]
    peak_bytes: int
    peak_position: int
    is_optimal: bool  # proven


def find_order(graph: Graph) -> Order:
    """An order whose peak is the smallest there is (`is_optimal`), or at least not above the given order's."""
    solver = _Solver(graph)
    needed = floor = solver.lower_bound()
    steps: list[int] = []
    done = 0
    for target in solver.segment_ends():
        segment = list(_bits(target & ~done))
        given_peak = solver.peak(segment, done)
        if given_peak > needed:
            found, is_optimal = solver.search(done, target, needed)
            found_peak = solver.peak(found, done)
            if found_peak < given_peak:
                segment, given_peak = found, found_peak
            if is_optimal and given_peak > needed:
                floor = max(floor, given_peak)
        needed = max(needed, given_peak)
        steps += segment
        done = target
    profile = live_bytes(graph, steps) or [graph.initial_bytes() + graph.idle_input_bytes()]
    peak = max(profile)
    return Order(tuple(steps), peak, profile.index(peak), is_optimal=peak == floor)


class _Solver:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.count = len(graph.steps)
        self.all = (1 << self.count) - 1
        self.idle_bytes = graph.idle_input_bytes()
        self.before = [0] * self.count  # all steps that must run earlier
        self.after = [0] * self.count
        self.successors: list[list[int]] = [[] for _ in range(self.count)]
        for step, predecessors in enumerate(graph.predecessors):
            self.before[step] = predecessors
            for p in _bits(predecessors):
                self.before[step] |= self.before[p]
                self.successors[p].append(step)
        for step in reversed(range(self.count)):
            for s in self.successors[step]:
                self.after[step] |= self.after[s] | 1 << s

    def lower_bound(self) -> int:
        """Bytes that some step needs in every order."""
        graph, initial = self.graph, self.graph.initial_bytes()
        bound = max(initial + self.idle_bytes, sum(b.size for b in graph.buffers if b.kept))
        for step in range(self.count):
            earlier, later = self.before[step] | 1 << step, self.after[step] | 1 << step
            live = sum(
                b.size
                for b in graph.buffers
                if (b.writer is None or earlier >> b.writer & 1) and (b.kept or b.users & later)
            )
            others = self.after[step]
            may_die = [
                (o, i)
                for o, i in graph.steps[step].in_place
                if not graph.buffers[i].kept and not graph.buffers[i].users & others
            ]
            bound = max(bound, live - graph.saving(may_die))
        return bound

    def segment_ends(self) -> list[int]:
        """Sets of steps that every order passes through, smallest first; the last is all steps."""
        ends = {self.all}
        for step in range(self.count):
            if self.before[step] | self.after[step] | 1 << step == self.all:
                ends |= {self.before[step], self.before[step] | 1 << step}
        return sorted(ends - {0}, key=int.bit_count)

    def live_after(self, done: int) -> int:
        live = 0
        for b in self.graph.buffers:
            exists = b.users if b.writer is None else done >> b.writer & 1
            if (b.kept and (exists or b.writer is None)) or (exists and b.users & ~done):
                live += b.size
        return live

    def during(self, live: int, extra: int, done: int) -> int:
        return live + extra + (0 if done else self.idle_bytes)

    def peak(self, steps: list[int], done: int) -> int:
        live, peak = self.live_after(done), 0
        for step in steps:
            extra, change = self.graph.cost(step, done)
            peak = max(peak, self.during(live, extra, done))
            live += change
            done |= 1 << step
        return peak

    def search(self, start: int, target: int, floor: int) -> tuple[list[int], bool]:
        """Steps from the set `start` to `target` with the smallest peak above `floor`, and whether that is proven."""
        steps = (target & ~start).bit_count()
        explorer = _Explorer(self, target, None if steps <= EXACT_STEPS else SEARCH_LIMIT)
        found = explorer.best_first(start, floor)
        if found is not None:
            return found, True
        return _Explorer(self, target, None).beam(start, floor), False


class _State(NamedTuple):
    """After the steps in `done`: `live` bytes are live, and the steps in `ready` can run."""

    live: int
    done: int
    ready: int


class _Move(NamedTuple):
    steps: tuple[int, ...]
    peak: int
    after: _State


class _Explorer:
    """Walks over the sets of steps between two sets; `limit` bounds the number of steps tried."""

    def __init__(self, solver: _Solver, target: int, limit: int | None) -> None:
        self.solver = solver
        self.target = target
        self.limit = limit
        self.tried = 0

    def start(self, done: int) -> _State:
        predecessors = self.solver.graph.predecessors
        ready = sum(1 << s for s in _bits(self.target & ~done) if not predecessors[s] & ~done)
        return _State(self.solver.live_after(done), done, ready)

    def moves(self, state: _State, peak: int) -> list[_Move]:
        """What to run next: one chain that is right in any case, else every step that can run."""
        moves = []
        for step in _bits(state.ready):
            move = self.single(step, state)
            chain = self.free_chain(move, state.live, peak)
            if chain is not None:
                return [chain]
            moves.append(move)
        return moves

    def single(self, step: int, state: _State) -> _Move:
        self.tried += 1
        extra, change = self.solver.graph.cost(step, state.done)
        done = state.done | 1 << step
        ready = state.ready & ~(1 << step) | self.enabled(step, done)
        peak = self.solver.during(state.live, extra, state.done)
        return _Move((step,), peak, _State(state.live + change, done, ready))

    def enabled(self, step: int, done: int) -> int:
        """The steps that can run because `step`, the last of `done`, has run."""
        predecessors, enabled = self.solver.graph.predecessors, 0
        for s in self.solver.successors[step]:
            if self.target >> s & 1 and not predecessors[s] & ~done:
                enabled |= 1 << s
        return enabled

    def free_chain(self, move: _Move, live: int, peak: int) -> _Move | None:
        """A chain beginning with `move` that raises neither `peak` nor, at its end, the `live` bytes before it.

        Each of its steps depends on the one before, and it ends where its live bytes are lowest: that
        makes running it first as good as any other order (what runs later finds no more bytes live).
        """
        steps: list[int] = []
        while move.peak <= peak:
            steps += move.steps
            if move.after.live <= live:
                return _Move(tuple(steps), peak, move.after)
            enabled = self.enabled(steps[-1], move.after.done)
            if not enabled or enabled & (enabled - 1):
                return None
            move = self.single(enabled.bit_length() - 1, move.after)
        return None

    def best_first(self, start: int, floor: int) -> list[int] | None:
        """Bottleneck shortest path; None where the limit ends it."""
        queue = [(floor, 0, self.start(start))]
        best: dict[int, int] = {start: floor}
        came_from: dict[int, tuple[int, tuple[int, ...]]] = {}
        while queue:
            peak, _, state = heapq.heappop(queue)
            if state.done == self.target:
                return _trace(came_from, start, state.done)
            if peak > best[state.done]:
                continue
            if self.limit is not None and self.tried > self.limit:
                return None
            for steps, move_peak, after in self.moves(state, peak):
                reached = max(peak, move_peak)
                if after.done not in best or reached < best[after.done]:
                    best[after.done] = reached
                    came_from[after.done] = (state.done, steps)
                    heapq.heappush(queue, (reached, -after.done.bit_count(), after))
        raise InternalError("no order of the steps was found", where="memory plan")

    def beam(self, start: int, floor: int) -> list[int]:
        """Goes on from the best few sets of each size, as many as the size's share of the work allows."""
        share = BEAM_LIMIT // (self.target & ~start).bit_count()
        layers: dict[int, dict[int, tuple[int, _State, _History]]] = {
            start.bit_count(): {start: (floor, self.start(start), None)}
        }
        for size in range(start.bit_count(), self.target.bit_count()):
            layer = sorted(layers.pop(size, {}).values(), key=lambda entry: entry[:2])
            enough = self.tried + share
            for peak, state, history in layer:
                if self.tried > enough:
                    break
                for steps, move_peak, after in self.moves(state, peak):
                    reached = max(peak, move_peak)
                    into = layers.setdefault(after.done.bit_count(), {})
                    if after.done not in into or reached < into[after.done][0]:
                        into[after.done] = (reached, after, (history, steps))
        result: list[int] = []
        _, _, history = layers[self.target.bit_count()][self.target]
        while history is not None:
            history, steps = history
            result[:0] = steps
        return result


def _trace(came_from: dict[int, tuple[int, tuple[int, ...]]], start: int, done: int) -> list[int]:
    steps: list[int] = []
    while done != start:
        done, chunk = came_from[done]
        steps[:0] = chunk
    return steps


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
