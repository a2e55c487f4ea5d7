"""Fusion: which calls become one kernel.

A group is a chain around at most one reduction. Fusing never changes a byte, because a group's
meaning is the composition of its calls' meanings.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tinycast.ir.graph import Builder, Call, Pattern, Program, Routine
from tinycast.ir.types import Value
from tinycast.ops.group_norm import GroupNorm
from tinycast.ops.layer_norm import LayerNorm
from tinycast.ops.pool import WindowMean
from tinycast.ops.reduce import ReduceMean
from tinycast.ops.resample import Interpolate
from tinycast.ops.shape import Concat, Reshape


def expand_floats(program: Program) -> int:
    """Layers that stayed in float and are no single kernel become what they stand for.

    Normalizations become operators, means among them; means a sum and a division.
    """
    return _expand(program, (GroupNorm, Interpolate, LayerNorm)) + _expand(program, (WindowMean, ReduceMean))


_Layer = GroupNorm | Interpolate | LayerNorm | ReduceMean | WindowMean


def _expand(program: Program, kinds: tuple[type[_Layer], ...]) -> int:
    rewrites = 0
    for call in list(program.calls):
        if isinstance(call.op, kinds):
            build = Builder(program, call.source, call.title)
            name = call.output.name
            call.output.name = f"{name}.expanded"
            new = call.op.expand(build, call.inputs, name)
            new.quant = call.output.quant
            index = program.calls.index(call)
            program.calls[index : index + 1] = build.calls
            program.substitute(call.output, new)
            rewrites += 1
    return rewrites


@dataclass(eq=False)
class Group:
    """Calls that become one kernel, in order. `anchor` is the reduction among them, if there is one."""

    calls: list[Call] = field(default_factory=list)

    @property
    def anchor(self) -> Call | None:
        return next((c for c in self.calls if c.op.pattern.is_reduction), None)

    @property
    def kind(self) -> str:
        """A word for the kernel's name: the operator that does the work."""
        named = self.anchor or self.calls[0]
        return "".join(c if c.isalnum() else "_" for c in named.title.lower())

    @property
    def output(self) -> Value:
        return self.calls[-1].output

    @property
    def inputs(self) -> list[Value]:
        """Values read from outside, in order of first use."""
        inside = {c.output for c in self.calls}
        return list(dict.fromkeys(v for c in self.calls for v in c.inputs if v not in inside))


def group_calls(program: Program) -> list[Group]:
    """Partition the program's calls, in an order in which the groups can run."""
    uses = program.consumers()
    of: dict[Call, Group] = {}
    groups: list[Group] = []
    made = program.producers()
    depths: dict[Value, int] = {}
    for call in program.calls:
        depths[call.output] = 1 + max((depths.get(v, 0) for v in call.inputs), default=0)
        target = _group_to_extend(call, program, uses, made, of, groups, depths)
        if target is None:
            target = Group()
            groups.append(target)
        else:  # it runs where its last operand is ready
            groups.remove(target)
            groups.append(target)
        target.calls.append(call)
        of[call] = target
    return _merge_prologues(groups, program, uses)


def _group_to_extend(
    call: Call,
    program: Program,
    uses: dict[Value, list[Call]],
    made: dict[Value, Call],
    of: dict[Call, Group],
    groups: list[Group],
    depths: dict[Value, int],
) -> Group | None:
    """The group whose result only `call` reads, if it can take the call on its end.

    Of several the one behind the longest chain: the others' results are then free to be made at any time,
    which leaves the memory plan a choice.
    """
    if call.op.pattern is not Pattern.ELEMENTWISE and not isinstance(call.op, Reshape):
        return None
    candidates = [of[made[v]] for v in call.inputs if v in made and _only_reader(v, program, uses)]
    candidates = [g for g in candidates if _can_end_with(g, call)]
    return max(candidates, key=lambda g: (depths[g.output], groups.index(g)), default=None)


def _only_reader(value: Value, program: Program, uses: dict[Value, list[Call]]) -> bool:
    return len(uses.get(value, [])) == 1 and value not in program.outputs


def _can_end_with(group: Group, call: Call) -> bool:
    if isinstance(group.calls[0].op, Routine):
        return False
    if isinstance(group.calls[-1].op, Reshape):
        return isinstance(call.op, Reshape)  # element-wise work after it has another index
    if isinstance(call.op, Reshape):
        return True
    if any(isinstance(c.op, Concat) for c in group.calls):
        return False  # the work would be repeated in each branch of the copy
    return group.output.shape == call.output.shape


def _merge_prologues(groups: list[Group], program: Program, uses: dict[Value, list[Call]]) -> list[Group]:
    """A group that only moves elements joins the one that reads it, if that reads each element about once."""
    owner = {c: g for g in groups for c in g.calls}
    merged: list[Group] = []
    for group in groups:
        reader = None
        if _only_moves(group) and _only_reader(group.output, program, uses):
            reader = owner[uses[group.output][0]]
            if not _takes_prologue(reader, group):
                reader = None
        if reader is None:
            merged.append(group)
            continue
        reader.calls[:0] = group.calls
        for call in group.calls:
            owner[call] = reader
    return merged


def _only_moves(group: Group) -> bool:
    return group.anchor is None and all(
        (c.op.pattern is Pattern.INJECTIVE and not isinstance(c.op, Concat)) or c.title == "Cast" for c in group.calls
    )


def _takes_prologue(reader: Group, group: Group) -> bool:
    if isinstance(reader.calls[0].op, Routine):
        return False
    if all(isinstance(c.op, Reshape) for c in group.calls):
        return True
    anchor = reader.anchor
    if anchor is None:
        return True
    window = getattr(anchor.op, "window", None)
    # A window with a border keeps a copy of the rows it reads: the copy does the move.
    return window is not None and any(window.pads) and anchor.inputs[0] is group.output
