"""The planner on graphs like those of real networks."""

from __future__ import annotations

import json
import random
import time

import pytest
from memory_graphs import ALIGN, GraphBuilder, random_graph
from tinycast.errors import InternalError
from tinycast.ir.kernel import MemoryPlan, Role
from tinycast.memory import certificate, plan_memory


def plan(g: GraphBuilder) -> MemoryPlan:
    return plan_memory(g.steps, g.inputs, g.outputs, align=ALIGN)


def test_chain_needs_two_neighbours_at_a_time() -> None:
    g = GraphBuilder()
    a = g.then("a", [g.input("x", 160)], 320)
    b = g.then("b", [a], 64)
    g.outputs = [g.then("c", [b], 16)]
    p = plan(g)
    assert (p.arena_bytes, p.lower_bound_bytes, p.lower_bound_is_optimal) == (480, 480, True)
    assert p.peak_step == 0
    assert p.order == (0, 1, 2)


def test_sizes_are_rounded_up_and_offsets_aligned() -> None:
    g = GraphBuilder()
    g.outputs = [g.then("a", [g.input("x", 5), g.input("y", 17)], 1)]
    p = plan(g)
    assert p.arena_bytes == p.lower_bound_bytes == 16 + 32 + 16
    assert all(place.offset % ALIGN == 0 for place in p.placements.values())
    assert p.placements["x"].bytes == 5


def test_constants_take_no_room() -> None:
    g = GraphBuilder()
    g.outputs = [g.then("a", [g.input("x", 16), g.constant("w", 4096)], 16), g.constant("c", 64)]
    p = plan(g)
    assert p.arena_bytes == 32
    assert set(p.placements) == {"x", "a"}


def test_scratch_is_live_in_its_step_only() -> None:
    g = GraphBuilder()
    a = g.then("a", [g.input("x", 16)], 16, scratch_bytes=64)
    g.outputs = [g.then("b", [a], 64)]
    p = plan(g)
    assert p.arena_bytes == 16 + 16 + 64
    assert (p.placements["a.scratch"].first_step, p.placements["a.scratch"].last_step) == (0, 0)


def test_residual_block_keeps_its_input_and_adds_in_place() -> None:
    g = GraphBuilder()
    x = g.then("stem", [g.input("image", 48)], 256)
    body = g.then("conv2", [g.then("conv1", [x], 256)], 256)
    g.outputs = [g.then("fc", [g.then("add", [body, x], 256, in_place=True)], 16)]
    p = plan(g)
    assert p.arena_bytes == p.lower_bound_bytes == 3 * 256
    assert {source for _, source in p.shared} <= {"conv2", "stem"}
    assert len(p.shared) == 1


def test_branches_run_one_after_the_other() -> None:
    """Four branches, each wide inside and narrow at its end, given with the wide steps first."""
    g = GraphBuilder()
    x = g.then("stem", [g.input("image", 16)], 128)
    wide = [g.then(f"wide{i}", [x], 512) for i in range(4)]
    narrow = [g.then(f"narrow{i}", [w], 32) for i, w in enumerate(wide)]
    g.outputs = [g.then("concat", narrow, 128)]
    p = plan(g)
    assert p.lower_bound_is_optimal
    assert p.arena_bytes == p.lower_bound_bytes == 3 * 32 + 512 + 128
    assert (
        max(
            sum(1 for v in p.placements.values() if v.name.startswith("wide") and v.first_step <= s <= v.last_step)
            for s in range(len(p.order))
        )
        == 1
    )


def test_concat_written_in_parts_is_live_from_its_first_part() -> None:
    g = GraphBuilder()
    x = g.input("x", 64)
    whole = g.value("whole", 96)
    g.step("left", [x], [whole])
    g.step("right", [x], [whole])
    g.outputs = [g.then("end", [whole], 16)]
    p = plan(g)
    assert p.order == (0, 1, 2)
    assert (p.placements["whole"].first_step, p.placements["whole"].last_step) == (0, 2)


def test_chain_of_in_place_steps_is_one_buffer() -> None:
    g = GraphBuilder()
    v = g.input("x", 128)
    for name in ("relu", "scale", "clip"):
        v = g.then(name, [v], 128, in_place=True)
    g.outputs = [v]
    p = plan(g)
    assert p.arena_bytes == p.lower_bound_bytes == 128
    assert p.shared == (("relu", "x"), ("scale", "relu"), ("clip", "scale"))


def test_room_freed_by_a_shrinking_chain_is_used_again() -> None:
    """`big` and `small` share their start; what `big` had beyond `small` is free once `big` is dead."""
    g = GraphBuilder()
    big = g.input("big", 256)
    small = g.then("small", [big], 64, in_place=True)
    late = g.then("late", [small], 192)
    g.outputs = [g.then("end", [late, small], 16, in_place=True)]
    p = plan(g)
    assert p.arena_bytes == p.lower_bound_bytes == 256


def test_larger_output_in_place_takes_the_larger_size() -> None:
    g = GraphBuilder()
    g.outputs = [g.then("widen", [g.input("x", 64)], 256, in_place=True)]
    p = plan(g)
    assert p.arena_bytes == p.lower_bound_bytes == 256
    assert p.shared == (("widen", "x"),)


def test_input_still_needed_is_not_overwritten() -> None:
    g = GraphBuilder()
    x = g.input("x", 64)
    relu = g.then("relu", [x], 64, in_place=True)
    g.outputs = [g.then("sub", [x, relu], 64)]
    p = plan(g)
    assert ("relu", "x") not in p.shared
    assert p.arena_bytes == 192


def test_graph_output_is_not_overwritten() -> None:
    g = GraphBuilder()
    a = g.then("a", [g.input("x", 64)], 64)
    g.outputs = [a, g.then("b", [a], 64, in_place=True)]
    p = plan(g)
    assert p.shared == ()
    assert p.placements["a"].last_step == 1


def test_value_passed_twice_is_overwritten_only_if_both_places_allow_it() -> None:
    def doubled(pairs: list[tuple[int, int]]) -> MemoryPlan:
        g = GraphBuilder()
        x = g.input("x", 64)
        out = g.value("out", 64)
        g.step("add", [x, x], [out], in_place=pairs)
        g.outputs = [out]
        return plan(g)

    assert doubled([(0, 0)]).arena_bytes == 128
    assert doubled([(0, 0), (0, 1)]).arena_bytes == 64


def test_two_outputs_share_two_inputs() -> None:
    g = GraphBuilder()
    a, b = g.input("a", 64), g.input("b", 256)
    outs = [g.value("p", 256), g.value("q", 64)]
    g.step("swap", [a, b], outs, in_place=[(0, 0), (0, 1), (1, 0), (1, 1)])
    g.outputs = outs
    p = plan(g)
    assert p.arena_bytes == p.lower_bound_bytes == 320
    assert set(p.shared) == {("p", "b"), ("q", "a")}


def test_input_that_is_an_output_stays() -> None:
    g = GraphBuilder()
    x = g.input("x", 32)
    g.outputs = [x, g.then("b", [g.then("a", [x], 64, in_place=True)], 32, in_place=True)]
    p = plan(g)
    assert (p.placements["x"].first_step, p.placements["x"].last_step) == (0, 1)
    assert p.arena_bytes == 32 + 64


def test_no_steps_at_all() -> None:
    g = GraphBuilder()
    g.outputs = [g.input("x", 20)]
    p = plan(g)
    assert (p.order, p.arena_bytes, p.lower_bound_bytes) == ((), 32, 32)


def test_unused_input_has_a_place() -> None:
    g = GraphBuilder()
    x, _ = g.input("x", 32), g.input("idle", 512)
    g.outputs = [g.then("b", [g.then("a", [x], 32)], 256)]
    p = plan(g)
    assert (p.placements["idle"].first_step, p.placements["idle"].last_step) == (0, 0)
    assert p.arena_bytes == p.lower_bound_bytes == 576


def test_output_nobody_reads_has_a_place() -> None:
    g = GraphBuilder()
    x = g.input("x", 32)
    out, unused = g.value("out", 32), g.value("unused", 32)
    g.step("split", [x], [out, unused])
    g.outputs = [out]
    assert plan(g).arena_bytes == 96


def test_empty_values_take_no_room() -> None:
    g = GraphBuilder()
    g.outputs = [g.then("a", [g.input("x", 0)], 0)]
    assert plan(g).arena_bytes == 0


def test_meaningless_steps_are_refused() -> None:
    g = GraphBuilder()
    g.outputs = [g.then("a", [g.value("nowhere", 16)], 16)]
    with pytest.raises(InternalError, match="'nowhere' is read before"):
        plan(g)
    g = GraphBuilder(outputs=[GraphBuilder().value("y", 16)])
    with pytest.raises(InternalError, match="no step writes the graph output 'y'"):
        plan(g)
    g = GraphBuilder()
    g.outputs = [g.then("a", [g.input("a", 16)], 32)]
    with pytest.raises(InternalError, match="different size"):
        plan(g)
    g = GraphBuilder()
    a = g.then("a", [g.input("x", 16)], 16, scratch_bytes=32)
    g.outputs = [g.then("b", [a, g.steps[0].values(Role.SCRATCH)[0]], 16)]
    with pytest.raises(InternalError, match=r"scratch 'a\.scratch'"):
        plan(g)


def test_in_place_is_for_an_output_and_an_input() -> None:
    g = GraphBuilder()
    out = g.value("out", 16)
    g.step("a", [g.input("x", 16)], [out], scratch_bytes=16, in_place=[(1, 0)])
    g.outputs = [out]
    with pytest.raises(InternalError, match="in_place must pair outputs with inputs"):
        plan(g)


def test_certificate_is_json_and_adds_up() -> None:
    g = GraphBuilder()
    a = g.then("a", [g.input("x", 160)], 320)
    g.outputs = [g.then("b", [a], 64, in_place=True)]
    found = json.loads(json.dumps(certificate(plan(g))))
    assert found["gap_bytes"] == found["arena_bytes"] - found["lower_bound_bytes"] == 0
    assert found["lower_bound_is_optimal"] is True
    assert found["peak_step"] == 0
    assert [(b["name"], b["bytes"]) for b in found["live_at_peak"]] == [("a", 320), ("x", 160)]
    assert found["shared"] == [["b", "a"]]


def test_same_graph_same_plan() -> None:
    for seed in range(5):
        first = plan(random_graph(random.Random(seed), 40))
        second = plan(random_graph(random.Random(seed), 40))
        assert first == second


@pytest.mark.parametrize(("steps", "window"), [(200, 6), (300, 4), (300, 30)])
def test_large_graph_is_planned_within_seconds(steps: int, window: int) -> None:
    g = random_graph(random.Random(1), steps, window=window)
    begin = time.process_time()
    p = plan(g)
    assert time.process_time() - begin < 6  # 1 to 2 s; the margin is for a slow machine
    assert p.arena_bytes <= 1.3 * p.lower_bound_bytes
