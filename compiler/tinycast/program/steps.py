"""A program to layers: its groups become kernels, and so do the programs inside of it."""

from __future__ import annotations

from tinycast.ir.graph import Program
from tinycast.ops.control import Control
from tinycast.program.lower import to_groups
from tinycast.schedule.control import control_step
from tinycast.schedule.kernel import make_step
from tinycast.schedule.stream_strips import Layer
from tinycast.schedule.tuning import Tuning
from tinycast.target.types import Target


def to_layers(program: Program, target: Target, tuning: Tuning | None = None, prefix: str = "") -> list[Layer]:
    """Lay the program out for the target and compile it, in an order in which the layers' steps can run.

    `tuning` has schedules that were measured. `prefix` begins the kernels' names.
    """
    layers = []
    for i, group in enumerate(to_groups(program)):
        symbol = f"{prefix}{group.kind}_{i}"
        call = group.calls[0]
        if not isinstance(call.op, Control):
            step = make_step(group.calls, group.anchor, target, symbol, tuning)
            layers.append(Layer(tuple(group.calls), group.anchor, step))
            continue
        bodies = []
        for body in call.op.bodies:
            known = len(body.notes)
            bodies.append([layer.step for layer in to_layers(body, target, tuning, f"{symbol}_")])
            program.notes += body.notes[known:]
        layers.append(Layer((call,), None, control_step(call, bodies, target, symbol)))
    return layers
