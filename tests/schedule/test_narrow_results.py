"""Results of int8 layers on vectors: requantized eight at once where int16 has room; weights that are widened once."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from schedule.test_wasm_kernels import RELAXED, WASM, plain, run

CHANNELS = 32


def pointwise(positions: int, ratio: float, zero_point: int, channels: int = CHANNELS) -> onnx.ModelProto:
    """A convolution whose sums reach from one result to far more than int8 holds, on both sides: its biases do."""
    rng = np.random.default_rng(1)
    biases = np.concatenate([sign * np.logspace(0, 8.9, channels // 2) for sign in (-1, 1)])
    constants = {
        "x_scale": np.float32(1),
        "x_zero": np.int8(3),
        "w": rng.integers(-127, 128, (channels, 8, 1, 1)).astype(np.int8),
        "w_scale": np.float32(1),
        "w_zero": np.int8(0),
        "b": biases.astype(np.int32),
        "b_zero": np.int32(0),
        "y_scale": np.float32(1 / ratio),
        "y_zero": np.int8(zero_point),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "x_scale", "x_zero"], ["x_real"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_real"]),
        helper.make_node("DequantizeLinear", ["b", "w_scale", "b_zero"], ["b_real"]),
        helper.make_node("Conv", ["x_real", "w_real", "b_real"], ["y_real"]),
        helper.make_node("QuantizeLinear", ["y_real", "y_scale", "y_zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.INT8, (1, 8, 1, positions))],
        [helper.make_tensor_value_info("y", TensorProto.INT8, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.mark.parametrize("zero_point", [-128, 0, 127])
@pytest.mark.parametrize("shift", [1, 4, 7, 8])
@pytest.mark.parametrize("target", [WASM, RELAXED, plain(WASM)], ids=["wasm32", "relaxed", "c"])
def test_saturated_results_are_the_references(target: object, shift: int, zero_point: int) -> None:
    ratio = 1.3 * 2.0 ** -(shift + 2)
    bodies, outputs, expected = run(pointwise(12, ratio, zero_point), np.random.default_rng(shift), target)
    assert ("tc_lanes_requantize_both_to_s8(" in bodies) == (shift <= 7)
    assert re.search(rf",\s+{shift}\)", bodies)
    assert {-128, 127} < set(np.unique(expected).tolist())
    np.testing.assert_array_equal(outputs, expected)


@pytest.mark.parametrize(("positions", "channels", "widens"), [(64, 32, True), (16, 32, False), (64, 2064, False)])
def test_weights_are_widened_once_where_tiles_are_many_and_weights_few(
    positions: int, channels: int, widens: bool
) -> None:
    bodies, outputs, expected = run(pointwise(positions, 2.0**-10, 5, channels), np.random.default_rng(0))
    assert ("tc_dot_wide_pairs(" in bodies) == widens
    assert ("tc_dot_pairs(" in bodies) == (not widens)
    np.testing.assert_array_equal(outputs, expected)
