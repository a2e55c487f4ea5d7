"""The whole compiler on one page.

model.onnx -> load -> simplify -> [quantize] -> typed operators -> integers -> NHWC -> groups
           -> kernels -> memory plan -> files
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx_ir

from tinycast.artifact import Artifact
from tinycast.compress.quantize import QuantizeOptions, quantize
from tinycast.emit import c_identifier, emit_c, emit_wasm, finish_wasm, has_relaxed_dots, wasm_package
from tinycast.errors import FitError, UsageError
from tinycast.execute.fit import check_constants, check_flash, check_ram, check_weights
from tinycast.ir.kernel import Compiled, MemoryPlan, Step
from tinycast.ir.types import Value
from tinycast.memory import plan_memory
from tinycast.memory.regions import Content
from tinycast.model import load, load_samples, sha256, simplify
from tinycast.model.files import to_bytes
from tinycast.model.functions import write_out_functions
from tinycast.model.state import State, add_states
from tinycast.model.widen import widen_floats
from tinycast.ops import IMPORTERS
from tinycast.package import package
from tinycast.program.lower import to_integers
from tinycast.program.ports import channels_last_edges, golden_run, input_ports, output_ports
from tinycast.program.states import api_values, state_ports
from tinycast.program.steps import to_layers
from tinycast.schedule.flash_reads import copy_what_is_not_indexed
from tinycast.schedule.goal import Optimize
from tinycast.schedule.states import keep_states
from tinycast.schedule.stream_choice import Choices, Place, choose
from tinycast.schedule.tiles import smaller_tiles
from tinycast.schedule.tuning import Tuning, databases, shipped
from tinycast.schedule.weight_copies import place_in_regions
from tinycast.target.load import load_target
from tinycast.target.types import Platform, Region, RegionKind, Target
from tinycast.toolchain.wasm import build_trial, build_wasm

Progress = Callable[[int, int], None]  # (steps done, steps in all)


@dataclass(frozen=True)
class CompileOptions:
    """What a user may choose. Sizes in bytes; None is no limit."""

    name: str = ""  # prefix of the API; the model file's stem by default
    format: str | None = None  # of tinycast.package.FORMATS; None is the usual one for the target
    float_io: bool = False  # floats at the API of a quantized model too
    channels_last_io: bool = False  # images as NHWC at the API
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    optimize: Optimize = Optimize.TIME
    ram_bytes: int | None = None  # layers are streamed by rows where they need more
    flash_bytes: int | None = None
    regions: tuple[Region, ...] = ()  # memories of the chip, in place of the target's own
    calibration: Path | None = None  # samples to quantize the model with first
    quantize: QuantizeOptions = field(default_factory=QuantizeOptions)
    stateful: bool = False  # recurrent layers keep their state from one run to the next
    states: Mapping[str, str] = field(default_factory=dict)  # input that takes the output of the run before
    separate_weights: bool = False  # in a file beside the .wasm
    tuning: Path | None = None  # what `tinycast tune` wrote: goes before what comes with the package


def compile_file(
    path: Path, target: str, options: CompileOptions | None = None, progress: Progress | None = None
) -> Artifact:
    """Compile an ONNX file for a target: the files of the package, in memory.

    `progress` is that of quantizing. Raises UsageError for what cannot be read, ModelError for what cannot be
    compiled (all reasons at once), FitError for what is too large, ToolMissingError where a WASM linker is missing.
    """
    options = options or CompileOptions()
    core = target_of(target, options)
    source = read_source(path, options, progress)
    cores = [core, *(load_target(other) for other in (core.fallback, core.faster) if other)]
    ram_bytes = options.ram_bytes or core.arena_bytes or None
    measured = list(databases([options.tuning] if options.tuning else []))
    compiled = [compile_source(source, c, options, Tuning(measured)) for c in cores]
    if ram_bytes is not None:
        check_ram(compiled[0], ram_bytes)
    if options.flash_bytes is not None:
        check_weights(compiled[0], options.flash_bytes)
    artifact = build(compiled[0], options.format, *compiled[1:], separate_weights=options.separate_weights)
    if options.flash_bytes is not None:
        check_flash(artifact, core, options.flash_bytes)
    return artifact


def target_of(name: str, options: CompileOptions) -> Target:
    """The target, with the memories that the options give it."""
    core = load_target(name)
    if options.regions and core.platform is Platform.WASM:
        raise UsageError("WebAssembly has one memory", where="--memory", fix="leave out --memory")
    if options.separate_weights and core.platform is not Platform.WASM:
        raise UsageError(
            f"weights for {name} are not a file of their own", where="--weights", fix="leave --weights out"
        )
    return replace(core, regions=options.regions) if options.regions else core


@dataclass(frozen=True)
class Source:
    """A simplified model, and what else a compilation takes of its file."""

    model: onnx_ir.Model
    states: tuple[State, ...]
    name: str
    sha256: str


def read_source(path: Path, options: CompileOptions, progress: Progress | None = None) -> Source:
    """Load and simplify the model, quantized first where that is asked for. Raises UsageError and ModelError."""
    if options.calibration is None:
        model, digest = load(path, options.shapes), sha256(path)
        simplify(model)
        states = add_states(model, options.states, recurrent=options.stateful)
    else:
        model, states = _quantize(path, options.calibration, options, progress)
        digest = hashlib.sha256(to_bytes(model)).hexdigest()
        simplify(model)
    return Source(model, states, c_identifier(options.name or path.stem), digest)


def compile_source(source: Source, target: Target, options: CompileOptions, tuning: Tuning) -> Compiled:
    """See compile_model; what `options` says of memory and of the API."""
    return compile_model(
        source.model,
        target,
        source.name,
        source.sha256,
        float_io=options.float_io,
        channels_last_io=options.channels_last_io,
        states=source.states,
        optimize=options.optimize,
        ram_bytes=options.ram_bytes or target.arena_bytes or None,
        tuning=tuning,
    )


def core_of(target: Target, optimize: Optimize) -> Target:
    """The target as kernels are scheduled for it."""
    return smaller_tiles(target) if optimize is Optimize.SIZE else target


def quantize_file(
    path: Path,
    calibration: Path,
    options: QuantizeOptions,
    shapes: Mapping[str, tuple[int, ...]],
    progress: Progress | None = None,
    *,
    states: Mapping[str, str] | None = None,
    stateful: bool = False,
) -> onnx_ir.Model:
    """The ONNX model in QDQ form; `calibration` is an .npz of samples. Raises UsageError and ModelError.

    With states (see CompileOptions) the samples are one stream, and the states are inputs and outputs of the result.
    """
    choice = CompileOptions(shapes=shapes, quantize=options, stateful=stateful, states=states or {})
    return _quantize(path, calibration, choice, progress)[0]


def _quantize(
    path: Path, calibration: Path, options: CompileOptions, progress: Progress | None
) -> tuple[onnx_ir.Model, tuple[State, ...]]:
    model = load(path, options.shapes)
    widen_floats(model)
    simplify(model)
    states = add_states(model, options.states, recurrent=options.stateful)
    write_out_functions(model, IMPORTERS)  # what they are made of has integer forms
    return quantize(model, load_samples(calibration, model, states), options.quantize, progress), states


def compile_model(
    model: onnx_ir.Model,
    target: Target,
    name: str,
    model_sha256: str,
    *,
    float_io: bool = False,
    channels_last_io: bool = False,
    states: Sequence[State] = (),
    optimize: Optimize = Optimize.TIME,
    ram_bytes: int | None = None,
    tuning: Tuning | None = None,
) -> Compiled:
    """Compile a simplified model: kernels, their order, and every buffer's place.

    It may take more than `ram_bytes`, if there is no way to take less. `tuning` has measured schedules, by default
    those that come with the package.
    """
    tuning = tuning or Tuning([shipped()])
    program = to_integers(model, name, keep_float_io=float_io, states=states)
    if channels_last_io:
        channels_last_edges(program)
    golden = golden_run(program)
    core = core_of(target, optimize)
    layers = to_layers(program, core, tuning)
    inputs, outputs = api_values(program)
    kept = [(program.inputs[s.input], program.outputs[s.output]) for s in program.states]

    def place(steps: Sequence[Step]) -> tuple[list[Step], MemoryPlan]:
        own = keep_states([replace(step) for step in steps], kept, outputs)
        if core.constant_qualifier:
            own = copy_what_is_not_indexed(own)
        ends = [*outputs, *(v for v, _ in kept)]
        align = max([target.buffer_align, *(p.dtype.itemsize for s in own for p in s.kernel.parameters)])
        return own, plan_memory(own, program.inputs, ends, align=align)

    choices = Choices(layers, program.inputs, program.outputs, core, tuning)
    flash: dict[Content, Region] = {}
    if target.regions:
        ends = [*outputs, *(v for v, _ in kept)]
        ports = (program.inputs, ends)
        steps, plan, flash = _in_regions(choices, place, ports, target, optimize, ram_bytes)
    else:
        steps, plan = choose(choices, place, optimize, ram_bytes)
    compiled = Compiled(
        name,
        target,
        tuple(p for p in input_ports(program, model) if p.value in inputs),
        tuple(p for p in output_ports(program, model) if p.value in outputs),
        tuple(steps[i] for i in plan.order),
        plan,
        model_sha256,
        golden,
        (*program.notes, *tuning.notes),
        state_ports(program, model),
        flash,
    )
    check_constants(compiled)
    return compiled


def _in_regions(
    choices: Choices,
    place: Place,
    ports: tuple[Sequence[Value], Sequence[Value]],
    target: Target,
    optimize: Optimize,
    ram_bytes: int | None,
) -> tuple[list[Step], MemoryPlan, dict[Content, Region]]:
    """Steps and plan for a chip with several memories: layers are streamed where they do not fit as a whole."""
    rooms = [region.bytes for region in target.regions if region.kind is RegionKind.RAM]
    error: FitError | None = None
    for room in dict.fromkeys((sum(rooms), max(rooms))):
        steps, _ = choose(choices, place, optimize, min(room, ram_bytes or room))
        align = max([target.buffer_align, *(p.dtype.itemsize for s in steps for p in s.kernel.parameters)])
        try:
            placed = place_in_regions(steps, *ports, target.regions, align=align)
        except FitError as caught:
            error = caught
        else:
            return placed.steps, placed.plan, placed.flash
    assert error is not None
    raise error


def build(
    compiled: Compiled, package_format: str | None = None, *others: Compiled, separate_weights: bool = False
) -> Artifact:
    """The compiled model as files; `others` are for engines that lack the target's instructions, or have more.

    `separate_weights`: of WebAssembly, in files of their own.
    """
    if compiled.target.platform is not Platform.WASM:
        return package(emit_c(compiled), package_format, compiled.target)
    usual, *rest = [(c, emit_wasm(c)) for c in (compiled, *others)]
    modules = [link(*usual)]
    faster, trial = None, None
    for core, source in rest:
        if core.target.name != compiled.target.faster:
            modules.append(link(core, source))
        elif runtime(source) != runtime(usual[1]):
            faster = link(core, source)
            trial = build_trial(core.target) if has_relaxed_dots(source) else None
    loaders = wasm_package(*modules, faster=faster, trial=trial, separate_weights=separate_weights)
    return package(loaders, package_format, compiled.target)


def runtime(source: Artifact) -> dict[str, bytes]:
    """The files of runtime_c that a build takes: the same for targets whose other instructions it does not use."""
    return {path: text for path, text in source.files.items() if path.startswith("src/tc_")}


def link(compiled: Compiled, source: Artifact | None = None) -> Artifact:
    """One WebAssembly module, its manifest inside; `source` is what `emit_wasm` printed, where that is at hand."""
    source = source or emit_wasm(compiled)
    return finish_wasm(source, build_wasm(source.files, compiled.name, compiled.target))
