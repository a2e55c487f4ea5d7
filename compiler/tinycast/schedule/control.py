"""If, Loop and Scan as composite kernels: an `if` or a `for` around the calls of the bodies' kernels."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tinycast.errors import InternalError
from tinycast.ir.graph import Call
from tinycast.ir.kernel import Kernel, Parameter, Role, Step
from tinycast.ir.types import DType, Value
from tinycast.ops.control import If, Loop
from tinycast.schedule.composite import InnerSteps, inner_steps
from tinycast.target.types import Target

_COLUMNS = 108


def control_step(call: Call, bodies: Sequence[Sequence[Step]], target: Target, symbol: str) -> Step:
    """The step of an If or Loop; `bodies` are the steps of the operator's programs.

    Captured values and slices are read, and elements of outputs written, where they are. A carried value is a pointer:
    to the first one, then to what the last round made, which overwrites the one before where all has been read by then,
    else changes places with it in a second buffer, or stays in the output that collects it.
    """
    if isinstance(call.op, If):
        return _if_step(call, call.op, bodies, target, symbol)
    if isinstance(call.op, Loop):
        return _LoopWriter(call, call.op, bodies[0], target).step(symbol)
    raise InternalError(f"no kernel for {call.title}", where=call.source)


def _if_step(call: Call, op: If, bodies: Sequence[Sequence[Step]], target: Target, symbol: str) -> Step:
    parts: list[InnerSteps] = []
    for program, operands, steps in zip(op.branches, op.operands, bodies, strict=True):
        outputs, steps = _own_outputs(program.outputs, steps)
        outside = {v.name: f"input_{i}" for v, i in zip(program.inputs, operands, strict=True)}
        outside |= {v.name: f"output_{i}" for i, v in enumerate(outputs)}
        parts.append(
            inner_steps(
                steps,
                program.inputs,
                outputs,
                outside=outside,
                arena="scratch_0",
                align=target.buffer_align,
                after=tuple(parts),
            )
        )
    then, otherwise = (_lines(part) for part in parts)
    lines = ["if (input_0[0]) {", *then, *(["} else {", *otherwise] if otherwise else []), "}"]
    return _step(call, symbol, lines, parts, max(sum(s.macs for s in steps) for steps in bodies))


class _LoopWriter:
    def __init__(self, call: Call, op: Loop, steps: Sequence[Step], target: Target) -> None:
        self._call, self._op, self._target = call, op, target
        made = op.program.outputs[int(op.conditional) :]
        states, elements = made[: op.carried], made[op.carried :]
        computed = {v for step in steps for v in step.values(Role.OUTPUT)}
        # A carried value that an output collects is read there in the next round.
        self._collected = {k: elements.index(v) for k, v in enumerate(states) if v in computed and v in elements}
        others = [v for k, v in enumerate(states) if k not in self._collected]
        condition = op.program.outputs[: int(op.conditional)]
        outputs, self._steps = _own_outputs([*elements, *others, *condition], steps)
        self._elements = outputs[: len(elements)]
        rest = iter(outputs[len(elements) :])
        self._made = [
            self._elements[self._collected[k]] if k in self._collected else next(rest) for k in range(op.carried)
        ]
        self._condition = list(rest)
        self._number, *inputs = op.program.inputs
        self._states, self._slices = inputs[: op.carried], inputs[op.carried : op.carried + len(op.reversed_inputs)]
        self._captured = inputs[op.carried + len(op.reversed_inputs) :]
        self._overwritten = self._find_overwritten()
        self._buffers: list[Value] = []

    def step(self, symbol: str) -> Step:
        op = self._op
        outside = {v.name: f"input_{op.first_captured + i}" for i, v in enumerate(self._captured)}
        for i, (value, is_reversed) in enumerate(zip(self._slices, op.reversed_inputs, strict=True)):
            outside[value.name] = self._slice(f"input_{op.first_scanned + i}", value, is_reversed)
        for i, (value, is_reversed) in enumerate(zip(self._elements, op.reversed_outputs, strict=True)):
            outside[value.name] = self._slice(f"output_{op.carried + i}", value, is_reversed)
        outside |= {v.name: "&condition" for v in self._condition}
        outside[self._number.name] = "&number"
        start, advance, finish = [], [], []
        for k, (before, after) in enumerate(zip(self._states, self._made, strict=True)):
            outside[before.name] = f"state_{k}"
            start.append(f"const {before.dtype.c_name} *state_{k} = input_{op.first_carried + k};")
            if k in self._collected:
                advance.append(f"state_{k} = {outside[after.name]};")
            elif after.name in self._overwritten:
                outside[after.name] = f"output_{k}"
                advance.append(f"state_{k} = output_{k};")
            else:
                self._buffers.append(before)
                other = f"scratch_{len(self._buffers)}"
                outside[after.name] = f"next_{k}"
                start.append(f"{before.dtype.c_name} *next_{k} = {other};")
                advance += [f"state_{k} = next_{k};", f"next_{k} = next_{k} == output_{k} ? {other} : output_{k};"]
            finish += [
                f"if (state_{k} != output_{k}) {{",
                f"    memcpy(output_{k}, state_{k}, {before.bytes});",
                "}",
            ]
        inner = inner_steps(
            self._steps,
            op.program.inputs,
            [*self._condition, *self._made, *self._elements],
            outside=outside,
            arena="scratch_0",
            align=self._target.buffer_align,
            overwritten=self._overwritten,
        )
        body = [*_lines(inner), *(f"    {line}" for line in advance)]
        if any(self._number in s.arguments for s in self._steps):
            body.insert(0, "    const int64_t number = turn;")
        if op.tells_rounds:
            finish += self._rounds()
        lines = [*start, *self._bounds(), self._head(), *body, "}", *finish]
        pairs = tuple((len(self._call.inputs) + k, op.first_carried + k) for k in range(op.carried))
        macs = (op.trips or 1) * sum(s.macs for s in self._steps)
        return _step(self._call, symbol, lines, [inner], macs, self._buffers, pairs)

    def _bounds(self) -> list[str]:
        lines = ["int32_t turn = 0;"] if self._op.tells_rounds else []
        most = "INT32_MAX" if self._op.trips is None else self._op.trips
        if self._op.counted:
            lines += [
                "const int64_t wanted = input_0[0];",
                f"const int32_t turns = wanted < 0 ? 0 : wanted > {most} ? {most} : (int32_t)wanted;",
            ]
        if self._op.conditional:
            lines.append(f"bool condition = input_{int(self._op.counted)}[0];")
        return lines

    def _head(self) -> str:
        bound = "turns" if self._op.counted else "INT32_MAX" if self._op.trips is None else self._op.trips
        condition = " && condition" if self._op.conditional else ""
        start = "" if self._op.tells_rounds else "int32_t turn = 0"
        return f"for ({start}; turn < {bound}{condition}; ++turn) {{"

    def _rounds(self) -> list[str]:
        """Zeros behind the elements that were made, and how many these are."""
        op, trips = self._op, self._op.trips or 0
        lines = [
            f"memset(output_{op.carried + i} + turn * {v.size}, 0, (size_t)({trips} - turn) * {v.bytes});"
            for i, v in enumerate(self._elements)
        ]
        return [*lines, f"output_{op.carried + len(self._elements)}[0] = turn;"]

    def _slice(self, whole: str, value: Value, is_reversed: bool) -> str:
        turn = f"({(self._op.trips or 0) - 1} - turn)" if is_reversed else "turn"
        return f"{whole} + {turn}" if value.size == 1 else f"{whole} + {turn} * {value.size}"

    def _find_overwritten(self) -> dict[str, str]:
        """The next carried values that can take the memory of those they replace; orders the steps for it."""
        found: dict[str, str] = {}
        for k, (before, after) in enumerate(zip(self._states, self._made, strict=True)):
            if k in self._collected:
                continue
            writer = next(s for s in self._steps if after in s.values(Role.OUTPUT))
            ordered = _read_before(self._steps, before, writer, found)
            if ordered is not None and _allows(writer, before, after):
                found[after.name] = before.name
                self._steps = ordered
        return found


def _allows(step: Step, before: Value, after: Value) -> bool:
    """Whether the step may write `after` to the memory of `before`."""
    places = [i for i, a in enumerate(step.arguments) if a is before]
    output = next(i for i, a in enumerate(step.arguments) if a is after)
    return all((output, i) in step.kernel.in_place for i in places)


def _read_before(steps: Sequence[Step], value: Value, writer: Step, kept: dict[str, str]) -> list[Step] | None:
    """The steps in an order in which `value` is read before `writer` runs; None where there is none.

    What `kept` (overwriting name -> overwritten name) asks for stays true.
    """
    made = {v.name: step for step in steps for v in step.values(Role.OUTPUT)}
    before: dict[Step, set[Step]] = {
        step: {made[v.name] for v in step.values(Role.INPUT) if v.name in made} for step in steps
    }
    rules = [(made[after], name) for after, name in kept.items()] + [(writer, value.name)]
    for last, name in rules:
        before[last] |= {s for s in steps if s is not last and any(v.name == name for v in s.values(Role.INPUT))}
    ordered: list[Step] = []
    while len(ordered) < len(steps):
        ready = next((s for s in steps if s not in ordered and before[s] <= set(ordered)), None)
        if ready is None:
            return None
        ordered.append(ready)
    return ordered


def _own_outputs(outputs: Sequence[Value], steps: Sequence[Step]) -> tuple[list[Value], list[Step]]:
    """Let each output be made by a step of its own: what is constant, read from outside or made twice is copied."""
    free = {v for step in steps for v in step.values(Role.OUTPUT)}
    owned, all_steps = [], list(steps)
    for i, value in enumerate(outputs):
        if value in free:
            free.remove(value)
            owned.append(value)
            continue
        copied = replace(value, name=f"{value.name}.copied_{i}", data=None)
        owned.append(copied)
        parameters = (
            Parameter("input_0", value.dtype, Role.INPUT, value.bytes),
            Parameter("output_0", value.dtype, Role.OUTPUT, value.bytes),
        )
        kernel = Kernel("copy", parameters, f"memcpy(output_0, input_0, {value.bytes});")
        all_steps.append(Step(value.name, "Identity", kernel, (value, copied)))
    return owned, all_steps


def _lines(inner: InnerSteps) -> list[str]:
    lines = []
    for step, statement in zip(inner.steps, inner.statements, strict=True):
        comment = f"{step.op} ({', '.join(step.sources or (step.name,))})".replace("*/", "* /").replace("/*", "/ *")
        lines += textwrap.wrap(f"/* {comment} */", _COLUMNS, initial_indent="    ", subsequent_indent="     * ")
        lines += textwrap.wrap(
            statement,
            _COLUMNS,
            initial_indent="    ",
            subsequent_indent="        ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def _step(
    call: Call,
    symbol: str,
    lines: Iterable[str],
    parts: Sequence[InnerSteps],
    macs: int,
    buffers: Sequence[Value] = (),
    in_place: tuple[tuple[int, int], ...] = (),
) -> Step:
    name = call.output.name
    arena_bytes = max(part.plan.arena_bytes for part in parts)
    scratch = [Value(f"{name}.scratch_0", (arena_bytes,), DType.INT8)] if arena_bytes else []
    numbers = range(1 - len(scratch), len(buffers) + 1)
    scratch += [Value(f"{name}.scratch_{i + 1}", v.shape, v.dtype) for i, v in enumerate(buffers)]
    parameters = [
        *(Parameter(f"input_{i}", v.dtype, Role.INPUT, v.bytes) for i, v in enumerate(call.inputs)),
        *(Parameter(f"output_{i}", v.dtype, Role.OUTPUT, v.bytes) for i, v in enumerate(call.outputs)),
        *(Parameter(f"scratch_{i}", v.dtype, Role.SCRATCH, v.bytes) for i, v in zip(numbers, scratch, strict=True)),
        *(parameter for part in parts for parameter, _ in part.constants),
    ]
    arguments = (*call.inputs, *call.outputs, *scratch, *(value for part in parts for _, value in part.constants))
    kernel = Kernel(
        symbol,
        tuple(parameters),
        "\n".join(lines),
        frozenset[str]().union(*(part.runtime for part in parts)),
        in_place,
        calls=tuple(inner for part in parts for inner in part.calls),
    )
    return Step(call.source, call.title, kernel, arguments, (call.source,), macs)
