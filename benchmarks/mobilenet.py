"""MobileNetV1 with a width of 0.25 for 96x96 images (arXiv:1704.04861), random weights, quantized to int8.

    python benchmarks/mobilenet.py OUTPUT.onnx

It has the shapes of MLPerf Tiny's VWW network. Nobody trained it, so that it tells how the compiler does on a
network of the common kind whose weights nothing was tuned for. Batch normalizations are folded already.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper
from tinycast.compress.quantize import QuantizeOptions, quantize
from tinycast.model import save

IMAGE = (1, 3, 96, 96)
STEM_CHANNELS = 8
# Output channels and stride of each depthwise separable block.
BLOCKS = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]
CLASSES = 2
CALIBRATION_INPUTS = 8
SEED = 1

Array = npt.NDArray[Any]


class _Network:
    """ONNX nodes and weights, one after the other."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._random = np.random.default_rng(SEED)

    def convolution(self, x: str, shape: tuple[int, ...], stride: int, group: int = 1) -> str:
        """A convolution with the padding of TensorFlow's SAME, then ReLU6."""
        name = f"conv_{len(self.nodes)}"
        weight, bias = self._weights(name, shape)
        pads = [0, 0, 0, 0] if shape[-1] == 1 else [2 - stride, 2 - stride, 1, 1]
        attributes = {"strides": [stride] * 2, "pads": pads, "group": group}
        self.nodes.append(helper.make_node("Conv", [x, weight, bias], [f"{name}_sum"], name, **attributes))
        limits = [self._constant(f"{name}_{end}", np.float32(value)) for end, value in (("low", 0), ("high", 6))]
        self.nodes.append(helper.make_node("Clip", [f"{name}_sum", *limits], [name], f"{name}_clip"))
        return name

    def classifier(self, x: str, channels: int) -> str:
        weight, bias = self._weights("classifier", (CLASSES, channels))
        self.nodes += [
            helper.make_node("GlobalAveragePool", [x], ["mean"], "mean"),
            helper.make_node("Flatten", ["mean"], ["features"], "flatten"),
            helper.make_node("Gemm", ["features", weight, bias], ["logits"], "classifier", transB=1),
            helper.make_node("Softmax", ["logits"], ["output"], "softmax", axis=1),
        ]
        return "output"

    def _weights(self, name: str, shape: tuple[int, ...]) -> tuple[str, str]:
        # He's initialization keeps the activations' size through the depth.
        scale = np.sqrt(2 / np.prod(shape[1:]))
        weight = self._random.normal(0, scale, shape).astype(np.float32)
        bias = self._random.normal(0, 0.1, shape[0]).astype(np.float32)
        return self._constant(f"{name}_weight", weight), self._constant(f"{name}_bias", bias)

    def _constant(self, name: str, data: Any) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(data), name))
        return name


def float_model() -> ir.Model:
    """The float32 model: input (1, 3, 96, 96), output (1, 2)."""
    network = _Network()
    x = network.convolution("input", (STEM_CHANNELS, 3, 3, 3), 2)
    channels = STEM_CHANNELS
    for out, stride in BLOCKS:
        x = network.convolution(x, (channels, 1, 3, 3), stride, channels)
        x = network.convolution(x, (out, channels, 1, 1), 1)
        channels = out
    output = network.classifier(x, channels)
    graph = helper.make_graph(
        network.nodes,
        "mobilenet",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, IMAGE)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, (1, CLASSES))],
        network.weights,
    )
    opset = [helper.make_opsetid("", 13)]
    return ir.from_proto(helper.make_model(graph, opset_imports=opset, ir_version=8))


def int8_model() -> ir.Model:
    """The model quantized by tinycast on random images."""
    images = np.random.default_rng(SEED).random((CALIBRATION_INPUTS, *IMAGE[1:]), np.float32)
    return quantize(float_model(), {"input": images}, QuantizeOptions())


def main() -> int:
    parser = argparse.ArgumentParser(description="write MobileNetV1-0.25 with random weights, int8")
    parser.add_argument("output", type=Path)
    save(int8_model(), parser.parse_args().output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
