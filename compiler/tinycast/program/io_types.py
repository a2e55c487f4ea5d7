"""What the API shows: quantized inputs and outputs, and uint8 only there."""

from __future__ import annotations

from dataclasses import replace

from tinycast.ir.graph import Builder, Program
from tinycast.ir.types import DType, Quant, Value
from tinycast.ops.pool import MaxPool
from tinycast.ops.quantize import Dequantize, FlipSign, Quantize
from tinycast.ops.shape import Concat, Move


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
    for call in list(program.calls):
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
        elif any(flipped.get(v) is v for v in call.inputs):  # it reads the numbers themselves
            build = Builder(program, call.source, "Cast")
            call.inputs = tuple(
                build.call(FlipSign(DType.UINT8), [v]) if flipped.get(v) is v else v for v in call.inputs
            )
            at = program.calls.index(call)
            program.calls[at:at] = build.calls
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
