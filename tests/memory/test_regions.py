"""Plans over several memories: legal for any graph, cheap, and honest about what does not fit."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_graphs import ALIGN, GraphBuilder, random_graph
from tinycast.errors import FitError, InternalError
from tinycast.memory import certificate, check, plan_memory
from tinycast.memory.regions import plan_regions
from tinycast.target.types import Region, RegionKind

RAM = RegionKind.RAM
BIG = 1 << 20


def regions(fast: int, slow: int, *, io: bool = True) -> tuple[Region, ...]:
    return (Region("slow", RAM, slow, 3.0), Region("fast", RAM, fast, 1.0, io=io))


def chain() -> GraphBuilder:
    g = GraphBuilder()
    x = g.then("stem", [g.input("image", 64)], 512, scratch_bytes=48)
    x = g.then("tail", [g.then("body", [x], 512, scratch_bytes=48)], 96)
    g.outputs = [x]
    return g


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12), st.sampled_from([16, 96, 300, 1000]), st.booleans())
def test_random_graphs_have_legal_plans(seed: int, steps: int, fast: int, io: bool) -> None:
    g = random_graph(random.Random(seed), steps)
    plan = plan_regions(g.steps, g.inputs, g.outputs, regions(fast, BIG, io=io), align=ALIGN)
    check(plan, g.steps, g.inputs, g.outputs, ALIGN)  # as plan_regions itself did
    slow, quick = plan.regions
    assert quick.bytes <= fast
    assert plan.arena_bytes == slow.bytes + quick.bytes >= plan.lower_bound_bytes
    ports = {v.name for v in (*g.inputs, *g.outputs)}
    assert io or not any(plan.region_of(name) == 1 for name in ports & set(plan.placements))
    assert [r["bytes"] for r in certificate(plan)["regions"]] == [slow.bytes, quick.bytes]


def test_one_region_takes_what_one_arena_does() -> None:
    g = chain()
    alone = plan_memory(g.steps, g.inputs, g.outputs, align=ALIGN)
    plan = plan_regions(g.steps, g.inputs, g.outputs, regions(BIG, BIG), align=ALIGN)
    assert [use.bytes for use in plan.regions] == [0, alone.arena_bytes]


def test_what_is_used_most_for_its_size_is_in_fast_memory() -> None:
    g = GraphBuilder()
    rare = g.then("rare", [g.input("image", 16)], 256)
    often = g.then("often", [rare], 256)
    for number in range(6):
        g.then(f"reader{number}", [often], 16)
    g.outputs = [g.then("last", [rare, often], 16)]
    plan = plan_regions(g.steps, g.inputs, g.outputs, regions(256, BIG), align=ALIGN)
    assert plan.region_of("often") == 1
    assert plan.region_of("rare") == 0


def test_what_does_not_fit_names_the_region_and_the_bytes() -> None:
    g = chain()
    with pytest.raises(FitError, match="slow") as caught:
        plan_regions(g.steps, g.inputs, g.outputs, regions(64, 600), align=ALIGN)
    short = int(str(caught.value).split(" bytes too small")[0].rsplit(" ", 1)[1])
    plan = plan_regions(g.steps, g.inputs, g.outputs, regions(64, 600 + short), align=ALIGN)
    assert plan.regions[0].bytes == 600 + short


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"region": 1}, "lies outside|overlap|may be"),
        ({"offset": BIG}, "lies outside"),
    ],
)
def test_the_certificate_refuses_a_buffer_elsewhere(change: dict[str, int], message: str) -> None:
    g = chain()
    plan = plan_regions(g.steps, g.inputs, g.outputs, regions(128, BIG, io=False), align=ALIGN)
    name = next(n for n, p in plan.placements.items() if p.region == 0 and p.bytes == 512)
    moved = replace(plan, placements={**plan.placements, name: replace(plan.placements[name], **change)})
    with pytest.raises(InternalError, match=message):
        check(moved, g.steps, g.inputs, g.outputs, ALIGN)


def test_the_certificate_refuses_ports_where_none_may_be_and_regions_too_small() -> None:
    g = chain()
    plan = plan_regions(g.steps, g.inputs, g.outputs, regions(BIG, BIG), align=ALIGN)
    slow, fast = plan.regions
    closed = replace(plan, regions=(slow, replace(fast, region=replace(fast.region, io=False))))
    small = replace(plan, regions=(slow, replace(fast, region=replace(fast.region, bytes=fast.bytes - 1))))
    for wrong, message in ((closed, "input or output"), (small, "are used")):
        with pytest.raises(InternalError, match=message):
            check(wrong, g.steps, g.inputs, g.outputs, ALIGN)
