"""Kernels as C functions: equal ones shared, `restrict` wherever the plan allows it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tinycast.emit.literals import integer_literal
from tinycast.emit.names import Names
from tinycast.emit.weights import Weights
from tinycast.errors import InternalError
from tinycast.ir.kernel import Compiled, Kernel, MemoryPlan, Parameter, Role, Step
from tinycast.ir.types import DType, Value
from tinycast.memory.aliases import aliased_parameters
from tinycast.schedule.flash_reads import constant_parameters, inner_constants

_LINE_COLUMNS = 120
_CALLED = re.compile(r"\$(\d+)\(")  # ir.kernel.Kernel.calls
_WORD = re.compile(r"\w+")
_MEMORY_FUNCTION = re.compile(r"\bmem(?:cpy|set)\s*\(")


@dataclass
class Function:
    """One C function of the generated code, and the steps that run it."""

    symbol: str
    kernel: Kernel
    called: tuple[str, ...] = ()  # names of kernel.calls
    steps: list[int] = field(default_factory=list)
    aliased: set[int] = field(default_factory=set)  # parameters that share memory in some call
    qualified: Mapping[int, str] = field(default_factory=dict)  # address spaces of parameters that are constants

    @property
    def declaration(self) -> str:
        return self._signature(");")

    @property
    def definition(self) -> str:
        """The line (or lines) before the body's opening brace."""
        return self._signature(")")

    @property
    def body(self) -> str:
        text = _CALLED.sub(lambda match: f"{self.called[int(match[1])]}(", self.kernel.body)
        text = textwrap.dedent(text).strip("\n")
        # Of some operands only the shape matters, and a single leaf or class is chosen without looking.
        used = set(_WORD.findall(text))
        unused = [f"(void){p.name};" for p in self.kernel.parameters if p.name not in used]
        return textwrap.indent("\n".join([*unused, text]), "    ")

    def _signature(self, tail: str) -> str:
        declared = [self._declare(i, p) for i, p in enumerate(self.kernel.parameters)]
        return wrap_list(f"void {self.symbol}(", declared or ["void"], tail)

    def _declare(self, index: int, parameter: Parameter) -> str:
        if parameter.role is Role.SCALAR:
            return f"int32_t {parameter.name}"
        const = "const " if parameter.role is Role.INPUT else ""
        const += f"{self.qualified[index]} " if index in self.qualified else ""
        restrict = "" if index in self.aliased else "restrict "
        return f"{const}{parameter.dtype.c_name} *{restrict}{parameter.name}"


def share_kernels(compiled: Compiled, reserved: frozenset[str]) -> tuple[list[Function], list[Function]]:
    """Return the distinct functions in order of first use, and the function of each step.

    Kernels with the same parameters, body and runtime files become one, named after the first. `reserved` are names
    of the API that a kernel may not take.
    """
    prefix = compiled.name
    names = Names(reserved | {f"{prefix}_{word}" for word in ("init", "run", "reset", "selftest", "model")})
    shared: dict[object, Function] = {}

    space = compiled.target.constant_qualifier

    def share(kernel: Kernel, index: int, aliased: Iterable[int], constant: frozenset[int]) -> Function:
        inner = inner_constants(kernel, constant)
        called = tuple(share(call.kernel, index, call.aliased, inner[n]).symbol for n, call in enumerate(kernel.calls))
        form = tuple((p.name, p.dtype, p.role) for p in kernel.parameters)
        key = (form, kernel.body, kernel.runtime, called, constant)
        if key not in shared:
            symbol = names.unique(prefix, kernel.symbol.removeprefix(f"{prefix}_"))
            shared[key] = Function(symbol, kernel, called, qualified=dict.fromkeys(constant, space))
        function = shared[key]
        if index not in function.steps:
            function.steps.append(index)
        function.aliased.update(aliased)
        return function

    calls = [
        share(
            step.kernel,
            index,
            aliased_parameters(step, compiled.plan),
            constant_parameters(step) if space else frozenset(),
        )
        for index, step in enumerate(compiled.steps)
    ]
    return list(shared.values()), calls


def call_text(step: Step, function: Function, weights: Weights, plan: MemoryPlan) -> str:
    """Return the statement that runs `step`, indented by 4."""
    arguments = []
    for parameter, argument in zip(function.kernel.parameters, step.arguments, strict=True):
        if not isinstance(argument, Value):
            arguments.append(integer_literal(argument, DType.INT32))
        elif argument.is_constant:
            if argument.dtype is not parameter.dtype or parameter.role is not Role.INPUT:
                raise InternalError(f"constant {argument.name!r} does not suit {parameter.name}", where=step.name)
            arguments.append(weights.symbol(argument))
        else:
            arguments.append(f"AT({place_text(plan, argument.name)})")
    return wrap_list(f"    {function.symbol}(", arguments, ");")


def arena_field(plan: MemoryPlan, name: str) -> str:
    """The member of the model that points to the arena with a buffer."""
    return f"arena_{plan.regions[plan.region_of(name)].region.name}" if plan.regions else "arena"


def place_text(plan: MemoryPlan, name: str) -> str:
    """A buffer's place as the generated code's AT takes it: the offset, after the arena where there are several."""
    offset = plan.placements[name].offset
    return f"{arena_field(plan, name)}, {offset}" if plan.regions else str(offset)


def wrap_list(head: str, items: list[str], tail: str) -> str:
    """Return `head`, the items and `tail`, broken after commas and aligned behind `head` where a line gets too long."""
    lines = [head]
    for index, item in enumerate(items):
        text = item + (tail if index == len(items) - 1 else ",")
        space = "" if lines[-1] == head else " "
        if index > 0 and len(lines[-1] + space + text) > _LINE_COLUMNS:
            lines.append(" " * len(head))
            space = ""
        lines[-1] += space + text
    return "\n".join(lines)


def uses_memory_functions(functions: list[Function]) -> bool:
    """Whether a body calls memcpy or memset."""
    return any(_MEMORY_FUNCTION.search(function.kernel.body) for function in functions)
