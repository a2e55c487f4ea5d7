"""Writing QuantizeLinear and DequantizeLinear into a graph."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinycast.compress.quantize.parameters import WEIGHT_LIMIT, Parameters
from tinycast.ir.names import unused_name

AnyArray = NDArray[Any]


class Inserter:
    """Adds Q/DQ to one graph of a model; names derive from the quantized value's and are unique in all of it."""

    def __init__(self, model: ir.Model, graph: ir.Graph, dtype: np.dtype[Any]) -> None:
        self._graph = graph
        self._dtype = dtype
        self._inside = {graph, *graph.subgraphs()}
        self._names = set(ir.convenience.create_value_mapping(model.graph))
        self._parameters: dict[str, tuple[ir.Value, ir.Value]] = {}

    def quantize_activation(self, value: ir.Value, parameters: Parameters, owner: str) -> None:
        """Let what reads `value` in the graph see it rounded. Values with the same `owner` share their parameters."""
        graph, name = self._graph, value.name or ""
        is_output = any(output is value for output in graph.outputs)
        if is_output:
            value.name = self._unique(f"{name}_float")
        if owner not in self._parameters:
            self._parameters[owner] = (
                self._constant(f"{owner}_scale", np.asarray(parameters.scale, np.float32)),
                self._constant(f"{owner}_zero_point", np.asarray(parameters.zero_point, self._dtype)),
            )
        settings = self._parameters[owner]
        readers = [use for use in value.uses() if use.node.graph in self._inside]
        quantize = ir.node("QuantizeLinear", [value, *settings], name=f"{name}_quantize")
        quantized = self._output(quantize, f"{name}_quantized", ir.DataType.from_numpy(self._dtype), value.shape)
        dequantize = ir.node("DequantizeLinear", [quantized, *settings], name=f"{name}_dequantize")
        result = self._output(dequantize, f"{name}_dequantized", ir.DataType.FLOAT, value.shape)
        producer = value.producer()
        if producer is None or producer.graph is not graph:
            graph.insert_before(graph[0], [quantize, dequantize])
        else:
            graph.insert_after(producer, [quantize, dequantize])
        for node, index in readers:
            node.replace_input_with(index, result)
        if is_output:
            result.name = name
            for index, output in enumerate(graph.outputs):
                if output is value:
                    graph.outputs[index] = result

    def quantize_operand(self, value: ir.Value, parameters: Parameters, layers: Container[ir.Node]) -> None:
        """Replace a constant by an integer constant and a DequantizeLinear, but for where it is a layer's weight."""
        assert value.const_value is not None
        limits = np.iinfo(self._dtype)
        real = value.const_value.numpy().astype(np.float64)  # with infinities, which are clipped
        steps = np.rint(real / float(parameters.scale)) + parameters.zero_point
        integers = np.clip(steps, limits.min, limits.max).astype(self._dtype)
        scale = np.asarray(parameters.scale, np.float32)
        zero_point = np.asarray(parameters.zero_point, self._dtype)
        for node, index in list(value.uses()):
            if node.graph is self._graph and node not in layers:
                self._dequantized_input(node, index, integers, scale, zero_point, axis=None)

    def quantize_weight(self, node: ir.Node, index: int, scales: NDArray[np.float32], axis: int) -> None:
        """Replace input `index` of `node` by int8 weights, symmetric, one scale per entry of `axis` (or one scale)."""
        value = node.inputs[index]
        assert value is not None
        assert value.const_value is not None
        weights = value.const_value.numpy().astype(np.float64)
        shape = [1] * weights.ndim
        shape[axis] = scales.size
        steps = np.rint(weights / scales.astype(np.float64).reshape(shape))
        integers = np.clip(steps, -WEIGHT_LIMIT, WEIGHT_LIMIT).astype(np.int8)
        self._dequantized_input(node, index, integers, *_per_axis(scales, np.int8), axis)

    def quantize_bias(self, node: ir.Node, index: int, scales: NDArray[np.float32]) -> None:
        """Replace input `index` of `node` by an int32 bias, one scale per output channel (or one scale)."""
        value = node.inputs[index]
        assert value is not None
        assert value.const_value is not None
        bias = value.const_value.numpy().astype(np.float64)
        integers = np.rint(bias / scales.astype(np.float64)).astype(np.int32)
        self._dequantized_input(node, index, integers, *_per_axis(scales, np.int32), bias.ndim - 1)

    def remove_unused_initializers(self) -> None:
        for name, value in list(self._graph.initializers.items()):
            if not value.uses() and not value.is_graph_output():
                del self._graph.initializers[name]

    def _dequantized_input(
        self, node: ir.Node, index: int, integers: AnyArray, scale: AnyArray, zero_point: AnyArray, axis: int | None
    ) -> None:
        value = node.inputs[index]
        assert value is not None
        inputs = [
            self._constant(f"{value.name}_quantized", integers),
            self._constant(f"{value.name}_scale", scale),
            self._constant(f"{value.name}_zero_point", zero_point),
        ]
        attributes = {"axis": axis} if axis is not None and scale.ndim else {}
        dequantize = ir.node("DequantizeLinear", inputs, attributes, name=self._unique(f"{value.name}_dequantize"))
        result = self._output(dequantize, f"{value.name}_dequantized", ir.DataType.FLOAT, ir.Shape(integers.shape))
        self._graph.insert_before(node, dequantize)
        node.replace_input_with(index, result)

    def _constant(self, name: str, array: AnyArray) -> ir.Value:
        name = self._unique(name)
        value = ir.val(name, const_value=ir.tensor(array, name=name))
        self._graph.register_initializer(value)
        return value

    def _output(self, node: ir.Node, name: str, dtype: ir.DataType, shape: ir.Shape | None) -> ir.Value:
        value = node.outputs[0]
        value.name, value.type, value.shape = self._unique(name), ir.TensorType(dtype), shape
        return value

    def _unique(self, wanted: str) -> str:
        name = unused_name(wanted, self._names)
        self._names.add(name)
        return name


def _per_axis(scales: NDArray[np.float32], dtype: type[np.signedinteger[Any]]) -> tuple[AnyArray, AnyArray]:
    """Scales and zero points as initializers: a vector per channel, scalars where there is one for all."""
    if scales.ndim == 0:
        return scales, np.zeros((), dtype)
    return scales, np.zeros(scales.shape, dtype)
