"""Outputs whose size depends on data: packed, with their dimensions beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tinycast.ir.graph import Builder, Program, Routine, Sized, TensorType
from tinycast.ir.sizes import size_error
from tinycast.ir.types import Array, Sizes, Value
from tinycast.ops.counts import dims_of
from tinycast.ops.select import loops


@dataclass(frozen=True)
class Pack(Routine):
    """The real elements of x at the front, row-major in the real dimensions. Inputs: x, the count of each of `axes`."""

    axes: tuple[int, ...]

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].shape, inputs[0].dtype),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x, *counts = arrays
        real = list(x.shape)
        for axis, count in zip(self.axes, counts, strict=True):
            real[axis] = int(count[0])
        kept = x[tuple(slice(n) for n in real)].reshape(-1)
        return (np.pad(kept, (0, x.size - kept.size)).reshape(x.shape),)

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        return (None,) * len(inputs[0].shape)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        shape = inputs[0].shape
        lengths: list[int | str] = [*shape]
        for i, axis in enumerate(self.axes):
            lengths[axis] = f"input_{i + 1}[0]"
        place = " + ".join(f"i{a} * {prod(shape[a + 1 :])}" for a in range(len(shape)))
        return (
            "int32_t count = 0;\n"
            + loops(lengths, f"output_0[count] = input_0[{place}];\n++count;")
            + f"for (; count < {prod(shape)}; ++count) {{\n    output_0[count] = 0;\n}}\n"
        )


def finish_sizes(program: Program, *, inner: bool) -> int:
    """Pack outputs whose size depends on data and add their dimensions behind all outputs; returns how many.

    Afterwards no value has sizes: what runs computes on upper bounds, and nothing else is left to know. Raises
    ModelError for such an output of an `inner` program, a branch or the body of a loop.
    """
    for index, value in enumerate(list(program.outputs)):
        axes = tuple(axis for axis, count in enumerate(value.sizes) if count is not None)
        if not axes:
            continue
        if inner:
            raise size_error("A body's output", program.name, [value])
        build = Builder(program, value.name, "Pack")
        dims = dims_of(build, value)
        dims.name = program.unique_name(f"{value.name}.dims")
        if prod(value.shape[: axes[-1]]) > 1:  # else the real elements are in front already
            counts = [count for count in value.sizes if count is not None]
            name, value.name = value.name, program.unique_name(f"{value.name}.whole")
            (packed,) = build.call_all(Pack(axes), [value, *counts])
            packed.name = name
            program.outputs[index] = packed
        program.sized[index] = Sized(axes, len(program.outputs))
        program.outputs.append(dims)
        program.calls += build.calls
    for value in program.values():
        value.sizes = ()
    return len(program.sized)
