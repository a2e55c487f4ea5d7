"""The proof that a plan is right, and its figures for the report.

`check` shares no code with the planner: it derives order and lifetimes from the steps by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinycast.errors import InternalError
from tinycast.ir.kernel import MemoryPlan, Placement, Role, Step
from tinycast.ir.types import Value

_WHERE = "memory plan"


def check(
    plan: MemoryPlan, steps: Sequence[Step], inputs: Sequence[Value], outputs: Sequence[Value], align: int
) -> None:
    """Raise InternalError unless `plan` is valid for `steps`.

    Valid: `plan.order` keeps every step behind the steps whose results it needs; every buffer is placed,
    aligned and inside the arena; two buffers that are live at once overlap only if `plan.shared` has them
    as a pair, which the kernel allows and whose input nobody needs any more.
    """
    if sorted(plan.order) != list(range(len(steps))):
        _fail("the order is not a permutation of the steps")
    _check_order(plan.order, steps)
    spans = _spans([steps[i] for i in plan.order], inputs, outputs)
    sizes = _sizes(steps, inputs, outputs)
    if set(plan.placements) != set(sizes):
        _fail(f"buffers without a place or unknown: {sorted(set(plan.placements) ^ set(sizes))}")
    for name, place in plan.placements.items():
        _check_place(name, place, sizes[name], spans[name], plan.arena_of(name), align)
    _check_regions(plan, {v.name for v in (*inputs, *outputs)})
    declared = set()
    for output, source in plan.shared:
        _check_shared(output, source, plan, steps, spans, {v.name for v in inputs}, {v.name for v in outputs})
        declared |= {(output, source), (source, output)}
    for output, source, _ in plan.overlapping:
        _check_overlapping(output, source, plan, steps, spans, {v.name for v in outputs})
        declared |= {(output, source), (source, output)}
    _check_overlaps(list(plan.placements.values()), declared)
    if not 0 <= plan.lower_bound_bytes <= plan.arena_bytes:
        _fail(f"the arena of {plan.arena_bytes} bytes is below its lower bound of {plan.lower_bound_bytes}")
    if not 0 <= plan.peak_step < max(len(steps), 1):
        _fail(f"there is no step {plan.peak_step}")


def certificate(plan: MemoryPlan) -> dict[str, Any]:
    """The figures of `plan` as JSON-able data. `live_at_peak` lists the buffers of step `peak_step` of the order."""
    live = [p for p in plan.placements.values() if p.first_step <= plan.peak_step <= p.last_step]
    return {
        "arena_bytes": plan.arena_bytes,
        "lower_bound_bytes": plan.lower_bound_bytes,
        "gap_bytes": plan.arena_bytes - plan.lower_bound_bytes,
        "lower_bound_is_optimal": plan.lower_bound_is_optimal,
        "peak_step": plan.peak_step,
        "live_at_peak": [
            {"name": p.name, "offset": p.offset, "bytes": p.bytes}
            for p in sorted(live, key=lambda p: (-p.bytes, p.offset, p.name))
        ],
        "shared": [list(pair) for pair in plan.shared],
        "overlapping": [list(pair) for pair in plan.overlapping],
        "regions": regions_used(plan),
    }


def regions_used(plan: MemoryPlan) -> list[dict[str, Any]]:
    """What the plan takes of each memory, as JSON-able data; nothing where there is one arena."""
    return [
        {"name": u.region.name, "kind": u.region.kind.value, "bytes": u.bytes, "available_bytes": u.region.bytes}
        for u in plan.regions
    ]


def _fail(what: str) -> None:
    raise InternalError(what, where=_WHERE)


def _buffers(step: Step, *roles: Role) -> list[Value]:
    return [v for role in roles for v in step.values(role) if v.data is None]


def _check_order(order: Sequence[int], steps: Sequence[Step]) -> None:
    """Two steps that use one buffer, at least one writing it, keep the order of the list given."""
    position = {step: at for at, step in enumerate(order)}
    uses: dict[str, list[tuple[int, bool]]] = {}
    for index, step in enumerate(steps):
        for value in _buffers(step, Role.INPUT):
            uses.setdefault(value.name, []).append((index, False))
        for value in _buffers(step, Role.OUTPUT, Role.SCRATCH):
            uses.setdefault(value.name, []).append((index, True))
    for name, accesses in uses.items():
        for at, (earlier, earlier_writes) in enumerate(accesses):
            for later, later_writes in accesses[at + 1 :]:
                if (earlier_writes or later_writes) and position[earlier] > position[later]:
                    _fail(f"step {steps[later].name!r} runs before {steps[earlier].name!r}, but both use {name!r}")


def _sizes(steps: Sequence[Step], inputs: Sequence[Value], outputs: Sequence[Value]) -> dict[str, int]:
    used = [v for step in steps for v in _buffers(step, Role.INPUT, Role.OUTPUT, Role.SCRATCH)]
    return {v.name: v.bytes for v in [*inputs, *outputs, *used] if v.data is None}


def _spans(ordered: Sequence[Step], inputs: Sequence[Value], outputs: Sequence[Value]) -> dict[str, tuple[int, int]]:
    spans = {v.name: (0, 0) for v in inputs if v.data is None}
    for at, step in enumerate(ordered):
        for value in _buffers(step, Role.INPUT, Role.OUTPUT, Role.SCRATCH):
            spans[value.name] = (spans.get(value.name, (at, at))[0], at)
    end = max(len(ordered) - 1, 0)
    for value in outputs:
        if value.data is None:
            spans[value.name] = (spans[value.name][0], end)
    return spans


def _check_place(name: str, place: Placement, size: int, span: tuple[int, int], arena: int, align: int) -> None:
    if place.name != name or place.bytes != size:
        _fail(f"{name!r} has {size} bytes but is placed as {place.name!r} with {place.bytes}")
    if (place.first_step, place.last_step) != span:
        _fail(f"{name!r} is live over steps {span}, the plan says {(place.first_step, place.last_step)}")
    if place.offset % align:
        _fail(f"{name!r} at offset {place.offset} is not aligned to {align} bytes")
    if place.offset < 0 or place.offset + size > arena:
        _fail(f"{name!r} at {place.offset} + {size} bytes lies outside the arena of {arena}")


def _check_regions(plan: MemoryPlan, ports: set[str]) -> None:
    """No region holds more than it has, or an input or output that may not be there."""
    if not plan.regions:
        return
    if plan.arena_bytes != sum(use.bytes for use in plan.regions):
        _fail("the regions' arenas do not add up")
    for use in plan.regions:
        if use.bytes > use.region.bytes:
            _fail(f"region {use.region.name} has {use.region.bytes} bytes, {use.bytes} are used")
    for name in ports & set(plan.placements):
        if not plan.regions[plan.placements[name].region].region.io:
            _fail(f"{name!r} is an input or output, and lies where none may be")


def _check_shared(
    output: str,
    source: str,
    plan: MemoryPlan,
    steps: Sequence[Step],
    spans: dict[str, tuple[int, int]],
    input_names: set[str],
    output_names: set[str],
) -> None:
    pair = f"({output!r}, {source!r})"
    if output not in spans or source not in spans or output == source:
        _fail(f"the shared pair {pair} is not two buffers")
    if source in output_names:
        _fail(f"{pair}: the graph output {source!r} may not be overwritten")
    if output in input_names or spans[source][1] != spans[output][0]:
        _fail(f"{pair}: {source!r} is not used for the last time where {output!r} is first written")
    if plan.region_of(output) != plan.region_of(source):
        _fail(f"{pair} do not lie in one region")
    if plan.placements[output].offset != plan.placements[source].offset:
        _fail(f"{pair} do not start at one offset")
    step = steps[plan.order[spans[output][0]]]
    names = [a.name if isinstance(a, Value) and a.data is None else None for a in step.arguments]
    outputs_at = [at for at, name in enumerate(names) if name == output]
    sources_at = [at for at, name in enumerate(names) if name == source]
    roles = (
        {step.kernel.parameters[at].role for at in outputs_at},
        {step.kernel.parameters[at].role for at in sources_at},
    )
    if roles != ({Role.OUTPUT}, {Role.INPUT}):
        _fail(f"{pair} are not an output and an input of {step.name!r}")
    if any((o, i) not in step.kernel.in_place for o in outputs_at for i in sources_at):
        _fail(f"{pair}: the kernel {step.kernel.symbol!r} cannot work in place")


def _check_overlapping(
    output: str,
    source: str,
    plan: MemoryPlan,
    steps: Sequence[Step],
    spans: dict[str, tuple[int, int]],
    output_names: set[str],
) -> None:
    pair = f"({output!r}, {source!r})"
    if output not in spans or source not in spans or source in output_names:
        _fail(f"the overlapping pair {pair} is not two buffers, or a graph output would be overwritten")
    if spans[source][1] != spans[output][0]:
        _fail(f"{pair}: {source!r} is not used for the last time where {output!r} is first written")
    step = steps[plan.order[spans[output][0]]]
    names = [a.name if isinstance(a, Value) and a.data is None else None for a in step.arguments]
    if names.count(output) != 1 or names.count(source) != 1:
        _fail(f"{pair}: {step.name!r} is passed one of them twice")
    allowed = {(o, i): distance for o, i, distance in step.kernel.overlap}
    distance = allowed.get((names.index(output), names.index(source)))
    if distance is None:
        _fail(f"{pair}: the kernel {step.kernel.symbol!r} does not allow them to overlap")
    elif plan.placements[output].offset + distance > plan.placements[source].offset:
        _fail(f"{pair} are less than {distance} bytes apart")


def _check_overlaps(places: Sequence[Placement], declared: set[tuple[str, str]]) -> None:
    for at, a in enumerate(places):
        for b in places[at + 1 :]:
            live_together = a.first_step <= b.last_step and b.first_step <= a.last_step
            overlap = a.region == b.region and min(a.offset + a.bytes, b.offset + b.bytes) > max(a.offset, b.offset)
            if live_together and overlap and (a.name, b.name) not in declared:
                _fail(f"{a.name!r} and {b.name!r} are live at once and overlap")
