"""Control flow: If, Loop and Scan. Their bodies are Programs of their own; nothing is unrolled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tinycast.errors import ModelError
from tinycast.ir.graph import Builder, Call, Program, Routine, TensorType, interpret
from tinycast.ir.sizes import axis_count
from tinycast.ir.types import Array, DType, Sizes, Value
from tinycast.ops.logic import Cast
from tinycast.ops.node import Imported, Node
from tinycast.ops.shape import Reshape, Transpose, perm_back

_EXAMPLE_TRIPS = 100_000  # a loop that runs longer on an example input is taken for endless


class EndlessLoopError(ModelError):
    """A loop does not end on an example input."""


@dataclass(frozen=True)
class Control(Routine):
    """An operator that runs other programs: they are compiled like the one that it is a part of."""

    @property
    def bodies(self) -> tuple[Program, ...]:
        raise NotImplementedError

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        raise NotImplementedError  # schedule/control.py writes it, around the kernels of the bodies


@dataclass(frozen=True)
class If(Control):
    """The outputs of one program or the other, by the first operand.

    Input i of program p is operand `operands[p][i]`.
    """

    branches: tuple[Program, Program]  # where the condition holds, and where it does not
    operands: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def bodies(self) -> tuple[Program, ...]:
        return self.branches

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return tuple(TensorType(v.shape, v.dtype) for v in self.branches[0].outputs)

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        return ()  # the programs read the counts of what they capture

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        taken = 0 if arrays[0].reshape(-1)[0] else 1
        return _run(self.branches[taken], [arrays[i] for i in self.operands[taken]])


@dataclass(frozen=True)
class Loop(Control):
    """ONNX's Loop, and its Scan along axis 0.

    Operands: the trip count if `counted` (int64), the first condition if `conditional` (bool), the `carried` values'
    first ones, what is scanned (a slice a round, from the end if `reversed_inputs`), and what is captured. The inputs
    of `program`: the round's number (int64), the carried values, the slices, and what is captured. Its outputs: whether
    to go on if `conditional`, the next carried values, and an element for each scanned output.

    Scanned outputs have `trips` elements. Where the loop may end earlier the others are zeros, and one output more
    says how many rounds there were (int32, of shape (1,)).
    """

    program: Program
    trips: int | None  # the most rounds; None: counted, or as long as the condition holds
    counted: bool
    conditional: bool
    carried: int
    reversed_inputs: tuple[bool, ...] = ()
    reversed_outputs: tuple[bool, ...] = ()

    @property
    def bodies(self) -> tuple[Program, ...]:
        return (self.program,)

    @property
    def first_carried(self) -> int:
        """The operand that is the first value carried."""
        return self.counted + self.conditional

    @property
    def first_scanned(self) -> int:
        return self.first_carried + self.carried

    @property
    def first_captured(self) -> int:
        return self.first_scanned + len(self.reversed_inputs)

    @property
    def tells_rounds(self) -> bool:
        """Whether the last output is the number of rounds."""
        return (self.conditional or self.counted) and bool(self.reversed_outputs)

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        made = self.program.outputs[int(self.conditional) :]
        states = tuple(TensorType(v.shape, v.dtype) for v in made[: self.carried])
        elements = tuple(TensorType((self.trips or 0, *v.shape), v.dtype) for v in made[self.carried :])
        return (*states, *elements, *([TensorType((1,), DType.INT32)] if self.tells_rounds else []))

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        # What is captured brings its counts with it.
        return None if any(v.sizes for v in inputs[: self.first_scanned]) else ()

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        wanted = int(arrays[0].reshape(-1)[0]) if self.counted else self.trips
        trips = wanted if self.trips is None or wanted is None else min(wanted, self.trips)
        goes_on = not self.conditional or bool(arrays[int(self.counted)].reshape(-1)[0])
        states = tuple(arrays[self.first_carried : self.first_scanned])
        scanned, captured = arrays[self.first_scanned : self.first_captured], arrays[self.first_captured :]
        elements = self.program.outputs[int(self.conditional) + self.carried :]
        stacked = [np.zeros((self.trips or 0, *v.shape), v.dtype.numpy) for v in elements]
        index = 0
        while goes_on and (trips is None or index < trips):
            slices = [x[-1 - index if r else index] for x, r in zip(scanned, self.reversed_inputs, strict=True)]
            made = _run(self.program, [np.asarray(index, np.int64), *states, *slices, *captured])
            if self.conditional:
                goes_on, made = bool(made[0].reshape(-1)[0]), made[1:]
            states = made[: self.carried]
            for whole, element, r in zip(stacked, made[self.carried :], self.reversed_outputs, strict=True):
                whole[-1 - index if r else index] = element
            index += 1
            if index > _EXAMPLE_TRIPS and trips is None:
                raise EndlessLoopError("Loop: it does not end on an example input", where=self.program.name)
        return (*states, *stacked, *([np.asarray([index], np.int32)] if self.tells_rounds else []))


def _run(program: Program, arrays: Sequence[Array]) -> tuple[Array, ...]:
    known = interpret(program, [np.asarray(a) for a in arrays])
    return tuple(known[v] for v in program.outputs)


def inner_programs(program: Program) -> list[Program]:
    """The programs that the calls of this one run."""
    return [body for call in program.calls if isinstance(call.op, Control) for body in call.op.bodies]


def all_calls(program: Program) -> Iterator[Call]:
    """The program's calls, and those of the programs inside."""
    for each in (program, *inner_programs(program)):
        yield from each.calls if each is program else all_calls(each)


def import_if(node: Node) -> Imported:
    condition = node.input(0)
    if condition.data is not None:
        node.reject("the condition is a constant that was not folded")
    names = ("then_branch", "else_branch")
    (then, then_reads), (otherwise, else_reads) = (node.subprogram(name, []) for name in names)
    for a, b in zip(then.outputs, otherwise.outputs, strict=True):
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            kinds = " and ".join(f"{v.dtype.value}{list(v.shape)}" for v in (a, b))
            node.reject(f"the branches give {kinds}", "let both branches give the same shape and type")
    captured = list(dict.fromkeys((*then_reads, *else_reads)))
    places = {value: 1 + i for i, value in enumerate(captured)}
    operands = (tuple(places[v] for v in then_reads), tuple(places[v] for v in else_reads))
    return node.build.call_all(If((then, otherwise), operands), [condition, *captured])


def import_loop(node: Node) -> Imported:
    trips_in, condition = node.optional(0), node.optional(1)
    trips = None if trips_in is None or trips_in.data is None else max(0, int(trips_in.data.reshape(-1)[0]))
    initial = [node.input(i) for i in range(2, len(node.inputs))]
    number = node.fresh("round", (), DType.INT64)
    going = Value("going", (), DType.BOOL, data=np.asarray(True))  # the body runs only where the condition holds
    states = [node.fresh(f"state_{i}", v.shape, v.dtype) for i, v in enumerate(initial)]
    program, captured = node.subprogram("body", [number, going, *states])
    if (condition is not None and condition.data is not None and not condition.data.reshape(-1)[0]) or trips == 0:
        elements = program.outputs[1 + len(states) :]
        return (*initial, *(node.build.constant(np.zeros((0, *v.shape), v.dtype.numpy)) for v in elements))
    goes_on = program.outputs[0].data
    conditional = goes_on is None or not goes_on.all() or (condition is not None and condition.data is None)
    if not conditional:
        program.outputs = program.outputs[1:]
    trips = None if trips is not None and trips >= 2**31 - 1 else trips
    counted = trips_in is not None and trips_in.data is None
    if trips is None and not conditional and not counted:
        node.reject("the loop has no end")
    scans = len(program.outputs) - int(conditional) - len(states)
    if scans and trips is None:
        node.reject(
            "how many elements its scan outputs have at most depends on data",
            "give the loop a constant trip count (its condition may end it earlier), or carry a tensor of full size",
        )
    _check_states(node, states, program.outputs[int(conditional) :])
    if condition is None:
        condition = node.build.constant(np.asarray(True), "condition")
    op = Loop(program, trips, counted, conditional, len(states), (), (False,) * scans)
    first = [v for v, used in ((trips_in, counted), (condition, conditional)) if used and v is not None]
    return _call(node, op, [*first, *initial, *captured])


def _call(node: Node, op: Loop, operands: Sequence[Value]) -> tuple[Value, ...]:
    """The results of the loop; its scanned outputs are as long as there are rounds."""
    results = node.build.call_all(op, operands)
    if not op.tells_rounds:
        return results
    *made, rounds = results
    stacked = []
    for value in made[op.carried :]:
        if value.data is not None and rounds.data is not None:
            value = node.build.constant(value.data[: rounds.data[0]])
        else:
            value.sizes = (rounds, *(None,) * (len(value.shape) - 1))
        stacked.append(value)
    return (*made[: op.carried], *stacked)


def _check_states(node: Node, states: Sequence[Value], made: Sequence[Value]) -> None:
    for i, (before, after) in enumerate(zip(states, made, strict=False)):
        if (before.shape, before.dtype) != (after.shape, after.dtype):
            node.reject(
                f"the carried value {i} is {before.dtype.value}{list(before.shape)} at first, and "
                f"{after.dtype.value}{list(after.shape)} after a round",
                "carry tensors of one shape: write into a tensor of full size instead of growing one",
            )


def import_scan(node: Node) -> Imported:
    """Scan from opset 9 on: axes other than the first are moved there and back."""
    scans = node.int("num_scan_inputs", 1)
    operands = [node.input(i) for i in range(len(node.inputs))]
    initial, scanned = operands[:-scans], operands[-scans:]
    axes = [a % len(v.shape) for a, v in zip(node.ints("scan_input_axes", [0] * scans), scanned, strict=True)]
    lengths = {v.shape[a] for v, a in zip(scanned, axes, strict=True)}
    if len(lengths) > 1:
        node.reject(f"the scanned inputs have different lengths: {sorted(lengths)}")
    trips = lengths.pop()
    backward = [bool(d) for d in node.ints("scan_input_directions", [0] * scans)]
    counts = {axis_count(v, a) for v, a in zip(scanned, axes, strict=True)}
    rounds = counts.pop() if len(counts) == 1 else None
    turned = any((*backward, *node.ints("scan_output_directions", [])))
    for value, scan_axis in zip(scanned, axes, strict=True):
        for axis in range(len(value.shape)):
            if axis != scan_axis or counts or turned:
                node.require_static(value, axis)
    counted = rounds is not None
    trip_count = [node.build.call(Cast(DType.INT64), [node.build.call(Reshape(()), [rounds])])] if rounds else []
    scanned = [_to_front(node, v, a) for v, a in zip(scanned, axes, strict=True)]
    states = [node.fresh(f"state_{i}", v.shape, v.dtype) for i, v in enumerate(initial)]
    slices = [node.fresh(f"slice_{i}", v.shape[1:], v.dtype) for i, v in enumerate(scanned)]
    number = node.fresh("round", (), DType.INT64)
    program, captured = node.subprogram("body", [*states, *slices])
    program.inputs.insert(0, number)
    _check_states(node, states, program.outputs)
    elements = program.outputs[len(states) :]
    op = Loop(
        program,
        trips,
        counted,
        False,
        len(states),
        tuple(backward),
        tuple(bool(d) for d in node.ints("scan_output_directions", [0] * len(elements))),
    )
    results = _call(node, op, [*trip_count, *initial, *scanned, *captured])
    moved = []
    axes = node.ints("scan_output_axes", [0] * len(elements))
    for value, axis in zip(results[len(states) :], axes, strict=True):
        rank = len(value.shape)
        perm = perm_back((axis % rank, *(a for a in range(rank) if a != axis % rank)))
        moved.append(value if axis % rank == 0 else node.build.call(Transpose(perm), [value]))
    return (*results[: len(states)], *moved)


def _to_front(node: Node, value: Value, axis: int) -> Value:
    perm = (axis, *(a for a in range(len(value.shape)) if a != axis))
    return value if axis == 0 else node.build.call(Transpose(perm), [value])


IMPORTERS = {"If": import_if, "Loop": import_loop, "Scan": import_scan}
