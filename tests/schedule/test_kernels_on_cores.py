"""Convolutions and products of many shapes on the emulated cores against the NumPy reference: the same bytes.

The layers are branches of one model, so that a core needs one build.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper
from tinycast.compress.quantize import QuantizeOptions, quantize
from tinycast.execute.inputs import random_inputs
from tinycast.execute.select import driver_for
from tinycast.ir.graph import interpret
from tinycast.model import simplify
from tinycast.pipeline import build, compile_model
from tinycast.program.lower import to_integers
from tinycast.target.load import all_targets, load_target
from tinycast.target.types import Platform

CORES = [target.name for target in all_targets() if target.platform in (Platform.ARM_M, Platform.RISCV)]
FLOAT_CORES = [name for name in CORES if load_target(name).has_fpu]
SAMPLES = 4

# (input channels, height, width), output channels, kernel, strides, pads (top, left, bottom, right), group
Shape = tuple[tuple[int, int, int], int, tuple[int, int], tuple[int, int], tuple[int, int, int, int], int]
CHOSEN: list[Shape] = [
    ((1, 1, 1), 1, (1, 1), (1, 1), (0, 0, 0, 0), 1),
    ((12, 1, 1), 6, (1, 1), (1, 1), (0, 0, 0, 0), 1),
    ((6, 5, 1), 3, (3, 1), (1, 1), (1, 0, 1, 0), 1),
    ((1, 9, 5), 3, (4, 3), (2, 2), (1, 1, 2, 1), 1),
    ((3, 7, 9), 5, (3, 3), (2, 2), (0, 0, 1, 1), 1),
    ((7, 3, 5), 2, (1, 1), (1, 1), (0, 0, 0, 0), 1),
    ((8, 5, 3), 9, (1, 1), (2, 2), (0, 0, 0, 0), 1),
    ((17, 4, 4), 4, (1, 1), (1, 1), (0, 0, 0, 0), 1),
    ((16, 4, 6), 8, (3, 3), (1, 1), (1, 1, 1, 1), 1),
    ((5, 5, 7), 5, (3, 3), (1, 1), (1, 1, 1, 1), 5),
    ((6, 5, 7), 4, (3, 2), (1, 1), (0, 0, 0, 0), 2),
    ((10, 6, 7), 16, (3, 3), (1, 1), (1, 1, 1, 1), 2),
    ((40, 7, 8), 40, (3, 3), (1, 1), (1, 1, 1, 1), 40),
    ((40, 8, 8), 40, (3, 2), (2, 1), (0, 1, 1, 0), 40),
    ((40, 5, 9), 12, (2, 3), (1, 2), (1, 0, 0, 1), 1),
    # As large as their inputs: a channel at a time, tiles of one to six positions.
    ((30, 4, 1), 30, (3, 3), (1, 1), (1, 1, 1, 1), 30),
    ((33, 3, 2), 33, (3, 3), (1, 1), (0, 2, 2, 0), 33),
    ((24, 5, 3), 24, (5, 3), (1, 1), (2, 1, 2, 1), 24),
    ((24, 6, 5), 24, (3, 3), (1, 1), (1, 1, 1, 1), 24),
    ((24, 9, 6), 24, (2, 3), (1, 1), (1, 1, 0, 1), 24),
    ((24, 6, 10), 24, (3, 3), (1, 1), (1, 0, 1, 2), 24),
    # An odd number of positions, and sums in several chunks.
    ((70, 3, 3), 8, (1, 1), (1, 1), (0, 0, 0, 0), 1),
    ((16, 3, 5), 10, (1, 1), (1, 1), (0, 0, 0, 0), 1),
]
PRODUCTS = [(1, 1), (3, 2), (4, 4), (13, 5), (20, 10), (64, 3)]


def random_shapes(count: int) -> list[Shape]:
    random = np.random.default_rng(7)

    def pair(limit: int) -> tuple[int, int]:
        first, second = random.integers(1, limit + 1, 2)
        return int(first), int(second)

    shapes: list[Shape] = []
    for _ in range(count):
        kernel = pair(4)
        top, left, bottom, right = (int(random.integers(0, size)) for size in (*kernel, *kernel))
        height, width = (int(random.integers(size, size + 7)) for size in kernel)
        image = (int(random.integers(1, 20)), height, width)
        shapes.append((image, int(random.integers(1, 11)), kernel, pair(2), (top, left, bottom, right), 1))
    return shapes


@cache
def float_model() -> tuple[ir.Model, dict[str, np.ndarray]]:
    """The layers, and samples of their inputs."""
    random = np.random.default_rng(3)
    nodes, weights, inputs, outputs = [], [], [], []
    samples = {}

    def weight(name: str, shape: tuple[int, ...]) -> str:
        scale = 1 / np.sqrt(np.prod(shape[1:]))
        weights.append(numpy_helper.from_array(random.normal(0, scale, shape).astype(np.float32), name))
        return name

    def port(name: str, shape: tuple[int, ...]) -> str:
        inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        samples[name] = random.normal(0, 1, (8, *shape[1:])).astype(np.float32)
        return name

    shapes = [*CHOSEN, *random_shapes(14)]
    for i, (image, out, kernel, strides, pads, group) in enumerate(shapes):
        x, y = port(f"x{i}", (1, *image)), f"y{i}"
        operands = [x, weight(f"w{i}", (out, image[0] // group, *kernel)), weight(f"b{i}", (out,))]
        nodes.append(helper.make_node("Conv", operands, [f"c{i}"], strides=strides, pads=pads, group=group))
        nodes.append(helper.make_node("Relu" if i % 2 else "Identity", [f"c{i}"], [y]))
        outputs.append(helper.make_tensor_value_info(y, TensorProto.FLOAT, None))
    for i, (length, out) in enumerate(PRODUCTS, len(shapes)):
        operands = [port(f"x{i}", (1, length)), weight(f"w{i}", (out, length)), weight(f"b{i}", (out,))]
        nodes.append(helper.make_node("Gemm", operands, [f"y{i}"], transB=1))
        outputs.append(helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, None))
    graph = helper.make_graph(nodes, "kernels", inputs, outputs, weights)
    model = ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8))
    simplify(model)
    return model, samples


@cache
def quantized_model() -> ir.Model:
    model, samples = float_model()
    return quantize(model.clone(), samples, QuantizeOptions(reconstruct=False))


def run(model: ir.Model, core: str) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, result on the core, and the reference's, of every output and sample."""
    program = to_integers(model.clone(), "kernels")
    artifact = build(compile_model(model.clone(), load_target(core), "kernels", "0" * 64), "c")
    inputs = random_inputs(artifact.manifest, SAMPLES)
    outputs = driver_for(load_target(core)).run(artifact.files, artifact.manifest, inputs).outputs
    assert len(outputs) == len(CHOSEN) + 14 + len(PRODUCTS)
    for sample in range(SAMPLES):
        values = interpret(program, [inputs[v.name][sample].reshape(v.shape) for v in program.inputs])
        for value, (name, actual) in zip(program.outputs, outputs.items(), strict=True):
            yield name, actual[sample].reshape(-1), values[value].reshape(-1)


@pytest.mark.parametrize("core", CORES)
def test_kernels_give_the_references_bytes(core: str) -> None:
    for name, actual, expected in run(quantized_model(), core):
        np.testing.assert_array_equal(actual, expected, err_msg=name)


@pytest.mark.parametrize("core", FLOAT_CORES)
def test_float_kernels_differ_from_the_reference_by_rounding_only(core: str) -> None:
    model, _ = float_model()
    for name, actual, expected in run(model, core):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-6 * np.abs(expected).max(), err_msg=name)
