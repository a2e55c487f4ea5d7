"""From float operators between Q/DQ pairs to integer arithmetic."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from tinycast.ir.graph import Builder, Call, Op, Program
from tinycast.ir.quantized import IntegerForm, QuantizedInput
from tinycast.ir.types import DType, Value
from tinycast.ops.conv import Conv2D
from tinycast.ops.dense import FullyConnected
from tinycast.ops.elementwise import Binary, BinaryFunction, Clip
from tinycast.ops.quantize import Alias, Dequantize, Quantize, rescale_table
from tinycast.ops.shape import Move, Reshape, Slice, Transpose
from tinycast.program.tables import replace_quantize


def move_dequantize_down(program: Program) -> int:
    """DQ before a Reshape, Transpose, MaxPool … becomes DQ after it, so that integers are what moves."""
    rewrites = 0
    made = program.producers()
    for call in list(program.calls):
        if not call.op.picks:
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
        op = _on_integers(call.op, float(scale), int(zero), raw.dtype) if scale.ndim == 0 else call.op
        moved = build.call(op, [raw, *call.inputs[1:]])
        last = Call(replace(dequantize, axis=axis), (moved,), call.output, call.source, "DequantizeLinear")
        index = program.calls.index(call)
        program.calls[index : index + 1] = [*build.calls, last]
        made[call.output] = last
        rewrites += 1
    program.remove_dead()
    return rewrites


def _on_integers(op: Op, scale: float, zero_point: int, dtype: DType) -> Op:
    return op.quantized(scale, zero_point, dtype) if isinstance(op, Move) else op


def _moved_axis(move: Op, dequantize: Dequantize, raw: Value) -> int | None:
    """The axis of the scales after the move; None where the move cannot be exchanged with them."""
    if len(dequantize.scale) == 1:
        return 0
    if isinstance(move, Transpose):
        return move.perm.index(dequantize.axis)
    if isinstance(move, Reshape):
        return _reshaped_axis(raw.shape, move.shape, dequantize.axis)
    if isinstance(move, Slice) and move.shape[dequantize.axis] == raw.shape[dequantize.axis]:
        return dequantize.axis if move.steps[dequantize.axis] == 1 else None
    return None


def _reshaped_axis(before: tuple[int, ...], after: tuple[int, ...], axis: int) -> int | None:
    """Where an axis of more than one element is after a reshape that leaves it whole."""
    place = (prod(before[:axis]), before[axis])
    return next((i for i, size in enumerate(after) if (prod(after[:i]), size) == place), None)


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
    """Q after a Reshape, Transpose, MaxPool … becomes Q before it, next to the operator that made the elements."""
    rewrites = 0
    made, uses = program.producers(), program.consumers()
    for call in reversed(list(program.calls)):
        move = made.get(call.inputs[0]) if isinstance(call.op, Quantize) else None
        if move is None or not move.op.picks or not isinstance(call.op, Quantize):
            continue
        if len(uses[move.output]) > 1 or move.output in program.outputs:
            continue
        build = Builder(program, call.source, call.title)
        quantized = build.call(call.op, move.inputs[:1])
        op = _on_integers(move.op, call.op.scale, call.op.zero_point, call.op.dtype)
        index = program.calls.index(move)
        program.calls.remove(call)
        moved = Call(op, (quantized, *move.inputs[1:]), call.output, move.source, move.title)
        program.calls[index : index + 1] = [*build.calls, moved]
        rewrites += 1
    program.remove_dead()
    return rewrites


def write_in_integers(program: Program) -> int:
    """Replace every float operator between quantized operands and a Quantize by its integer form."""
    rewrites = 0
    for call in list(program.calls):
        if not isinstance(call.op, Quantize) or call not in program.calls:
            continue
        dtype = call.op.dtype
        if dtype not in (DType.INT8, DType.INT16):
            continue
        made = program.producers()
        source = made.get(call.inputs[0])
        if source is None:
            continue
        build = Builder(program, source.source, source.title)
        form = IntegerForm(
            tuple(replace(quantized_operand(v, made), dtype=dtype) for v in source.inputs),
            call.output,
            float(np.float32(call.op.scale)),
            call.op.zero_point,
            call.op.low,
            call.op.high,
            build,
            dtype,
        )
        if isinstance(source.op, Dequantize):
            operand = replace(quantized_operand(call.inputs[0], made), dtype=dtype).activation
            new = None if operand is None else rescale_table(form, operand, call.output.name)
        elif dtype is DType.INT16 and not source.op.has_wide_form:
            new = None
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
        replace_quantize(program, call, new, build)
        rewrites += 1
        program.remove_dead()
    return rewrites


def quantized_operand(value: Value, made: dict[Value, Call]) -> QuantizedInput:
    """What `value` is dequantized from, or itself."""
    source = made.get(value)
    if source is None or not isinstance(source.op, Dequantize):
        return QuantizedInput(value)
    scale, zero = source.op.arrays
    return QuantizedInput(source.inputs[0], scale, zero, source.op.axis)


def remove_aliases(program: Program) -> int:
    """Let readers of an Alias read its source."""
    aliases = [c for c in program.calls if isinstance(c.op, Alias)]
    for call in aliases:
        if call.output in program.outputs and call.inputs[0] in program.inputs:
            continue
        source = call.inputs[0]
        if call.output in program.outputs and source not in program.outputs:
            source.name = call.output.name
        source.quant = source.quant or call.output.quant
        program.calls.remove(call)
        program.substitute(call.output, source)
    return len(aliases)


def fold_dequantized_constants(program: Program) -> int:
    """Weights of operators that stayed in float become floats, in the order in which they are read."""
    folded = 0
    for call in list(program.calls):
        constants = [v.data for v in call.inputs if v.data is not None]
        if not isinstance(call.op, Dequantize | Move) or len(constants) < len(call.inputs):
            continue
        data = call.op.reference(constants)
        program.substitute(call.output, Value(call.output.name, call.output.shape, call.output.dtype, data=data))
        folded += 1
    program.remove_dead()
    return folded


def fold_add_into_bias(program: Program) -> int:
    """A constant added to each channel of a product without a bias is its bias."""
    rewrites = 0
    made, uses = program.producers(), program.consumers()
    for call in list(program.calls):
        if not (isinstance(call.op, Binary) and call.op.function is BinaryFunction.ADD):
            continue
        for product, bias in (call.inputs, call.inputs[::-1]):
            source = made.get(product)
            if source is None or not isinstance(source.op, FullyConnected | Conv2D) or len(uses[product]) > 1:
                continue
            axis = 1 if isinstance(source.op, Conv2D) else len(product.shape) - 1
            old = source.inputs[2].data
            if product in program.outputs or old is None or np.any(old) or not _is_constant(bias, made):
                continue
            if call.output.shape != product.shape or not _is_per_channel(bias.shape, product.shape, axis):
                continue
            build = Builder(program, call.source, call.title)
            flat = bias if len(bias.shape) == 1 else build.call(Reshape((product.shape[axis],)), [bias])
            fused = Call(source.op, (*source.inputs[:2], flat), call.output, source.source, source.title)
            index = program.calls.index(call)
            program.calls[index : index + 1] = [*build.calls, fused]
            made[call.output] = fused
            rewrites += 1
            break
    program.remove_dead()
    return rewrites


def _is_constant(value: Value, made: dict[Value, Call]) -> bool:
    source = made.get(value)
    return value.is_constant or (
        source is not None and isinstance(source.op, Dequantize) and source.inputs[0].is_constant
    )


def _is_per_channel(shape: tuple[int, ...], product: tuple[int, ...], axis: int) -> bool:
    """Whether `shape` broadcasts to `product` with one element an index of `axis`."""
    padded = (1,) * (len(product) - len(shape)) + shape
    return padded == tuple(n if i == axis else 1 for i, n in enumerate(product))
