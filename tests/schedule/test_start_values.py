"""Sums start at the bias where the bias is read anyway, and at zero where reading it might leave the array."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper
from tinycast.compress.quantize import QuantizeOptions, quantize
from tinycast.emit import emit_c
from tinycast.pipeline import compile_model
from tinycast.target.load import load_target


def kernels_of_a_dense_layer(outputs: int, target: str = "cortex-m4") -> str:
    """The C of a fully connected layer of 16 int8 inputs, whose micro-kernel computes a few outputs at a time."""
    random = np.random.default_rng(1)
    constants = {"w": random.standard_normal((outputs, 16)), "b": random.standard_normal(outputs)}
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)],
        "dense",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 16))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, outputs))],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    samples = {"x": random.standard_normal((4, 16)).astype(np.float32)}
    model = quantize(ir.from_proto(proto), samples, QuantizeOptions())
    artifact = emit_c(compile_model(model, load_target(target), "dense", "x"))
    return artifact.files["src/dense_kernels.c"].decode()


def test_sums_start_at_the_bias() -> None:
    text = kernels_of_a_dense_layer(12)
    assert "accumulator[3] = bias[" in text
    assert "+ bias[" not in text


@pytest.mark.parametrize("outputs", [10, 3])
def test_no_bias_is_read_beyond_its_end(outputs: int) -> None:
    text = kernels_of_a_dense_layer(outputs)
    assert "accumulator[3] = 0;" in text
    assert "accumulator[1] + bias[" in text


def test_vectors_of_sums_start_at_the_bias_and_are_stored_by_eight() -> None:
    text = kernels_of_a_dense_layer(16, "wasm32")
    assert "tc_lanes_to_s32(&accumulator[4], tc_lanes_s32(&bias[" in text
    assert "+ tc_lanes_s32(&bias[" not in text
    assert "both_to_s8(" in text
    assert "tc_lanes_requantize_to_s8(" not in text


def test_no_vector_of_biases_is_read_beyond_its_end() -> None:
    text = kernels_of_a_dense_layer(12, "wasm32")
    assert "tc_lanes_to_s32(&accumulator[4], tc_lanes_all(0))" in text
