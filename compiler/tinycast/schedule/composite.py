"""Kernels that run several others: steps with a memory plan of their own inside one C function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tinycast.ir.kernel import Argument, InnerCall, Kernel, MemoryPlan, Parameter, Role, Step
from tinycast.ir.types import Value
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
) -> InnerSteps:
    """Plan `steps`, which read `inputs` and end with `outputs`, in the memory called `arena` (a byte pointer).

    `outside`: C expressions, by name, of values that the composite kernel finds elsewhere. They are not placed.
    """
    placed = [replace(step, arguments=tuple(0 if _is_in(a, outside) else a for a in step.arguments)) for step in steps]
    ours = [[v for v in values if v.name not in outside] for values in (inputs, outputs)]
    plan = plan_memory(placed, *ours, align=align)
    kernels: dict[tuple[int, frozenset[int]], int] = {}
    calls: list[InnerCall] = []
    constants: dict[int, tuple[Parameter, Value]] = {}

    def expression(argument: Argument) -> str:
        if not isinstance(argument, Value):
            return "INT32_MIN" if argument == -(2**31) else str(argument)
        if argument.is_constant:
            name = f"constant_{len(constants)}"
            parameter = Parameter(name, argument.dtype, Role.INPUT, argument.bytes)
            return constants.setdefault(id(argument), (parameter, argument))[0].name
        if argument.name in outside:
            return outside[argument.name]
        return f"(void *)({arena} + {plan.placements[argument.name].offset})"

    statements = []
    for index in plan.order:
        aliased = frozenset(aliased_parameters(placed[index], plan))
        kernel: Kernel = steps[index].kernel
        number = kernels.setdefault((id(kernel), aliased), len(calls))
        if number == len(calls):
            calls.append(InnerCall(kernel, aliased))
        statements.append(f"${number}({', '.join(expression(a) for a in steps[index].arguments)});")
    ordered = tuple(steps[i] for i in plan.order)
    return InnerSteps(ordered, tuple(statements), tuple(calls), tuple(constants.values()), plan, arena)


def _is_in(argument: Argument, outside: Mapping[str, str]) -> bool:
    return isinstance(argument, Value) and not argument.is_constant and argument.name in outside
