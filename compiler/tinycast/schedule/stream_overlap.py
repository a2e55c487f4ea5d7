"""How far the output of a row-streamed segment has to stay below its inputs to be allowed to grow into them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from tinycast.ir.types import Value
from tinycast.schedule.stream_segment import Segment


def overlaps(segment: Segment, *, sums: bool) -> tuple[tuple[int, int, int], ...]:
    """(output, input, distance in bytes), numbered as the segment's parameters: the inputs, then the output.

    The output may be written over rows that nobody reads any more. `sums`: it is written when all is read.
    """
    last = len(segment.units) - 1
    row_bytes = 0 if sums else prod(segment.strips[-1].image[1:]) * segment.output.dtype.itemsize
    distances = [0] * len(segment.outside)
    done = [0] * len(segment.units)
    for number in segment.order:
        if number == last:
            for i, value in enumerate(segment.outside):
                free = _free_bytes(segment, value, done)
                distances[i] = max(distances[i], (done[last] + 1) * row_bytes - free)
        done[number] += 1
    output = len(segment.outside)
    return tuple((output, i, d) for i, d in enumerate(distances) if d < segment.output.bytes)


def _free_bytes(segment: Segment, value: Value, done: Sequence[int]) -> int:
    """From the start of a value from outside: what no stage reads after so many turns of each."""
    units, source = segment.units, segment.buffers.get(value)
    uses = [(n, o) for n, u in enumerate(units) for s in u.strips for o in s.operands if o.value is value]
    height, width, channels = uses[0][1].image
    row_bytes = width * channels * value.dtype.itemsize
    if source is None:
        rows = min(height if done[n] >= units[n].height else done[n] * o.stride for n, o in uses)
    else:
        rows = done[source]
        buffer = units[source].buffer
        if buffer is not None and buffer.planes and rows < height:
            row_bytes = width * value.dtype.itemsize
    return min(rows, height) * row_bytes
