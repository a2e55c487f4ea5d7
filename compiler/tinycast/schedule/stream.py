"""Row streaming: a run of layers as one kernel that computes a few rows at a time.

No row is computed twice, and each is computed as in the layer's own kernel, so that integers come out the same.
(Rows kept in rolling buffers: "MCUNetV2: Memory-Efficient Patch-based Inference", arXiv:2110.15352, has patches with
recomputed borders; here the border is kept instead.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from tinycast.ir.kernel import Argument, Kernel, Parameter, Role, Step, Streamed
from tinycast.ir.types import DType, Value
from tinycast.schedule.composite import InnerSteps, inner_steps
from tinycast.schedule.kernel import make_step
from tinycast.schedule.stream_overlap import overlaps
from tinycast.schedule.stream_plan import Reader
from tinycast.schedule.stream_segment import Buffer, Segment
from tinycast.schedule.stream_strips import Operand, Strip, row_name, strip_calls, sum_calls, window_name
from tinycast.schedule.tuning import Tuning
from tinycast.target.types import Target

_ARENA = "scratch"


@dataclass(frozen=True)
class StripSteps:
    """The compiled kernels of a strip: of a row, and of the output of sums over rows."""

    row: Step
    total: Step | None = None


def compile_strip(strip: Strip, columns: int, target: Target, tuning: Tuning | None = None) -> StripSteps:
    calls, anchor = strip_calls(strip, columns)
    symbol = strip.layer.step.kernel.symbol
    row = make_step(calls, anchor, target, f"{symbol}_row", tuning)
    return StripSteps(row, make_step(sum_calls(strip), None, target, f"{symbol}_total", tuning) if strip.sums else None)


def segment_step(segment: Segment, compiled: Sequence[StripSteps], target: Target) -> Step:
    """The step that runs the segment; `compiled` are its strips' kernels, in their order."""
    return _Writer(segment, compiled, target).step()


class _Writer:
    def __init__(self, segment: Segment, compiled: Sequence[StripSteps], target: Target) -> None:
        self._segment = segment
        self._compiled = dict(zip((id(s) for s in segment.strips), compiled, strict=True))
        self._align = target.buffer_align
        self._inputs = {value: f"input_{i}" for i, value in enumerate(segment.outside)}
        self._offsets: list[int] = []
        end = 0
        for unit, capacity in zip(segment.units, segment.capacities, strict=True):
            self._offsets.append(end)
            if unit.buffer is not None:
                end += -(-unit.buffer.bytes(capacity) // self._align) * self._align
        self._buffer_bytes = end
        self._final = self._compiled[id(segment.strips[-1])].total
        self._numbers: dict[int, list[Step]] = {}  # the steps of a unit's turn

    def step(self) -> Step:
        segment = self._segment
        inner = self._inner()
        body = "\n".join(self._body(inner))
        output = segment.output
        scratch = [("buffers", DType.INT8, self._buffer_bytes), (_ARENA, DType.INT8, inner.plan.arena_bytes)]
        if self._final is not None:
            total = self._total()
            scratch.append(("total", total.dtype, total.bytes))
        parameters, arguments = [], list[Argument]()
        for value, name in self._inputs.items():
            parameters.append(Parameter(name, value.dtype, Role.INPUT, value.bytes))
            arguments.append(value)
        parameters.append(Parameter("output", output.dtype, Role.OUTPUT, output.bytes))
        arguments.append(output)
        for name, dtype, size in scratch:
            if size:
                parameters.append(Parameter(name, dtype, Role.SCRATCH, size))
                arguments.append(Value(f"{output.name}.{name}", (size // dtype.itemsize,), dtype))
        for parameter, value in inner.constants:
            parameters.append(parameter)
            arguments.append(value)
        layers = [s.layer.step for s in segment.strips]
        kernel = Kernel(
            f"rows_{layers[0].kernel.symbol}",
            tuple(parameters),
            body,
            inner.runtime | {"tc_copy.h", "tc_make_room.h"},
            overlap=overlaps(segment, sums=self._final is not None),
            calls=inner.calls,
        )
        report = Streamed(
            tuple(s.name for s in layers),
            tuple(
                (u.buffer.value.name, c, u.buffer.bytes(c))
                for u, c in zip(segment.units, segment.capacities, strict=True)
                if u.buffer is not None
            ),
            len(segment.order),
            inner.plan,
        )
        return Step(
            layers[0].name,
            f"Rows of {len(layers)} layers",
            kernel,
            tuple(arguments),
            tuple(dict.fromkeys(source for s in layers for source in s.sources)),
            sum(s.macs for s in layers),
            streamed=report,
        )

    def _total(self) -> Value:
        assert self._final is not None
        return next(v for v in self._final.values(Role.INPUT) if v.name.endswith(".total") and not v.is_constant)

    def _inner(self) -> InnerSteps:
        """All kernels with the places of what they read and write; temporaries planned."""
        segment, outside = self._segment, dict[str, str]()
        steps: list[Step] = []
        for number, unit in enumerate(segment.units):
            mine: list[Step] = []
            for strip in unit.strips:
                renamed: dict[str, str] = {}
                for operand in strip.operands:
                    name = window_name(strip, operand)
                    if operand.value in segment.temporary:
                        renamed[name] = f"{operand.value.name}.row"
                    else:
                        outside[name] = self._window(number, operand)
                mine.append(_renamed(self._compiled[id(strip)].row, renamed))
            if unit.strips and not unit.strips[-1].sums:
                outside[row_name(unit.strips[-1])] = self._place_of_row(number)
            if unit.strips and unit.strips[-1].sums:
                mine.append(_adding(mine[-1].values(Role.OUTPUT)[0], self._total()))
            self._numbers[number] = mine
            steps += mine
        if self._final is not None:
            steps.append(self._final)
            outside |= {self._total().name: "total", segment.output.name: "output"}
        return inner_steps(steps, [], [], outside=outside, arena=_ARENA, align=self._align)

    def _window(self, number: int, operand: Operand) -> str:
        """Where the rows of an operand begin in the turn of unit `number`."""
        source = self._segment.buffers.get(operand.value)
        stride = f"row_{number}" if operand.stride == 1 else f"row_{number} * {operand.stride}"
        if source is None:
            row_bytes = operand.image[1] * operand.image[2] * operand.value.dtype.itemsize
            return f"(const void *)((const int8_t *){self._inputs[operand.value]} + {stride} * {row_bytes})"
        buffer = self._buffer(source)
        above = f" - {operand.above}" if operand.above else ""
        column = (buffer.left - operand.left) * buffer.column_bytes
        return f"(void *)(buffer_{source} + ({stride}{above} - first_{source}) * {buffer.row_bytes}{_plus(column)})"

    def _buffer(self, number: int) -> Buffer:
        buffer = self._segment.units[number].buffer
        assert buffer is not None
        return buffer

    def _place_of_row(self, number: int) -> str:
        unit = self._segment.units[number]
        if unit.buffer is None:
            output = self._segment.output
            row_bytes = prod(self._segment.strips[-1].image[1:]) * output.dtype.itemsize
            return f"(void *)((int8_t *)output + row_{number} * {row_bytes})"
        column = unit.buffer.left * unit.buffer.column_bytes
        return f"(void *)(buffer_{number} + (row_{number} - first_{number}) * {unit.buffer.row_bytes}{_plus(column)})"

    def _body(self, inner: InnerSteps) -> list[str]:
        units, last = self._segment.units, len(self._segment.units) - 1
        statement = {id(step): text for step, text in zip(inner.steps, inner.statements, strict=True)}
        lines = [
            f"int8_t *const buffer_{n} = buffers + {self._offsets[n]}; /* {self._segment.capacities[n]} rows of "
            f"{u.buffer.row_bytes} bytes */"
            for n, u in enumerate(units)
            if u.buffer is not None
        ]
        lines += [f"int32_t row_{n} = 0;" for n in range(last + 1)]
        lines += [f"int32_t first_{n} = {-u.buffer.above};" for n, u in enumerate(units) if u.buffer is not None]
        for n, unit in enumerate(units):
            b = unit.buffer
            if b is not None and any((b.above, b.left, b.right)):
                lines.append(f"tc_fill(buffer_{n}, {b.fill}, {b.bytes(self._segment.capacities[n])});")
        if self._final is not None:
            lines.append(f"tc_fill(total, 0, {self._total().bytes});")
        if last == 0:
            lines.append(f"for (; row_0 < {units[0].height}; ++row_0) {{")
            lines += self._turn(0, statement)
            lines.append("}")
        else:
            lines.append(f"while (row_{last} < {units[last].height}) {{")
            for n in range(last, -1, -1):
                condition = self._condition(n)
                head = f"if ({condition}) {{" if n == last else f"}} else if ({condition}) {{" if n else "} else {"
                lines += [f"    {head}", *(f"    {line}" for line in self._turn(n, statement)), f"        ++row_{n};"]
            lines += ["    }", "}"]
        if self._final is not None:
            lines.append(statement[id(self._final)])
        return lines

    def _condition(self, number: int) -> str:
        """Whether a stage can make its next row: stream_plan says the same."""
        segment, stage = self._segment, self._segment.stages[number]
        tests = [
            f"row_{r.source} >= {_linear(f'row_{number}', r.stride, r.rows - r.above)}"
            for r in dict.fromkeys(stage.reads)
        ]
        if stage.bottom and tests:
            tests = [f"(row_{number} >= {stage.height} || ({' && '.join(tests)}))"]
        if number != len(segment.units) - 1:
            tests.insert(0, f"row_{number} < {stage.turns}")
            capacity = segment.capacities[number]
            tests += [
                f"row_{number} < {_linear(f'row_{r.stage}', r.read.stride, capacity - r.read.above)}"
                for r in self._readers(number)
            ]
        return " && ".join(tests) or "1"

    def _readers(self, number: int) -> list[Reader]:
        stages = self._segment.stages
        return list(dict.fromkeys(Reader(s, r) for s, t in enumerate(stages) for r in t.reads if r.source == number))

    def _turn(self, number: int, statement: dict[int, str]) -> list[str]:
        unit, stage = self._segment.units[number], self._segment.stages[number]
        lines = self._room(number)
        work = self._copy(number) if not unit.strips else [statement[id(step)] for step in self._numbers[number]]
        if not stage.bottom:
            return [*lines, *(f"    {line}" for line in work)]
        buffer = self._buffer(number)
        size = buffer.image[1] * buffer.column_bytes
        fill = f"tc_fill({self._place_of_row(number)}, {buffer.fill}, {size});"
        lines += [f"    if (row_{number} < {stage.height}) {{", *(f"        {line}" for line in work)]
        return [*lines, "    } else {", f"        {fill}", "    }"]

    def _room(self, number: int) -> list[str]:
        unit = self._segment.units[number]
        if unit.buffer is None:
            return []
        oldest = ""
        for r in self._readers(number):
            term = _linear(f"row_{r.stage}", r.read.stride, -r.read.above)
            oldest = term if not oldest else f"tc_lesser({oldest}, {term})"
        capacity = self._segment.capacities[number]
        return [
            f"    first_{number} = tc_make_room(buffer_{number}, {unit.buffer.row_bytes}, {capacity}, "
            f"row_{number}, first_{number}, {oldest});"
        ]

    def _copy(self, number: int) -> list[str]:
        """A row from outside into its buffer."""
        buffer = self._buffer(number)
        height, width, channels = buffer.image
        source, place, dtype = self._inputs[buffer.value], self._place_of_row(number), buffer.value.dtype
        if not buffer.planes:
            size = width * buffer.column_bytes
            return [f"tc_copy({place}, (const int8_t *){source} + row_{number} * {size}, {size});"]
        return [
            f"const {dtype.c_name} *from = {source} + row_{number} * {width};",
            f"{dtype.c_name} *to = {place};",
            "int32_t column, channel;",
            f"for (column = 0; column < {width}; ++column) {{",
            f"    for (channel = 0; channel < {channels}; ++channel) {{",
            f"        *to++ = from[channel * {height * width} + column];",
            "    }",
            "}",
        ]


def _adding(row: Value, total: Value) -> Step:
    """total += row"""
    parameters = (
        Parameter("row", row.dtype, Role.INPUT, row.bytes),
        Parameter("total", total.dtype, Role.OUTPUT, total.bytes),
    )
    body = f"int32_t i;\nfor (i = 0; i < {row.size}; ++i) {{\n    total[i] += row[i];\n}}"
    return Step("sum", "Sum", Kernel("add_row", parameters, body), (row, total))


def _renamed(step: Step, names: dict[str, str]) -> Step:
    if not names:
        return step
    arguments = tuple(
        replace(a, name=names[a.name]) if isinstance(a, Value) and a.name in names else a for a in step.arguments
    )
    return replace(step, arguments=arguments)


def _plus(number: int) -> str:
    return f" + {number}" if number else ""


def _linear(variable: str, factor: int, constant: int) -> str:
    product = variable if factor == 1 else f"{variable} * {factor}"
    return f"{product} {'+' if constant > 0 else '-'} {abs(constant)}" if constant else product
