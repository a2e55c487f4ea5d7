"""Layers that are computed row by row give the same results as layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import onnx_ir
import pytest
from random_nets import random_net
from tinycast.artifact import Artifact
from tinycast.emit import emit_c
from tinycast.errors import InternalError
from tinycast.execute.host import HostDriver
from tinycast.execute.inputs import random_inputs
from tinycast.ir.graph import Program, interpret
from tinycast.ir.kernel import Compiled, Step
from tinycast.memory import plan_memory
from tinycast.pipeline import compile_model
from tinycast.program.lower import to_integers
from tinycast.program.ports import input_ports, output_ports
from tinycast.program.steps import to_layers
from tinycast.schedule.goal import Optimize
from tinycast.schedule.stream import compile_strip, segment_step
from tinycast.schedule.stream_plan import Read, Stage, least_capacities, turns_of
from tinycast.schedule.stream_segment import make_segment
from tinycast.schedule.stream_strips import Layer, strip_of
from tinycast.target.load import load_target
from tinycast.target.types import Target

HOST = load_target("host")
SAMPLES = 2


@dataclass(frozen=True)
class Net:
    """A program with the layers' own steps."""

    program: Program
    model: onnx_ir.Model
    layers: list[Layer]

    def artifact(self, steps: Sequence[Step]) -> Artifact:
        program = self.program
        plan = plan_memory(steps, program.inputs, program.outputs, align=HOST.buffer_align)
        both = input_ports(program, self.model), output_ports(program, self.model)
        return emit_c(Compiled("net", HOST, *both, tuple(steps[i] for i in plan.order), plan, "0" * 64))


def net_of(model: onnx_ir.Model) -> Net:
    program = to_integers(model, "net")
    return Net(program, model, to_layers(program, HOST))


def every_segment(layers: Sequence[Layer], target: Target) -> list[tuple[int, int, Step]]:
    """(first layer, last layer, step) of whatever can be streamed."""
    found = []
    strips = [strip_of(layer) for layer in layers]
    for first in range(len(layers)):
        for last in range(first + 1, len(layers)):
            inside = strips[first : last + 1]
            later = {v for layer in layers[last + 1 :] for call in layer.calls for v in call.inputs}
            if None in inside or any(s is None or s.layer.output in later for s in inside[:-1]):
                continue
            known = [s for s in inside if s is not None]
            segment = make_segment(known)
            if segment is not None:
                steps = [compile_strip(s, segment.columns(s), target) for s in known]
                found.append((first, last, segment_step(segment, steps, target)))
    return found


def check_net(seed: int) -> int:
    """The widest segment and a few others, under sanitizers. Returns how many there are."""
    for model, exact in zip(random_net(seed), (False, True), strict=True):
        net = net_of(model)
        segments = sorted(every_segment(net.layers, HOST), key=lambda s: (s[0] - s[1], s[0]))
        artifact = net.artifact([layer.step for layer in net.layers])
        samples = random_inputs(artifact.manifest, SAMPLES)
        expected = HostDriver(HOST).run(artifact.files, artifact.manifest, samples).outputs
        for first, last, step in segments[:1] + segments[1::7][:2]:
            steps = [layer.step for layer in net.layers]
            steps[first : last + 1] = [step]
            streamed = net.artifact(steps)
            got = HostDriver(HOST, sanitize=True).run(streamed.files, streamed.manifest, samples).outputs
            for name, y in expected.items():
                if exact:
                    assert y.dtype == np.int8
                    assert np.array_equal(got[name], y), (seed, first, last)
                else:
                    assert np.allclose(got[name], y, rtol=0, atol=1e-5 * np.abs(y).max()), (seed, first, last)
    return len(segments)


@pytest.mark.parametrize("seed", range(6))
def test_random_nets_by_rows(seed: int) -> None:
    assert check_net(seed) > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6, 60))
def test_more_random_nets_by_rows(seed: int) -> None:
    check_net(seed)


def test_least_ram_is_the_reference() -> None:
    """Through the whole pipeline, against NumPy."""
    model = random_net(6)[1]
    program = to_integers(model, "net")
    small, usual = (compile_model(random_net(6)[1], HOST, "net", "0" * 64, ram_bytes=r) for r in (1, None))
    assert any(step.streamed for step in small.steps)
    assert small.plan.arena_bytes < usual.plan.arena_bytes
    artifact = emit_c(small)
    samples = random_inputs(artifact.manifest, SAMPLES)
    (got,) = HostDriver(HOST).run(artifact.files, artifact.manifest, samples).outputs.values()
    (x,), (y,) = program.inputs, program.outputs
    for i in range(SAMPLES):
        known = interpret(program, [samples[x.name][i].reshape(x.shape)])
        assert np.array_equal(got[i].reshape(y.shape), known[y])


def test_no_more_ram_than_given() -> None:
    usual = compile_model(random_net(6)[1], HOST, "net", "0" * 64).plan.arena_bytes
    same = compile_model(random_net(6)[1], HOST, "net", "0" * 64, ram_bytes=usual)
    assert same.plan.arena_bytes == usual
    assert not any(step.streamed for step in same.steps)
    less = compile_model(random_net(6)[1], HOST, "net", "0" * 64, ram_bytes=usual - 1)
    assert less.plan.arena_bytes < usual
    least = compile_model(random_net(6)[1], HOST, "net", "0" * 64, optimize=Optimize.RAM)
    assert least.plan.arena_bytes <= less.plan.arena_bytes


def test_capacities_of_a_chain_are_its_windows() -> None:
    chain = [Stage((), 20, 1, 1, 8), Stage((Read(0, 3, 1, 1),), 20, 0, 0, 8), Stage((Read(1, 2, 2, 0),), 10)]
    assert least_capacities(chain) == (3, 2, 0)
    order = turns_of(chain, (3, 2, 0))
    assert order.count(2) == 10
    assert order[:3] == [0, 0, 1]


def test_capacities_of_a_residual_sum_reach_back() -> None:
    """y = conv(conv(conv(x))) + x: x stays for the rows that the windows look ahead."""
    stages = [
        Stage((), 12, 1, 1, 8),
        Stage((Read(0, 3, 1, 1),), 12, 1, 1, 8),
        Stage((Read(1, 3, 1, 1),), 12, 1, 1, 8),
        Stage((Read(2, 3, 1, 1), Read(0, 1, 1, 0)), 12),
    ]
    capacities = least_capacities(stages)
    assert capacities == (4, 3, 3, 0)
    assert turns_of(stages, capacities).count(3) == 12
    for number in range(3):
        fewer = [c - (i == number) for i, c in enumerate(capacities)]
        with pytest.raises(InternalError):
            turns_of(stages, fewer)


def test_random_stages_hold_what_is_read() -> None:
    random = np.random.default_rng(7)
    for _ in range(300):
        height = int(random.integers(1, 30))
        stages = [Stage((), height, 0, 0, 1)]
        for number in range(int(random.integers(1, 6))):
            rows, stride = int(random.integers(1, 6)), int(random.integers(1, 4))
            above = int(random.integers(0, rows))
            source = stages[number]
            out = ceil((source.height + above) / stride)
            below = max(0, (out - 1) * stride + rows - above - source.height)
            stages[number] = replace(source, top=above, bottom=below)
            stages.append(Stage((Read(number, rows, stride, above),), out, 0, 0, 1))
        capacities = least_capacities(stages)
        assert turns_of(stages, capacities).count(len(stages) - 1) == stages[-1].height
