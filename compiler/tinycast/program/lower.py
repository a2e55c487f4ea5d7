"""All passes of the target level, in their order."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir

from tinycast.errors import InternalError
from tinycast.ir.graph import Program
from tinycast.ir.types import DType
from tinycast.model.functions import write_out_functions
from tinycast.model.labels import class_notes
from tinycast.model.state import State
from tinycast.ops import IMPORTERS
from tinycast.ops.control import inner_programs
from tinycast.ops.quantize import Dequantize, Quantize
from tinycast.ops.shape import Transpose
from tinycast.program import integers, io_types, layout, tables
from tinycast.program.channel_scales import fold_channel_scales
from tinycast.program.from_onnx import import_program
from tinycast.program.groups import Group, expand_floats, group_calls
from tinycast.program.recurrent import write_layers_in_integers
from tinycast.program.states import note_states, separate_states


def to_integers(
    model: onnx_ir.Model, name: str, *, keep_float_io: bool = False, states: Sequence[State] = ()
) -> Program:
    """The model as typed operators in ONNX's order, integer arithmetic spelled out."""
    write_out_functions(model, IMPORTERS)
    program = import_program(model, name)
    program.notes += class_notes(model)
    note_states(program, model, states)
    _write_in_integers(program, keep_float_io=keep_float_io)
    io_types.store_edges(program, model.graph, keep_floats=keep_float_io)
    io_types.note_storage(program, model.graph)
    return program


def _write_in_integers(program: Program, *, keep_float_io: bool) -> None:
    for body in inner_programs(program):
        _write_in_integers(body, keep_float_io=True)
        program.notes += body.notes
    integers.fold_add_into_bias(program)
    while integers.move_dequantize_down(program) + fold_channel_scales(program):
        pass
    io_types.strip_edges(program, float_api=keep_float_io)
    io_types.note_edge_scales(program)
    io_types.make_activations_signed(program)
    while integers.fold_clip_into_quantize(program) + integers.move_quantize_up(program):
        pass
    write_layers_in_integers(program)
    tables.make_tables(program)
    integers.write_in_integers(program)
    integers.remove_aliases(program)
    integers.fold_dequantized_constants(program)
    program.remove_dead()
    # A node may be several calls.
    program.notes += dict.fromkeys(
        f"{call.title} {call.source} runs in float32"
        for call in program.calls
        if DType.FLOAT32 in (v.dtype for v in (*call.inputs, call.output))
        and not isinstance(call.op, Quantize | Dequantize)
        and any(isinstance(c.op, Quantize | Dequantize) for c in program.calls)
    )


def to_groups(program: Program) -> list[Group]:
    """Lay the program out for the target and partition it into kernels."""
    expand_floats(program)
    layout.convert_to_nhwc(program)
    layout.sink_transposes(program)
    layout.sink_reshapes(program)
    layout.remove_identity_moves(program)
    layout.merge_equal_calls(program)
    separate_states(program)
    check_layout(program)
    program.notes += [
        f"{call.source}: {call.inputs[0].name} is transposed from {call.inputs[0].shape} to {call.output.shape}"
        for call in program.calls
        if isinstance(call.op, Transpose)
    ]
    groups = group_calls(program)
    check_groups(groups)
    return groups


def check_layout(program: Program) -> None:
    """Every operator is NHWC, and every value is made before it is read."""
    known = set(program.inputs)
    for call in program.calls:
        if getattr(call.op, "channels_first", False):
            raise InternalError("an operator is still NCHW", where=call.source)
        missing = [v.name for v in call.inputs if not v.is_constant and v not in known]
        if missing:
            raise InternalError(f"{missing} is read before it is made", where=call.source)
        known.update(call.outputs)


def check_groups(groups: list[Group]) -> None:
    """No group has two reductions, and no 32-bit accumulator of an int8 layer leaves its kernel.

    Those of int16 activations may: they are what ConvInteger and MatMulInteger give.
    """
    for group in groups:
        anchors = [c for c in group.calls if c.op.pattern.is_reduction]
        if len(anchors) > 1:
            raise InternalError("two reductions in one kernel", where=group.calls[0].source)
        if anchors and group.output.dtype is DType.INT32 and anchors[0].inputs[0].dtype is DType.INT8:
            raise InternalError("an accumulator is stored", where=anchors[0].source)
