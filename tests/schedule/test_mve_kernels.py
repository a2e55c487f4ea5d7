"""The kernels for MVE, on the emulated core and as plain C on the host, against the NumPy reference: the same bytes.

The layers are branches of one model, so that a core needs one build. There is one for each way in which a run can end,
and others are random.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir
import pytest
from onnx import TensorProto, helper, numpy_helper
from tinycast.execute.host import HostDriver
from tinycast.execute.inputs import random_inputs
from tinycast.execute.select import driver_for
from tinycast.execute.types import Driver
from tinycast.ir.graph import interpret
from tinycast.model import simplify
from tinycast.pipeline import build, compile_model
from tinycast.program.lower import to_integers
from tinycast.target.load import load_target
from tinycast.target.types import Target

Array = npt.NDArray[Any]
M55 = load_target("cortex-m55")
PLAIN = replace(load_target("host"), micro_kernels=M55.micro_kernels)
SAMPLES = 5
# Lengths of runs: up to nine vectors of 16; more, which leave 1, 2, 3 or 0 before loops over four; each with a rest
# and without.
LENGTHS = [2, 9, 15, 16, 17, 32, 40, 48, 50, 64, 77, 80, 81, 96, 100, 112, 127, 128, 131, 144, 150]
LENGTHS += [160, 165, 176, 183, 192, 200, 208, 217, 576]


class Branches:
    """A model of independent quantized layers with random constants."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._count = 0

    def _constant(self, data: Array) -> str:
        self._constants.append(numpy_helper.from_array(data, f"constant_{len(self._constants)}"))
        return self._constants[-1].name

    def _node(self, op: str, inputs: list[str], **attributes: Any) -> str:
        self._nodes.append(helper.make_node(op, inputs, [f"value_{len(self._nodes)}"], **attributes))
        return str(self._nodes[-1].output[0])

    def _quant(self, scale: float) -> list[str]:
        zero = np.int8(self.random.integers(-128, 128))
        return [self._constant(np.float32(scale).reshape(())), self._constant(zero.reshape(()))]

    def source(self, shape: tuple[int, ...]) -> str:
        name = f"x{len(self._inputs)}"
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.INT8, shape))
        return self._node("DequantizeLinear", [name, *self._quant(0.02)])

    def requantize(self, x: str, scale: float) -> str:
        quant = self._quant(scale)
        return self._node("DequantizeLinear", [self._node("QuantizeLinear", [x, *quant]), *quant])

    def sink(self, x: str, scale: float) -> None:
        name = f"y{len(self._outputs)}"
        self._nodes.append(helper.make_node("QuantizeLinear", [x, *self._quant(scale)], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.INT8, None))

    def weight(self, shape: tuple[int, ...], least: int = -127) -> tuple[str, float]:
        """Dequantized weights with a scale for each output; the scale of the sums, about."""
        scales = self.random.uniform(0.005, 0.02, shape[0]).astype(np.float32)
        data = self.random.integers(-127, 128, shape).astype(np.int8)
        data.flat[:3] = least, 127, least
        zeros = np.zeros(shape[0], np.int8)
        name = self._node(
            "DequantizeLinear", [self._constant(data), self._constant(scales), self._constant(zeros)], axis=0
        )
        return name, 0.015 * float(np.sqrt(np.prod(shape[1:])))

    def conv(
        self, image: tuple[int, ...], out: int, kernel: tuple[int, int], least: int = -127, **attributes: Any
    ) -> None:
        x = self.source((1, *image))
        weight, scale = self.weight((out, image[0] // attributes.get("group", 1), *kernel), least)
        bias = self._constant(self.random.standard_normal(out).astype(np.float32))
        self.sink(self._node("Conv", [x, weight, bias], **attributes), scale)

    def residual(self, image: tuple[int, int, int]) -> None:
        x = self.source((1, *image))
        weight, scale = self.weight((image[0], image[0], 3, 3))
        y = self._node("Conv", [x, weight], pads=[1] * 4)
        self.sink(self._node("Relu", [self._node("Add", [self.requantize(y, scale), x])]), scale)

    def gemm(self, length: int, out: int) -> None:
        x = self.source((1, length))
        weight, scale = self.weight((out, length))
        bias = self._constant(self.random.standard_normal(out).astype(np.float32))
        self.sink(self._node("Gemm", [x, weight, bias], transB=1), scale)

    def unary(self, op: str, shape: tuple[int, ...], **attributes: Any) -> None:
        self.sink(self._node(op, [self.source(shape)], **attributes), 0.02)

    def binary(self, op: str, shape: tuple[int, ...]) -> None:
        self.sink(self._node(op, [self.source(shape), self.source(shape)]), 0.03)

    def model(self) -> onnx_ir.Model:
        graph = helper.make_graph(self._nodes, "branches", self._inputs, self._outputs, self._constants)
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        model = onnx_ir.from_proto(onnx.shape_inference.infer_shapes(proto))
        simplify(model)
        return model


def runs() -> Branches:
    """Positions by two, a last one, and one alone, by channels of a number that vectors of four hold, and others."""
    branches = Branches(1)
    for i, length in enumerate(LENGTHS):
        branches.conv((length, 1, 3 + i % 4), (8, 5, 4, 12)[i % 4], (1, 1))
        branches.gemm(length, (4, 10, 8, 3)[i % 4])
    branches.gemm(300, 1030)
    return branches


def convolutions() -> Branches:
    branches = Branches(2)
    random = branches.random
    for _ in range(14):
        kernel = [int(n) for n in random.integers(1, 5, 2)]
        pads = [int(random.integers(0, size)) for size in (*kernel, *kernel)]
        height, width = (int(random.integers(size, size + 8)) for size in kernel)
        image = (int(random.integers(1, 24)), height, width)
        strides = [int(n) for n in random.integers(1, 3, 2)]
        branches.conv(image, int(random.integers(1, 24)), (kernel[0], kernel[1]), strides=strides, pads=pads)
    branches.conv((8, 9, 4), 8, (3, 1), dilations=[2, 1], pads=[2, 0, 2, 0])
    branches.conv((6, 5, 7), 4, (3, 2), group=2)
    branches.residual((16, 6, 5))
    branches.residual((5, 4, 3))
    return branches


def depthwise() -> Branches:
    branches = Branches(3)
    random = branches.random
    for _ in range(12):
        channels = int(random.choice([2, 5, 8, 12, 16, 20, 31, 32, 48]))
        kernel = (int(random.integers(1, 6)), int(random.integers(1, 6)))
        pads = [int(random.integers(0, size)) for size in (*kernel, *kernel)]
        strides = [int(n) for n in random.integers(1, 3, 2)]
        dilations = [int(n) for n in random.integers(1, 3, 2)] if max(kernel) < 4 else [1, 1]
        image = (channels, *(int(random.integers(8, 12)) for _ in range(2)))
        branches.conv(image, channels, kernel, group=channels, strides=strides, pads=pads, dilations=dilations)
    for channels in (2, 4, 8, 32):
        branches.conv((channels, 6, 7), channels, (3, 3), group=channels, pads=[1] * 4)
        branches.conv((channels, 6, 7), channels, (2, 3), group=channels)
    branches.conv((16, 3, 3), 16, (1, 1), group=16)
    return branches


def others() -> Branches:
    branches = Branches(4)
    for channels in (4, 12, 7):
        branches.unary("AveragePool", (1, channels, 6, 7), kernel_shape=[2, 3], strides=[2, 2], pads=[0, 1, 1, 0])
        branches.unary("MaxPool", (1, channels, 6, 7), kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])
        branches.unary("GlobalAveragePool", (1, channels, 5, 3))
        branches.unary("Sigmoid", (1, channels, 4, 3))
        for op in ("Add", "Sub", "Mul"):
            branches.binary(op, (1, channels, 4, 3))
    return branches


MODELS = {"runs": runs, "convolutions": convolutions, "depthwise": depthwise, "others": others}


@cache
def model(name: str) -> onnx_ir.Model:
    return MODELS[name]().model()


def kernels(name: str, target: Target) -> str:
    compiled = compile_model(model(name).clone(), target, "branches", "0" * 64)
    return "\n".join(step.kernel.body for step in compiled.steps)


def assert_reference_bytes(name: str, target: Target, driver: Driver) -> None:
    program = to_integers(model(name).clone(), "branches")
    artifact = build(compile_model(model(name).clone(), target, "branches", "0" * 64), "c")
    inputs = random_inputs(artifact.manifest, SAMPLES)
    for samples in inputs.values():  # the largest products
        samples[0], samples[1] = -128, 127
    outputs = driver.run(artifact.files, artifact.manifest, inputs).outputs
    assert len(outputs) == len(program.outputs)
    for sample in range(SAMPLES):
        values = interpret(program, [inputs[v.name][sample].reshape(v.shape) for v in program.inputs])
        for value, (output, actual) in zip(program.outputs, outputs.items(), strict=True):
            np.testing.assert_array_equal(actual[sample].reshape(-1), values[value].reshape(-1), err_msg=output)


@pytest.mark.parametrize("name", MODELS)
def test_the_core_gives_the_references_bytes(name: str) -> None:
    assert_reference_bytes(name, M55, driver_for(M55))


@pytest.mark.parametrize("name", MODELS)
def test_the_plain_c_means_the_same(name: str) -> None:
    assert_reference_bytes(name, PLAIN, HostDriver(PLAIN, sanitize=True))


def test_layers_reach_the_kernels() -> None:
    assert kernels("runs", M55).count("tc_dot_runs_2x2(") == len(LENGTHS)
    assert kernels("runs", M55).count("tc_dot_runs_1x4(") == len(LENGTHS) + 1
    assert kernels("depthwise", M55).count("tc_depthwise_bytes(") >= 10
    assert kernels("others", M55).count("tc_lanes_to_s8(") >= 14


def test_weights_of_minus_128_do_without_16_bit_sums() -> None:
    branches = Branches(5)
    branches.conv((16, 5, 5), 16, (3, 3), group=16, least=-128)
    compiled = compile_model(branches.model(), M55, "branches", "0" * 64)
    bodies = "\n".join(step.kernel.body for step in compiled.steps)
    assert "tc_lanes_s8(" in bodies
    assert "tc_depthwise_bytes(" not in bodies
