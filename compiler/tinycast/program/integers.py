"""From float operators between Q/DQ pairs to integer arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinycast.ir.graph import Builder, Call, IntegerForm, Pattern, Program, QuantizedInput, interpret
from tinycast.ir.types import DType, Quant, Value
from tinycast.ops.elementwise import Clip
from tinycast.ops.pool import MaxPool
from tinycast.ops.quantize import Alias, Dequantize, FlipSign, Quantize, Table, add_table, rescale_table
from tinycast.ops.shape import Concat, Move, Reshape, Transpose


def move_dequantize_down(program: Program) -> int:
    """DQ before a Reshape, Transpose, Slice … becomes DQ after it, so that integers are what moves."""
    rewrites = 0
    made = program.producers()
    for call in list(program.calls):
        if not isinstance(call.op, Move):
            continue
        source = made.get(call.inputs[0])
        if source is None or not isinstance(source.op, Dequantize):
            continue
        raw, dequantize = source.inputs[0], source.op
        axis = _moved_axis(call.op, dequantize, raw)
        if axis is None:
            continue
        build = Builder(program, call.source, call.title)
        scale, zero = dequantize.arrays
        op = call.op.quantized(float(scale), int(zero), raw.dtype) if scale.ndim == 0 else call.op
        moved = build.call(op, [raw])
        last = Call(replace(dequantize, axis=axis), (moved,), call.output, call.source, "DequantizeLinear")
        index = program.calls.index(call)
        program.calls[index : index + 1] = [*build.calls, last]
        made[call.output] = last
        rewrites += 1
    program.remove_dead()
    return rewrites


def _moved_axis(move: Move, dequantize: Dequantize, raw: Value) -> int | None:
    """The axis of the scales after the move; None where the move cannot be exchanged with them."""
    if len(dequantize.scale) == 1:
        return 0
    if isinstance(move, Transpose):
        return move.perm.index(dequantize.axis)
    if isinstance(move, Reshape) and dequantize.axis == 0 and move.shape[0] == raw.shape[0]:
        return 0
    return None


def make_activations_signed(program: Program) -> int:
    """uint8 tensors become int8 with their zero point moved by 128; only the API keeps uint8."""
    rewrites = 0
    flipped: dict[Value, Value] = {}
    is_quantized = any(isinstance(c.op, Dequantize) for c in program.calls)
    for value in program.inputs:
        if value.dtype is DType.UINT8 and is_quantized:
            build = Builder(program, value.name, "Cast")
            flipped[value] = build.call(FlipSign(DType.INT8), [value], program.unique_name(f"{value.name}.signed"))
            program.calls[:0] = build.calls
            rewrites += 1
    for call in program.calls:
        op = call.op
        if isinstance(op, Quantize) and op.dtype is DType.UINT8:
            call.op = replace(
                op, zero_point=op.zero_point - 128, low=op.low - 128, high=op.high - 128, dtype=DType.INT8
            )
            call.output.dtype = DType.INT8
            flipped[call.output] = call.output
            rewrites += 1
        elif isinstance(op, Move | MaxPool | Concat) and any(v in flipped for v in call.inputs):
            call.inputs = tuple(flipped.get(v) or _flipped_constant(v) for v in call.inputs)
            if isinstance(op, Move):
                call.op = op.less(128)
            call.output.dtype = DType.INT8
            flipped[call.output] = call.output
        elif isinstance(op, Dequantize) and call.inputs[0].dtype is DType.UINT8:
            call.op = replace(op, zero_point=tuple(z - 128 for z in op.zero_point))
            call.inputs = tuple(flipped.get(v) or _flipped_constant(v) for v in call.inputs)
        elif isinstance(op, Dequantize) and call.inputs[0] in flipped:
            call.op = replace(op, zero_point=tuple(z - 128 for z in op.zero_point))
    for i, value in enumerate(program.outputs):
        if value in flipped and flipped[value] is value:
            build = Builder(program, value.name, "Cast")
            name = value.name
            value.name = program.unique_name(f"{name}.signed")
            program.outputs[i] = build.call(FlipSign(DType.UINT8), [value], name)
            program.outputs[i].quant = value.quant
            program.calls += build.calls
    return rewrites


def _flipped_constant(value: Value) -> Value:
    assert value.data is not None, value.name  # uint8 tensors computed at run time have been seen before
    data = FlipSign(DType.INT8).reference([value.data])
    return Value(f"{value.name}.signed", value.shape, DType.INT8, data=data)


def strip_edges(program: Program) -> int:
    """Remove Q after a float input and DQ before a float output: the API speaks the quantized type."""
    rewrites = 0
    for i, value in enumerate(program.inputs):
        readers = program.consumers().get(value, [])
        ops = {c.op for c in readers}
        if value in program.outputs or value.dtype is not DType.FLOAT32:
            continue
        if len(ops) == 1 and isinstance(readers[0].op, Quantize):
            op = readers[0].op
            raw = Value(value.name, value.shape, op.dtype, quant=Quant((op.scale,), (op.zero_point,)))
            program.inputs[i] = raw
            for call in readers:
                program.substitute(call.output, raw)
                program.calls.remove(call)
            rewrites += 1
    made = program.producers()
    for i, value in enumerate(program.outputs):
        source = made.get(value)
        if source is not None and isinstance(source.op, Dequantize) and not source.inputs[0].is_constant:
            program.outputs[i] = source.inputs[0]
            rewrites += 1
    program.remove_dead()
    return rewrites


def note_edge_scales(program: Program) -> None:
    """Give the API's values their scale and zero point, as the neighbouring Q or DQ has them."""
    for call in program.calls:
        op = call.op
        if isinstance(op, Dequantize) and len(op.scale) == 1:
            call.inputs[0].quant = call.inputs[0].quant or Quant(op.scale, op.zero_point)
        elif isinstance(op, Quantize):
            call.output.quant = Quant((op.scale,), (op.zero_point,))
    made = program.producers()
    for value in program.outputs:
        source = made.get(value)
        while value.quant is None and source is not None and isinstance(source.op, Move):
            value.quant = source.inputs[0].quant
            source = made.get(source.inputs[0])


def fold_clip_into_quantize(program: Program) -> int:
    """A Clip that only Quantize calls read becomes narrower bounds of theirs: the same result, exactly."""
    rewrites = 0
    made, uses = program.producers(), program.consumers()
    for call in program.calls:
        clip = made.get(call.inputs[0]) if isinstance(call.op, Quantize) else None
        while clip is not None and isinstance(clip.op, Clip) and isinstance(call.op, Quantize):
            readers = uses[clip.output]
            source = made.get(clip.inputs[0])
            if clip.output in program.outputs or not all(isinstance(c.op, Quantize) for c in readers):
                break
            if source is not None and isinstance(source.op, Dequantize):
                break  # a table does it all
            bounds = np.asarray([clip.op.low, clip.op.high], np.float64)
            bounds = (
                np.rint(np.clip(bounds.astype(np.float32) / np.float32(call.op.scale), -1e6, 1e6)) + call.op.zero_point
            )
            low, high = np.clip(bounds, call.op.low, call.op.high).astype(int)
            call.op = replace(call.op, low=int(low), high=int(high))
            call.inputs = clip.inputs
            call.title = f"{clip.title}+{call.title}"
            rewrites += 1
            clip = source
    program.remove_dead()
    return rewrites


def move_quantize_up(program: Program) -> int:
    """Q after a Reshape, Transpose, Slice … becomes Q before it, next to the operator that made the elements."""
    rewrites = 0
    made, uses = program.producers(), program.consumers()
    for call in reversed(list(program.calls)):
        move = made.get(call.inputs[0]) if isinstance(call.op, Quantize) else None
        if move is None or not isinstance(move.op, Move) or not isinstance(call.op, Quantize):
            continue
        if len(uses[move.output]) > 1 or move.output in program.outputs:
            continue
        build = Builder(program, call.source, call.title)
        quantized = build.call(call.op, move.inputs)
        op = move.op.quantized(call.op.scale, call.op.zero_point, call.op.dtype)
        index = program.calls.index(move)
        program.calls.remove(call)
        moved = Call(op, (quantized,), call.output, move.source, move.title)
        program.calls[index : index + 1] = [*build.calls, moved]
        rewrites += 1
    program.remove_dead()
    return rewrites


def make_tables(program: Program) -> int:
    """Element-wise arithmetic on one int8 tensor, up to a Quantize, becomes a table of 256 results."""
    rewrites = 0
    made = program.producers()
    for call in list(program.calls):
        if not isinstance(call.op, Quantize) or call.op.dtype is not DType.INT8:
            continue
        region = _unary_region(call, made)
        if region is None:
            continue
        calls, raw, dequantize = region
        probe = Value("probe", (256,), DType.INT8)
        small = _on_probe(calls, raw, probe)
        every = np.arange(-128, 128).astype(np.int8)
        result = interpret(Program("table", [probe], [small[-1].output], small), [every])
        titles = [c.title for c in calls if not isinstance(c.op, Dequantize | Quantize)]
        build = Builder(program, calls[-2].source, "+".join(titles) or "Rescale")
        table = result[small[-1].output]
        if np.array_equal(table, every) and dequantize.scale[0] == call.op.scale:
            new = build.call(Alias(), [raw], call.output.name)
        else:
            new = add_table(build, raw, lambda q, t=table: t, build.title, call.output.name)  # type: ignore[misc]
        _replace(program, call, new, build)
        rewrites += 1
    program.remove_dead()
    return rewrites


def _unary_region(last: Call, made: dict[Value, Call]) -> tuple[list[Call], Value, Dequantize] | None:
    """The calls from one Dequantize to `last`, if they are element-wise with scalar constants and one source."""
    found: dict[Call, None] = {}
    sources: dict[Value, Dequantize] = {}
    pending = [last]
    shape = last.output.shape
    while pending:
        call = pending.pop()
        if call in found:
            continue
        found[call] = None
        if isinstance(call.op, Dequantize):
            raw = call.inputs[0]
            if raw.is_constant:
                if raw.size != 1:
                    return None
                continue
            if raw.dtype is not DType.INT8 or raw.shape != shape:
                return None
            sources[raw] = call.op
            continue
        if call.op.pattern is not Pattern.ELEMENTWISE:
            return None
        for value in call.inputs:
            if value.data is not None:
                if value.size != 1 and not (isinstance(call.op, Table) and value is call.inputs[1]):
                    return None
            elif value not in made:
                return None
            else:
                pending.append(made[value])
    if len(sources) != 1 or len(found) < 2:
        return None
    order = [c for c in made.values() if c in found]
    (raw, dequantize), *_ = sources.items()
    return order, raw, dequantize


def _on_probe(calls: list[Call], raw: Value, probe: Value) -> list[Call]:
    """The region's calls over a vector of 256 elements."""
    renamed: dict[Value, Value] = {raw: probe}
    copies = []
    for call in calls:
        inputs = []
        for v in call.inputs:
            if v.data is not None and v.size == 1:
                v = Value(v.name, (), v.dtype, data=v.data.reshape(()))
            inputs.append(renamed.get(v, v))
        kind = call.op.infer(inputs)
        renamed[call.output] = Value(call.output.name, kind.shape, kind.dtype)
        copies.append(Call(call.op, tuple(inputs), renamed[call.output], call.source, call.title))
    return copies


def write_in_integers(program: Program) -> int:
    """Replace every float operator between quantized operands and a Quantize by its integer form."""
    rewrites = 0
    for call in list(program.calls):
        if not isinstance(call.op, Quantize) or call.op.dtype is not DType.INT8 or call not in program.calls:
            continue
        made = program.producers()
        source = made.get(call.inputs[0])
        if source is None:
            continue
        build = Builder(program, source.source, source.title)
        form = IntegerForm(
            tuple(_operand(v, made) for v in source.inputs),
            call.output,
            float(np.float32(call.op.scale)),
            call.op.zero_point,
            call.op.low,
            call.op.high,
            build,
        )
        if isinstance(source.op, Dequantize):
            operand = _operand(call.inputs[0], made).activation
            new = None if operand is None else rescale_table(form, operand, call.output.name)
        else:
            new = source.op.integer_form(form)
        if new is None:
            continue
        relu = "+".join(t for t in call.title.split("+")[:-1])
        for made_call in build.calls:
            made_call.title = source.title
        if build.calls:
            before = source.title if len(build.calls) == 1 else ""
            build.calls[-1].title = "+".join(t for t in (before, relu, "QuantizeLinear") if t)
        _replace(program, call, new, build)
        rewrites += 1
        program.remove_dead()
    return rewrites


def _operand(value: Value, made: dict[Value, Call]) -> QuantizedInput:
    source = made.get(value)
    if source is None or not isinstance(source.op, Dequantize):
        return QuantizedInput(value)
    scale, zero = source.op.arrays
    return QuantizedInput(source.inputs[0], scale, zero, source.op.axis)


def _replace(program: Program, call: Call, new: Value, build: Builder) -> None:
    """Put the built calls in the place of `call`, whose output becomes `new`."""
    index = program.calls.index(call)
    op = call.op
    assert isinstance(op, Quantize)
    new.quant = Quant((op.scale,), (op.zero_point,))
    program.calls[index : index + 1] = build.calls
    program.substitute(call.output, new)


def remove_aliases(program: Program) -> int:
    """Let readers of an Alias read its source."""
    aliases = [c for c in program.calls if isinstance(c.op, Alias)]
    for call in aliases:
        if call.output in program.outputs and call.inputs[0] in program.inputs:
            continue
        program.calls.remove(call)
        program.substitute(call.output, call.inputs[0])
    return len(aliases)
