"""Writes graph models for TensorFlow.js, in the form that its converter gives them: biases and Relu fused."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np

from web_peers.network import Array, Layer, Network

Json = dict[str, Any]


def to_tfjs(network: Network) -> tuple[bytes, bytes]:
    """The same network in float: the graph and the list of weights as JSON, and the weights."""
    if network.quants:
        raise ValueError("TensorFlow.js has no int8")
    return _Writer(network).write()


class _Writer:
    def __init__(self, network: Network) -> None:
        self._network = network
        self._nodes: list[Json] = []
        self._specs: list[Json] = []
        self._data = bytearray()

    def write(self) -> tuple[bytes, bytes]:
        network = self._network
        attributes = {"dtype": {"type": "DT_FLOAT"}, "shape": _shape(network.shapes[network.input])}
        self._node("Placeholder", network.input, (), attributes)
        for layer in network.layers:
            self._layer(layer)
        artifacts = {
            "format": "graph-model",
            "modelTopology": {"node": self._nodes, "versions": {"producer": 1}},
            "weightSpecs": self._specs,
        }
        return json.dumps(artifacts, separators=(",", ":")).encode("ascii"), bytes(self._data)

    def _layer(self, layer: Layer) -> None:
        padding = {"padding": _text("SAME" if layer.is_padded else "VALID"), "data_format": _text("NHWC")}
        window = {**padding, "strides": _numbers([1, *layer.strides, 1])}
        ops = ["BiasAdd", *(["Relu"] if layer.has_relu else [])]
        fused = {"fused_ops": {"list": {"s": [_base64(op) for op in ops]}}, "num_args": {"i": "1"}, "epsilon": {"f": 0}}
        match layer.kind:
            case "conv":
                operands = self._weights(layer, (2, 3, 1, 0))
                attributes = {**window, **fused, "dilations": _numbers([1, 1, 1, 1])}
                self._node("_FusedConv2D", layer.output, operands, attributes)
            case "depthwise":
                operands = self._weights(layer, (2, 3, 0, 1))
                attributes = {**window, **fused, "dilations": _numbers([1, 1, 1, 1])}
                self._node("FusedDepthwiseConv2dNative", layer.output, operands, attributes)
            case "dense":
                operands = self._weights(layer, (1, 0))
                attributes = {**fused, "transpose_a": {"b": False}, "transpose_b": {"b": False}}
                self._node("_FusedMatMul", layer.output, operands, attributes)
            case "add" if layer.has_relu:
                self._node("AddV2", f"{layer.output}_sum", layer.inputs, {})
                self._node("Relu", layer.output, [f"{layer.output}_sum"], {})
            case "add":
                self._node("AddV2", layer.output, layer.inputs, {})
            case "average":
                self._node("AvgPool", layer.output, layer.inputs, {**window, "ksize": _numbers([1, *layer.kernel, 1])})
            case "softmax":
                self._node("Softmax", layer.output, layer.inputs, {})
            case "flatten":
                shape = np.array(self._network.shapes[layer.output], np.int32)
                operands = [*layer.inputs, self._constant(f"{layer.output}_shape", shape)]
                self._node("Reshape", layer.output, operands, {})

    def _weights(self, layer: Layer, order: tuple[int, ...]) -> list[str]:
        constants = self._network.constants
        weight = self._constant(layer.weight, constants[layer.weight].transpose(order))
        return [*layer.inputs, weight, self._constant(layer.bias, constants[layer.bias])]

    def _constant(self, name: str, data: Array) -> str:
        kind = {"float32": "DT_FLOAT", "int32": "DT_INT32"}[str(data.dtype)]
        tensor = {"dtype": kind, "tensorShape": _shape(data.shape)["shape"]}
        self._node("Const", name, (), {"dtype": {"type": kind}, "value": {"tensor": tensor}})
        self._specs.append({"name": name, "shape": list(data.shape), "dtype": str(data.dtype)})
        self._data += np.ascontiguousarray(data).tobytes()
        return name

    def _node(self, op: str, name: str, inputs: Sequence[str], attributes: Json) -> None:
        typed = attributes if "dtype" in attributes else {"T": {"type": "DT_FLOAT"}, **attributes}
        self._nodes.append({"name": name, "op": op, "input": list(inputs), "attr": typed})


def _shape(shape: Sequence[int]) -> Json:
    return {"shape": {"dim": [{"size": str(size)} for size in shape]}}


def _numbers(values: Sequence[int]) -> Json:
    return {"list": {"i": [str(value) for value in values]}}


def _text(value: str) -> Json:
    return {"s": _base64(value)}


def _base64(value: str) -> str:
    return b64encode(value.encode("ascii")).decode("ascii")
