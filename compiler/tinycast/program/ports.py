"""The model's API: its ports, their layout, and an example run for the self-test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx_ir

from tinycast.errors import ModelError
from tinycast.ir.graph import Builder, Program, interpret
from tinycast.ir.kernel import Golden, Port
from tinycast.ir.types import Array, DType, Value
from tinycast.model.labels import class_names
from tinycast.ops.control import EndlessLoopError, all_calls
from tinycast.ops.formats import Rule
from tinycast.ops.shape import TO_NCHW, TO_NHWC, Transpose
from tinycast.program.states import api_values, initial_content


def channels_last_edges(program: Program) -> None:
    """Let the API take and give images (rank 4) as NHWC instead of ONNX's NCHW."""
    inputs, outputs = {s.input for s in program.states}, {s.output for s in program.states}
    for i, value in enumerate(program.inputs):
        if len(value.shape) != 4 or i in inputs:
            continue
        build = Builder(program, value.name, "Transpose")
        shape = tuple(value.shape[p] for p in TO_NHWC)
        outside = Value(value.name, shape, value.dtype, value.quant)
        value.name = program.unique_name(f"{value.name}.nchw")
        inside = build.call(Transpose(TO_NCHW), [outside], value.name)
        inside.quant = value.quant
        program.substitute(value, inside)
        program.inputs[i] = outside
        program.calls[:0] = build.calls
    for i, value in enumerate(program.outputs):
        if len(value.shape) != 4 or value.is_constant or i in outputs:
            continue
        if i in program.sized:
            raise ModelError(
                "an output whose size depends on data keeps ONNX's order", where=value.name, fix="leave out --io-layout"
            )
        build = Builder(program, value.name, "Transpose")
        name, value.name = value.name, program.unique_name(f"{value.name}.nchw")
        program.outputs[i] = build.call(Transpose(TO_NHWC), [value], name)
        program.outputs[i].quant = value.quant
        program.calls += build.calls


def input_ports(program: Program, model: onnx_ir.Model) -> tuple[Port, ...]:
    """What the API takes: the program's values under the names that the model gives them."""
    return _ports(program.inputs, model, model.graph.inputs)


def output_ports(program: Program, model: onnx_ir.Model) -> tuple[Port, ...]:
    """What the API gives; where the size depends on data, with the dimensions."""
    declared = model.graph.outputs
    found = _ports(program.outputs[: len(declared)], model, declared)
    return tuple(
        replace(port, dynamic_axes=sized.axes, dims=program.outputs[sized.dims])
        if (sized := program.sized.get(i))
        else port
        for i, port in enumerate(found)
    )


def _ports(values: Sequence[Value], model: onnx_ir.Model, declared: Sequence[onnx_ir.Value]) -> tuple[Port, ...]:
    named = zip(values, (str(value.name) for value in declared), strict=True)
    return tuple(Port(v, name, v.dtype, v.shape, v.quant, class_names(model, name)) for v, name in named)


def golden_run(program: Program) -> Golden | None:
    """Random inputs (fixed seed) and what the reference makes of them; in the second run, if there are states.

    None where a loop of the program does not end on them.
    """
    try:
        return _golden_run(program)
    except EndlessLoopError:
        program.notes.append("there is no self-test: on random inputs a loop does not end")
        return None


def _golden_run(program: Program) -> Golden:
    random = np.random.default_rng(1)
    states = {s.input: initial_content(program, s) for s in program.states}
    inputs = [states[i] if i in states else _random(random, v) for i, v in enumerate(program.inputs)]
    known = interpret(program, inputs)
    if states:
        for state in program.states:
            inputs[state.input] = known[program.outputs[state.output]]
        known = interpret(program, inputs)
    given, _ = api_values(program)
    kept = {s.output for s in program.states}
    shown = [i for i in range(len(program.outputs) - len(program.sized)) if i not in kept]
    places = [program.sized.get(i) for i in shown]
    exact = not any(v.dtype is DType.FLOAT32 for c in all_calls(program) for v in (*c.inputs, *c.outputs))
    return Golden(
        tuple(known[v] for v in given),
        tuple(known[program.outputs[i]] for i in shown),
        exact,
        2 if states else 1,
        tuple(None if place is None else known[program.outputs[place.dims]] for place in places),
    )


def _random(random: np.random.Generator, value: Value) -> Array:
    if value.dtype is DType.FLOAT32:
        return random.uniform(-1, 1, value.shape).astype(np.float32)
    if value.dtype is DType.BOOL:
        return random.integers(0, 2, value.shape).astype(np.bool_)
    if value.dtype.inside is DType.FLOAT32:
        return Rule(value.dtype).encode(random.uniform(-1, 1, value.shape).astype(np.float32))
    low, high = value.dtype.bounds if value.dtype.itemsize == 1 and value.dtype is not DType.UINT8 else (0, 100)
    return random.integers(low, high, value.shape, endpoint=True).astype(value.dtype.numpy)
