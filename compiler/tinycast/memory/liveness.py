"""Which buffers the steps use, what depends on what, and when each buffer holds something needed.

Sets of steps and of buffers are bit masks: bit i stands for step i of the list given to the planner.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tinycast.errors import InternalError
from tinycast.ir.kernel import Role, Step
from tinycast.ir.types import Value

Pair = tuple[int, int]  # (output, input): buffers that may be the same memory


@dataclass(frozen=True)
class Buffer:
    """A piece of memory that the plan places."""

    name: str
    bytes: int
    size: int  # bytes, rounded up to the alignment
    writer: int | None  # the first step that writes it; None for a graph input
    users: int  # mask of the steps that read or write it
    kept: bool  # a graph output: stays until the end


@dataclass(frozen=True)
class StepUse:
    """What one step does to buffers, by their index in Graph.buffers."""

    created_bytes: int  # of the outputs written first here, and scratch
    mortal: tuple[tuple[int, int], ...]  # (users, size) of all buffers the step uses, but for graph outputs
    in_place: tuple[Pair, ...]  # legal if the input is not needed after this step
    overlap: tuple[tuple[int, int, int], ...]  # likewise: (output, input, distance in bytes)


@dataclass(frozen=True)
class Graph:
    """Buffers and steps; `predecessors[i]` is the mask of the steps that must run before step i."""

    buffers: tuple[Buffer, ...]
    steps: tuple[StepUse, ...]
    predecessors: tuple[int, ...]

    def idle_input_bytes(self) -> int:
        """Bytes of graph inputs that nothing uses: they take room before the first step only."""
        return sum(b.size for b in self.buffers if b.writer is None and not b.users and not b.kept)

    def initial_bytes(self) -> int:
        """Bytes live before the first step, without idle inputs."""
        return sum(b.size for b in self.buffers if b.writer is None) - self.idle_input_bytes()

    def pairs_at(self, step: int, done: int) -> list[Pair]:
        """The in-place pairs that are legal at `step` when the steps in `done` have run."""
        return [(o, i) for o, i in self.steps[step].in_place if self.dies_at(i, step, done)]

    def overlaps_at(self, step: int, done: int) -> list[tuple[int, int, int]]:
        """The (output, input, distance) that are legal at `step` when the steps in `done` have run."""
        return [(o, i, d) for o, i, d in self.steps[step].overlap if self.dies_at(i, step, done)]

    def dies_at(self, buffer: int, step: int, done: int) -> bool:
        b = self.buffers[buffer]
        return not b.kept and b.users & ~done == 1 << step

    def cost(self, step: int, done: int) -> tuple[int, int]:
        """Bytes by which `step`, run after the steps in `done`, raises the live bytes: while it runs, and after."""
        use = self.steps[step]
        to_come = ~(done | 1 << step)
        freed = 0
        for users, size in use.mortal:
            if not users & to_come:
                freed += size
        saved = 0
        if use.in_place or use.overlap:
            saved = self.saving(self.pairs_at(step, done), self.overlaps_at(step, done))
        return use.created_bytes - saved, use.created_bytes - freed

    def saving(self, pairs: Sequence[Pair], overlaps: Sequence[tuple[int, int, int]] = ()) -> int:
        """Bytes saved at most by computing in place, each buffer taking part in one pair at most."""
        return sum(bytes_saved for _, _, bytes_saved in self._matching(pairs, overlaps))

    def best_pairs(self, pairs: Sequence[Pair]) -> list[Pair]:
        """A choice of pairs that saves the most bytes."""
        return [(output, source) for output, source, _ in self._matching(pairs)]

    def _matching(
        self, pairs: Sequence[Pair], overlaps: Sequence[tuple[int, int, int]] = ()
    ) -> tuple[tuple[int, int, int], ...]:
        apart = [*((o, i, 0) for o, i in pairs), *overlaps]
        return best_matching(tuple((o, i, self._saved(o, i, distance)) for o, i, distance in apart))

    def _saved(self, output: int, source: int, distance: int) -> int:
        """Bytes that the two take less than side by side, the input `distance` above the output's start."""
        o, i = self.buffers[output].size, self.buffers[source].size
        return o + i - max(o, distance + i)


@lru_cache(maxsize=65536)
def best_matching(pairs: tuple[tuple[int, int, int], ...]) -> tuple[tuple[int, int, int], ...]:
    """The heaviest matching of (output, input, weight) edges. A kernel has few: all choices are tried."""
    if not pairs:
        return ()
    (output, source, _), rest = pairs[0], pairs[1:]
    taken = (pairs[0], *best_matching(tuple(p for p in rest if p[0] != output and p[1] != source)))
    if len(taken) == len(pairs):
        return taken
    skipped = best_matching(rest)
    return skipped if sum(p[2] for p in skipped) > sum(p[2] for p in taken) else taken


@dataclass
class _Draft:
    value: Value
    writers: list[int]
    readers: list[int]
    is_scratch: bool = False


def build_graph(steps: Sequence[Step], inputs: Sequence[Value], outputs: Sequence[Value], align: int) -> Graph:
    """Collect the buffers of `steps`. The list given is a valid order: it defines what each read sees.

    Constants are not buffers. Raises InternalError for a read of something never written, two values of
    one name, or scratch that several steps use.
    """
    drafts: dict[str, _Draft] = {}

    def draft(value: Value, where: str) -> _Draft:
        known = drafts.setdefault(value.name, _Draft(value, [], []))
        if known.value.bytes != value.bytes:
            raise InternalError(f"two values of different size are called {value.name!r}", where=where)
        return known

    input_names = {v.name for v in inputs if not v.is_constant}
    for value in inputs:
        if not value.is_constant:
            draft(value, "graph inputs")
    for index, step in enumerate(steps):
        for value in _variables(step, Role.INPUT):
            known = draft(value, step.name)
            if not known.writers and value.name not in input_names:
                raise InternalError(f"{value.name!r} is read before any step writes it", where=step.name)
            known.readers.append(index)
        for value in _variables(step, Role.OUTPUT):
            draft(value, step.name).writers.append(index)
        for value in _variables(step, Role.SCRATCH):
            if value.name in drafts:
                raise InternalError(f"scratch {value.name!r} is used elsewhere too", where=step.name)
            drafts[value.name] = _Draft(value, [index], [], is_scratch=True)
    kept = {v.name for v in outputs if not v.is_constant}
    for name in sorted(kept):
        if name not in drafts or (not drafts[name].writers and name not in input_names):
            raise InternalError(f"no step writes the graph output {name!r}")
    _refuse_reused_scratch(drafts)

    buffers = tuple(
        Buffer(
            name=name,
            bytes=d.value.bytes,
            size=-(-d.value.bytes // align) * align,
            writer=None if name in input_names else d.writers[0],
            users=_mask(d.writers) | _mask(d.readers),
            kept=name in kept,
        )
        for name, d in drafts.items()
    )
    uses = _step_uses(steps, buffers, align)
    return Graph(buffers, uses, _predecessors(len(steps), list(drafts.values())))


def _variables(step: Step, role: Role) -> list[Value]:
    return [v for v in step.values(role) if not v.is_constant]


def _refuse_reused_scratch(drafts: dict[str, _Draft]) -> None:
    for name, d in drafts.items():
        if d.is_scratch and (d.readers or len(d.writers) > 1):
            raise InternalError(f"scratch {name!r} is used by several steps")


def _mask(steps: Sequence[int]) -> int:
    mask = 0
    for step in steps:
        mask |= 1 << step
    return mask


def _predecessors(count: int, drafts: Sequence[_Draft]) -> tuple[int, ...]:
    """Reads stay behind the writes before them, and writes behind all earlier uses of the same buffer."""
    predecessors = [0] * count
    for d in drafts:
        users, writers = _mask(d.readers) | _mask(d.writers), _mask(d.writers)
        for reader in d.readers:
            predecessors[reader] |= writers & ((1 << reader) - 1)
        for writer in d.writers:
            predecessors[writer] |= users & ((1 << writer) - 1)
    return tuple(predecessors)


def _step_uses(steps: Sequence[Step], buffers: Sequence[Buffer], align: int) -> tuple[StepUse, ...]:
    index_of = {b.name: i for i, b in enumerate(buffers)}
    uses = []
    for number, step in enumerate(steps):
        bound = [index_of[a.name] if isinstance(a, Value) and not a.is_constant else None for a in step.arguments]
        touched = tuple(dict.fromkeys(b for b in bound if b is not None))
        created = tuple(b for b in touched if buffers[b].writer == number)
        uses.append(
            StepUse(
                created_bytes=sum(buffers[b].size for b in created),
                mortal=tuple((buffers[b].users, buffers[b].size) for b in touched if not buffers[b].kept),
                in_place=_in_place_pairs(step, bound, created),
                overlap=tuple(_overlaps(step, bound, created, buffers, align)),
            )
        )
    return tuple(uses)


def _in_place_pairs(step: Step, bound: Sequence[int | None], created: Sequence[int]) -> tuple[Pair, ...]:
    """Pairs the kernel allows. A buffer passed twice must be allowed in each place it is passed."""
    allowed = set(step.kernel.in_place)
    roles = [p.role for p in step.kernel.parameters]
    if any((roles[o], roles[i]) != (Role.OUTPUT, Role.INPUT) for o, i in allowed):
        raise InternalError(f"{step.kernel.symbol}: in_place must pair outputs with inputs", where=step.name)
    pairs: dict[Pair, None] = {}
    for output_at, input_at in step.kernel.in_place:
        output, source = bound[output_at], bound[input_at]
        if output is None or source is None or output == source or output not in created or source in created:
            continue
        output_places = [p for p, b in enumerate(bound) if b == output]
        input_places = [p for p, b in enumerate(bound) if b == source]
        if all((o, i) in allowed for o in output_places for i in input_places):
            pairs[(output, source)] = None
    return tuple(pairs)


def _overlaps(
    step: Step, bound: Sequence[int | None], created: Sequence[int], buffers: Sequence[Buffer], align: int
) -> Iterator[tuple[int, int, int]]:
    """What the kernel allows, less what saves nothing or involves a buffer that is passed twice."""
    for output_at, input_at, distance in step.kernel.overlap:
        output, source = bound[output_at], bound[input_at]
        if output is None or source is None or output not in created or source in created:
            continue
        if bound.count(output) == bound.count(source) == 1 and distance < buffers[output].bytes:
            yield output, source, -(-distance // align) * align


def restrict(graph: Graph, members: set[int]) -> Graph:
    """The graph of some of the buffers, in their order: what the steps do to these alone."""
    kept = sorted(members)
    new = {b: i for i, b in enumerate(kept)}
    buffers = tuple(graph.buffers[b] for b in kept)
    uses = tuple(
        StepUse(
            created_bytes=sum(b.size for b in buffers if b.writer == step),
            mortal=tuple((b.users, b.size) for b in buffers if b.users >> step & 1 and not b.kept),
            in_place=tuple((new[o], new[i]) for o, i in use.in_place if o in new and i in new),
            overlap=tuple((new[o], new[i], d) for o, i, d in use.overlap if o in new and i in new),
        )
        for step, use in enumerate(graph.steps)
    )
    return Graph(buffers, uses, graph.predecessors)


def lifetimes(graph: Graph, order: Sequence[int]) -> list[tuple[int, int]]:
    """(first, last) position in `order` at which each buffer is live, both included."""
    position = {step: p for p, step in enumerate(order)}
    end = max(len(order) - 1, 0)
    spans = []
    for b in graph.buffers:
        used = [position[s] for s in range(len(order)) if b.users >> s & 1]
        first = 0 if b.writer is None else position[b.writer]
        spans.append((first, end if b.kept else max(used, default=0)))
    return spans


def live_bytes(graph: Graph, order: Sequence[int]) -> list[int]:
    """Bytes live at once during each step of `order`, a buffer computed in place counted once."""
    live, done, profile = graph.initial_bytes(), 0, []
    for step in order:
        during, after = graph.cost(step, done)
        profile.append(live + during + (0 if done else graph.idle_input_bytes()))
        live += after
        done |= 1 << step
    return profile
