"""Recurrent layers in what ONNX Runtime does not run, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from host_batch import HOST, Row, loaded, program_of, run_on_host
from matrix_recurrent import GATES, RECURRENT, weights
from test_matrix import TOLERANCE, reference
from tinycast.errors import ModelError
from tinycast.execute.select import driver_for
from tinycast.ir.graph import interpret
from tinycast.ir.kernel import Role
from tinycast.pipeline import build, compile_model
from tinycast.target.load import load_target

SWAPPED = {"x": (0, 2, 1, 3), "l": (0, 1), "i": (0, 2, 1, 3), "y": (0, 3, 1, 2, 4), "h": (0, 2, 1, 3)}


@pytest.mark.parametrize("kind", GATES)
def test_samples_first_is_the_same_layer(kind: str) -> None:
    """layout=1, which ONNX Runtime refuses, against ONNX Runtime's layout=0."""
    arrays = weights(kind, 2)
    node = f'y, h = {kind}<hidden_size=4, direction="bidirectional", layout={{}}>(x, w, r, b, l, i)'
    given = "float[5,2,3] x, int32[2] l, float[2,2,4] i"
    proto = Row(kind, given, node.format(0), arrays, outputs="y h", low=0, high=6).proto()
    samples = Row(kind, given, "", low=0, high=6).samples(proto)
    expected = {name: np.stack(arrays) for name, arrays in reference(proto, samples).items()}
    given = "float[2,5,3] x, int32[2] l, float[2,2,4] i"
    first = loaded(Row(kind, given, node.format(1), arrays, outputs="y h").proto())
    swapped = {name: array.transpose(SWAPPED[name]) for name, array in samples.items()}
    outputs = run_on_host({"m": first}, {"m": swapped})["m"]
    for name, y in outputs.items():
        wanted = expected[name].transpose(SWAPPED[name])
        assert np.abs(y.reshape(wanted.shape) - wanted).max() <= TOLERANCE * np.abs(wanted).max(), name
    program = program_of(first)
    for n in range(len(samples["x"])):
        values = interpret(program, [swapped[v.name][n] for v in program.inputs])
        for v in program.outputs:
            wanted = expected[v.name].transpose(SWAPPED[v.name])[n]
            np.testing.assert_allclose(values[v], wanted, rtol=0, atol=TOLERANCE * float(np.abs(wanted).max()))


@pytest.mark.parametrize("row", RECURRENT, ids=lambda row: row.name)
def test_reference_agrees_with_onnx_runtime(row: Row) -> None:
    proto = row.proto()
    samples = row.samples(proto)
    expected = reference(proto, samples)
    program = program_of(loaded(proto))
    assert program.outputs
    for n in range(len(next(iter(samples.values())))):
        values = interpret(program, [samples[v.name][n] for v in program.inputs])
        for v in program.outputs:
            wanted = expected[v.name]
            assert np.abs(values[v] - wanted[n]).max() <= TOLERANCE * np.abs(wanted).max()


@pytest.mark.parametrize("target", ["wasm32", "c"])
@pytest.mark.parametrize("row", RECURRENT, ids=lambda row: row.name)
def test_products_of_several_steps_are_made_together(row: Row, target: str) -> None:
    """On cores with vectors; "c": the generic C of their kernels, on the host."""
    proto = row.proto()
    samples = row.samples(proto)
    expected = reference(proto, samples)
    wasm = load_target("wasm32")
    core = wasm if target == "wasm32" else replace(HOST, micro_kernels=wasm.micro_kernels)
    compiled = compile_model(loaded(proto), core, "m", "0" * 64)
    assert "tc_inner_products(" in "".join(step.kernel.body for step in compiled.steps)
    artifact = build(compiled)
    outputs = driver_for(core).run(artifact.files, artifact.manifest, samples).outputs
    for name, arrays in expected.items():
        wanted = np.stack(arrays)
        assert np.abs(outputs[name].reshape(wanted.shape) - wanted).max() <= TOLERANCE * np.abs(wanted).max(), name


def test_memory_does_not_grow_with_the_steps() -> None:
    """Where only the last state is read, there is no Y, and the code is one loop."""
    sizes = []
    for steps in (50, 60):
        row = Row("last", f"float[{steps},1,3] x", ", y = LSTM<hidden_size=4>(x, w, r, b)", weights("LSTM"))
        (step,) = compile_model(loaded(row.proto()), HOST, "m", "0" * 64).steps
        (gates,) = step.values(Role.SCRATCH)
        written = sum(v.bytes for v in step.values(Role.OUTPUT))
        sizes.append((gates.bytes, written, len(step.kernel.body)))
        assert step.macs == steps * 16 * (3 + 4)
    assert sizes[0] == sizes[1]
    assert sizes[0][:2] == (16 * 4, 2 * 4 * 4)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ('activations=["Cosine"]', "Cosine"),
        ('activations=["Affine"]', "has no default"),
        ('activations=["ThresholdedRelu"]', "has no default"),
        ('direction="sideways"', "sideways"),
    ],
)
def test_what_has_no_meaning_is_refused(attributes: str, message: str) -> None:
    row = Row("bad", "float[5,2,3] x", f"y = RNN<hidden_size=4, {attributes}>(x, w, r, b)", weights("RNN"))
    with pytest.raises(ModelError, match=message) as raised:
        program_of(loaded(row.proto()))
    assert raised.value.fix
