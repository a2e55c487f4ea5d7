"""What QEMU and unicorn have in common: the harness's output and the counter's figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinycast.errors import InternalError
from tinycast.execute.elf import MARKER_END
from tinycast.execute.samples import join_samples
from tinycast.execute.types import FirmwareSizes, Measurement

STACK_FIELD_BYTES = 4  # what the harness writes after the outputs


def counts_to_measurement(
    manifest: Mapping[str, Any],
    raw: bytes,
    sample_count: int,
    counts: Mapping[int, int],
    sizes: FirmwareSizes,
    cycles: Mapping[int, int] | None,
) -> Measurement:
    """Turn the harness's output file and the instructions counted up to each marker into a measurement.

    `cycles` are those estimated for each layer, see `estimate_cycles`.

    A layer's share reaches from its marker to the next one's, the last's to the end; what comes before the
    first layer belongs to none.
    """
    if MARKER_END not in counts:
        raise InternalError("the instruction counter saw no inference")
    total = counts[MARKER_END]
    indices = [index for index in sorted(counts) if index >= 0]
    starts = [counts[index] for index in indices]
    layers = tuple(stop - start for start, stop in zip(starts, [*starts[1:], total], strict=True)) if starts else None
    return Measurement(
        outputs=join_samples(manifest, raw[:-STACK_FIELD_BYTES], sample_count),
        instructions=total,
        layer_instructions=layers,
        stack_bytes=int.from_bytes(raw[-STACK_FIELD_BYTES:], "little"),
        sizes=sizes,
        cycles_estimate=None if cycles is None else sum(cycles.values()),
        layer_cycles=None if cycles is None or not indices else tuple(cycles.get(index, 0) for index in indices),
    )
