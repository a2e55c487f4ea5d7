"""Kernels that run several others: steps with a memory plan of their own inside one C function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tinycast.ir.kernel import Argument, InnerCall, Kernel, MemoryPlan, Parameter, Role, Step
from tinycast.ir.types import DType, Value
from tinycast.memory import plan_memory
from tinycast.memory.aliases import aliased_parameters


@dataclass(frozen=True)
class InnerSteps:
    """Steps as statements of a composite kernel.

    `statements[i]` is the call of `steps[i]`, in the order of the plan; it names kernels as `$n(`, where n counts
    `calls`, constants as the parameters `constants` (in order: pairs of parameter and value), what the caller has
    placed by the expression given, and all else by its offset in `arena`.
    """

    steps: tuple[Step, ...]
    statements: tuple[str, ...]
    calls: tuple[InnerCall, ...]
    constants: tuple[tuple[Parameter, Value], ...]
    plan: MemoryPlan
    arena: str

    def at(self, value: Value) -> str:
        """The C expression (a void pointer) for a value that the plan has placed."""
        return f"(void *)({self.arena} + {self.plan.placements[value.name].offset})"

    @property
    def runtime(self) -> frozenset[str]:
        """The files of runtime_c that the kernels use."""
        return frozenset[str]().union(*(call.kernel.runtime for call in self.calls))


def inner_steps(
    steps: Sequence[Step],
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    *,
    outside: Mapping[str, str],
    arena: str,
    align: int,
    overwritten: Mapping[str, str] | None = None,
    after: Sequence[InnerSteps] = (),
) -> InnerSteps:
    """Plan `steps`, which read `inputs` and end with `outputs`, in the memory called `arena` (a byte pointer).

    `outside`: C expressions, by name, of values that the composite kernel finds elsewhere. They are not placed.
    `overwritten`: of those, each one that is written to the memory of another one, and that one: all but the step that
    writes it read the other one before, in the order of `steps`. `after`: statements of the same kernel that have been
    made, whose kernels and constants count first.
    """
    overwritten = overwritten or {}
    tokens = _tokens(steps, outside, overwritten)
    placed = [_without(step, outside, tokens) for step in steps]
    ours = [[v for v in values if v.name not in outside] for values in (inputs, outputs)]
    plan = plan_memory(placed, [*ours[0], *dict.fromkeys(tokens.values())], ours[1], align=align)
    first_call, first_constant = sum(len(a.calls) for a in after), sum(len(a.constants) for a in after)
    kernels: dict[tuple[int, frozenset[int]], int] = {}
    calls: list[InnerCall] = []
    constants: dict[int, tuple[Parameter, Value]] = {}

    def expression(argument: Argument) -> str:
        if not isinstance(argument, Value):
            return "INT32_MIN" if argument == -(2**31) else str(argument)
        if argument.is_constant:
            name = f"constant_{first_constant + len(constants)}"
            parameter = Parameter(name, argument.dtype, Role.INPUT, argument.bytes)
            return constants.setdefault(id(argument), (parameter, argument))[0].name
        if argument.name in outside:
            return outside[argument.name]
        return f"(void *)({arena} + {plan.placements[argument.name].offset})"

    statements = []
    for index in plan.order:
        aliased = frozenset((*aliased_parameters(placed[index], plan), *_overwriting(steps[index], overwritten)))
        kernel: Kernel = steps[index].kernel
        number = kernels.setdefault((id(kernel), aliased), len(calls))
        if number == len(calls):
            calls.append(InnerCall(kernel, aliased))
        statements.append(f"${first_call + number}({', '.join(expression(a) for a in steps[index].arguments)});")
    ordered = tuple(steps[i] for i in plan.order)
    return InnerSteps(ordered, tuple(statements), tuple(calls), tuple(constants.values()), plan, arena)


def _tokens(steps: Sequence[Step], outside: Mapping[str, str], overwritten: Mapping[str, str]) -> dict[str, Value]:
    """Values without bytes in place of those outside that steps write: they keep the order of writes and reads."""
    written = {v.name for step in steps for v in step.values(Role.OUTPUT) if v.name in outside}
    names = {name: overwritten.get(name, name) for name in written} | {name: name for name in overwritten.values()}
    made = {token: Value(f"{token}.order", (0,), DType.INT8) for token in names.values()}
    return {name: made[token] for name, token in names.items()}


def _without(step: Step, outside: Mapping[str, str], tokens: Mapping[str, Value]) -> Step:
    """The step as the plan sees it: values outside have no place, and those that are written have an order."""
    pairs = list(zip(step.kernel.parameters, step.arguments, strict=True))
    arguments = tuple(0 if _is_in(a, outside) else a for a in step.arguments)
    ordered = [(p.role, tokens[a.name]) for p, a in pairs if isinstance(a, Value) and a.name in tokens]
    unique = dict.fromkeys((role, value) for role, value in ordered)
    parameters = tuple(Parameter(value.name, value.dtype, role) for role, value in unique)
    kernel = replace(step.kernel, parameters=(*step.kernel.parameters, *parameters))
    return replace(step, kernel=kernel, arguments=(*arguments, *(value for _, value in unique)))


def _overwriting(step: Step, overwritten: Mapping[str, str]) -> Iterator[int]:
    """The parameters of `step` that share memory outside."""
    names = [a.name if isinstance(a, Value) and not a.is_constant else "" for a in step.arguments]
    for i, name in enumerate(names):
        others = [j for j, other in enumerate(names) if name in overwritten and other == overwritten[name]]
        yield from (i, *others) if others else ()


def _is_in(argument: Argument, outside: Mapping[str, str]) -> bool:
    return isinstance(argument, Value) and not argument.is_constant and argument.name in outside
