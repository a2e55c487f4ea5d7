"""Kernels on cores whose constants lie in an address space of their own: which parameters are read from there.

A parameter can be a pointer into that space if the kernel does nothing but index it, or hand it to an inner kernel that
does the same. Other kernels keep a pointer to it in a variable, or give it to functions of runtime_c, which read data:
for them the constant is copied to RAM before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tinycast.ir.kernel import Kernel, Parameter, Role, Step
from tinycast.ir.types import Value

_CALL = re.compile(r"\$(\d+)\(")


def copy_what_is_not_indexed(steps: Sequence[Step]) -> list[Step]:
    """`steps`, with a copy to RAM of each constant that a kernel cannot read from its own address space."""
    result: list[Step] = []
    for step in steps:
        readable = _readable(step.kernel)
        for at in [i for i in constant_parameters(step) if i not in readable]:
            value = step.arguments[at]
            assert isinstance(value, Value)
            # Element by element: functions of runtime_c would read data.
            body = f"for (int32_t i = 0; i < {value.size}; ++i) {{\n    copy[i] = weights[i];\n}}"
            copying, copy = copy_step(step, value, len(result), body)
            result.append(copying)
            step = replace(step, arguments=(*step.arguments[:at], copy, *step.arguments[at + 1 :]))
        result.append(step)
    return result


def copy_step(
    step: Step, value: Value, number: int, body: str, runtime: frozenset[str] = frozenset()
) -> tuple[Step, Value]:
    """A step that copies a constant of `step`, `weights` in `body`, to RAM; and the copy."""
    copy = Value(f"{value.name}.in_ram_{number}", value.shape, value.dtype)
    parameters = (
        Parameter("weights", value.dtype, Role.INPUT, value.bytes),
        Parameter("copy", value.dtype, Role.OUTPUT, value.bytes),
    )
    kernel = Kernel("copy_weights", parameters, body, runtime=runtime)
    return Step(f"{step.name}.weights", "CopyWeights", kernel, (value, copy), step.sources), copy


def constant_parameters(step: Step) -> frozenset[int]:
    """The parameters whose argument is a constant."""
    return frozenset(i for i, a in enumerate(step.arguments) if isinstance(a, Value) and a.is_constant)


def inner_constants(kernel: Kernel, constant: frozenset[int]) -> list[frozenset[int]]:
    """The parameters of each inner kernel that get one of the parameters `constant` of `kernel`."""
    names = {kernel.parameters[i].name for i in constant}
    found: list[set[int]] = [set() for _ in kernel.calls]
    if names:
        for number, arguments in _calls(kernel.body):
            found[number] |= {i for i, text in enumerate(arguments) if names & set(re.findall(r"\w+", text))}
    return [frozenset(each) for each in found]


def _readable(kernel: Kernel) -> set[int]:
    return {i for i, p in enumerate(kernel.parameters) if p.role is Role.INPUT and _is_indexed(kernel, i)}


def _is_indexed(kernel: Kernel, parameter: int) -> bool:
    name = kernel.parameters[parameter].name
    inner = inner_constants(kernel, frozenset({parameter}))
    if not all(_is_indexed(c.kernel, i) for c, indices in zip(kernel.calls, inner, strict=True) for i in indices):
        return False
    body = kernel.body
    for _, arguments in _calls(kernel.body):
        for text in arguments:
            if re.fullmatch(rf"{name}( \+ [^()]*)?", text.strip()):
                body = body.replace(text, "", 1)
    return not re.search(rf"&{name}\b|(?<![\w.>]){name}\b(?!\[)", body)


def _calls(body: str) -> Iterator[tuple[int, list[str]]]:
    """The calls of inner kernels in a body: which kernel, and the text of its arguments."""
    for found in _CALL.finditer(body):
        depth, start, arguments = 1, found.end(), []
        for at in range(found.end(), len(body)):
            depth += {"(": 1, ")": -1}.get(body[at], 0)
            if depth == 0 or (depth == 1 and body[at] == ","):
                arguments.append(body[start:at])
                start = at + 1
            if depth == 0:
                break
        yield int(found[1]), arguments
