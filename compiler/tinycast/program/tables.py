"""Element-wise arithmetic on one tensor of 8 or 16 bits as a table."""

from __future__ import annotations

import numpy as np

from tinycast.ir.graph import Builder, Call, Pattern, Program, interpret
from tinycast.ir.types import DType, Quant, Value
from tinycast.ops.elementwise import Clip
from tinycast.ops.lines import lines_through
from tinycast.ops.quantize import Alias, Dequantize, Quantize, Table, add_table


def make_tables(program: Program) -> int:
    """Element-wise arithmetic on one int8 tensor, up to a Quantize, becomes a table of 256 results.

    On int16 the table has fewer entries, with lines between them, where that is at most a step off for every input.
    """
    rewrites = 0
    made = program.producers()
    for call in list(program.calls):
        if not isinstance(call.op, Quantize) or call.op.dtype not in (DType.INT8, DType.INT16):
            continue
        region = _unary_region(call, made)
        if region is None:
            continue
        calls, raw, dequantize = region
        if raw.dtype is DType.INT16 and all(isinstance(c.op, Clip | Dequantize | Quantize) for c in calls):
            continue  # a multiplier and bounds do it
        low, high = raw.dtype.bounds
        every = np.arange(low, high + 1).astype(raw.dtype.numpy)
        probe = Value("probe", every.shape, raw.dtype)
        small = _on_probe(calls, raw, probe)
        result = interpret(Program("table", [probe], [small[-1].output], small), [every])
        titles = [c.title for c in calls if not isinstance(c.op, Dequantize | Quantize)]
        build = Builder(program, calls[-2].source, "+".join(titles) or "Rescale")
        table = result[small[-1].output]
        if np.array_equal(table, every) and dequantize.scale[0] == call.op.scale:
            new = build.call(Alias(), [raw], call.output.name)
        elif raw.dtype is DType.INT16:
            lines = lines_through(table, build.title)
            if lines is None:
                continue
            op, entries = lines
            new = build.call(op, [raw, build.constant(entries, "table")], call.output.name)
        else:
            new = add_table(build, raw, lambda q, t=table: t, build.title, call.output.name)  # type: ignore[misc]
        replace_quantize(program, call, new, build)
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
            if raw.dtype is not last.output.dtype or raw.shape != shape:
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


def replace_quantize(program: Program, call: Call, new: Value, build: Builder) -> None:
    """Put the built calls in the place of `call`, whose output becomes `new`."""
    index = program.calls.index(call)
    op = call.op
    assert isinstance(op, Quantize)
    new.quant = Quant((op.scale,), (op.zero_point,))
    program.calls[index : index + 1] = build.calls
    program.substitute(call.output, new)
