"""The model's API: its ports, their layout, and an example run for the self-test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir

from tinycast.ir.graph import Builder, Program, interpret
from tinycast.ir.kernel import Golden, Port
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.shape import Transpose


def channels_last_edges(program: Program) -> None:
    """Let the API take and give images (rank 4) as NHWC instead of ONNX's NCHW."""
    for i, value in enumerate(program.inputs):
        if len(value.shape) != 4:
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
        if len(value.shape) != 4 or value.is_constant:
            continue
        build = Builder(program, value.name, "Transpose")
        name, value.name = value.name, program.unique_name(f"{value.name}.nchw")
        program.outputs[i] = build.call(Transpose(TO_NHWC), [value], name)
        program.outputs[i].quant = value.quant
        program.calls += build.calls


def ports(values: Sequence[Value], declared: Sequence[onnx_ir.Value]) -> tuple[Port, ...]:
    """What the API shows: the program's values under the names that the model gives them."""
    pairs = zip(values, declared, strict=True)
    return tuple(Port(value, str(onnx.name), value.dtype, value.shape, value.quant) for value, onnx in pairs)


def golden_run(program: Program) -> Golden:
    """Random inputs (fixed seed) and what the reference makes of them."""
    random = np.random.default_rng(1)
    inputs = [_random(random, v) for v in program.inputs]
    known = interpret(program, inputs)
    outputs = [known[v] for v in program.outputs]
    exact = not any(v.dtype is DType.FLOAT32 for c in program.calls for v in (*c.inputs, c.output))
    return Golden(tuple(inputs), tuple(outputs), exact)


def _random(random: np.random.Generator, value: Value) -> Array:
    if value.dtype is DType.FLOAT32:
        return random.uniform(-1, 1, value.shape).astype(np.float32)
    if value.dtype is DType.BOOL:
        return random.integers(0, 2, value.shape).astype(np.bool_)
    low, high = (-128, 127) if value.dtype is DType.INT8 else (0, 100)
    return random.integers(low, high, value.shape, endpoint=True).astype(value.dtype.numpy)
