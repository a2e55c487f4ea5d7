"""Operators whose kernels are written in C as steps."""

from __future__ import annotations

from tinycast.ir.graph import Call, Routine, TensorType
from tinycast.ir.kernel import Kernel, Parameter, Role, Step
from tinycast.ir.types import Value


def routine_step(call: Call, symbol: str) -> Step:
    """The step of a Routine: its parameters are its operands and outputs, in order."""
    op = call.op
    assert isinstance(op, Routine)
    inputs, outputs = call.inputs, call.outputs
    body = op.body(_types(inputs), _types(outputs))
    parameters = (
        *(Parameter(f"input_{i}", v.dtype, Role.INPUT, v.bytes) for i, v in enumerate(inputs)),
        *(Parameter(f"output_{i}", v.dtype, Role.OUTPUT, v.bytes) for i, v in enumerate(outputs)),
    )
    kernel = Kernel(symbol, parameters, body, op.runtime)
    return Step(call.source, call.title, kernel, (*inputs, *outputs), (call.source,))


def _types(values: tuple[Value, ...]) -> list[TensorType]:
    return [TensorType(v.shape, v.dtype) for v in values]
