"""The whole compiler on one page.

model.onnx -> load -> simplify -> [quantize] -> typed operators -> integers -> NHWC -> groups
           -> kernels -> memory plan -> files
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx_ir

from tinycast.artifact import Artifact
from tinycast.compress.quantize import QuantizeOptions, quantize
from tinycast.emit import c_identifier, emit_c, emit_wasm, finish_wasm, wasm_package
from tinycast.errors import FitError, ModelError
from tinycast.execute.build import measure_firmware
from tinycast.ir.graph import Program, interpret
from tinycast.ir.kernel import Compiled, Golden, MemoryPlan, Port, Role, Step
from tinycast.ir.types import Array, DType, Value
from tinycast.memory import plan_memory
from tinycast.model import load, load_samples, sha256, simplify
from tinycast.model.files import to_bytes
from tinycast.package import package
from tinycast.program.lower import to_groups, to_integers
from tinycast.schedule.kernel import make_step
from tinycast.target.load import load_target
from tinycast.target.types import Platform, Target
from tinycast.toolchain.find import compiler_for
from tinycast.toolchain.wasm import build_wasm

Progress = Callable[[int, int], None]  # (steps done, steps in all)


@dataclass(frozen=True)
class CompileOptions:
    """What a user may choose. Sizes in bytes; None is no limit."""

    name: str = ""  # prefix of the API; the model file's stem by default
    format: str = "c"
    float_io: bool = False
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    ram_bytes: int | None = None
    flash_bytes: int | None = None
    calibration: Path | None = None  # samples to quantize the model with first
    quantize: QuantizeOptions = field(default_factory=QuantizeOptions)


def compile_file(
    path: Path, target: str, options: CompileOptions | None = None, progress: Progress | None = None
) -> Artifact:
    """Compile an ONNX file for a target: the files of the package, in memory.

    `progress` is that of quantizing. Raises UsageError for what cannot be read, ModelError for what cannot be
    compiled (all reasons at once), FitError for what is too large, ToolMissingError where a WASM linker is missing.
    """
    options = options or CompileOptions()
    core = load_target(target)
    if options.calibration is None:
        model, digest = load(path, options.shapes), sha256(path)
    else:
        model = quantize_file(path, options.calibration, options.quantize, options.shapes, progress)
        digest = hashlib.sha256(to_bytes(model)).hexdigest()
    simplify(model)
    name = c_identifier(options.name or path.stem)
    compiled = compile_model(model, core, name, digest, float_io=options.float_io)
    check_fit(compiled, options)
    artifact = build(compiled, options.format)
    if options.flash_bytes is not None:
        check_flash(artifact, core, options.flash_bytes)
    return artifact


def quantize_file(
    path: Path,
    calibration: Path,
    options: QuantizeOptions,
    shapes: Mapping[str, tuple[int, ...]],
    progress: Progress | None = None,
) -> onnx_ir.Model:
    """The ONNX model in QDQ form; `calibration` is an .npz of samples. Raises UsageError and ModelError."""
    model = load(path, shapes)
    simplify(model)
    return quantize(model, load_samples(calibration, model), options, progress)


def compile_model(
    model: onnx_ir.Model, target: Target, name: str, model_sha256: str, *, float_io: bool = False
) -> Compiled:
    """Compile a simplified model: kernels, their order, and every buffer's place."""
    check_finite(model)
    program = to_integers(model, name, keep_float_io=float_io)
    golden = golden_run(program)
    inputs = ports(program.inputs, model.graph.inputs)
    outputs = ports(program.outputs, model.graph.outputs)
    groups = to_groups(program)
    program.inputs, program.outputs = list(program.inputs), list(program.outputs)
    steps = [make_step(g.calls, g.anchor, target, f"{g.kind}_{i}") for i, g in enumerate(groups)]
    outputs = [Port(v, p.name, p.dtype, p.shape, p.quant) for v, p in zip(program.outputs, outputs, strict=True)]
    plan = plan_memory(steps, program.inputs, program.outputs, align=target.buffer_align)
    return Compiled(
        name,
        target,
        tuple(inputs),
        tuple(outputs),
        tuple(steps[i] for i in plan.order),
        plan,
        model_sha256,
        golden,
        tuple(program.notes),
    )


def build(compiled: Compiled, package_format: str) -> Artifact:
    """The compiled model as files."""
    target = compiled.target
    if target.platform is not Platform.WASM:
        return package(emit_c(compiled), package_format, target)
    source = emit_wasm(compiled)
    return package(wasm_package(finish_wasm(source, build_wasm(source.files, compiled.name, target))), "wasm", target)


def ports(values: Sequence[Value], declared: Sequence[onnx_ir.Value]) -> list[Port]:
    """What the API shows: the compiled values under the names that the model gives them."""
    pairs = zip(values, declared, strict=True)
    return [Port(value, str(onnx.name), value.dtype, value.shape, value.quant) for value, onnx in pairs]


def golden_run(program: Program) -> Golden:
    """Random inputs (fixed seed) and what the reference makes of them."""
    random = np.random.default_rng(1)
    inputs = [_random(random, v) for v in program.inputs]
    known = interpret(program, inputs)
    outputs = [known[v] for v in program.outputs]
    exact = not any(v.dtype is DType.FLOAT32 for c in program.calls for v in (*c.inputs, c.output))
    return Golden(tuple(inputs), tuple(outputs), exact)


def _random(random: np.random.Generator, value: Value) -> Array:
    if value.dtype is DType.FLOAT32:
        return random.uniform(-1, 1, value.shape).astype(np.float32)
    if value.dtype is DType.BOOL:
        return random.integers(0, 2, value.shape).astype(np.bool_)
    low, high = (-128, 127) if value.dtype is DType.INT8 else (0, 100)
    return random.integers(low, high, value.shape, endpoint=True).astype(value.dtype.numpy)


def check_finite(model: onnx_ir.Model) -> None:
    if not list(model.graph.outputs):
        raise ModelError("the model has no outputs")


def check_fit(compiled: Compiled, options: CompileOptions) -> None:
    """Raise FitError where the arena or the weights are larger than the memory given."""
    plan: MemoryPlan = compiled.plan
    if options.ram_bytes is not None and plan.arena_bytes > options.ram_bytes:
        step: Step = compiled.steps[plan.peak_step]
        raise FitError(
            f"the arena needs {plan.arena_bytes} bytes, {plan.arena_bytes - options.ram_bytes} more than the RAM given",
            where=f"the peak is in {step.name} ({step.op})",
            fix="quantize, prune channels, or choose a target with more RAM",
        )
    constants = {step: [v for v in step.values(Role.INPUT) if v.is_constant] for step in compiled.steps}
    weights = sum(v.bytes for v in {v for values in constants.values() for v in values})
    if options.flash_bytes is not None and weights > options.flash_bytes:
        largest = max(compiled.steps, key=lambda step: sum(v.bytes for v in constants[step]))
        raise FitError(
            f"the weights alone need {weights} bytes, {weights - options.flash_bytes} more than the flash given",
            where=f"{largest.name} ({largest.op}) has most: {sum(v.bytes for v in constants[largest])} bytes",
            fix="quantize or prune the model, or choose a target with more flash",
        )


def check_flash(artifact: Artifact, target: Target, flash_bytes: int) -> None:
    """Raise FitError where the linked program is larger than the flash; ToolMissingError without a C compiler."""
    if target.platform not in (Platform.ARM_M, Platform.RISCV):
        return
    sizes = measure_firmware(artifact.files, artifact.manifest, target, compiler_for(target))
    if sizes.flash_bytes > flash_bytes:
        weights = artifact.manifest["weights_bytes"]
        raise FitError(
            f"the program needs {sizes.flash_bytes} bytes of flash, {sizes.flash_bytes - flash_bytes} more than given",
            where=f"{weights} bytes of weights, {sizes.flash_bytes - weights} bytes of code and other constants",
            fix="quantize or prune the model, or choose a target with more flash",
        )
