"""The static memory plan: the order of the steps and a place in the arena for every buffer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tinycast.ir.kernel import Kernel, MemoryPlan, Placement, Step
from tinycast.ir.types import Value
from tinycast.memory.certificate import check
from tinycast.memory.liveness import Graph, build_graph, lifetimes
from tinycast.memory.order import find_order
from tinycast.memory.place import legal_overlaps, place


@dataclass(frozen=True)
class Peak:
    """The most bytes live at once in the best order found, and the step (of the list given) that they are live in."""

    bytes: int
    step: int


def find_peak(steps: Sequence[Step], inputs: Sequence[Value], outputs: Sequence[Value], *, align: int) -> Peak:
    """What `plan_memory` cannot go below, without placing anything."""
    order = find_order(build_graph(steps, inputs, outputs, align))
    return Peak(order.peak_bytes, order.steps[order.peak_position] if order.steps else 0)


def plan_memory(steps: Sequence[Step], inputs: Sequence[Value], outputs: Sequence[Value], *, align: int) -> MemoryPlan:
    """Order `steps` and place every non-constant value they use; all offsets are multiples of `align` bytes.

    (Or of the widest element's, which a kernel's inner ones may have in its scratch.)
    The list given must be a valid order. Graph inputs are live from the start, graph outputs to the end.
    `lower_bound_bytes` is the peak of the order found: no placement for that order can be smaller. The
    plan has been checked; InternalError tells of steps that make no sense, or of a bug in the planner.
    """
    align = alignment(steps, align)
    graph = build_graph(steps, inputs, outputs, align)
    order = find_order(graph)
    layout = place(graph, order.steps, order.peak_bytes)
    spans = lifetimes(graph, order.steps)
    plan = MemoryPlan(
        order=order.steps,
        placements={
            b.name: Placement(b.name, offset, b.bytes, first, last)
            for b, offset, (first, last) in zip(graph.buffers, layout.offsets, spans, strict=True)
        },
        arena_bytes=layout.arena_bytes,
        lower_bound_bytes=order.peak_bytes,
        lower_bound_is_optimal=order.is_optimal,
        peak_step=order.peak_position,
        shared=tuple((graph.buffers[o].name, graph.buffers[i].name) for o, i in layout.pairs),
    )
    plan = replace(plan, overlapping=overlapping(plan, graph, order.steps))
    check(plan, steps, inputs, outputs, align)
    return plan


def alignment(steps: Sequence[Step], align: int) -> int:
    """Bytes that every offset is a multiple of: `align`, or the widest element's."""
    return max(align, *(_widest_bytes(step.kernel) for step in steps), 1)


def _widest_bytes(kernel: Kernel) -> int:
    own = max((p.dtype.itemsize for p in kernel.parameters), default=1)
    return max([own, *(_widest_bytes(call.kernel) for call in kernel.calls)])


def overlapping(plan: MemoryPlan, graph: Graph, order: Sequence[int]) -> tuple[tuple[str, str, int], ...]:
    """The allowed overlaps that the placement makes use of."""
    used = []
    for (output, source), distance in legal_overlaps(graph, order).items():
        o, i = plan.placements[graph.buffers[output].name], plan.placements[graph.buffers[source].name]
        if o.region != i.region:
            continue
        if o.offset < i.offset + i.bytes and i.offset < o.offset + o.bytes and (o.name, i.name) not in plan.shared:
            used.append((o.name, i.name, distance))
    return tuple(used)
