"""Graphs to plan: built by hand, and drawn at random."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from tinycast.ir.kernel import Kernel, Parameter, Role, Step
from tinycast.ir.types import DType, Value

ALIGN = 16


@dataclass
class GraphBuilder:
    """Steps with one list of inputs, one of outputs, and perhaps scratch."""

    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def input(self, name: str, size_bytes: int) -> Value:
        value = Value(name, (size_bytes,), DType.INT8)
        self.inputs.append(value)
        return value

    def value(self, name: str, size_bytes: int) -> Value:
        return Value(name, (size_bytes,), DType.INT8)

    def constant(self, name: str, size_bytes: int) -> Value:
        return Value(name, (size_bytes,), DType.INT8, data=np.zeros(size_bytes, np.int8))

    def step(
        self,
        name: str,
        reads: Sequence[Value],
        writes: Sequence[Value],
        *,
        scratch_bytes: int = 0,
        in_place: Sequence[tuple[int, int]] = (),
    ) -> None:
        """`in_place` pairs an index into `writes` with one into `reads`."""
        scratch = [Value(f"{name}.scratch", (scratch_bytes,), DType.INT8)] if scratch_bytes else []
        roles = [Role.INPUT] * len(reads) + [Role.OUTPUT] * len(writes) + [Role.SCRATCH] * len(scratch)
        arguments = [*reads, *writes, *scratch]
        parameters = [
            Parameter(f"p{i}", v.dtype, role, v.bytes) for i, (v, role) in enumerate(zip(arguments, roles, strict=True))
        ]
        pairs = tuple((len(reads) + output, source) for output, source in in_place)
        kernel = Kernel(f"kernel_{name}", (*parameters, Parameter("n", DType.INT32, Role.SCALAR)), "", in_place=pairs)
        self.steps.append(Step(name, "Test", kernel, (*arguments, 1)))

    def then(
        self, name: str, reads: Sequence[Value], size_bytes: int, *, scratch_bytes: int = 0, in_place: bool = False
    ) -> Value:
        """A step with one output of its own name; `in_place` allows every read to be overwritten."""
        out = self.value(name, size_bytes)
        pairs = [(0, i) for i in range(len(reads))] if in_place else []
        self.step(name, reads, [out], scratch_bytes=scratch_bytes, in_place=pairs)
        return out


def random_graph(
    rng: random.Random, step_count: int, *, window: int = 6, sizes: Sequence[int] = (0, 16, 32, 40, 64, 100, 256)
) -> GraphBuilder:
    """A DAG of `step_count` steps; each reads up to three of the last `window` values."""
    g = GraphBuilder()
    values = [g.input(f"in{i}", rng.choice(sizes)) for i in range(rng.randint(1, 2))]
    weights = g.constant("weights", 1000)
    for number in range(step_count):
        reads = [rng.choice(values[-window:]) for _ in range(rng.randint(1, 3))]
        writes = [g.value(f"v{number}_{k}", rng.choice(sizes)) for k in range(rng.choice((1, 1, 1, 2)))]
        if rng.random() < 0.1:
            writes.append(rng.choice([v for v in values if v not in reads] or writes))
        writes = list(dict.fromkeys(writes))
        pairs = [
            (o, i)
            for o in range(len(writes))
            for i in range(len(reads))
            if rng.random() < 0.4 and writes[o] not in reads
        ]
        scratch_bytes = rng.choice((0, 0, 0, 48))
        g.step(f"s{number}", [*reads, weights], writes, scratch_bytes=scratch_bytes, in_place=pairs)
        values += [w for w in writes if w not in values]
    g.outputs = rng.sample(values, min(len(values), rng.randint(1, 2)))
    return g
