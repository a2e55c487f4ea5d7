"""Random chains of convolutions and pools with residual sums, as quantized ONNX models."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir
from onnx import TensorProto, helper, numpy_helper
from tinycast.compress.quantize import QuantizeOptions, quantize
from tinycast.model import simplify

Array = np.ndarray[Any, Any]
_MOST_ELEMENTS = 3000


class _Net:
    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.shapes: dict[str, tuple[int, int, int]] = {}  # channels, height, width

    def pick(self, *options: Any) -> Any:
        return options[int(self.random.integers(len(options)))]

    def node(self, kind: str, inputs: list[str], shape: tuple[int, int, int], **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], f"n{len(self.nodes)}", **attributes))
        self.shapes[name] = shape
        return name

    def constant(self, data: Array) -> str:
        self.weights.append(numpy_helper.from_array(data.astype(np.float32), f"w{len(self.weights)}"))
        return f"w{len(self.weights) - 1}"

    def window(self, x: str, *, same: bool) -> dict[str, Any] | None:
        """Attributes of a window that suits `x`; `same`: the image keeps its size."""
        _, height, width = self.shapes[x]
        kernel, strides, dilations = (
            [self.pick(*options) for _ in range(2)] for options in ((1, 2, 3, 5), (1, 2), (1, 1, 2))
        )
        pads = [int(self.random.integers(0, 3)) for _ in range(4)]
        if same:
            kernel, strides = [3, self.pick(1, 3)], [1, 1]
            spans = [(k - 1) * d for k, d in zip(kernel, dilations, strict=True)]
            pads = [s // 2 for s in spans] + [s - s // 2 for s in spans]
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        out = [
            (n + a + b - s) // t + 1
            for n, a, b, s, t in zip((height, width), pads[:2], pads[2:], spans, strides, strict=True)
        ]
        if min(out) < 1 or any(
            n + a + b < s for n, a, b, s in zip((height, width), pads[:2], pads[2:], spans, strict=True)
        ):
            return None
        return {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "pads": pads, "out": out}

    def convolution(self, x: str, *, same: bool = False) -> str:
        window = self.window(x, same=same)
        if window is None:
            return x
        height, width = window.pop("out")
        inner = self.shapes[x][0]
        outer = inner if same else self.pick(1, 3, 4, 7, 8)
        group = self.pick(1, inner) if outer == inner else 1
        shape = (outer, inner // group, *window["kernel_shape"])
        weight = self.random.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape)
        bias = self.random.normal(0, 0.3, outer)
        operands = [x, self.constant(weight), self.constant(bias)]
        y = self.node("Conv", operands, (outer, height, width), group=group, **window)
        return self.node("Relu", [y], self.shapes[y]) if self.pick(True, False) else y

    def pool(self, x: str) -> str:
        window = self.window(x, same=False)
        if window is None or max(window["pads"]) >= min(window["kernel_shape"]):
            return x
        del window["out"]
        window["dilations"] = [1, 1]
        spans = window["kernel_shape"]
        size = [
            (n + a + b - k) // s + 1
            for n, a, b, k, s in zip(
                self.shapes[x][1:], window["pads"][:2], window["pads"][2:], spans, window["strides"], strict=True
            )
        ]
        kind = self.pick("MaxPool", "AveragePool")
        if kind == "AveragePool":
            del window["dilations"]
            window["count_include_pad"] = 1
        return self.node(kind, [x], (self.shapes[x][0], *size), **window)

    def residual(self, x: str) -> str:
        y = self.convolution(x, same=True)
        if self.pick(True, False):
            y = self.convolution(y, same=True)
        return self.node("Add", [x, y], self.shapes[x])


def random_net(seed: int) -> tuple[onnx_ir.Model, onnx_ir.Model]:
    """The same network in float and in int8: an image into an image, or into a vector of means."""
    net = _Net(seed)
    shape = (net.pick(1, 2, 3, 8), int(net.random.integers(5, 17)), int(net.random.integers(3, 12)))
    net.shapes["x"] = shape
    x = "x"
    wanted = int(net.random.integers(3, 9))
    for _ in range(20):
        if np.prod(net.shapes[x]) > _MOST_ELEMENTS or len(net.nodes) >= wanted:
            break
        x = net.pick(net.convolution, net.convolution, net.residual, net.pool)(x)
    for _ in range(max(0, 3 - len(net.nodes))):
        x = net.residual(x)
    if net.pick(True, False):
        x = net.node("GlobalAveragePool", [x], (net.shapes[x][0], 1, 1))
    graph = helper.make_graph(
        net.nodes,
        f"net{seed}",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, *shape))],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, (1, *net.shapes[x]))],
        net.weights,
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    samples = net.random.normal(0, 1, (4, *shape)).astype(np.float32)
    models = [onnx_ir.from_proto(proto), quantize(onnx_ir.from_proto(proto), {"x": samples}, QuantizeOptions())]
    for model in models:
        simplify(model)
    return models[0], models[1]
