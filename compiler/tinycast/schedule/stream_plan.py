"""When each stage of a row-streamed segment makes its next row, and how many rows are kept for its readers.

A stage runs as soon as the rows it reads are there and its own buffer has room; of several the last one in the list
runs. The generated loop tests the same conditions in the same order, so that the replay here is what it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinycast.errors import InternalError


@dataclass(frozen=True)
class Read:
    """A stage reads `rows` neighbouring rows of stage `source` at once, `stride` rows further on each time.

    The first window starts `above` rows above the first row, in the border.
    """

    source: int
    rows: int
    stride: int
    above: int


@dataclass(frozen=True)
class Stage:
    """Makes `height` rows, one at a time, and then `bottom` rows of border; `top` rows of border are there first."""

    reads: tuple[Read, ...]
    height: int
    top: int = 0
    bottom: int = 0
    row_bytes: int = 0  # of a row in its buffer

    @property
    def turns(self) -> int:
        return self.height + self.bottom


@dataclass(frozen=True)
class Reader:
    """A read seen from its source: the number of the stage that reads."""

    stage: int
    read: Read


def readers_of(stages: Sequence[Stage]) -> list[list[Reader]]:
    found: list[list[Reader]] = [[] for _ in stages]
    for number, stage in enumerate(stages):
        for read in stage.reads:
            found[read.source].append(Reader(number, read))
    return found


class _Replay:
    """The state of the loop: `done[s]` turns of stage s."""

    def __init__(self, stages: Sequence[Stage], readers: Sequence[Sequence[Reader]]) -> None:
        self.stages = stages
        self.readers = readers
        self.done = [0] * len(stages)
        self.peaks = [stage.top for stage in stages]

    def made(self, number: int) -> int:
        """Rows in order, the border above included."""
        return self.stages[number].top + self.done[number]

    def oldest(self, number: int) -> int:
        """The first row, counted with the border, that a reader still needs, or the first that is not made."""
        top = self.stages[number].top
        return min([top - r.read.above + self.done[r.stage] * r.read.stride for r in self.readers[number]])

    def kept(self, number: int) -> int:
        return self.made(number) - min(self.oldest(number), self.made(number))

    def is_ready(self, number: int) -> bool:
        stage, turn = self.stages[number], self.done[number]
        if turn >= stage.height:
            return turn < stage.turns
        return all(self.done[r.source] >= turn * r.stride + r.rows - r.above for r in stage.reads)

    def run(self, capacities: Sequence[int] | None) -> list[int] | None:
        """The stages in the order of their turns until the last one is done; None where all wait for each other."""
        order = []
        last = len(self.stages) - 1
        while self.done[last] < self.stages[last].turns:
            for number in range(last, -1, -1):
                full = number != last and capacities is not None
                full = full and self.made(number) - self.oldest(number) >= capacities[number]  # type: ignore[index]
                if self.is_ready(number) and not full:
                    break
            else:
                return None
            order.append(number)
            self.done[number] += 1
            if number != last:
                self.peaks[number] = max(self.peaks[number], self.kept(number))
        return order


def least_capacities(stages: Sequence[Stage]) -> tuple[int, ...]:
    """How many rows each buffer holds: none can hold one less without the stages waiting for each other forever.

    The last stage writes into the output and has no buffer: 0.
    """
    readers = readers_of(stages)
    widest = [max([stage.top, *(r.read.rows for r in rs)]) for stage, rs in zip(stages, readers, strict=True)]
    widest[-1] = 0
    if _Replay(stages, readers).run(widest) is not None:
        return tuple(widest)
    free = _Replay(stages, readers)
    if free.run(None) is None:
        raise InternalError("the stages of a segment wait for each other", where="row streaming")
    capacities = [*(max(a, b) for a, b in zip(free.peaks[:-1], widest[:-1], strict=True)), 0]
    order = sorted(range(len(stages) - 1), key=lambda s: -stages[s].row_bytes)
    shrunk = True
    while shrunk:
        shrunk = False
        for number in order:
            while capacities[number] > widest[number]:
                capacities[number] -= 1
                if _Replay(stages, readers).run(capacities) is None:
                    capacities[number] += 1
                    break
                shrunk = True
    return tuple(capacities)


def turns_of(stages: Sequence[Stage], capacities: Sequence[int]) -> list[int]:
    """The order of the turns, proven: every window that is read holds the rows it should, all at once.

    The proof keeps the rows of each buffer by itself and moves them as the generated code does.
    """
    readers = readers_of(stages)
    order = _Replay(stages, readers).run(capacities)
    if order is None:
        _fail("the stages wait for each other")
        return []
    buffers: list[list[int]] = [list(range(-stage.top, 0)) for stage in stages]
    bases = [-stage.top for stage in stages]
    done = [0] * len(stages)
    for number in order:
        stage, turn = stages[number], done[number]
        if turn < stage.height:
            for read in stage.reads:
                first = turn * read.stride - read.above
                at = first - bases[read.source]
                if at < 0 or buffers[read.source][at : at + read.rows] != list(range(first, first + read.rows)):
                    _fail(f"stage {number} reads rows that stage {read.source} does not hold")
        if readers[number]:
            if len(buffers[number]) == capacities[number]:
                oldest = min(done[r.stage] * r.read.stride - r.read.above for r in readers[number])
                dropped = min(oldest, turn) - bases[number]
                if dropped < 1:
                    _fail(f"the buffer of stage {number} is full")
                del buffers[number][:dropped]
                bases[number] += dropped
            buffers[number].append(turn)
        done[number] += 1
    return order


def _fail(what: str) -> None:
    raise InternalError(what, where="row streaming")
