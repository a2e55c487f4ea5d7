"""Networks streamed by rows: the bytes of the reference, the RAM that it is for, the time it may cost."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from nets import CORES, FAST, Net, flat, net, port_inputs, reference
from tinycast.artifact import Artifact
from tinycast.execute.inputs import random_inputs
from tinycast.execute.select import driver_for
from tinycast.ir.kernel import Compiled
from tinycast.memory import plan_memory
from tinycast.model import load, simplify
from tinycast.pipeline import build, compile_model
from tinycast.program.lower import to_integers
from tinycast.program.ports import input_ports, output_ports
from tinycast.program.steps import to_layers
from tinycast.schedule.goal import Optimize
from tinycast.target.load import load_target

NETS = ("digits_int8", "kws_int8_qdq", "ic_int8_qdq")
LEAST = 1  # byte: what cannot be reached gives the least that can


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nets")


@cache
def streamed(path: Path, target: str, optimize: Optimize, ram_bytes: int | None) -> Artifact:
    model = load(path)
    simplify(model)
    core = load_target(target)
    return build(compile_model(model, core, "net", "0" * 64, optimize=optimize, ram_bytes=ram_bytes), None)


def assert_reference_bytes(subject: Net, target: str, count: int | None) -> None:
    samples = subject.samples if count is None else subject.first(count)
    artifact = streamed(subject.path, target, Optimize.TIME, LEAST)
    if subject.name != "digits_int8":  # too small to gain everywhere
        assert artifact.manifest["memory"]["segments"]
    inputs = port_inputs(subject.path, samples)
    outputs = driver_for(load_target(target)).run(artifact.files, artifact.manifest, inputs).outputs
    for array, wanted in zip(outputs.values(), reference(subject.path, samples), strict=True):
        np.testing.assert_array_equal(flat(array), wanted)


@pytest.mark.parametrize("target", ["host", "wasm32", "cortex-m4"])
@pytest.mark.parametrize("name", NETS)
def test_the_references_bytes(name: str, target: str, folder: Path) -> None:
    assert_reference_bytes(net(name, folder), target, 10)


@pytest.mark.slow
@pytest.mark.parametrize("target", [*FAST, *CORES])
@pytest.mark.parametrize("name", NETS)
def test_the_references_bytes_on_all_inputs(name: str, target: str, folder: Path) -> None:
    assert_reference_bytes(net(name, folder), target, None)


def figures(path: Path, optimize: Optimize, ram_bytes: int | None) -> tuple[int, int, int]:
    """Arena bytes, stack bytes and instructions on a Cortex-M4."""
    artifact = streamed(path, "cortex-m4", optimize, ram_bytes)
    inputs = random_inputs(artifact.manifest, 1)
    measured = driver_for(load_target("cortex-m4")).run(artifact.files, artifact.manifest, inputs)
    assert measured.instructions is not None
    assert measured.stack_bytes is not None
    return artifact.manifest["arena_bytes"], measured.stack_bytes, measured.instructions


@pytest.mark.parametrize(
    ("name", "most_arena", "most_time"),
    [
        ("kws_int8_qdq", 10_200, 1.1),
        ("ic_int8_qdq", 18_000, 1.1),
        ("kws_float", 33_056, 1.1),
        ("ic_float", 80_000, 1.1),
    ],
)
def test_little_ram_costs_little_time(name: str, most_arena: int, most_time: float, folder: Path) -> None:
    path = net(name, folder).path
    _, _, usual = figures(path, Optimize.TIME, None)
    arena, stack, instructions = figures(path, Optimize.RAM, None)
    assert arena <= most_arena
    assert stack < 600
    assert instructions <= most_time * usual


@pytest.mark.parametrize(("name", "most_arena"), [("kws_int8_qdq", 6_500), ("ic_int8_qdq", 21_000)])
def test_least_ram(name: str, most_arena: int, folder: Path) -> None:
    path = net(name, folder).path
    _, _, usual = figures(path, Optimize.TIME, None)
    arena, stack, instructions = figures(path, Optimize.TIME, LEAST)
    assert arena <= most_arena
    assert stack < 600
    assert instructions <= 1.25 * usual


def whole_layers(path: Path, target: str) -> Artifact:
    """The network without streaming."""
    model = load(path)
    simplify(model)
    core, program = load_target(target), to_integers(model, "net")
    steps = [layer.step for layer in to_layers(program, core)]
    plan = plan_memory(steps, program.inputs, program.outputs, align=core.buffer_align)
    ports = input_ports(program, model), output_ports(program, model)
    return build(Compiled("net", core, *ports, tuple(steps[i] for i in plan.order), plan, "0" * 64), None)


def assert_free(path: Path, target: str) -> int:
    """Streaming by default costs no time; returns how many bytes of RAM it saves."""
    counted = []
    for artifact in (whole_layers(path, target), streamed(path, target, Optimize.TIME, None)):
        measured = driver_for(load_target(target)).run(
            artifact.files, artifact.manifest, random_inputs(artifact.manifest, 1)
        )
        assert measured.instructions is not None
        counted.append((artifact.manifest["arena_bytes"], measured.instructions, measured.cycles_estimate or 0))
    (arena, instructions, cycles), (less, as_many, as_long) = counted
    assert as_many <= 1.001 * instructions
    assert as_long <= 1.001 * cycles
    return int(arena) - int(less)


def test_streaming_that_costs_nothing_is_the_default(folder: Path) -> None:
    assert assert_free(net("ic_int8_qdq", folder).path, "cortex-m4") > 15_000


@pytest.mark.slow
@pytest.mark.parametrize("target", ["cortex-m4", "cortex-m0plus", "rv32imc", "cortex-m55"])
@pytest.mark.parametrize("name", ["digits_int8", "kws_int8_qdq", "ic_int8_qdq", "kws_float", "ic_float"])
def test_the_default_is_never_slower(name: str, target: str, folder: Path) -> None:
    if "float" in name and not load_target(target).has_fpu:
        pytest.skip("floats without an FPU take minutes")
    assert assert_free(net(name, folder).path, target) >= 0


def test_no_streaming_where_ram_is_no_matter(folder: Path) -> None:
    usual = streamed(net("digits_int8", folder).path, "host", Optimize.TIME, None).manifest
    assert usual["memory"]["segments"] == []
    small = streamed(net("ic_int8_qdq", folder).path, "cortex-m4", Optimize.SIZE, None).manifest
    assert small["memory"]["segments"] == []


def test_report_of_a_segment(folder: Path) -> None:
    manifest = streamed(net("kws_int8_qdq", folder).path, "cortex-m4", Optimize.TIME, LEAST).manifest
    (segment,) = manifest["memory"]["segments"]
    assert manifest["layers"][segment["step"]]["op"] == f"Rows of {len(segment['layers'])} layers"
    assert segment["recompute_factor"] == 1.0
    assert segment["scratch"]["lower_bound_bytes"] <= segment["scratch"]["arena_bytes"]
    kept = sum(buffer["bytes"] for buffer in segment["buffers"])
    assert 0 < kept + segment["scratch"]["arena_bytes"] < manifest["arena_bytes"]
