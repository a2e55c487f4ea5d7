"""The checker must catch every planted error."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from memory_graphs import ALIGN, GraphBuilder, random_graph
from tinycast.errors import InternalError
from tinycast.ir.kernel import MemoryPlan
from tinycast.memory import check, plan_memory


@pytest.fixture
def residual() -> GraphBuilder:
    g = GraphBuilder()
    x = g.then("stem", [g.input("image", 48)], 256)
    body = g.then("conv2", [g.then("conv1", [x], 256, scratch_bytes=16)], 256)
    g.outputs = [x, g.then("relu", [g.then("add", [body, x], 256)], 256, in_place=True)]
    return g


def plan(g: GraphBuilder) -> MemoryPlan:
    return plan_memory(g.steps, g.inputs, g.outputs, align=ALIGN)


def moved(p: MemoryPlan, buffer: str, /, **change: object) -> MemoryPlan:
    return replace(p, placements={**p.placements, buffer: replace(p.placements[buffer], **change)})  # type: ignore[arg-type]


def assert_refused(g: GraphBuilder, p: MemoryPlan, message: str) -> None:
    with pytest.raises(InternalError, match=message):
        check(p, g.steps, g.inputs, g.outputs, ALIGN)


def test_overlap(residual: GraphBuilder) -> None:
    p = plan(residual)
    assert_refused(residual, moved(p, "conv1", offset=p.placements["stem"].offset), "live at once and overlap")
    scratch = moved(p, "conv1.scratch", offset=p.placements["conv1"].offset)
    assert_refused(residual, scratch, "live at once and overlap")


def test_partial_overlap(residual: GraphBuilder) -> None:
    p = plan(residual)
    wide = replace(moved(p, "conv1", offset=p.placements["stem"].offset + 240), arena_bytes=4096)
    assert_refused(residual, wide, "live at once and overlap")


def test_pair_that_was_not_declared(residual: GraphBuilder) -> None:
    p = plan(residual)
    assert p.shared == (("relu", "add"),)
    assert_refused(residual, replace(p, shared=()), "live at once and overlap")


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("add", "conv2"), "cannot work in place"),
        (("relu", "conv2"), "not used for the last time"),
        (("conv1", "stem"), "graph output 'stem' may not be overwritten"),
        (("relu", "relu"), "not two buffers"),
        (("relu", "nothing"), "not two buffers"),
    ],
)
def test_pair_that_is_not_legal(residual: GraphBuilder, pair: tuple[str, str], message: str) -> None:
    p = plan(residual)
    if pair[1] in p.placements:
        p = moved(p, pair[0], offset=p.placements[pair[1]].offset)
    assert_refused(residual, replace(p, shared=(pair,)), message)


def test_pair_with_scratch(residual: GraphBuilder) -> None:
    p = moved(plan(residual), "conv1", offset=0)
    pair = ("conv1", "conv1.scratch")
    p = moved(p, "conv1.scratch", offset=0)
    assert_refused(residual, replace(p, shared=(pair,)), "not used for the last time|not an output and an input")


def test_pair_at_two_offsets(residual: GraphBuilder) -> None:
    p = plan(residual)
    apart = replace(moved(p, "relu", offset=p.arena_bytes), arena_bytes=2 * p.arena_bytes)
    assert_refused(residual, apart, "do not start at one offset")


def test_misaligned(residual: GraphBuilder) -> None:
    p = replace(plan(residual), arena_bytes=4096)
    assert_refused(residual, moved(p, "image", offset=2048 + 8), "not aligned")


def test_outside_the_arena(residual: GraphBuilder) -> None:
    p = plan(residual)
    assert_refused(residual, moved(p, "image", offset=p.arena_bytes), "outside the arena")
    assert_refused(residual, moved(p, "image", offset=-ALIGN), "outside the arena")
    assert_refused(residual, replace(p, arena_bytes=p.arena_bytes - 1), "outside the arena")


def test_order(residual: GraphBuilder) -> None:
    p = plan(residual)
    assert_refused(residual, replace(p, order=(1, 0, *p.order[2:])), "'conv1' runs before 'stem', but both use 'stem'")
    assert_refused(residual, replace(p, order=p.order[1:]), "permutation")
    assert_refused(residual, replace(p, order=(0, *p.order[:-1])), "permutation")


def test_order_of_two_writers() -> None:
    g = GraphBuilder()
    x, whole = g.input("x", 64), GraphBuilder().value("whole", 96)
    g.step("left", [x], [whole])
    g.step("right", [x], [whole])
    g.outputs = [whole]
    assert_refused(g, replace(plan(g), order=(1, 0)), "both use 'whole'")


def test_missing_and_unknown_buffers(residual: GraphBuilder) -> None:
    p = plan(residual)
    without = {name: place for name, place in p.placements.items() if name != "conv2"}
    assert_refused(residual, replace(p, placements=without), "conv2")
    extra = {**p.placements, "ghost": replace(p.placements["conv2"], name="ghost")}
    assert_refused(residual, replace(p, placements=extra), "ghost")


def test_wrong_size_name_and_lifetime(residual: GraphBuilder) -> None:
    p = plan(residual)
    assert_refused(residual, moved(p, "conv2", bytes=128), "has 256 bytes")
    assert_refused(residual, moved(p, "conv2", name="conv1"), "is placed as 'conv1'")
    assert_refused(residual, moved(p, "conv2", last_step=2), "'conv2' is live over steps")
    assert_refused(residual, moved(p, "image", first_step=1), "'image' is live over steps")


def test_figures(residual: GraphBuilder) -> None:
    p = plan(residual)
    assert_refused(residual, replace(p, lower_bound_bytes=p.arena_bytes + 1), "below its lower bound")
    assert_refused(residual, replace(p, peak_step=len(p.order)), "no step 5")


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.data())
def test_any_move_onto_a_live_buffer_is_caught(rng: random.Random, data: st.DataObject) -> None:
    g = random_graph(rng, rng.randint(1, 20))
    p = plan(g)
    both = [
        (a.name, b.name)
        for a in p.placements.values()
        for b in p.placements.values()
        if a.name != b.name
        and min(a.bytes, b.bytes) > 0
        and a.first_step <= b.last_step
        and b.first_step <= a.last_step
        and not {(a.name, b.name), (b.name, a.name)} & set(p.shared)
    ]
    assume(both)
    victim, onto = data.draw(st.sampled_from(both))
    broken = replace(moved(p, victim, offset=p.placements[onto].offset), arena_bytes=2 * p.arena_bytes)
    with pytest.raises(InternalError):
        check(broken, g.steps, g.inputs, g.outputs, ALIGN)
