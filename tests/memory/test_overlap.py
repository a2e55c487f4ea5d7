"""Outputs that grow into the input they are computed from."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tinycast.errors import InternalError
from tinycast.ir.kernel import Kernel, Parameter, Role, Step
from tinycast.ir.types import DType, Value
from tinycast.memory import check, plan_memory


def value(name: str, size: int) -> Value:
    return Value(name, (size,), DType.INT8)


def step(source: Value, output: Value, distance: int | None, scratch: int = 0) -> Step:
    """A kernel that may lay its output `distance` bytes below its input."""
    parameters = [
        Parameter("input", DType.INT8, Role.INPUT, source.bytes),
        Parameter("output", DType.INT8, Role.OUTPUT, output.bytes),
    ]
    arguments = [source, output]
    if scratch:
        parameters.append(Parameter("rows", DType.INT8, Role.SCRATCH, scratch))
        arguments.append(value(f"{output.name}.rows", scratch))
    overlap = () if distance is None else ((1, 0, distance),)
    kernel = Kernel("kernel", tuple(parameters), "", overlap=overlap)
    return Step(output.name, "Conv", kernel, tuple(arguments))


def test_the_output_lies_one_row_below_the_input() -> None:
    x, y, z = value("x", 4000), value("y", 4000), value("z", 4000)
    plan = plan_memory([step(x, y, 200, 300), step(y, z, 200, 300)], [x], [z], align=4)
    assert plan.lower_bound_bytes == 4000 + 200 + 300
    assert plan.arena_bytes == 4600  # each output lies lower than the one before: 100 bytes above the bound
    assert plan.placements["y"].offset + 200 <= plan.placements["x"].offset
    assert {pair[:2] for pair in plan.overlapping} == {("y", "x"), ("z", "y")}


def test_a_growing_output_takes_its_own_size() -> None:
    x, y = value("x", 1000), value("y", 2000)
    plan = plan_memory([step(x, y, 1010)], [x], [y], align=4)
    assert plan.arena_bytes == 1012 + 1000


def test_an_input_that_is_needed_later_is_left_alone() -> None:
    x, y, z = value("x", 1000), value("y", 1000), value("z", 1000)
    plan = plan_memory([step(x, y, 0), step(x, z, 0)], [x], [y, z], align=4)
    assert plan.arena_bytes == 2000
    first, second = plan.placements["x"], plan.placements["y"]
    assert abs(first.offset - second.offset) >= 1000


def test_a_graph_output_is_not_overwritten() -> None:
    x, y = value("x", 1000), value("y", 1000)
    plan = plan_memory([step(x, y, 0)], [x], [x, y], align=4)
    assert plan.arena_bytes == 2000
    assert not plan.overlapping


@pytest.mark.parametrize("shift", [-4, 4])
def test_the_check_refuses_a_smaller_distance(shift: int) -> None:
    x, y = value("x", 1000), value("y", 1000)
    steps = [step(x, y, 100)]
    plan = plan_memory(steps, [x], [y], align=4)
    place = plan.placements["x"]
    moved = {**plan.placements, "x": replace(place, offset=place.offset + shift)}
    changed = replace(plan, placements=moved, arena_bytes=plan.arena_bytes + 4)
    if shift > 0:
        check(changed, steps, [x], [y], 4)
        assert changed.placements["x"].offset == 104
    else:
        with pytest.raises(InternalError, match="less than 100 bytes apart"):
            check(changed, steps, [x], [y], 4)


def test_the_check_refuses_an_overlap_that_the_kernel_does_not_allow() -> None:
    x, y = value("x", 1000), value("y", 1000)
    plan = plan_memory([step(x, y, 100)], [x], [y], align=4)
    with pytest.raises(InternalError, match="does not allow"):
        check(plan, [step(x, y, None)], [x], [y], 4)
