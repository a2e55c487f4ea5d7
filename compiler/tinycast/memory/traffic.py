"""How often a step accesses its buffers and constants: an estimate, to choose memories by.

Kernels compute tiles of about two positions by two channels: each product reads half an activation and half a weight.
Activations that a kernel gathers in scratch first are read from there.
"""

from __future__ import annotations

from collections.abc import Iterator

from tinycast.ir.kernel import Role, Step
from tinycast.ir.types import Value

_TILE = 2  # positions, and channels, that share what was read


def traffic(step: Step) -> Iterator[tuple[Value, float]]:
    """Yield each argument that lies in memory, and the bytes of it that one run of `step` reads and writes, about."""
    inputs, outputs, scratch = (step.values(role) for role in (Role.INPUT, Role.OUTPUT, Role.SCRATCH))
    constants = [v for v in inputs if v.is_constant]
    activations = [v for v in inputs if not v.is_constant]
    results = sum(v.size for v in outputs)
    products = step.macs / _TILE
    weights = max(constants, key=lambda v: v.bytes, default=None)
    gathered = max(scratch, key=lambda v: v.bytes, default=None)
    window = gathered if gathered is not None else max(activations, key=lambda v: v.bytes, default=None)
    for value in inputs + outputs + scratch:
        reads = float(value.size)
        if value is weights and step.macs:
            reads = max(reads, products)
        elif value.is_constant and value.size > 1:
            reads = max(reads, float(results))
        elif value is window:
            reads = max(reads, products)
        yield value, reads * value.dtype.itemsize
