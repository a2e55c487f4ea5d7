"""Convolutions of 3 x 3 taps by Winograd's micro-kernels against the NumPy reference: the same bytes for int8."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from schedule.test_wasm_kernels import WASM, plain, run
from tinycast.target.load import load_target

PADS = ([1, 1, 1, 1], [0, 0, 0, 0], [0, 2, 1, 0], [2, 1, 2, 3])


def convolution(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    outputs: int,
    *,
    int8: bool,
    pads: list[int],
    residual: bool = False,
    weight: npt.NDArray[Any] | None = None,
) -> onnx.ModelProto:
    """A convolution of (channels, height, width); `residual`: what a first one gave is added to what a second gives."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name: str, data: npt.NDArray[Any]) -> str:
        constants.append(numpy_helper.from_array(data, name))
        return name

    def quantized(name: str, scale: float) -> list[str]:
        zero = np.int8(rng.integers(-128, 128)).reshape(())
        return [constant(f"{name}_scale", np.float32(scale).reshape(())), constant(f"{name}_zero", zero)]

    def layer(x: str, y: str, channels: int, pads: list[int]) -> None:
        bias = constant(f"{y}_bias", rng.standard_normal(outputs).astype(np.float32))
        size = (outputs, channels, 3, 3)
        if int8:
            data = rng.integers(-128, 128, size).astype(np.int8) if weight is None else weight
            scale = rng.uniform(0.5, 2, outputs).astype(np.float32) / (60 * channels**0.5)
            stored = [constant(f"{y}_w", data), constant(f"{y}_w_scale", scale)]
            nodes.append(helper.make_node("DequantizeLinear", stored, [f"{y}_w_real"], axis=0))
        else:
            constant(f"{y}_w_real", rng.standard_normal(size).astype(np.float32))
        nodes.append(helper.make_node("Conv", [x, f"{y}_w_real", bias], [y], pads=pads))

    def through_int8(x: str, name: str) -> str:
        scale = quantized(name, 0.3)
        nodes.append(helper.make_node("QuantizeLinear", [x, *scale], [f"{name}_int8"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}_int8", *scale], [f"{name}_again"]))
        return f"{name}_again"

    x = "x"
    if int8:
        nodes.append(helper.make_node("DequantizeLinear", ["x", *quantized("x", 0.02)], ["x_real"]))
        x = "x_real"
    channels = shape[0]
    if residual:
        layer(x, "first", channels, [1] * 4)
        x, channels, pads = through_int8("first", "first") if int8 else "first", outputs, [1] * 4
    layer(x, "last", channels, pads)
    y = "last"
    if residual:
        nodes.append(helper.make_node("Add", [through_int8("last", "last") if int8 else "last", x], ["sum"]))
        y = "sum"
    if int8:
        nodes.append(helper.make_node("QuantizeLinear", [y, *quantized("y", 0.4)], ["y"]))
    else:
        nodes[-1].output[0] = "y"
    dtype = TensorProto.INT8 if int8 else TensorProto.FLOAT
    ports = [("x", (1, *shape)), ("y", None)]
    inputs, results = ([helper.make_tensor_value_info(name, dtype, size)] for name, size in ports)
    graph = helper.make_graph(nodes, "layer", inputs, results, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def random_convolution(seed: int, *, int8: bool, residual: bool) -> tuple[onnx.ModelProto, np.random.Generator]:
    rng = np.random.default_rng([seed, int8, residual])
    shape = (8 * int(rng.integers(1, 4)), int(rng.integers(6, 15)), int(rng.integers(6, 15)))
    return convolution(
        rng, shape, int(rng.integers(8, 30)), int8=int8, pads=PADS[seed % len(PADS)], residual=residual
    ), rng


def check(outputs: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    tolerance = 0 if expected.dtype == np.int8 else 1e-5 * float(np.abs(expected).max())
    assert len(np.unique(expected)) > 30
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(n, marks=pytest.mark.slow) for n in range(3, 12))])
def test_int8_gives_the_references_bytes(seed: int, residual: bool) -> None:
    model, rng = random_convolution(seed, int8=True, residual=residual)
    bodies, outputs, expected = run(model, rng)
    assert "tc_winograd_sums(" in bodies
    check(outputs, expected)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("target", ["wasm32", "wasm32-relaxed"])
@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 8))])
def test_floats_are_close_to_the_reference(seed: int, target: str, residual: bool) -> None:
    model, rng = random_convolution(seed, int8=False, residual=residual)
    bodies, outputs, expected = run(model, rng, load_target(target))
    assert "tc_float_winograd_sums(" in bodies
    check(outputs, expected)


@pytest.mark.parametrize("int8", [True, False])
def test_the_plain_c_means_the_same(int8: bool) -> None:
    model, rng = random_convolution(2, int8=int8, residual=True)
    bodies, outputs, expected = run(model, rng, plain(WASM))
    assert "winograd_sums(" in bodies
    check(outputs, expected)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 20), (20, 2)])
def test_small_images_are_computed_directly(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    bodies, outputs, expected = run(convolution(rng, (16, *size), 12, int8=True, pads=[1] * 4), rng)
    assert "pairs(" in bodies
    assert "tc_winograd" not in bodies
    np.testing.assert_array_equal(outputs, expected)


@pytest.mark.parametrize(("channels", "name"), [(3648, "tc_winograd_sums("), (3680, "tc_dot_pairs(")])
def test_four_times_the_sum_has_to_fit(channels: int, name: str) -> None:
    rng = np.random.default_rng(4)
    weight = np.full((8, channels, 3, 3), 127, np.int8)
    weight[::2] *= -1
    bodies, outputs, expected = run(
        convolution(rng, (channels, 4, 4), 8, int8=True, pads=[1] * 4, weight=weight), rng, WASM
    )
    assert name in bodies
    np.testing.assert_array_equal(outputs, expected)
