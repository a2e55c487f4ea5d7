"""The steps that put states into their places, for the next run."""

from __future__ import annotations

from collections.abc import Sequence

from tinycast.ir.kernel import Kernel, Parameter, Role, Step
from tinycast.ir.types import Value


def keep_states(steps: Sequence[Step], states: Sequence[tuple[Value, Value]], outputs: Sequence[Value]) -> list[Step]:
    """`steps`, which compute the second value of each pair from the first, with the second stored where the first was.

    The step that computes it writes it there, where all that need the old content have run before or the kernel works
    in place; else a copy at the end does.
    """
    steps = list(steps)
    for state, result in states:
        writer = _direct_writer(steps, state, result, outputs)
        if writer is None:
            steps.append(_copy(result, state))
            continue
        for step in steps[writer:]:
            step.arguments = tuple(state if _is(a, result) else a for a in step.arguments)
    return steps


def _is(argument: object, value: Value) -> bool:
    return isinstance(argument, Value) and argument.name == value.name


def _direct_writer(steps: Sequence[Step], state: Value, result: Value, outputs: Sequence[Value]) -> int | None:
    """The step that may write `result` over `state`."""
    if result.is_constant or result in outputs:
        return None
    writers = [i for i, step in enumerate(steps) if any(v.name == result.name for v in step.values(Role.OUTPUT))]
    readers = [i for i, step in enumerate(steps) if any(v.name == state.name for v in step.values(Role.INPUT))]
    if len(writers) != 1 or any(reader > writers[0] for reader in readers):
        return None
    step = steps[writers[0]]
    written = [i for i, argument in enumerate(step.arguments) if _is(argument, result)]
    read = [i for i, argument in enumerate(step.arguments) if _is(argument, state)]
    return writers[0] if all((o, i) in step.kernel.in_place for o in written for i in read) else None


def _copy(result: Value, state: Value) -> Step:
    parameters = (
        Parameter("input_0", result.dtype, Role.INPUT, result.bytes),
        Parameter("output_0", state.dtype, Role.OUTPUT, state.bytes),
    )
    body = f"tc_copy(output_0, input_0, {state.bytes});"
    kernel = Kernel("keep_state", parameters, body, frozenset({"tc_copy.h"}))
    return Step(state.name, "KeepState", kernel, (result, state), (state.name,))
