"""A kernel that runs others in a loop, with memory of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from emit.compilers import STRICT, compiler_command, exit_status, lay_out, run
from emit.small_model import ADD, BIAS, ELEMENTS, HOST, RELU
from tinycast.emit import emit_c
from tinycast.ir.kernel import Compiled, Golden, Kernel, Parameter, Port, Role, Step
from tinycast.ir.types import DType, Value
from tinycast.memory import plan_memory
from tinycast.schedule.composite import inner_steps

ROUNDS = 3


def looped_model() -> Compiled:
    """y = x; three times: y = relu(clamp(y + bias))."""
    shape = (ELEMENTS,)
    state, added, result = (Value(name, shape, DType.INT8) for name in ("state", "added", "result"))
    bias, wide = Value("bias", shape, DType.INT8, data=BIAS), Value("wide", shape, DType.INT16)
    inner = inner_steps(
        [
            Step("add", "Add", ADD, (state, bias, added, wide, -50)),
            Step("relu", "Relu", RELU, (added, result)),
        ],
        [state],
        [result],
        outside={"state": "output_0"},
        arena="scratch_0",
        align=16,
    )
    lines = [
        "int round;",
        f"memcpy(output_0, input_0, {ELEMENTS});",
        f"for (round = 0; round < {ROUNDS}; ++round) {{",
        *inner.statements,
        f"memcpy(output_0, {inner.at(result)}, {ELEMENTS});",
        "}",
    ]
    scratch = Value("scratch", (inner.plan.arena_bytes,), DType.INT8)
    source, target = Value("source", shape, DType.INT8), Value("target", shape, DType.INT8)
    parameters = (
        Parameter("input_0", DType.INT8, Role.INPUT, ELEMENTS),
        Parameter("output_0", DType.INT8, Role.OUTPUT, ELEMENTS),
        Parameter("scratch_0", DType.INT8, Role.SCRATCH, scratch.bytes),
        *(parameter for parameter, _ in inner.constants),
    )
    kernel = Kernel("rounds", parameters, "\n".join(lines), inner.runtime, calls=inner.calls)
    constants = tuple(value for _, value in inner.constants)
    last, more_wide = Value("last", shape, DType.INT8), Value("more_wide", shape, DType.INT16)
    steps = [
        Step("rounds", "Loop", kernel, (source, target, scratch, *constants)),
        Step("add", "Add", ADD, (target, bias, last, more_wide, -128)),
    ]
    plan = plan_memory(steps, [source], [last], align=16)
    x = np.random.default_rng(2).integers(-128, 128, ELEMENTS).astype(np.int8)
    y = x.astype(int)
    for _ in range(ROUNDS):
        y = np.maximum(np.clip(y + BIAS, -50, 127), 0)
    golden = Golden((x,), (np.clip(y + BIAS, -128, 127).astype(np.int8),), exact=True)
    inputs, outputs = ((Port(v, v.name, v.dtype, v.shape, None),) for v in (source, last))
    return Compiled("tiny", HOST, inputs, outputs, tuple(steps), plan, "0" * 64, golden)


def test_inner_kernels_are_shared_and_run(tmp_path: Path) -> None:
    files = emit_c(looped_model()).files
    declared = files["src/tiny_kernels.h"].decode()
    assert [declared.count(f"void tiny_{name}(") for name in ("add_clamped", "relu", "rounds")] == [1, 1, 1]
    sources = lay_out(files, tmp_path)
    flags = [*STRICT, "-Iinclude", "-Isrc", "-DTINY_SELFTEST_MAIN", "-fsanitize=address,undefined"]
    run([*compiler_command("gcc"), *flags, *sources, "test/tiny_selftest.c", "-o", "selftest"], tmp_path)
    assert exit_status(["./selftest"], tmp_path) == 0
