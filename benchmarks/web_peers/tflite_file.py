"""Writes .tflite files, which LiteRT.js reads, by the schema of the PyPI package `tflite`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
import tflite

from web_peers.network import Array, Layer, Network, Quant

_TYPES = {"float32": tflite.TensorType.FLOAT32, "int8": tflite.TensorType.INT8, "int32": tflite.TensorType.INT32}
# What TensorFlow's own converter writes for int8; float operators are the same in them.
_VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "ADD": 2,
    "AVERAGE_POOL_2D": 2,
    "SOFTMAX": 2,
    "RESHAPE": 1,
    "QUANTIZE": 1,
    "DEQUANTIZE": 2,
}


def to_tflite(network: Network) -> bytes:
    """The same network: weights, scales and zero points. Input and output are floats: LiteRT.js takes no int8."""
    return _Writer(network).write()


class _Writer:
    def __init__(self, network: Network) -> None:
        self._network = network
        self._builder = flatbuffers.Builder(1 << 20)
        self._buffers = [self._table("Buffer", {})]
        self._tensors: list[int] = []
        self._index: dict[str, int] = {}
        self._operators: list[int] = []
        self._codes: list[str] = []

    def write(self) -> bytes:
        network = self._network
        start, end = network.input, network.output
        if start in network.quants:
            graph_input = self._activation(start, is_float=True)
            self._operator("QUANTIZE", "QuantizeOptions", {}, [graph_input], self._activation(start))
        else:
            graph_input = self._activation(start)
        for layer in network.layers:
            self._layer(layer)
        graph_output = self._activation(end)
        if end in network.quants:
            quantized, graph_output = graph_output, self._activation(end, is_float=True)
            self._operator("DEQUANTIZE", "DequantizeOptions", {}, [quantized], graph_output)
        return self._model(graph_input, graph_output)

    def _layer(self, layer: Layer) -> None:
        inputs = [self._activation(name) for name in layer.inputs]
        output = self._activation(layer.output)
        relu = {"FusedActivationFunction": int(layer.has_relu)}
        strides = {
            "Padding": tflite.Padding.SAME if layer.is_padded else tflite.Padding.VALID,
            "StrideH": layer.strides[0],
            "StrideW": layer.strides[1],
        }
        match layer.kind:
            case "conv":
                operands = [*inputs, *self._weights(layer, (0, 2, 3, 1), 0)]
                self._operator("CONV_2D", "Conv2DOptions", {**strides, **relu}, operands, output)
            case "depthwise":
                operands = [*inputs, *self._weights(layer, (1, 2, 3, 0), 3)]
                fields = {**strides, **relu, "DepthMultiplier": 1}
                self._operator("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", fields, operands, output)
            case "dense":
                operands = [*inputs, *self._weights(layer, (0, 1), 0)]
                self._operator("FULLY_CONNECTED", "FullyConnectedOptions", relu, operands, output)
            case "add":
                self._operator("ADD", "AddOptions", relu, inputs, output)
            case "average":
                fields = {**strides, "FilterHeight": layer.kernel[0], "FilterWidth": layer.kernel[1]}
                self._operator("AVERAGE_POOL_2D", "Pool2DOptions", fields, inputs, output)
            case "softmax":
                self._operator("SOFTMAX", "SoftmaxOptions", {"Beta": 1.0}, inputs, output)
            case "flatten":
                shape = np.array(self._network.shapes[layer.output], np.int32)
                operands = [*inputs, self._tensor(f"{layer.output}_shape", shape.shape, "int32", data=shape)]
                self._operator("RESHAPE", "ReshapeOptions", {}, operands, output)

    def _weights(self, layer: Layer, order: tuple[int, ...], axis: int) -> list[int]:
        """The numbers of the tensors of weights, whose axes come in `order` with the scales along `axis`, and bias."""
        numbers = []
        for name, transposed in ((layer.weight, order), (layer.bias, (0,))):
            data = np.ascontiguousarray(self._network.constants[name].transpose(transposed))
            quant = self._network.quants.get(name)
            numbers.append(self._tensor(name, data.shape, str(data.dtype), quant, axis if data.ndim > 1 else 0, data))
        return numbers

    def _activation(self, name: str, *, is_float: bool = False) -> int:
        """The number of the tensor; `is_float`: of the one before or behind it that is not quantized."""
        quant = None if is_float else self._network.quants.get(name)
        dtype = "float32" if quant is None else "int8"
        return self._tensor(f"{name}_float" if is_float else name, self._network.shapes[name], dtype, quant)

    def _tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str,
        quant: Quant | None = None,
        axis: int = 0,
        data: Array | None = None,
    ) -> int:
        if name in self._index:
            return self._index[name]
        fields: dict[str, Any] = {
            "Shape": self._vector("TensorStartShapeVector", shape, "Int32"),
            "Type": _TYPES[dtype],
            "Buffer": 0 if data is None else self._buffer(data.tobytes()),
            "Name": self._builder.CreateString(name),
        }
        if quant is not None:
            fields["Quantization"] = self._table(
                "QuantizationParameters",
                {
                    "Scale": self._vector("QuantizationParametersStartScaleVector", quant.scales, "Float32"),
                    "ZeroPoint": self._vector("QuantizationParametersStartZeroPointVector", quant.zero_points, "Int64"),
                    "QuantizedDimension": axis if quant.scales.size > 1 else 0,
                },
            )
        self._index[name] = len(self._tensors)
        self._tensors.append(self._table("Tensor", fields))
        return self._index[name]

    def _operator(self, code: str, kind: str, fields: dict[str, Any], operands: list[int], output: int) -> None:
        if code not in self._codes:
            self._codes.append(code)
        options = self._table(kind, fields)
        self._operators.append(
            self._table(
                "Operator",
                {
                    "OpcodeIndex": self._codes.index(code),
                    "Inputs": self._vector("OperatorStartInputsVector", operands, "Int32"),
                    "Outputs": self._vector("OperatorStartOutputsVector", [output], "Int32"),
                    "BuiltinOptionsType": getattr(tflite.BuiltinOptions, kind),
                    "BuiltinOptions": options,
                },
            )
        )

    def _model(self, graph_input: int, graph_output: int) -> bytes:
        numbers = {name: getattr(tflite.BuiltinOperator, name) for name in self._codes}
        codes = [
            self._table(
                "OperatorCode",
                {"BuiltinCode": number, "DeprecatedBuiltinCode": number, "Version": _VERSIONS[name]},
            )
            for name, number in numbers.items()
        ]
        subgraph = self._table(
            "SubGraph",
            {
                "Tensors": self._tables("SubGraphStartTensorsVector", self._tensors),
                "Inputs": self._vector("SubGraphStartInputsVector", [graph_input], "Int32"),
                "Outputs": self._vector("SubGraphStartOutputsVector", [graph_output], "Int32"),
                "Operators": self._tables("SubGraphStartOperatorsVector", self._operators),
            },
        )
        fields = {
            "Version": 3,
            "OperatorCodes": self._tables("ModelStartOperatorCodesVector", codes),
            "Subgraphs": self._tables("ModelStartSubgraphsVector", [subgraph]),
            "Buffers": self._tables("ModelStartBuffersVector", self._buffers),
        }
        self._builder.Finish(self._table("Model", fields), b"TFL3")
        return bytes(self._builder.Output())

    def _buffer(self, content: bytes) -> int:
        """The number of a new buffer; weights have to lie at multiples of 16."""
        builder = self._builder
        builder.StartVector(1, len(content), 16)
        builder.head -= len(content)
        builder.Bytes[builder.head : builder.head + len(content)] = content
        self._buffers.append(self._table("Buffer", {"Data": builder.EndVector()}))
        return len(self._buffers) - 1

    def _vector(self, start: str, values: Sequence[Any] | Array, kind: str) -> int:
        getattr(tflite, start)(self._builder, len(values))
        for value in reversed(np.asarray(values).tolist()):
            getattr(self._builder, f"Prepend{kind}")(value)
        return int(self._builder.EndVector())

    def _tables(self, start: str, offsets: Sequence[int]) -> int:
        getattr(tflite, start)(self._builder, len(offsets))
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def _table(self, kind: str, fields: dict[str, Any]) -> int:
        getattr(tflite, f"{kind}Start")(self._builder)
        for name, value in fields.items():
            getattr(tflite, f"{kind}Add{name}")(self._builder, value)
        return int(getattr(tflite, f"{kind}End")(self._builder))
