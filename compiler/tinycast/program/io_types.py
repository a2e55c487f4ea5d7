"""What the API shows: quantized inputs and outputs, and uint8, uint16, half, double … only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir

from tinycast.ir.graph import Builder, Program
from tinycast.ir.types import DType, Quant, Value
from tinycast.ops.formats import Decode, Encode, RoundTo, Rule
from tinycast.ops.quantize import Dequantize, FlipSign, Quantize
from tinycast.ops.shape import Concat, Move

# What the API may show, and what it is inside: the zero point moves by half of the range.
_SIGNED = {DType.UINT8: DType.INT8, DType.UINT16: DType.INT16}
_UNSIGNED = {signed: unsigned for unsigned, signed in _SIGNED.items()}


def make_activations_signed(program: Program) -> int:
    """uint8 and uint16 tensors become int8 and int16, zero points moved by half the range; only the API keeps them."""
    rewrites = 0
    flipped: dict[Value, Value] = {}
    is_quantized = any(isinstance(c.op, Dequantize) for c in program.calls)
    for value in program.inputs:
        if value.dtype in _SIGNED and is_quantized:
            build = Builder(program, value.name, "Cast")
            flip, name = FlipSign(_SIGNED[value.dtype]), program.unique_name(f"{value.name}.signed")
            flipped[value] = build.call(flip, [value], name)
            program.calls[:0] = build.calls
            rewrites += 1
    for call in list(program.calls):
        op = call.op
        if isinstance(op, Quantize) and op.dtype in _SIGNED:
            half = _half(op.dtype)
            call.op = replace(
                op, zero_point=op.zero_point - half, low=op.low - half, high=op.high - half, dtype=_SIGNED[op.dtype]
            )
            call.output.dtype = _SIGNED[op.dtype]
            flipped[call.output] = call.output
            rewrites += 1
        elif (op.picks or isinstance(op, Concat)) and any(
            v in flipped or (is_quantized and _is_unsigned_constant(v)) for v in call.inputs
        ):
            call.inputs = tuple(
                _flipped_constant(v) if _is_unsigned_constant(v) else flipped.get(v, v) for v in call.inputs
            )
            dtype = call.inputs[0].dtype
            if isinstance(op, Move):
                call.op = op.less(_half(dtype))
            call.output.dtype = dtype
            flipped[call.output] = call.output
        elif isinstance(op, Dequantize) and call.inputs[0].dtype in _SIGNED:
            half = _half(call.inputs[0].dtype)
            call.op = replace(op, zero_point=tuple(z - half for z in op.zero_point))
            call.inputs = tuple(flipped.get(v) or _flipped_constant(v) for v in call.inputs)
        elif isinstance(op, Dequantize) and call.inputs[0] in flipped:
            half = _half(call.inputs[0].dtype)
            call.op = replace(op, zero_point=tuple(z - half for z in op.zero_point))
        elif any(flipped.get(v) is v for v in call.inputs):  # it reads the numbers themselves
            build = Builder(program, call.source, "Cast")
            call.inputs = tuple(
                build.call(FlipSign(_UNSIGNED[v.dtype]), [v]) if flipped.get(v) is v else v for v in call.inputs
            )
            at = program.calls.index(call)
            program.calls[at:at] = build.calls
    for i, value in enumerate(program.outputs):
        if value in flipped and flipped[value] is value:
            build = Builder(program, value.name, "Cast")
            name = value.name
            value.name = program.unique_name(f"{name}.signed")
            program.outputs[i] = build.call(FlipSign(_UNSIGNED[value.dtype]), [value], name)
            program.outputs[i].quant = value.quant
            program.calls += build.calls
    return rewrites


def _half(dtype: DType) -> int:
    return int(1 << (8 * dtype.itemsize - 1))


def _is_unsigned_constant(value: Value) -> bool:
    return value.is_constant and value.dtype in _SIGNED


def _flipped_constant(value: Value) -> Value:
    """The elements as signed ones; what has no unsigned elements, such as the places that a Gather takes them from,
    stays."""
    if value.dtype not in _SIGNED:
        return value
    assert value.data is not None, value.name  # unsigned tensors computed at run time have been seen before
    data = FlipSign(_SIGNED[value.dtype]).reference([value.data])
    return Value(f"{value.name}.signed", value.shape, _SIGNED[value.dtype], data=data)


def strip_edges(program: Program, *, float_api: bool = False) -> int:
    """Remove Q after a float input and DQ before a float output: the API speaks the quantized type.

    With `float_api` only those of states, which are quantized where both sides of them are, and alike.
    """
    rewrites = 0
    kept_inputs, kept_outputs = _float_states(program)
    if float_api:
        states = program.states
        kept_inputs |= set(range(len(program.inputs))) - {s.input for s in states}
        kept_outputs |= set(range(len(program.outputs))) - {s.output for s in states}
    for i, value in enumerate(program.inputs):
        readers = program.consumers().get(value, [])
        ops = {c.op for c in readers}
        if i in kept_inputs or value in program.outputs or value.dtype is not DType.FLOAT32:
            continue
        op = readers[0].op if len(ops) == 1 else None
        # A caller's elements may be any of the type: a narrower range (INT4 in a byte) is this operator's to keep.
        if isinstance(op, Quantize) and (op.low, op.high) == op.dtype.bounds:
            raw = Value(value.name, value.shape, op.dtype, quant=Quant((op.scale,), (op.zero_point,)))
            program.inputs[i] = raw
            for call in readers:
                program.substitute(call.output, raw)
                program.calls.remove(call)
            rewrites += 1
    made = program.producers()
    for i, value in enumerate(program.outputs):
        source = made.get(value)
        if i in kept_outputs or source is None or not isinstance(source.op, Dequantize):
            continue
        if not source.inputs[0].is_constant:
            program.outputs[i] = source.inputs[0]
            rewrites += 1
    program.remove_dead()
    return rewrites


def _float_states(program: Program) -> tuple[set[int], set[int]]:
    """Inputs and outputs of states that stay in float: their two sides are not quantized alike."""
    made, uses = program.producers(), program.consumers()
    kept = []
    for state in program.states:
        readers, maker = uses.get(program.inputs[state.input], []), made.get(program.outputs[state.output])
        quantizes = {c.op for c in readers}
        before = quantizes.pop() if len(quantizes) == 1 else None
        after = None if maker is None or maker.inputs[0].is_constant else maker.op
        if isinstance(before, Quantize) and isinstance(after, Dequantize):
            same = (after.scale, after.zero_point) == ((before.scale,), (before.zero_point,))
            if same and maker is not None and maker.inputs[0].dtype is before.dtype:
                continue
        kept.append(state)
    return {s.input for s in kept}, {s.output for s in kept}


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


def store_edges(program: Program, graph: onnx_ir.Graph, *, keep_floats: bool) -> int:
    """Give inputs and outputs the types of the model's where nothing is computed in these.

    With `keep_floats` those that are floats inside stay float32. So do states, which the caller does not see.
    """
    rewrites = 0
    kept_inputs, kept_outputs = {s.input for s in program.states}, {s.output for s in program.states}
    for i, (value, onnx) in enumerate(zip(program.inputs, graph.inputs, strict=True)):
        storage = _stored_type(value, onnx, keep_floats)
        if storage is not None and i not in kept_inputs:
            outside = Value(value.name, value.shape, storage, value.quant)
            build = Builder(program, value.name, "Cast")
            inside = build.call(Decode(storage), [outside], program.unique_name(f"{value.name}.inside"))
            inside.quant = value.quant
            program.substitute(value, inside)
            program.inputs[i] = outside
            program.calls[:0] = build.calls
            rewrites += 1
    made = program.producers()
    for i, (value, onnx) in enumerate(zip(program.outputs, graph.outputs, strict=False)):
        storage = _stored_type(value, onnx, keep_floats)
        if storage is not None and i not in kept_outputs:
            rule, source = Rule(storage), made.get(value)
            if source is not None and isinstance(source.op, RoundTo) and source.op.rule.dtype is storage:
                rule, value = source.op.rule, source.inputs[0]
            build = Builder(program, program.outputs[i].name, "Cast")
            name = program.unique_name(f"{program.outputs[i].name}.stored")
            stored = build.call(Encode(rule), [value], name)
            stored.quant = program.outputs[i].quant
            program.outputs[i] = stored
            program.calls += build.calls
            rewrites += 1
    program.remove_dead()
    return rewrites


def _stored_type(value: Value, onnx: onnx_ir.Value, keep_floats: bool) -> DType | None:
    """The model's type of an input or output, if it differs from that of the elements inside."""
    name = np.dtype(onnx.dtype.numpy()).name if onnx.dtype is not None else ""
    storage = DType(name) if name in {d.value for d in DType} else value.dtype
    is_kept = keep_floats and storage.inside is DType.FLOAT32
    return storage if storage.is_storage and value.dtype is storage.inside and not is_kept else None


def note_storage(program: Program, graph: onnx_ir.Graph) -> None:
    """Say in the report what float64 loses, and what narrow floats cost."""
    values = [*graph.inputs, *graph.initializers.values(), *(v for node in graph for v in node.outputs)]
    names = [str(v.name) for v in values if v.dtype is onnx_ir.DataType.DOUBLE]
    if names:
        program.notes.append(f"float64 is computed in float32: {', '.join(names)}")
    weights = [v for v in graph.initializers.values() if v.dtype is not None and v.uses()]
    for kind in dict.fromkeys(
        v.dtype for v in weights if v.dtype in (onnx_ir.DataType.FLOAT16, onnx_ir.DataType.BFLOAT16)
    ):
        program.notes.append(f"weights of {kind} are stored as float32, in twice the bytes")
