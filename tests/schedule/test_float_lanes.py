"""Float functions on vectors: the bits of the scalar ones, infinities and NaNs too; and layers whose rows have axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper
from tinycast.compress.quantize import QuantizeOptions, quantize
from tinycast.execute.select import driver_for
from tinycast.ir.graph import interpret
from tinycast.model import simplify
from tinycast.pipeline import build, compile_model
from tinycast.program.lower import to_integers
from tinycast.target.load import load_target


def model_of(nodes: Sequence[Any], shape: Sequence[int], constants: dict[str, Any] | None = None) -> ir.Model:
    """The nodes from `x` to `y`."""
    graph = helper.make_graph(
        nodes,
        "lanes",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(data, np.float32), name) for name, data in (constants or {}).items()],
    )
    model = ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))
    simplify(model)
    return model


def outputs_of(model: ir.Model, target: str, samples: Any) -> tuple[str, Any]:
    """The C of the kernels, and what they make of the samples."""
    compiled = compile_model(model, load_target(target), "lanes", "0" * 64)
    artifact = build(compiled)
    outputs = driver_for(load_target(target)).run(artifact.files, artifact.manifest, {"x": samples}).outputs
    return "\n".join(step.kernel.body for step in compiled.steps), next(iter(outputs.values()))


@pytest.mark.parametrize("function", ["Exp", "Sigmoid", "Tanh"])
def test_functions_give_the_bits_of_the_scalar_ones(function: str) -> None:
    rng = np.random.default_rng(1)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 88.7228, 88.7229, -103.97, -103.98, 9.1, -9.1, 0.3466]
    x = np.concatenate([special, rng.normal(0, 40, 500), rng.normal(0, 1, 500), [0.0] * 2]).astype(np.float32)[:1012]
    samples = x.reshape(1, -1)
    model = model_of([helper.make_node(function, ["x"], ["y"])], (1, x.size))
    bodies, vectors = outputs_of(model, "wasm32", samples)
    assert f"tc_lanes_{function.lower()}_f32(" in bodies
    bodies, scalars = outputs_of(model, "wasm32-scalar", samples)
    assert "tc_lanes" not in bodies
    same = vectors.view(np.uint32) == scalars.view(np.uint32)
    assert np.all(same | (np.isnan(vectors) & np.isnan(scalars)))
    assert np.isnan(vectors).sum() == 1


@pytest.mark.parametrize("length", [64, 20, 13])
@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax", "LayerNormalization"])
def test_passes_over_rows_take_vectors(kind: str, length: int) -> None:
    rng = np.random.default_rng(3)
    constants = {"scale": rng.normal(0, 1, length), "bias": rng.normal(0, 1, length)}
    more = list(constants) if kind == "LayerNormalization" else []
    model = model_of([helper.make_node(kind, ["x", *more], ["y"])], (1, 5, length), constants)
    samples = rng.normal(0, 3, (4, 5, length)).astype(np.float32)
    program = to_integers(model, "lanes")
    expected = np.stack([interpret(program, [one[None]])[program.outputs[0]] for one in samples])
    bodies, outputs = outputs_of(model, "wasm32", samples)
    assert ("tc_lanes_" in bodies) == (length % 4 == 0)
    np.testing.assert_allclose(outputs.reshape(-1), expected.reshape(-1), rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_scalar_has_no_vectors() -> None:
    model = model_of([helper.make_node("Add", ["x", "one"], ["y"])], (), {"one": 1.0})
    bodies, outputs = outputs_of(model, "wasm32", np.asarray([2.5], np.float32))
    assert "tc_lanes" not in bodies
    assert outputs.reshape(-1).tolist() == [3.5]


def test_what_has_no_vector_function_is_one_loop() -> None:
    bodies, _ = outputs_of(model_of([helper.make_node("Sin", ["x"], ["y"])], (1, 64)), "wasm32", np.ones((1, 64), "f4"))
    assert "tc_lanes" not in bodies
    assert bodies.count("for (") == 1


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("target", ["host", "wasm32", "wasm32-relaxed", "cortex-m4", "cortex-m55"])
def test_rows_with_several_axes_are_multiplied_as_a_matrix(target: str, int8: bool) -> None:
    rng = np.random.default_rng(2)
    constants = {"w": rng.normal(0, 0.3, (12, 16)), "b": rng.normal(0, 1, 16), "v": rng.normal(0, 0.3, (16, 12))}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"]),
        helper.make_node("Add", ["xw", "b"], ["xwb"]),
        helper.make_node("Relu", ["xwb"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "v"], ["deep"]),
        helper.make_node("Add", ["deep", "x"], ["y"]),
    ]
    shape = (1, 3, 5, 12)
    model = model_of(nodes, shape, constants)
    samples = rng.normal(0, 1, (4, *shape[1:])).astype(np.float32)
    if int8:
        model = quantize(model, {"x": samples}, QuantizeOptions())
        simplify(model)
    program = to_integers(model, "lanes")
    if int8:
        samples = rng.integers(-128, 128, samples.shape).astype(np.int8)
    expected = np.stack([interpret(program, [one[None]])[program.outputs[0]] for one in samples])
    bodies, outputs = outputs_of(model, target, samples)
    kernels = {"host": "", "wasm32-relaxed": "tc_dot_quads(" if int8 else "tc_dot_floats(", "cortex-m55": "tc_dot_runs"}
    if target != "cortex-m55" or int8:
        assert kernels.get(target, "tc_dot_") in bodies
    bound = 0 if int8 else 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(outputs.reshape(-1), expected.reshape(-1), rtol=0, atol=bound)
