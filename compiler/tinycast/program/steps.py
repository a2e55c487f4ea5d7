"""A program to steps: its groups become kernels, and so do the programs inside of it."""

from __future__ import annotations

from tinycast.ir.graph import Program
from tinycast.ir.kernel import Step
from tinycast.ops.control import Control
from tinycast.program.lower import to_groups
from tinycast.schedule.control import control_step
from tinycast.schedule.kernel import make_step
from tinycast.target.types import Target


def to_steps(program: Program, target: Target, prefix: str = "") -> list[Step]:
    """Lay the program out for the target and compile it, in an order in which the steps can run.

    `prefix` begins the kernels' names.
    """
    steps = []
    for i, group in enumerate(to_groups(program)):
        symbol = f"{prefix}{group.kind}_{i}"
        call = group.calls[0]
        if not isinstance(call.op, Control):
            steps.append(make_step(group.calls, group.anchor, target, symbol))
            continue
        bodies = []
        for body in call.op.bodies:
            known = len(body.notes)
            bodies.append(to_steps(body, target, f"{symbol}_"))
            program.notes += body.notes[known:]
        steps.append(control_step(call, bodies, target, symbol))
    return steps
