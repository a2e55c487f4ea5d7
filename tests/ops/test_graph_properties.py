"""Random graphs, quantized: each layer a step from ONNX Runtime's at most, the host's bytes those of the reference."""

from __future__ import annotations

import numpy as np
import onnx_ir
import pytest
from host_batch import Array, loaded, program_of
from hypothesis import settings
from hypothesis import strategies as st
from layerwise import layer_differences
from properties import Draw, Instance, examples, run_apart
from properties_graphs import graph_of
from test_quantized import SAMPLES, reference, samples_of
from tinycast.compress.quantize import QuantizeOptions, quantize

GRAPHS = 8  # in one build


@st.composite
def graphs(draw: st.DrawFn) -> Instance:
    d = Draw(draw)
    return graph_of(d, d.int(2, 12))


BATCHES = st.lists(graphs(), min_size=GRAPHS, max_size=GRAPHS)


def quantized(instance: Instance) -> onnx_ir.Model:
    samples = {name: array.reshape(-1, *array.shape[2:]) for name, array in instance.inputs.items()}
    proto = instance.proto()
    instance.expected(proto)  # tells the outputs' types
    return quantize(loaded(proto), samples, QuantizeOptions())


def check(batch: list[Instance]) -> list[str]:
    wrong: list[str] = []
    parts: dict[str, tuple[onnx_ir.Model, dict[str, Array]]] = {}
    expected, notes = {}, {}
    for name, instance in ((f"r{i}", instance) for i, instance in enumerate(batch)):
        try:
            model = quantized(instance)
            program = program_of(model)
            samples = samples_of(program)
            for i in range(len(next(iter(instance.inputs.values())))):
                inputs = {port: array[i] for port, array in instance.inputs.items()}
                for layer in layer_differences(model, program, inputs):
                    if layer.steps > 1:
                        wrong.append(f"{layer.name} ({layer.operators}) is {layer.steps} steps off: {instance}")
            parts[name], notes[name] = (model, samples), bool(program.notes)
            expected[name] = reference(program, model, samples)
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}: {instance}")
    results, failed = run_apart(parts)
    wrong += [f"{message}: {batch[int(name[1:])]}" for name, message in failed.items()]
    for name, outputs in results.items():
        for port, wanted in expected[name].items():
            # A float between integers may be rounded to either side.
            limit = (3 if notes[name] else 0) if wanted.dtype.kind == "i" else 1e-4 * np.abs(wanted).max()
            distance = np.abs(outputs[port].reshape(wanted.shape).astype(np.float64) - wanted).max()
            if not distance <= limit:
                wrong.append(f"{port} of the host is {distance:g} off: {batch[int(name[1:])]}")
    assert all(len(array) == SAMPLES for outputs in results.values() for array in outputs.values())
    return wrong


def test_random_graphs() -> None:
    wrong = check(examples(BATCHES, 1)[-1])
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_many_random_graphs() -> None:
    batches = examples(BATCHES, 30 if settings().derandomize else 150)
    wrong = [message for batch in batches for message in check(batch)]
    assert not wrong, "\n".join(wrong)
