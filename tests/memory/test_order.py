"""The order of the steps against all orders there are, computed without the planner's code."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st
from memory_graphs import ALIGN, GraphBuilder, random_graph
from tinycast.ir.kernel import Role, Step
from tinycast.ir.types import Value
from tinycast.memory import plan_memory
from tinycast.memory.liveness import build_graph
from tinycast.memory.order import find_order


def buffers(step: Step, *roles: Role) -> list[str]:
    return [v.name for role in roles for v in step.values(role) if not v.is_constant]


def all_orders(steps: Sequence[Step]) -> Iterator[list[int]]:
    def must_precede(a: int, b: int) -> bool:
        wrote, used = set(buffers(steps[a], Role.OUTPUT)), set(buffers(steps[a], Role.INPUT, Role.OUTPUT))
        writes, uses = set(buffers(steps[b], Role.OUTPUT)), set(buffers(steps[b], Role.INPUT, Role.OUTPUT))
        return a < b and bool(wrote & uses or used & writes)

    def extend(order: list[int]) -> Iterator[list[int]]:
        if len(order) == len(steps):
            yield order
        rest = [s for s in range(len(steps)) if s not in order]
        for step in rest:
            if not any(must_precede(other, step) for other in rest):
                yield from extend([*order, step])

    return extend([])


def naive_peak(g: GraphBuilder, order: Sequence[int]) -> int:
    """Bytes live at once at most, the best choice of in-place pairs counted once: by trying all choices."""
    steps = [g.steps[i] for i in order]
    values: dict[str, Value] = {v.name: v for v in g.inputs}
    first = {v.name: 0 for v in g.inputs}
    last = {v.name: 0 for v in g.inputs}
    for at, step in enumerate(steps):
        for role in (Role.INPUT, Role.OUTPUT, Role.SCRATCH):
            for v in step.values(role):
                if not v.is_constant:
                    values[v.name] = v
                    first.setdefault(v.name, at)
                    last[v.name] = at
    kept = {v.name for v in g.outputs}
    last |= {name: max(len(steps) - 1, 0) for name in kept}
    size = {name: -(-v.bytes // ALIGN) * ALIGN for name, v in values.items()}
    peak = sum(size[v.name] for v in g.inputs)
    for at, step in enumerate(steps):
        live = sum(size[name] for name in values if first[name] <= at <= last[name])
        arguments = [a.name if isinstance(a, Value) else None for a in step.arguments]
        pairs = {
            (arguments[o], arguments[i])
            for o, i in step.kernel.in_place
            if all(
                (p, q) in step.kernel.in_place
                for p, _ in enumerate(arguments)
                for q, _ in enumerate(arguments)
                if (arguments[p], arguments[q]) == (arguments[o], arguments[i])
            )
        }
        written_before = {n for s in steps[:at] for n in buffers(s, Role.OUTPUT)} | {v.name for v in g.inputs}
        legal = [(o, i) for o, i in pairs if o not in written_before and i not in kept and last[i] == at]
        saved = 0
        for count in range(1, len(legal) + 1):
            for choice in combinations(legal, count):
                if len({o for o, _ in choice}) == len({i for _, i in choice}) == count:
                    saved = max(saved, sum(min(size[o], size[i]) for o, i in choice))
        peak = max(peak, live - saved)
    return peak


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 6))
def test_peak_is_the_smallest_of_all_orders(rng: random.Random, count: int) -> None:
    g = random_graph(rng, count)
    plan = plan_memory(g.steps, g.inputs, g.outputs, align=ALIGN)
    assert plan.lower_bound_is_optimal
    assert plan.lower_bound_bytes == naive_peak(g, plan.order)
    assert plan.lower_bound_bytes == min(naive_peak(g, order) for order in all_orders(g.steps))


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(20, 60))
def test_never_worse_than_the_given_order(rng: random.Random, count: int) -> None:
    g = random_graph(rng, count, window=12)
    order = find_order(build_graph(g.steps, g.inputs, g.outputs, ALIGN))
    assert order.peak_bytes == naive_peak(g, order.steps)
    assert order.peak_bytes <= naive_peak(g, range(count))


def test_fifteen_independent_steps_are_solved_exactly() -> None:
    rng = random.Random(3)
    g = GraphBuilder()
    shared = [g.input(f"in{i}", rng.randrange(16, 2000)) for i in range(5)]
    parts = [
        g.then(f"s{i}", rng.sample(shared, 2), rng.randrange(16, 2000), scratch_bytes=rng.randrange(3000))
        for i in range(14)
    ]
    g.outputs = [g.then("end", parts, 16)]
    order = find_order(build_graph(g.steps, g.inputs, g.outputs, ALIGN))
    assert order.is_optimal
    assert order.peak_bytes < naive_peak(g, range(15))


def test_inception_network_is_proven() -> None:
    """Nine modules of four branches: 81 steps, far more than 2^30 sets, but each module is solved by itself."""
    g = GraphBuilder()
    x = g.input("image", 3000)
    for module in range(9):
        ends = []
        for branch, sizes in enumerate(((800,), (600, 1200), (200, 400, 400), (1500, 300))):
            v = x
            for depth, size in enumerate(sizes):
                v = g.then(f"m{module}_{branch}_{depth}", [v], size, scratch_bytes=100)
            ends.append(v)
        x = g.then(f"concat{module}", ends, 2700)
    g.outputs = [x]
    order = find_order(build_graph(g.steps, g.inputs, g.outputs, ALIGN))
    assert order.is_optimal
    assert order.peak_bytes == naive_peak(g, order.steps) < naive_peak(g, range(len(g.steps)))


def test_given_order_stays_where_none_is_better() -> None:
    g = GraphBuilder()
    x = g.input("x", 64)
    left, right = g.then("left", [x], 32), g.then("right", [x], 32)
    g.outputs = [g.then("add", [right, left], 32)]
    assert plan_memory(g.steps, g.inputs, g.outputs, align=ALIGN).order == (0, 1, 2)
