"""Chips with several memories: where all lies, and which weights are copied to RAM before the layer that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tinycast.errors import FitError
from tinycast.ir.kernel import MemoryPlan, Step
from tinycast.ir.types import Value
from tinycast.memory.regions import Content, content, cost, place_weights, plan_regions
from tinycast.memory.traffic import traffic
from tinycast.schedule.flash_reads import copy_step
from tinycast.target.types import Region, RegionKind

_MOST_TRIALS = 64  # copies tried, the most promising first


@dataclass(frozen=True)
class Placed:
    """Steps with their copies, where their buffers lie, and in which memory each constant does."""

    steps: list[Step]
    plan: MemoryPlan
    flash: dict[Content, Region]


def place_in_regions(
    steps: Sequence[Step], inputs: Sequence[Value], outputs: Sequence[Value], regions: Sequence[Region], *, align: int
) -> Placed:
    """Place everything so that accesses cost little. Raises FitError where a region is too small."""
    chosen = list(steps)
    flash: dict[Content, Region] = {}
    if any(region.kind is RegionKind.FLASH for region in regions):
        flash = place_weights(steps, regions, align)
        least = cost(plan_regions(chosen, inputs, outputs, regions, align=align, thorough=False), chosen, flash)
        for step, value in _promising(steps, regions, flash)[:_MOST_TRIALS]:
            trial = _with_copy(chosen, step.name, value)
            try:
                plan = plan_regions(trial, inputs, outputs, regions, align=align, thorough=False)
            except FitError:
                continue
            now = cost(plan, trial, flash)
            if now < least:
                chosen, least = trial, now
    return Placed(chosen, plan_regions(chosen, inputs, outputs, regions, align=align), flash)


def _promising(
    steps: Sequence[Step], regions: Sequence[Region], flash: dict[Content, Region]
) -> list[tuple[Step, Value]]:
    """Constants whose copy would save something in the cheapest RAM, those that save most by byte first."""
    cheapest = min(region.cost for region in regions if region.kind is RegionKind.RAM)
    found: list[tuple[float, Step, Value]] = []
    for step in steps:
        for value, accessed in traffic(step):
            if value.is_constant and value.bytes:
                dear = flash[content(value)].cost
                saved = accessed * (dear - cheapest) - value.bytes * (dear + cheapest)
                if saved > 0:
                    found.append((saved / value.bytes, step, value))
    return [(step, value) for _, step, value in sorted(found, key=lambda entry: -entry[0])]


def _with_copy(steps: Sequence[Step], name: str, value: Value) -> list[Step]:
    at = next(i for i, s in enumerate(steps) if s.name == name and any(a is value for a in s.arguments))
    step = steps[at]
    body = f"tc_copy(copy, weights, {value.bytes});"
    copying, copy = copy_step(step, value, at, body, frozenset({"tc_copy.h"}))
    reading = replace(step, arguments=tuple(copy if a is value else a for a in step.arguments))
    return [*steps[:at], copying, reading, *steps[at + 1 :]]
