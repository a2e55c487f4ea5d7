"""Placement against all placements of tiny graphs, and plans put to use with real bytes."""

from __future__ import annotations

import dataclasses
import hashlib
import random
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_graphs import ALIGN, GraphBuilder, random_graph
from tinycast.errors import InternalError
from tinycast.ir.kernel import MemoryPlan, Role
from tinycast.ir.types import Value
from tinycast.memory import check, plan_memory

Pair = tuple[str, str]
Memory = npt.NDArray[np.uint8]


def is_valid(g: GraphBuilder, plan: MemoryPlan, offsets: dict[str, int], shared: tuple[Pair, ...]) -> bool:
    places = {name: dataclasses.replace(p, offset=offsets[name]) for name, p in plan.placements.items()}
    arena_bytes = max((p.offset + p.bytes for p in places.values()), default=0)
    trial = dataclasses.replace(plan, placements=places, arena_bytes=arena_bytes, lower_bound_bytes=0, shared=shared)
    try:
        check(trial, g.steps, g.inputs, g.outputs, ALIGN)
    except InternalError:
        return False
    return True


def legal_pairs(g: GraphBuilder, plan: MemoryPlan) -> list[Pair]:
    """The pairs that the checker accepts when all other buffers lie far apart."""
    far_apart = {name: at * 4096 for at, name in enumerate(plan.placements)}
    found = set()
    for step in g.steps:
        for o, i in step.kernel.in_place:
            output, source = step.arguments[o], step.arguments[i]
            if isinstance(output, Value) and isinstance(source, Value):
                pair = (output.name, source.name)
                if is_valid(g, plan, far_apart | {pair[0]: far_apart[pair[1]]}, (pair,)):
                    found.add(pair)
    return sorted(found)


def fits(g: GraphBuilder, plan: MemoryPlan, arena_bytes: int) -> bool:
    """Whether any placement for `plan.order` fits in `arena_bytes`: tries all offsets with all sets of pairs."""
    places = sorted(plan.placements.values(), key=lambda p: -p.bytes)
    size = {p.name: -(-p.bytes // ALIGN) * ALIGN for p in places}
    if any(s > arena_bytes for s in size.values()):
        return False

    def extend(at: int, offsets: dict[str, int], shared: tuple[Pair, ...]) -> bool:
        if at == len(places):
            return is_valid(g, plan, offsets, shared)
        a = places[at]
        for offset in range(0, arena_bytes - size[a.name] + 1, ALIGN):
            clash = False
            for b in places[:at]:
                paired = (a.name, b.name) in shared or (b.name, a.name) in shared
                together = a.first_step <= b.last_step and b.first_step <= a.last_step
                overlap = offset < offsets[b.name] + size[b.name] and offsets[b.name] < offset + size[a.name]
                if (offset != offsets[b.name]) if paired else (together and overlap):
                    clash = True
                    break
            if not clash and extend(at + 1, offsets | {a.name: offset}, shared):
                return True
        return False

    legal = legal_pairs(g, plan)
    return any(extend(0, {}, choice) for count in range(len(legal) + 1) for choice in combinations(legal, count))


@settings(max_examples=80, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 4))
def test_no_smaller_arena_exists(rng: random.Random, count: int) -> None:
    g = random_graph(rng, count, sizes=(0, 16, 30, 48, 80))
    plan = plan_memory(g.steps, g.inputs, g.outputs, align=ALIGN)
    if plan.arena_bytes > plan.lower_bound_bytes:
        assert not fits(g, plan, plan.arena_bytes - ALIGN)
    else:
        assert plan.arena_bytes == plan.lower_bound_bytes


@pytest.mark.parametrize("seed", [242, 1393, 1665, 2048, 2075])
def test_gap_that_no_placement_closes(seed: int) -> None:
    """Graphs in which pairs at one offset leave gaps: the arena is above the lower bound, and as small as can be."""
    rng = random.Random(seed)
    g = random_graph(rng, rng.randint(3, 7), sizes=(16, 32, 48, 80, 112))
    plan = plan_memory(g.steps, g.inputs, g.outputs, align=ALIGN)
    assert plan.arena_bytes > plan.lower_bound_bytes
    assert not fits(g, plan, plan.arena_bytes - ALIGN)


def digest(length: int, *parts: bytes) -> Memory:
    """`length` bytes that depend on every bit of `parts`."""
    seed = hashlib.sha256(b"|".join(parts)).digest()
    return np.random.default_rng(int.from_bytes(seed[:8], "little")).integers(0, 256, length, dtype=np.uint8)


def run_directly(g: GraphBuilder) -> dict[str, bytes]:
    """What the steps compute in the order given, every value in memory of its own."""
    values = {v.name: digest(v.bytes, v.name.encode()) for v in g.inputs}
    for step in g.steps:
        reads = [values[v.name].tobytes() for v in step.values(Role.INPUT) if not v.is_constant]
        for v in step.values(Role.OUTPUT):
            old = values[v.name].tobytes() if v.name in values else b""
            values[v.name] = digest(v.bytes, v.name.encode(), step.name.encode(), old, *reads)
    return {v.name: values[v.name].tobytes() for v in g.outputs}


def run_in_arena(g: GraphBuilder, plan: MemoryPlan) -> dict[str, bytes]:
    """The same in one arena, by kernels that write garbage into outputs and scratch before they read."""
    arena = np.zeros(plan.arena_bytes, np.uint8)
    garbage = np.random.default_rng(7)

    def memory(name: str) -> Memory:
        place = plan.placements[name]
        return arena[place.offset : place.offset + place.bytes]

    for v in g.inputs:
        memory(v.name)[:] = digest(v.bytes, v.name.encode())
    written = {v.name for v in g.inputs}
    in_place = {output for output, _ in plan.shared}
    for index in plan.order:
        step = g.steps[index]
        outputs = step.values(Role.OUTPUT)
        fresh = [v for v in outputs if v.name not in written and v.name not in in_place]
        for v in [*step.values(Role.SCRATCH), *fresh]:
            memory(v.name)[:] = garbage.integers(0, 256, v.bytes, dtype=np.uint8)
        reads = [memory(v.name).tobytes() for v in step.values(Role.INPUT) if not v.is_constant]
        olds = [memory(v.name).tobytes() if v.name in written else b"" for v in outputs]
        for v, old in zip(outputs, olds, strict=True):
            memory(v.name)[:] = digest(v.bytes, v.name.encode(), step.name.encode(), old, *reads)
        for v in step.values(Role.SCRATCH):
            memory(v.name)[:] = garbage.integers(0, 256, v.bytes, dtype=np.uint8)
        written |= {v.name for v in outputs}
    return {v.name: memory(v.name).tobytes() for v in g.outputs}


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 25))
def test_arena_gives_the_same_results_as_separate_memory(rng: random.Random, count: int) -> None:
    g = random_graph(rng, count)
    plan = plan_memory(g.steps, g.inputs, g.outputs, align=ALIGN)
    assert run_in_arena(g, plan) == run_directly(g)
