"""Layers that are computed on another view of the same bytes, and integer layers whose zero points are computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from schedule.test_wasm_kernels import RELAXED, WASM
from tinycast.execute.select import driver_for
from tinycast.ir.kernel import Compiled
from tinycast.model import simplify
from tinycast.ops.sums import float_chunks
from tinycast.pipeline import build, compile_model
from tinycast.target.load import load_target

SAMPLES = 3
RNG = np.random.default_rng(4)


def model_of(
    nodes: Sequence[Any], inputs: dict[str, tuple[int, tuple[int, ...]]], constants: dict[str, Any]
) -> onnx.ModelProto:
    """The nodes from the inputs (type, shape) to `y`."""
    output_type = (
        TensorProto.FLOAT if all(kind == TensorProto.FLOAT for kind, _ in inputs.values()) else TensorProto.INT32
    )
    graph = helper.make_graph(
        nodes,
        "view",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info("y", output_type, None)],
        [numpy_helper.from_array(np.asarray(data), name) for name, data in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def compiled(proto: onnx.ModelProto, target: str) -> Compiled:
    model = ir.from_proto(proto)
    simplify(model)
    return compile_model(model, load_target(target), "view", "0" * 64)


def bodies_of(model: Compiled) -> str:
    return "\n".join(step.kernel.body for step in model.steps)


def check(proto: onnx.ModelProto, model: Compiled, samples: dict[str, Any]) -> None:
    """The outputs are ONNX Runtime's: the same integers, or floats close to them."""
    artifact = build(model)
    (outputs,) = driver_for(model.target).run(artifact.files, artifact.manifest, samples).outputs.values()
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    shapes = {value.name: value.shape for value in session.get_inputs()}
    for i in range(SAMPLES):
        (expected,) = session.run(None, {name: np.array(s[i]).reshape(shapes[name]) for name, s in samples.items()})
        bound = 0 if expected.dtype.kind == "i" else 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(outputs[i].reshape(-1), expected.reshape(-1), rtol=0, atol=bound)


@pytest.mark.parametrize("target", ["wasm32", "cortex-m4"])
@pytest.mark.parametrize("group", [1, 8])
def test_a_column_of_pixels_is_computed_as_a_row(group: int, target: str) -> None:
    """A convolution down a single column, its activation and its residual sum, as those along a row."""
    weights = RNG.normal(0, 0.2, (8, 8 // group, 5)).astype(np.float32)
    bodies = []
    for axis in (2, 3):
        shape = (1, 8, 30, 1) if axis == 2 else (1, 8, 1, 30)
        kernel, pads = ([5, 1], [2, 0, 1, 0]) if axis == 2 else ([1, 5], [0, 2, 0, 1])
        nodes = [
            helper.make_node("Conv", ["x", "w"], ["sum"], kernel_shape=kernel, pads=pads, group=group),
            helper.make_node("Relu", ["sum"], ["y"]),
        ]
        proto = model_of(nodes, {"x": (TensorProto.FLOAT, shape)}, {"w": weights.reshape(8, -1, *kernel)})
        model = compiled(proto, target)
        check(proto, model, {"x": RNG.normal(0, 1, (SAMPLES, *shape[1:])).astype(np.float32)})
        bodies.append(bodies_of(model))
    assert bodies[0] == bodies[1]


def test_a_matrix_behind_a_reshape_takes_vectors() -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["rows"]),
        helper.make_node("MatMul", ["rows", "w"], ["sums"]),
        helper.make_node("Relu", ["sums"], ["y"]),
    ]
    constants = {"shape": np.array([1, 10, 16]), "w": RNG.normal(0, 0.3, (16, 24)).astype(np.float32)}
    proto = model_of(nodes, {"x": (TensorProto.FLOAT, (10, 1, 1, 16))}, constants)
    model = compiled(proto, "wasm32")
    assert "tc_dot_floats(" in bodies_of(model)
    assert len(model.steps) == 1
    check(proto, model, {"x": RNG.normal(0, 1, (SAMPLES, 10, 1, 1, 16)).astype(np.float32)})


@pytest.mark.parametrize(
    ("extents", "outer", "inner"),
    [((64,), (1,), (64,)), ((257,), (1,), (257,)), ((262,), (2,), (131,)), ((3, 3, 67), (3, 3, 1), (1, 1, 67))],
)
def test_chunks_of_floats_hold_several_terms(
    extents: tuple[int, ...], outer: tuple[int, ...], inner: tuple[int, ...]
) -> None:
    assert float_chunks(extents) == (outer, inner)


@pytest.mark.parametrize("target", ["wasm32", "wasm32-relaxed", "cortex-m4", "cortex-m0plus"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("kind", ["conv", "conv1d", "depthwise", "matmul"])
def test_integer_layers_keep_their_weights_narrow(kind: str, dtype: type[np.generic], target: str) -> None:
    """The activations' zero point is computed, the weights' is one a channel where ONNX Runtime takes it."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    shape = {"conv1d": (1, 6, 19), "matmul": (7, 20)}.get(kind, (1, 6, 9, 11))
    weight_shape = {"conv1d": (9, 6, 3), "depthwise": (6, 1, 3, 3), "matmul": (20, 9)}.get(kind, (9, 6, 3, 3))
    zeros = (9,) if kind == "matmul" else ()
    constants = {
        "w": RNG.integers(-20, 21, weight_shape).astype(np.int8),
        "w_zero": np.asarray(RNG.integers(-3, 4, zeros), np.int8),
    }
    pads = {"pads": [1] * 2 * (len(shape) - 2)} if kind != "matmul" else {}
    attributes = {**pads, **({"group": 6} if kind == "depthwise" else {})}
    operator = "MatMulInteger" if kind == "matmul" else "ConvInteger"
    nodes = [helper.make_node(operator, ["x", "w", "x_zero", "w_zero"], ["y"], **attributes)]
    tensor = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    proto = model_of(nodes, {"x": (tensor, shape), "x_zero": (tensor, ())}, constants)
    model = compiled(proto, target)
    if target in (WASM.name, RELAXED.name):
        assert "pairs(" in bodies_of(model)
    wide = [a for s in model.steps for a in s.arguments if getattr(a, "data", None) is not None and a.size > 100]
    assert all(a.dtype.value == "int8" for a in wide)
    samples = {
        "x": RNG.integers(low, high + 1, (SAMPLES, *(shape if kind == "matmul" else shape[1:]))).astype(dtype),
        "x_zero": RNG.integers(low, high + 1, SAMPLES).astype(dtype),
    }
    check(proto, model, samples)
