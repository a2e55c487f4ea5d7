"""Which parameters of a kernel share memory under a plan."""

from __future__ import annotations

from collections.abc import Iterator

from tinycast.errors import InternalError
from tinycast.ir.kernel import MemoryPlan, Role, Step
from tinycast.ir.types import Value


def aliased_parameters(step: Step, plan: MemoryPlan) -> Iterator[int]:
    """Yield the parameters of `step` that share memory with another one which is written.

    Raises InternalError where the kernel does not allow that.
    """
    kernel = step.kernel
    spans: dict[int, tuple[int, int]] = {}
    regions: dict[int, int] = {}
    for index, argument in enumerate(step.arguments):
        if isinstance(argument, Value) and not argument.is_constant:
            offset = plan.placements[argument.name].offset
            spans[index] = (offset, offset + argument.bytes)
            regions[index] = plan.region_of(argument.name)
    allowed = {frozenset(pair) for pair in kernel.in_place} | {frozenset((o, i)) for o, i, _ in kernel.overlap}
    for written, (start, end) in spans.items():
        if kernel.parameters[written].role is Role.INPUT:
            continue
        for other, (other_start, other_end) in spans.items():
            if other == written or regions[other] != regions[written] or end <= other_start or other_end <= start:
                continue
            if frozenset((written, other)) not in allowed:
                first, second = kernel.parameters[written].name, kernel.parameters[other].name
                raise InternalError(f"the memory plan overlaps {first} and {second}", where=f"step {step.name!r}")
            yield from (written, other)
