"""Convolutions and pools to NHWC; transposes pushed together, cancelled, or absorbed."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from tinycast.ir.graph import Builder, Call, Op, Pattern, Program
from tinycast.ir.types import DType, Value
from tinycast.ops.conv import Conv2D
from tinycast.ops.dense import FullyConnected
from tinycast.ops.group_norm import IntegerGroupNorm
from tinycast.ops.pool import Pool
from tinycast.ops.shape import TO_NCHW, TO_NHWC, Reshape, Transpose, perm_back


def convert_to_nhwc(program: Program) -> int:
    """Give every convolution, pool and integer normalization NHWC operands, between two Transposes."""
    rewrites = 0
    for call in list(program.calls):
        op = call.op
        if not isinstance(op, Conv2D | IntegerGroupNorm | Pool) or not op.channels_first:
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
    settled: set[Value] = set()
    while _sink_one(program, settled):
        rewrites += 1
    return rewrites


def _sink_one(program: Program, settled: set[Value]) -> bool:
    made = program.producers()
    for call in program.calls:
        perm = _perm_above(call, made)
        if perm is None:
            continue
        first = made.get(call.inputs[0])
        if isinstance(call.op, Transpose) and first is not None:
            _compose(program, call, first)
            return True
        if isinstance(call.op, Reshape) and first is not None:
            if _same_bytes(perm, first.inputs[0].shape):
                call.inputs = first.inputs
                program.remove_dead()
                return True
            if _absorb_in_weights(program, call, first) or _sink_past_reshape(program, call, first):
                return True
        elif _sink_past(program, call, made, perm, settled):
            return True
    return False


def _perm_above(call: Call, made: dict[Value, Call]) -> tuple[int, ...] | None:
    """The permutation that most of the call's operands come out of."""
    sources = [made[v].op for v in dict.fromkeys(call.inputs) if v in made]
    perms = [op.perm for op in sources if isinstance(op, Transpose)]
    return max(perms, key=perms.count, default=None)


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


def _sink_past_reshape(program: Program, reshape: Call, transpose: Call) -> bool:
    """A Reshape changes places with the Transpose before it where it splits and merges only axes that
    lie side by side, in the same order, on both sides of the Transpose."""
    x, shape = transpose.inputs[0], reshape.output.shape
    assert isinstance(transpose.op, Transpose)
    kept = [p for p in transpose.op.perm if x.shape[p] != 1]
    long_axes = [i for i, n in enumerate(shape) if n != 1]
    place = {axis: i for i, axis in enumerate(sorted(kept))}  # among the long axes of x
    order: dict[int, list[int]] = {}  # where a group of axes begins in x: its axes in the result
    sources, results = kept, long_axes
    while sources:
        n, m = _equal_fronts([x.shape[p] for p in sources], [shape[i] for i in results])
        begin = place[sources[0]]
        if [place[p] for p in sources[:n]] != list(range(begin, begin + n)):
            return False
        order[begin] = results[:m]
        sources, results = sources[n:], results[m:]
    short_axes = [i for i, n in enumerate(shape) if n == 1]
    perm_down = (*short_axes, *(axis for begin in sorted(order) for axis in order[begin]))
    build = Builder(program, reshape.source, reshape.title)
    inner = build.call(Reshape(tuple(shape[i] for i in perm_down)), [x])
    _replace_call(program, reshape, build.calls, Transpose(perm_back(perm_down)), inner)
    return True


def _equal_fronts(a: list[int], b: list[int]) -> tuple[int, int]:
    """The least n, m > 0 for which a[:n] and b[:m] have the same product."""
    n = m = 1
    while prod(a[:n]) != prod(b[:m]):
        if prod(a[:n]) < prod(b[:m]):
            n += 1
        else:
            m += 1
    return n, m


def _sink_past(
    program: Program, call: Call, made: dict[Value, Call], perm: tuple[int, ...], settled: set[Value]
) -> bool:
    """op(T(a), T(b), constant) -> T(op(a, b, T'(constant))); another operand is transposed back if it must.

    Where as many operands need a Transpose as lose one it is done once, and the result is `settled`: the
    other direction would look just as good. So it would where a Transpose that is lost stays for other readers.
    """
    op = call.op.permute(perm, call.inputs)
    rank = len(perm)
    if op is None or len(call.output.shape) != rank:
        return False
    back = perm_back(perm)
    tables = len(call.inputs) if call.op.broadcasts else 1
    inputs: list[Value] = []
    build = Builder(program, call.source, "Transpose")
    uses = program.consumers()
    gained = 0
    lost: set[Value] = set()
    gone: set[Value] = set()
    for i, value in enumerate(call.inputs):
        source = made.get(value)
        if i >= tables or (value.size == 1 and value.is_constant):
            inputs.append(value)
        elif value.data is not None:
            data = value.data.reshape((1,) * (rank - value.data.ndim) + value.data.shape)
            inputs.append(build.constant(np.ascontiguousarray(data.transpose(back)), value.name.split(".")[-1]))
        elif source is not None and isinstance(source.op, Transpose) and source.op.perm == perm:
            inputs.append(source.inputs[0])
            if not _same_bytes(perm, source.inputs[0].shape):
                lost.add(value)
                gone.update({value} if set(uses[value]) == {call} and value not in program.outputs else ())
        elif len(value.shape) == rank:
            inputs.append(_transposed(program, call, build, value, back))
            gained += bool(build.calls) and build.calls[-1].output is inputs[-1] and not _same_bytes(back, value.shape)
        else:
            return False
    if gained > len(lost) or (gained >= len(gone) and call.output in settled):
        return False
    kind = op.infer(inputs)
    inner = Value(program.unique_name(f"{call.output.name}.nhwc"), kind.shape, kind.dtype, call.output.quant)
    settled.add(inner)
    made_inner = Call(op, tuple(inputs), inner, call.source, call.title)
    _replace_call(program, call, [*build.calls, made_inner], Transpose(perm), inner)
    return True


def _transposed(program: Program, reader: Call, build: Builder, value: Value, perm: tuple[int, ...]) -> Value:
    """Transpose(perm) of the value: the one that is there already, if it is made before the reader."""
    for call in program.calls[: program.calls.index(reader)]:
        if call.inputs == (value,) and call.op == Transpose(perm):
            return call.output
    return build.call(Transpose(perm), [value])


def _replace_call(program: Program, call: Call, before: list[Call], op: Transpose, x: Value) -> None:
    """`before` and then op(x) in the place of `call`."""
    index = program.calls.index(call)
    program.calls[index : index + 1] = [*before, Call(op, (x,), call.output, call.source, "Transpose")]
    program.remove_dead()


def sink_reshapes(program: Program) -> int:
    """Move Reshapes down past element-wise operators, so that these join the operator that made their operand."""
    rewrites = 0
    made = program.producers()
    for call in list(program.calls):
        sources = [made.get(v) for v in call.inputs if not v.is_constant]
        shapes = {s.inputs[0].shape for s in sources if s is not None and isinstance(s.op, Reshape)}
        before = next(iter(shapes), ())
        if call.op.pattern is not Pattern.ELEMENTWISE or len(shapes) != 1 or before == call.output.shape:
            continue
        inputs = [_before_reshape(call, v, made.get(v), before) for v in call.inputs]
        kept = [v for v in inputs if v is not None]
        if len(kept) < len(inputs):
            continue
        build = Builder(program, call.source, call.title)
        inner = build.call(call.op, kept)
        inner.quant = call.output.quant
        last = Call(Reshape(call.output.shape), (inner,), call.output, call.source, "Reshape")
        made.update({inner: build.calls[0], call.output: last})
        index = program.calls.index(call)
        program.calls[index : index + 1] = [*build.calls, last]
        rewrites += 1
    program.remove_dead()
    return rewrites


def _before_reshape(call: Call, value: Value, source: Call | None, before: tuple[int, ...]) -> Value | None:
    """The operand that gives the same elements on tensors of shape `before`; None where there is none."""
    shape = call.output.shape
    if value.data is None:
        reshaped = source is not None and isinstance(source.op, Reshape) and value.shape == shape
        return source.inputs[0] if source is not None and reshaped else None
    if value.size == 1 or not call.op.broadcasts:
        return value
    if value.size != value.shape[-1] or shape[-1:] != before[-1:]:
        return None
    return Value(value.name, value.shape[-1:], value.dtype, data=value.data.reshape(-1))


def is_accumulator(call: Call) -> bool:
    """Whether the call sums narrow integers in wider ones, which a requantization in the same kernel reads."""
    wide = (DType.INT32, DType.INT64)
    return call.op.pattern.is_reduction and call.output.dtype in wide and call.inputs[0].dtype not in wide


def merge_equal_calls(program: Program) -> int:
    """Calls of the same operator on the same operands become one.

    Not so the sums of integers that two calls rescale differently: each stays in its kernel's registers.
    """
    merged = 0
    first: dict[tuple[Op, tuple[Value, ...]], Call] = {}
    for call in list(program.calls):
        if is_accumulator(call):
            continue
        kept = first.setdefault((call.op, call.inputs), call)
        if kept is not call and not any(v in program.outputs for v in call.outputs):
            program.calls.remove(call)
            for twin, value in zip(call.outputs, kept.outputs, strict=True):
                program.substitute(twin, value)
            merged += 1
    return merged


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
