"""States of the program: inputs that each run takes from the run before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir

from tinycast.errors import InternalError
from tinycast.ir.graph import Builder, Program, ProgramState
from tinycast.ir.kernel import Port, StatePort
from tinycast.ir.types import Value
from tinycast.model.state import State
from tinycast.ops.quantize import Alias


def note_states(program: Program, model: onnx_ir.Model, states: Sequence[State]) -> None:
    """Tell the program which of its inputs and outputs are states."""
    inputs = [value.name for value in model.graph.inputs]
    outputs = [value.name for value in model.graph.outputs]
    program.states = [ProgramState(inputs.index(s.input), outputs.index(s.output), s.initial) for s in states]


def separate_states(program: Program) -> None:
    """Copy what becomes a state without having been computed, or is an output besides: states have their own place."""
    computed = program.producers()
    for state in program.states:
        source, result = program.inputs[state.input], program.outputs[state.output]
        if (result.dtype, result.shape, result.quant) != (source.dtype, source.shape, source.quant):
            raise InternalError("a state's input and output have different types", where=source.name)
        if result.is_constant or (result in computed and program.outputs.count(result) == 1):
            continue
        build = Builder(program, result.name, "Identity")
        copy = build.keep(Alias(), [result])
        copy.quant = result.quant
        program.outputs[state.output] = copy
        program.calls += build.calls


def api_values(program: Program) -> tuple[list[Value], list[Value]]:
    """The inputs and outputs that the caller sees."""
    inputs, outputs = {s.input for s in program.states}, {s.output for s in program.states}
    return (
        [v for i, v in enumerate(program.inputs) if i not in inputs],
        [v for i, v in enumerate(program.outputs) if i not in outputs],
    )


def state_ports(program: Program, model: onnx_ir.Model) -> tuple[StatePort, ...]:
    """The states with their initial values in the types that they have inside."""
    found = []
    for state in program.states:
        value, graph = program.inputs[state.input], model.graph
        port = Port(value, str(graph.inputs[state.input].name), value.dtype, value.shape, value.quant)
        name = f"{value.name}.initial"
        initial = Value(name, value.shape, value.dtype, data=initial_content(program, state))
        found.append(StatePort(port, str(graph.outputs[state.output].name), initial))
    return tuple(found)


def initial_content(program: Program, state: ProgramState) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """The initial value as the state's integers, where it is quantized (rounded as QuantizeLinear does), else as is."""
    value = program.inputs[state.input]
    initial = state.initial
    if value.quant is not None and initial.dtype.kind == "f":
        limits = np.iinfo(value.dtype.numpy)
        steps = np.rint(initial / np.float32(value.quant.scale[0])) + value.quant.zero_point[0]
        initial = np.clip(steps, limits.min, limits.max)
    return np.ascontiguousarray(initial.astype(value.dtype.numpy))
