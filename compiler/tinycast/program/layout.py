"""Convolutions and pools to NHWC; transposes pushed together, cancelled, or absorbed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinycast.ir.graph import Builder, Call, Program
from tinycast.ir.types import Value
from tinycast.ops.conv import Conv2D
from tinycast.ops.dense import FullyConnected
from tinycast.ops.pool import Pool
from tinycast.ops.shape import Reshape, Transpose

TO_NHWC = (0, 2, 3, 1)
TO_NCHW = (0, 3, 1, 2)


def convert_to_nhwc(program: Program) -> int:
    """Give every convolution and pool NHWC operands, between two Transposes."""
    rewrites = 0
    for call in list(program.calls):
        op = call.op
        if not isinstance(op, Conv2D | Pool) or not op.channels_first:
            continue
        build = Builder(program, call.source, call.title)
        x = build.call(Transpose(TO_NHWC), [call.inputs[0]])
        y = build.call(replace(op, channels_first=False), [x, *call.inputs[1:]])
        build.calls.append(Call(Transpose(TO_NCHW), (y,), call.output, call.source, call.title))
        index = program.calls.index(call)
        program.calls[index : index + 1] = build.calls
        rewrites += 1
    return rewrites


def sink_transposes(program: Program) -> int:
    """Move every Transpose down past the operators that can work in its order, until pairs cancel."""
    rewrites = 0
    while _sink_one(program):
        rewrites += 1
    return rewrites


def _sink_one(program: Program) -> bool:
    made = program.producers()
    for call in program.calls:
        sources = [made.get(v) for v in call.inputs]
        first = next((s for s in sources if s is not None and isinstance(s.op, Transpose)), None)
        if first is None or not isinstance(first.op, Transpose):
            continue
        perm = first.op.perm
        if isinstance(call.op, Transpose):
            _compose(program, call, first)
            return True
        if isinstance(call.op, Reshape) and _same_bytes(perm, first.inputs[0].shape):
            call.inputs = first.inputs
            program.remove_dead()
            return True
        if isinstance(call.op, Reshape) and _absorb_in_weights(program, call, first):
            return True
        if _sink_past(program, call, made, perm):
            return True
    return False


def _compose(program: Program, call: Call, first: Call) -> None:
    assert isinstance(call.op, Transpose)
    assert isinstance(first.op, Transpose)
    perm = tuple(first.op.perm[p] for p in call.op.perm)
    if perm == tuple(range(len(perm))) and not (call.output in program.outputs and first.inputs[0] in program.inputs):
        if call.output in program.outputs:
            first.inputs[0].name = call.output.name
            first.inputs[0].quant = call.output.quant or first.inputs[0].quant
        program.calls.remove(call)
        program.substitute(call.output, first.inputs[0])
    else:
        call.op, call.inputs = Transpose(perm), first.inputs
    program.remove_dead()


def _same_bytes(perm: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether the permutation only moves axes of length 1."""
    kept = [p for p in perm if shape[p] != 1]
    return kept == sorted(kept)


def _absorb_in_weights(program: Program, reshape: Call, transpose: Call) -> bool:
    """Transpose, flatten, FullyConnected: reorder the columns of the weights instead."""
    x = transpose.inputs[0]
    assert isinstance(transpose.op, Transpose)
    if reshape.output.shape != (1, x.size) or reshape.output in program.outputs:
        return False
    readers = program.consumers().get(reshape.output, [])
    if not readers or not all(isinstance(c.op, FullyConnected) and c.inputs[1].is_constant for c in readers):
        return False
    source = np.arange(x.size).reshape(x.shape).transpose(transpose.op.perm).reshape(-1)
    back = np.argsort(source)
    for reader in readers:
        weight = reader.inputs[1]
        assert weight.data is not None
        data = np.ascontiguousarray(weight.data[:, back])
        reordered = Value(program.unique_name(f"{weight.name}.nhwc"), data.shape, weight.dtype, data=data)
        reader.inputs = (reader.inputs[0], reordered, *reader.inputs[2:])
    reshape.inputs = (x,)
    program.remove_dead()
    return True


def _sink_past(program: Program, call: Call, made: dict[Value, Call], perm: tuple[int, ...]) -> bool:
    """op(T(a), T(b), constant) -> T(op(a, b, T'(constant))); another operand is transposed back if it must."""
    op = call.op.permute(perm, call.inputs)
    rank = len(perm)
    if op is None or len(call.output.shape) != rank:
        return False
    tables = 1 if hasattr(call.op, "meaning") else len(call.inputs)  # a table is not broadcast
    inputs: list[Value] = []
    build = Builder(program, call.source, "Transpose")
    for i, value in enumerate(call.inputs):
        source = made.get(value)
        if i >= tables or value.size == 1 and value.is_constant:
            inputs.append(value)
        elif value.data is not None:
            data = value.data.reshape((1,) * (rank - value.data.ndim) + value.data.shape)
            inputs.append(build.constant(np.ascontiguousarray(data.transpose(perm_back(perm))), value.name.split(".")[-1]))
        elif source is not None and isinstance(source.op, Transpose) and source.op.perm == perm:
            inputs.append(source.inputs[0])
        elif len(value.shape) == rank:
            inputs.append(build.call(Transpose(perm_back(perm)), [value]))
        else:
            return False
    if len([c for c in build.calls if isinstance(c.op, Transpose)]) * 2 > len(inputs):
        return False
    kind = op.infer(inputs)
    inner = Value(program.unique_name(f"{call.output.name}.nhwc"), kind.shape, kind.dtype, call.output.quant)
    index = program.calls.index(call)
    program.calls[index : index + 1] = [
        *build.calls,
        Call(op, tuple(inputs), inner, call.source, call.title),
        Call(Transpose(perm), (inner,), call.output, call.source, call.title),
    ]
    program.remove_dead()
    return True


def perm_back(perm: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes `perm`."""
    return tuple(int(i) for i in np.argsort(perm))


def remove_identity_moves(program: Program) -> int:
    """Reshape of a Reshape, and moves that change nothing."""
    rewrites = 0
    made = program.producers()
    for call in list(program.calls):
        if isinstance(call.op, Transpose) and _same_bytes(call.op.perm, call.inputs[0].shape):
            call.op = Reshape(call.output.shape)
            rewrites += 1
        if isinstance(call.op, Reshape):
            source = made.get(call.inputs[0])
            if source is not None and isinstance(source.op, Reshape):
                call.inputs = source.inputs
                rewrites += 1
            if call.inputs[0].shape == call.output.shape and call.output not in program.outputs:
                program.calls.remove(call)
                program.substitute(call.output, call.inputs[0])
                rewrites += 1
    program.remove_dead()
    return rewrites


def check_layout(program: Program) -> list[str]:
    """Notes on the transposes that stayed. Every layout-sensitive operator has to be NHWC by now."""
    for call in program.calls:
        assert not getattr(call.op, "channels_first", False), call.source
    stayed = [c for c in program.calls if isinstance(c.op, Transpose)]
    return [f"a transpose stays at {c.source}: {c.inputs[0].shape} -> {c.output.shape}" for c in stayed]
