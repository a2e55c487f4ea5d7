"""Whether a compiled model fits the memory it was given."""

from __future__ import annotations

from tinycast.artifact import Artifact
from tinycast.errors import FitError, ModelError
from tinycast.execute.build import measure_firmware
from tinycast.ir.kernel import Compiled, Role
from tinycast.memory.regions import content
from tinycast.target.types import Platform, Target
from tinycast.toolchain.find import compiler_for


def check_ram(compiled: Compiled, ram_bytes: int) -> None:
    """Raise FitError, naming the step where the peak is, if the arena is larger than `ram_bytes`."""
    plan = compiled.plan
    if plan.arena_bytes <= ram_bytes:
        return
    step = compiled.steps[plan.peak_step]
    raise FitError(
        f"the arena needs at least {plan.arena_bytes} bytes, {plan.arena_bytes - ram_bytes} more than the RAM given",
        where=f"the peak is in {step.name} ({step.op})",
        fix="quantize, prune channels, or choose a target with more RAM",
    )


def check_weights(compiled: Compiled, flash_bytes: int) -> None:
    """Raise FitError, naming the step with most of them, if the constants alone exceed `flash_bytes`."""
    constants = {step: [v for v in step.values(Role.INPUT) if v.is_constant] for step in compiled.steps}
    weights = sum(v.bytes for v in {v for values in constants.values() for v in values})
    if weights <= flash_bytes:
        return
    largest = max(compiled.steps, key=lambda step: sum(v.bytes for v in constants[step]))
    raise FitError(
        f"the weights alone need {weights} bytes, {weights - flash_bytes} more than the flash given",
        where=f"{largest.name} ({largest.op}) has most: {sum(v.bytes for v in constants[largest])} bytes",
        fix="quantize or prune the model, or choose a target with more flash",
    )


def check_constants(compiled: Compiled) -> None:
    """Raise FitError for constants beyond what the target's compiler and address space take.

    ModelError for those that the API would show, where constants lie in an address space of their own.
    """
    target = compiled.target
    shown = [port.name for port in compiled.outputs if port.value.is_constant]
    shown += [state.port.name for state in compiled.states if state.fill is None]
    if target.constant_qualifier and shown:
        raise ModelError(
            f"an output or the initial content of a state is a constant, which {target.name} keeps in flash",
            where=", ".join(shown),
            fix="leave that output out, or let the state start as zeros",
        )
    constants = {v: step for step in compiled.steps for v in step.values(Role.INPUT) if v.is_constant}
    largest = max(constants, key=lambda v: v.bytes, default=None)
    if largest is None:
        return
    where = f"{largest.name} in {constants[largest].name} ({constants[largest].op}) has {largest.bytes} bytes"
    fix = "quantize or prune the model, or choose another target"
    if target.array_bytes and largest.bytes > target.array_bytes:
        raise FitError(f"{target.name} takes no array of more than {target.array_bytes} bytes", where=where, fix=fix)
    total = sum(len(data) for _, data in {content(v) for v in constants})
    if target.constants_bytes and total > target.constants_bytes:
        over = total - target.constants_bytes
        raise FitError(
            f"the weights need {total} bytes, {over} more than {target.name} can address in flash", where=where, fix=fix
        )


def check_flash(artifact: Artifact, target: Target, flash_bytes: int) -> None:
    """Raise FitError if the linked program is larger than the flash; ToolMissingError without a C compiler."""
    if target.platform not in (Platform.ARM_M, Platform.RISCV, Platform.AVR):
        return
    sizes = measure_firmware(artifact.files, artifact.manifest, target, compiler_for(target))
    if sizes.flash_bytes <= flash_bytes:
        return
    weights = artifact.manifest["weights_bytes"]
    raise FitError(
        f"the program needs {sizes.flash_bytes} bytes of flash, {sizes.flash_bytes - flash_bytes} more than given",
        where=f"{weights} bytes of weights, {sizes.flash_bytes - weights} bytes of code and other constants",
        fix="quantize or prune the model, or choose a target with more flash",
    )
