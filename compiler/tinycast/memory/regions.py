"""Where buffers and weights lie in a chip with several memories, so that accesses cost little.

Buffers that are accessed often for their size go to the cheapest memory first, as long as a placement of what is there
fits; the rest goes on to the next one. Costs are those of `Region`, accesses those of `traffic`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tinycast.errors import FitError
from tinycast.ir.kernel import MemoryPlan, Placement, RegionUse, Step
from tinycast.ir.types import DType, Value
from tinycast.memory.certificate import check
from tinycast.memory.liveness import Graph, build_graph, lifetimes, live_bytes, restrict
from tinycast.memory.order import find_order
from tinycast.memory.place import Layout, place, place_quickly
from tinycast.memory.plan import alignment, overlapping
from tinycast.memory.traffic import traffic
from tinycast.target.types import Region, RegionKind

Content = tuple[DType, bytes]  # of a constant: equal ones are one array


def plan_regions(
    steps: Sequence[Step],
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    regions: Sequence[Region],
    *,
    align: int,
    thorough: bool = True,
) -> MemoryPlan:
    """As `plan_memory`, in the RAM of `regions`. FitError names the region that is too small, and by how much.

    Without `thorough` the placement is the first that fits: to compare choices.
    """
    rams = [region for region in regions if region.kind is RegionKind.RAM]
    align = alignment(steps, align)
    graph = build_graph(steps, inputs, outputs, align)
    order = find_order(graph)
    ports = {v.name for v in (*inputs, *outputs)}
    weight = dict.fromkeys((b.name for b in graph.buffers), 0.0)
    for step in steps:
        for value, accessed in traffic(step):
            if not value.is_constant:
                weight[value.name] += accessed
    chosen = _cheapest(graph, order.steps, rams, ports, weight)
    spans = lifetimes(graph, order.steps)
    placements: dict[str, Placement] = {}
    uses, shared = [], []
    for number, (region, members) in enumerate(zip(rams, chosen, strict=True)):
        part = restrict(graph, members)
        layout = _layout(part, order.steps, region.bytes, thorough=thorough)
        uses.append(RegionUse(region, layout.arena_bytes))
        shared += [(part.buffers[o].name, part.buffers[i].name) for o, i in layout.pairs]
        for at, member in enumerate(sorted(members)):
            b = graph.buffers[member]
            placements[b.name] = Placement(b.name, layout.offsets[at], b.bytes, *spans[member], number)
    plan = MemoryPlan(
        order=order.steps,
        placements={b.name: placements[b.name] for b in graph.buffers},
        arena_bytes=sum(use.bytes for use in uses),
        lower_bound_bytes=order.peak_bytes,
        lower_bound_is_optimal=order.is_optimal,
        peak_step=order.peak_position,
        shared=tuple(shared),
        regions=tuple(uses),
    )
    plan = replace(plan, overlapping=overlapping(plan, graph, order.steps))
    check(plan, steps, inputs, outputs, align)
    return plan


def cost(plan: MemoryPlan, steps: Sequence[Step], flash: Mapping[Content, Region]) -> float:
    """What the accesses of all steps cost, about: bytes times the cost of where they lie."""
    total = 0.0
    for step in steps:
        for value, accessed in traffic(step):
            region = flash[content(value)] if value.is_constant else plan.regions[plan.region_of(value.name)].region
            total += accessed * region.cost
    return total


def content(value: Value) -> Content:
    """What equal constants have in common."""
    assert value.data is not None
    return value.dtype, value.data.tobytes()


def place_weights(steps: Sequence[Step], regions: Sequence[Region], align: int) -> dict[Content, Region]:
    """The flash region of each constant that `steps` read; FitError names the one that is too small."""
    flashes = sorted((r for r in regions if r.kind is RegionKind.FLASH), key=lambda r: r.cost)
    accessed: dict[Content, float] = {}
    for step in steps:
        for value, reads in traffic(step):
            if value.is_constant:
                accessed[content(value)] = accessed.get(content(value), 0.0) + reads
    sizes = {key: -(-len(key[1]) // align) * align for key in accessed}
    left = {region.name: region.bytes for region in flashes}
    found: dict[Content, Region] = {}
    for key in sorted(accessed, key=lambda k: -accessed[k] / max(1, sizes[k])):
        region = next((r for r in flashes if sizes[key] <= left[r.name]), None)
        if region is None:
            largest = max(flashes, key=lambda r: r.bytes)
            short = sum(sizes.values()) - sum(r.bytes for r in flashes)
            raise FitError(
                f"the weights need {sum(sizes.values())} bytes of flash",
                where=f"memory region {largest.name}: {max(short, sizes[key] - left[largest.name])} bytes too small",
                fix="quantize or prune the model, or give a region more bytes",
            )
        found[key] = region
        left[region.name] -= sizes[key]
    return found


def _cheapest(
    graph: Graph, order: Sequence[int], rams: Sequence[Region], ports: set[str], weight: Mapping[str, float]
) -> list[set[int]]:
    """The buffers in each of `rams`."""
    buffers = graph.buffers
    # What matters most by byte first; where that does not fit, the largest first, as those are the hardest to place.
    rules: list[Callable[[int], float]] = [
        lambda b: -weight[buffers[b].name] / max(1, buffers[b].size),
        lambda b: -buffers[b].size,
    ]
    left: list[tuple[set[int], list[set[int]]]] = []
    for rule in rules:
        chosen, rest = _fill(graph, order, rams, ports, sorted(range(len(buffers)), key=lambda b: (rule(b), b)))
        if not rest:
            return chosen
        left.append((rest, chosen))
    rest, chosen = min(left, key=lambda each: sum(buffers[b].size for b in each[0]))
    must_be_io = any(buffers[b].name in ports for b in rest)
    at = max((i for i, r in enumerate(rams) if r.io or not must_be_io), key=lambda i: rams[i].bytes)
    members = chosen[at] | rest
    needed = _layout(restrict(graph, members), order, rams[at].bytes, thorough=True).arena_bytes
    largest = buffers[max(rest, key=lambda b: (buffers[b].size, -b))]
    raise FitError(
        f"the activations do not fit: {needed} bytes would have to be in region {rams[at].name}",
        where=f"memory region {rams[at].name}: {needed - rams[at].bytes} bytes too small, for {largest.name}",
        fix="give a region more bytes, use --optimize ram, or quantize or prune the model",
    )


def _fill(
    graph: Graph, order: Sequence[int], rams: Sequence[Region], ports: set[str], wanted: Sequence[int]
) -> tuple[list[set[int]], set[int]]:
    """Buffers of each region, taken in the order `wanted`, and those that nothing has room for."""
    chosen: list[set[int]] = [set() for _ in rams]
    rest = list(wanted)
    for at in sorted(range(len(rams)), key=lambda i: rams[i].cost):
        region, waiting = rams[at], rest
        rest = []
        for b in waiting:
            allowed = region.io or graph.buffers[b].name not in ports
            if allowed and _fits(restrict(graph, chosen[at] | {b}), order, region.bytes):
                chosen[at].add(b)
            else:
                rest.append(b)
    return chosen, set(rest)


def _fits(part: Graph, order: Sequence[int], room_bytes: int) -> bool:
    if sum(b.size for b in part.buffers) <= room_bytes:
        return True
    if max(live_bytes(part, order), default=0) > room_bytes:
        return False
    return place_quickly(part, order, room_bytes).arena_bytes <= room_bytes


def _layout(part: Graph, order: Sequence[int], room_bytes: int, *, thorough: bool) -> Layout:
    quick = place_quickly(part, order, room_bytes)
    if not thorough:
        return quick
    best = place(part, order, max(live_bytes(part, order), default=0))
    return best if best.arena_bytes <= quick.arena_bytes else quick
