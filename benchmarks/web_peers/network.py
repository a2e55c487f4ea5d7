"""A network between ONNX and the formats of other runtimes: layers as TensorFlow has them, images as NHWC.

Knows what the measuring networks are made of: convolutions, dense layers, Add, AveragePool, Softmax, Flatten of one
pixel, Relu after a layer; in float, or between QuantizeLinear and DequantizeLinear.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Quant:
    """real = scale * (element - zero point); of weights a scale for each output channel, else one for all."""

    scales: Array
    zero_points: Array


@dataclass(frozen=True)
class Layer:
    """One layer and the Relu behind it. Weights are those of the ONNX file: OIHW, or OI of a dense layer."""

    kind: str  # conv, depthwise, dense, add, average, softmax, flatten
    inputs: tuple[str, ...]  # activations
    output: str
    weight: str = ""
    bias: str = ""
    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    is_padded: bool = False  # as "same" of TensorFlow
    has_relu: bool = False


@dataclass(frozen=True)
class Network:
    """A chain of layers with one input and one output. `shapes` are of activations, `quants` of all tensors."""

    input: str
    output: str
    layers: tuple[Layer, ...]
    shapes: Mapping[str, tuple[int, ...]]
    constants: Mapping[str, Array]
    quants: Mapping[str, Quant]


def read_network(path: Path) -> Network:
    """The network in an ONNX file. Raises ValueError for any other operator or padding."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    return _Reader(graph).read()


class _Reader:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
        self._shapes = {
            value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
            for value in (*graph.value_info, *graph.input, *graph.output)
        }
        self._readers = {name: [n for n in graph.node if name in n.input] for n in graph.node for name in n.output}
        # A dequantized tensor is the quantized one, whose scale tells what it means.
        self._same = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "DequantizeLinear"}

    def read(self) -> Network:
        layers = tuple(
            self._layer(n) for n in self._graph.node if n.op_type not in ("Relu", "QuantizeLinear", "DequantizeLinear")
        )
        (graph_input,), (graph_output,) = self._graph.input, self._graph.output
        activations = {graph_input.name, *(layer.output for layer in layers)}
        shapes = {name: _channels_last(self._shapes[name]) for name in activations}
        return Network(graph_input.name, graph_output.name, layers, shapes, self._constants, self._quants())

    def _quants(self) -> dict[str, Quant]:
        quants = {}
        for node in self._graph.node:
            if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
                source, scale, zero = node.input
                quantized = node.output[0] if node.op_type == "QuantizeLinear" else source
                quants[quantized] = Quant(self._constants[scale].reshape(-1), self._constants[zero].reshape(-1))
        return quants

    def _layer(self, node: onnx.NodeProto) -> Layer:
        output, has_relu = node.output[0], False
        while len(after := self._readers.get(output, [])) == 1 and after[0].op_type in ("Relu", "QuantizeLinear"):
            has_relu |= after[0].op_type == "Relu"
            output = after[0].output[0]
        inputs = [self._same.get(name, name) for name in node.input]
        attributes = _attributes(node)
        match node.op_type:
            case "Conv":
                return self._conv(inputs, output, attributes, has_relu)
            case "Gemm" if attributes == {"transB": 1}:
                x, weight, bias = inputs
                return Layer("dense", (x,), output, weight, bias, has_relu=has_relu)
            case "AveragePool" if not any(attributes.get("pads", [])):
                kernel, strides = attributes["kernel_shape"], attributes["strides"]
                return Layer("average", (inputs[0],), output, kernel=tuple(kernel), strides=tuple(strides))
            case "Flatten" if self._shapes[node.input[0]][2:] == (1, 1):
                return Layer("flatten", (inputs[0],), output)
            case "Softmax" if len(self._shapes[node.input[0]]) == 2:
                return Layer("softmax", (inputs[0],), output)
            case "Add":
                return Layer("add", tuple(inputs), output, has_relu=has_relu)
        raise ValueError(f"{node.op_type} with {attributes} is unknown here")

    def _conv(self, inputs: Sequence[str], output: str, attributes: Mapping[str, Any], has_relu: bool) -> Layer:
        x, weight, bias = inputs
        size = self._shapes[x][2:]
        kernel, strides, pads = (tuple(attributes[key]) for key in ("kernel_shape", "strides", "pads"))
        whole = [max(0, (-(-n // s) - 1) * s + k - n) for n, s, k in zip(size, strides, kernel, strict=True)]
        same = (*(total // 2 for total in whole), *(total - total // 2 for total in whole))
        if any(pads) and pads != same:
            raise ValueError(f"padding {pads} is unknown here")
        groups = attributes["group"]
        if groups not in (1, self._shapes[x][1]) or self._constants[weight].shape[1] not in (1, self._shapes[x][1]):
            raise ValueError(f"a convolution of {groups} groups is unknown here")
        kind = "conv" if groups == 1 else "depthwise"
        return Layer(kind, (x,), output, weight, bias, kernel, strides, any(pads), has_relu)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], *shape[2:], shape[1]) if len(shape) == 4 else shape


def to_channels_last(images: Array) -> Array:
    """A batch of NCHW images as NHWC; anything else as it is."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)) if images.ndim == 4 else images
