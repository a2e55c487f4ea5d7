"""Which runs of layers are streamed by rows: the search for little RAM that costs little time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tinycast.ir.kernel import MemoryPlan, Role, Step
from tinycast.ir.types import DType, Value
from tinycast.memory import Peak, find_peak
from tinycast.schedule.goal import Optimize
from tinycast.schedule.stream import StripSteps, compile_strip, segment_step
from tinycast.schedule.stream_cost import added_work, layer_work
from tinycast.schedule.stream_segment import Segment, make_segment
from tinycast.schedule.stream_strips import Layer, Strip, strip_of
from tinycast.schedule.tuning import Tuning
from tinycast.target.types import Platform, Target

MOST_TIME = 1.1  # what the least RAM may cost
_LITTLE_MORE = 1.1  # RAM that is not worth time
_LITTLE_MEMORY = (Platform.ARM_M, Platform.RISCV)  # where RAM counts even if nobody asks for less
_BEAM = 6  # choices kept for further segments
_MOST_SEGMENTS = 4


@dataclass(frozen=True)
class Choice:
    """Segments [first, last] of layers, in order; `time` is relative to no segments (an estimate)."""

    segments: tuple[tuple[int, int], ...]
    steps: tuple[Step, ...] = field(repr=False)
    peak: Peak = field(repr=False)
    time: float = 1.0

    @property
    def peak_bytes(self) -> int:
        return self.peak.bytes


class Choices:
    """All choices looked at, made for one model."""

    def __init__(
        self,
        layers: Sequence[Layer],
        inputs: Sequence[Value],
        outputs: Sequence[Value],
        target: Target,
        tuning: Tuning | None = None,
    ) -> None:
        self._layers = layers
        self._ports = (inputs, outputs)
        self._target = target
        self._tuning = tuning
        self._strips = [strip_of(layer) for layer in layers]
        self._compiled: dict[tuple[int, int], StripSteps] = {}
        self._free = False
        self._made: dict[tuple[int, int], tuple[Step, float] | None] = {}
        self._work = sum(layer_work(layer, target) for layer in layers)
        self._readers: dict[str, int] = {}  # the last layer that reads a value
        for number, layer in enumerate(layers):
            self._readers.update(dict.fromkeys((v.name for v in layer.step.values(Role.INPUT)), number))
        self._readers.update(dict.fromkeys((v.name for v in outputs), len(layers)))

    @property
    def whole(self) -> list[Step]:
        """The layers' own steps."""
        return [layer.step for layer in self._layers]

    @property
    def has_little_memory(self) -> bool:
        """Whether less RAM is looked for where it costs nothing; what vectors do in a row is estimated too roughly."""
        return self._target.platform in _LITTLE_MEMORY and not self._target.has_vectors

    def search(self, *, free: bool = False) -> list[Choice]:
        """No segments first; then what was found, no choice worse than another in both RAM and time.

        `free`: only segments that take no more time than their layers, by an estimate that is good enough for that
        where all is int8.
        """
        self._free = free
        found = [self._choice(())]
        beam = found
        for _ in range(_MOST_SEGMENTS):
            more = [c for choice in beam for c in self._with_one_more(choice)]
            found = _frontier([*found, *more])
            beam = sorted((c for c in more if c in found), key=lambda c: (c.peak_bytes, c.time))[:_BEAM]
        return found

    def _with_one_more(self, choice: Choice) -> Iterator[Choice]:
        """Only a segment around the step with the peak takes less."""
        taken = {layer for first, last in choice.segments for layer in range(first, last + 1)}
        steps = self.whole
        peak = choice.steps[choice.peak.step]
        if peak not in steps:
            return
        at = steps.index(peak)
        for first in range(at, -1, -1):
            if self._strips[first] is None or first in taken:
                break
            for last in range(at, len(steps)):
                if self._strips[last] is None or last in taken:
                    break
                if first < last and self._segment(first, last) is not None:
                    yield self._choice(tuple(sorted([*choice.segments, (first, last)])))

    def _choice(self, segments: tuple[tuple[int, int], ...]) -> Choice:
        steps = self.whole
        more = 0.0
        for first, last in reversed(segments):
            made = self._segment(first, last)
            assert made is not None
            steps[first : last + 1] = [made[0]]
            more += made[1]
        peak = find_peak(steps, *self._ports, align=self._target.buffer_align)
        return Choice(segments, tuple(steps), peak, 1 + more / self._work)

    def _segment(self, first: int, last: int) -> tuple[Step, float] | None:
        key = (first, last)
        if key not in self._made:
            self._made[key] = self._make(first, last)
        return self._made[key]

    def _make(self, first: int, last: int) -> tuple[Step, float] | None:
        strips = [s for s in self._strips[first : last + 1] if s is not None]
        # Rows of what lies inside are gone afterwards.
        if any(self._readers.get(s.layer.output.name, first) > last for s in strips[:-1]):
            return None
        segment = make_segment(strips)
        if segment is None:
            return None
        work = added_work(segment, self._target)
        if self._free and (work > 0 or any(s.layer.output.dtype is not DType.INT8 for s in strips)):
            return None
        compiled = [self._compile(segment, first + i, strip) for i, strip in enumerate(strips)]
        return segment_step(segment, compiled, self._target), work

    def _compile(self, segment: Segment, number: int, strip: Strip) -> StripSteps:
        key = (number, segment.columns(strip))
        if key not in self._compiled:
            self._compiled[key] = compile_strip(strip, key[1], self._target, self._tuning)
        return self._compiled[key]


def _frontier(choices: Sequence[Choice]) -> list[Choice]:
    """The choices that no other beats, the fastest first."""
    kept: list[Choice] = []
    for choice in sorted(choices, key=lambda c: (c.time, c.peak_bytes, len(c.segments))):
        if not kept or choice.peak_bytes < kept[-1].peak_bytes or not choice.segments:
            kept.append(choice)
    return kept


Place = Callable[[Sequence[Step]], tuple[list[Step], MemoryPlan]]


@dataclass(frozen=True)
class _Planned:
    steps: list[Step]
    plan: MemoryPlan
    time: float

    @property
    def arena_bytes(self) -> int:
        return self.plan.arena_bytes


def choose(choices: Choices, place: Place, optimize: Optimize, ram_bytes: int | None) -> tuple[list[Step], MemoryPlan]:
    """The steps that run the layers, and their memory plan: within `ram_bytes` if possible, else with the least RAM.

    Where layers as a whole fit, only rows that take no more time are worth it. `place` plans the memory of steps,
    which it may change for that.
    """
    whole = place(choices.whole)
    fits = ram_bytes is None or whole[1].arena_bytes <= ram_bytes
    if fits and (optimize is Optimize.SIZE or (optimize is Optimize.TIME and not choices.has_little_memory)):
        return whole
    free = fits and optimize is Optimize.TIME
    found = [_Planned(*(place(c.steps) if c.segments else whole), c.time) for c in choices.search(free=free)]
    if free:
        chosen = _fastest_with_little(found)
        return chosen.steps, chosen.plan
    fitting = [p for p in found if ram_bytes is None or p.arena_bytes <= ram_bytes]
    cheap = [p for p in fitting if p.time <= MOST_TIME]
    if optimize is Optimize.RAM and cheap:
        chosen = min(cheap, key=lambda p: (p.arena_bytes, p.time))
    elif fitting:
        chosen = min(fitting, key=lambda p: (p.time, p.arena_bytes))
    else:
        chosen = min(found, key=lambda p: (p.arena_bytes, p.time))
    return chosen.steps, chosen.plan


def _fastest_with_little(found: Sequence[_Planned]) -> _Planned:
    """The fastest of those that need hardly more RAM than the least."""
    least = min(p.arena_bytes for p in found)
    return min((p for p in found if p.arena_bytes <= least * _LITTLE_MORE), key=lambda p: (p.time, p.arena_bytes))
