"""Operators whose kernels are written in C as steps."""

from __future__ import annotations

from tinycast.ir.graph import Call, Routine, TensorType
from tinycast.ir.kernel import Kernel, Parameter, Role, Step
from tinycast.ir.types import Value
from tinycast.ops.recurrent import Recurrent
from tinycast.ops.recurrent_vectors import VectorRecurrent
from tinycast.target.types import Target


def routine_step(call: Call, symbol: str, target: Target) -> Step:
    """The step of a Routine: its parameters are its operands, outputs and scratch, in order."""
    op = call.op
    assert isinstance(op, Routine)
    if type(op) is Recurrent and "float_lanes" in target.micro_kernels:
        op = VectorRecurrent(op.layer)
    inputs, outputs = _types(call.inputs), _types(call.outputs)
    scratch = tuple(
        Value(f"{call.output.name}.scratch_{i}", kind.shape, kind.dtype)
        for i, kind in enumerate(op.scratch(inputs, outputs))
    )
    groups = ((Role.INPUT, call.inputs), (Role.OUTPUT, call.outputs), (Role.SCRATCH, scratch))
    parameters = tuple(
        Parameter(f"{role.value}_{i}", v.dtype, role, v.bytes) for role, values in groups for i, v in enumerate(values)
    )
    in_place = tuple((len(inputs) + output, source) for output, source in op.in_place())
    kernel = Kernel(symbol, parameters, op.body(inputs, outputs), op.runtime, in_place)
    arguments = (*call.inputs, *call.outputs, *scratch)
    return Step(call.source, call.title, kernel, arguments, (call.source,), op.macs(call.inputs, outputs[0]))


def _types(values: tuple[Value, ...]) -> list[TensorType]:
    return [TensorType(v.shape, v.dtype) for v in values]
