"""Quantized models: the same bytes as the NumPy reference, and at most a step from ONNX Runtime, layer by layer."""

from __future__ import annotations

import numpy as np
import onnx_ir
import pytest
from host_batch import Array, Row, program_of, run_each_on_host
from layerwise import layer_differences
from quantized_nets import METHODS, MIXED, NETS
from tinycast.ir.graph import Program, interpret
from tinycast.ir.types import DType

SAMPLES = 4


@pytest.mark.parametrize("method", METHODS)
def test_quantized_nets(method: str) -> None:
    models = {row.name: METHODS[method](row) for row in NETS}
    programs = {name: program_of(model) for name, model in models.items()}
    samples = {name: samples_of(program) for name, program in programs.items()}
    results, wrong = run_each_on_host(models, samples)
    for name, program in programs.items():
        wrong += [f"{name}: {node} runs in float" for node in float_between_integers(models[name], program)]
        for port, expected in reference(program, models[name], samples[name]).items():
            if name in results and not agree(results[name][port], expected):
                wrong.append(f"{name}: host and reference differ in {port}")
    for row in NETS:
        wrong += layers_off(row, models[row.name], programs[row.name])
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("method", ["qdq_int8", "qoperator_uint8", "tinycast_int8"])
def test_integers_and_floats_in_one_graph(method: str) -> None:
    models = {row.name: METHODS[method](row) for row in MIXED}
    programs = {name: program_of(model) for name, model in models.items()}
    samples = {name: samples_of(program) for name, program in programs.items()}
    results, wrong = run_each_on_host(models, samples)
    for name, program in programs.items():
        assert program.notes  # the report says what runs in float
        for port, expected in reference(program, models[name], samples[name]).items():
            steps = np.abs(results[name][port].reshape(expected.shape).astype(np.float64) - expected).max()
            # A float on a rounding boundary may land on either side of it.
            if steps > (1 if expected.dtype.kind in "iu" else 1e-5 * np.abs(expected).max()):
                wrong.append(f"{name}: {port} differs by {steps:g}")
    assert not wrong, "\n".join(wrong)


def float_between_integers(model: onnx_ir.Model, program: Program) -> set[str]:
    """Nodes with quantized (or constant) operands whose result is only quantized, but which run in float."""

    def quantized(value: onnx_ir.Value | None) -> bool:
        source = None if value is None else value.producer()
        return value is None or value.is_initializer() or (source is not None and source.op_type == "DequantizeLinear")

    candidates = {
        str(node.name)
        for node in model.graph
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear")
        and all(map(quantized, node.inputs))
        and all(use.node.op_type == "QuantizeLinear" for use in node.outputs[0].uses())
        and node.outputs[0].uses()
    }
    in_float = {c.source for c in program.calls if DType.FLOAT32 in (v.dtype for v in (*c.inputs, c.output))}
    return candidates & in_float


def samples_of(program: Program) -> dict[str, Array]:
    """Random inputs of the compiled model, over the whole range of their types."""
    random = np.random.default_rng(3)
    samples: dict[str, Array] = {}
    for value in program.inputs:
        shape = (SAMPLES, *value.shape)
        if value.dtype is DType.FLOAT32:
            samples[value.name] = random.uniform(-2, 2, shape).astype(np.float32)
        else:
            kind = np.iinfo(value.dtype.numpy)
            samples[value.name] = random.integers(kind.min, kind.max, shape, endpoint=True).astype(value.dtype.numpy)
    return samples


def reference(program: Program, model: onnx_ir.Model, samples: dict[str, Array]) -> dict[str, Array]:
    runs = [interpret(program, [samples[v.name][i] for v in program.inputs]) for i in range(SAMPLES)]
    names = [str(v.name) for v in model.graph.outputs]
    return {name: np.stack([run[value] for run in runs]) for name, value in zip(names, program.outputs, strict=True)}


def agree(host: Array, expected: Array) -> bool:
    host = host.reshape(expected.shape)
    if expected.dtype == np.float32:
        return bool(np.abs(host - expected).max() <= 1e-5 * np.abs(expected).max())
    return bool(np.array_equal(host, expected))


def layers_off(row: Row, model: onnx_ir.Model, program: Program) -> list[str]:
    """Layers more than a step from ONNX Runtime. Every net has at least five that are compared."""
    inputs = row.samples(row.proto(), SAMPLES)
    wrong, compared = [], set()
    for i in range(SAMPLES):
        for layer in layer_differences(model, program, {name: array[i] for name, array in inputs.items()}):
            compared.add(layer.name)
            if layer.steps > 1:
                wrong.append(f"{row.name}: {layer.name} ({layer.operators}) is {layer.steps} steps off")
    return wrong if len(compared) >= 5 else [*wrong, f"{row.name}: only {sorted(compared)} compared"]
