"""What one choice of schedule costs: the kernel alone, built and run on the emulated core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from threading import Lock

import numpy as np

from tinycast.artifact import Artifact
from tinycast.emit import emit_c, emit_wasm
from tinycast.errors import TinycastError
from tinycast.execute.select import driver_for
from tinycast.execute.types import Driver
from tinycast.execute.wasm import WasmtimeDriver
from tinycast.ir.graph import Call, Program, TensorType, interpret
from tinycast.ir.kernel import Compiled, Kernel, Port, Role, Step
from tinycast.ir.types import Array, DType, Value
from tinycast.memory import plan_memory
from tinycast.schedule.choice import Choice
from tinycast.schedule.kernel import scheduled_step
from tinycast.target.types import Platform, Target

_SEED = 1
_SCHEDULING = Lock()  # workers of a cluster may be threads of one process, and TVM's micro-kernels are one table
_FLOAT_TOLERANCE = 1e-5  # of the largest output
_LARGEST_INDEX = 7  # integers that are not int8 are often indices or lengths


class Measure(Enum):
    """What a schedule is chosen by."""

    INSTRUCTIONS = "instructions"  # exact
    CYCLES = "cycles"  # estimated, where the target has rules for it


@dataclass(frozen=True)
class KernelTask:
    """A kernel to measure: the calls that it fuses, around `anchor` (an index), for a core. It can be pickled."""

    key: str
    calls: tuple[Call, ...]
    anchor: int | None
    target: Target

    @property
    def title(self) -> str:
        call = self.calls[0 if self.anchor is None else self.anchor]
        return f"{'+'.join(dict.fromkeys(c.title for c in self.calls))} {list(call.output.shape)}"


@dataclass(frozen=True)
class Measured:
    """What a choice costs. `failure` says why it cannot be used, if it cannot; the figures then mean nothing."""

    choice: Choice
    instructions: int = 0
    cycles: int | None = None
    text_bytes: int = 0  # of the program, weights included
    stack_bytes: int = 0
    scratch_bytes: int = 0
    in_place: tuple[tuple[int, int], ...] = ()
    overlap: tuple[tuple[int, int, int], ...] = field(default=())
    failure: str = ""

    def cost(self, measure: Measure) -> int:
        if measure is Measure.CYCLES:
            assert self.cycles is not None
            return self.cycles
        return self.instructions


@dataclass(frozen=True)
class NetworkFigures:
    """What the whole network takes."""

    instructions: int
    cycles_estimate: int | None
    arena_bytes: int
    flash_bytes: int
    stack_bytes: int | None


def measure_choice(task: KernelTask, choice: Choice) -> Measured:
    """Build the kernel with this choice, run it on random inputs and compare with the reference.

    An error of the schedule, a compiler or the emulator is a `failure`, and so are other bytes than the reference's
    (floats: other by 1e-5 of the largest).
    """
    try:
        return _measure(task, choice)
    except TinycastError as error:
        return Measured(choice, failure=error.what.strip().partition("\n")[0])


def agree(actual: Array, expected: Array, tolerance: float) -> bool:
    """Whether two outputs are the same: integers to the byte, floats within `tolerance` of the largest."""
    if expected.dtype.kind != "f":
        return bool(np.array_equal(actual, expected))
    limit = tolerance * float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0))
    return bool(np.allclose(actual, expected, rtol=0, atol=limit, equal_nan=True))


def counting_driver(target: Target) -> Driver:
    """What runs the target and counts its instructions."""
    return WasmtimeDriver(target, counts=True) if target.platform is Platform.WASM else driver_for(target)


def _measure(task: KernelTask, choice: Choice) -> Measured:
    anchor = None if task.anchor is None else task.calls[task.anchor]
    with _SCHEDULING:
        step = scheduled_step(list(task.calls), anchor, task.target, "kernel", choice)
    artifact = _artifact(task, step)
    inputs, expected = _example(task)
    driver = counting_driver(task.target)
    run = driver.run(artifact.files, artifact.manifest, {name: array[np.newaxis] for name, array in inputs.items()})
    output = task.calls[-1].output
    if not agree(run.outputs["output"].reshape(-1), expected.reshape(-1), _FLOAT_TOLERANCE):
        return Measured(choice, failure=f"the kernel does not give the reference's values for {output.name}")
    if run.instructions is None:
        return Measured(choice, failure=f"{driver.name} counts no instructions")
    kernel = step.kernel
    return Measured(
        choice,
        run.instructions,
        run.cycles_estimate,
        run.sizes.text_bytes if run.sizes else len(artifact.files.get("kernel.wasm", b"")),
        run.stack_bytes or 0,
        _scratch_bytes(kernel),
        kernel.in_place,
        kernel.overlap,
    )


def _scratch_bytes(kernel: Kernel) -> int:
    return sum(p.bytes for p in kernel.parameters if p.role is Role.SCRATCH)


def _artifact(task: KernelTask, step: Step) -> Artifact:
    """A model of nothing but this step."""
    inputs, output = _inputs(task.calls), task.calls[-1].output
    align = max([task.target.buffer_align, *(p.dtype.itemsize for p in step.kernel.parameters)])
    plan = plan_memory([step], inputs, [output], align=align)
    ports = tuple(Port(value, f"input_{i}", value.dtype, value.shape, None) for i, value in enumerate(inputs))
    result = Port(output, "output", output.dtype, output.shape, None)
    compiled = Compiled("kernel", task.target, ports, (result,), (step,), plan, "0" * 64)
    return emit_wasm(compiled) if task.target.platform is Platform.WASM else emit_c(compiled)


def _inputs(calls: Sequence[Call]) -> list[Value]:
    """What the kernel reads from outside, in order of first use."""
    inside = {value for call in calls for value in call.outputs}
    values = dict.fromkeys(value for call in calls for value in call.inputs)
    return [value for value in values if value not in inside and not value.is_constant]


def _example(task: KernelTask) -> tuple[dict[str, Array], Array]:
    """Random inputs, the same ones each time, and what the reference makes of them."""
    random = np.random.default_rng(_SEED)
    values = _inputs(task.calls)
    arrays = [_random(random, TensorType(value.shape, value.dtype)) for value in values]
    program = Program("kernel", values, [task.calls[-1].output], list(task.calls))
    expected = interpret(program, arrays)[task.calls[-1].output]
    return {f"input_{i}": array for i, array in enumerate(arrays)}, expected


def _random(random: np.random.Generator, kind: TensorType) -> Array:
    if kind.dtype is DType.FLOAT32:
        return random.standard_normal(kind.shape).astype(np.float32)
    low, high = (-128, 127) if kind.dtype is DType.INT8 else (0, 1 if kind.dtype is DType.BOOL else _LARGEST_INDEX)
    return random.integers(low, high, kind.shape, endpoint=True).astype(kind.dtype.numpy)
