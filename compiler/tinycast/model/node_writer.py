"""Making the standard nodes that stand for one of ONNX Runtime's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from tinycast.model.edit import Array, add_constant, constant, is_used

_GELU_OPSET, _RMS_OPSET = 20, 23
Results = list[ir.Value | None] | ir.Value | None  # what stands for each output; None: the node stays


class NodeWriter:
    """Makes the nodes that stand for one node."""

    def __init__(self, node: ir.Node) -> None:
        assert isinstance(node.graph, ir.Graph)
        self.node, self.graph = node, node.graph
        self.opset = node.graph.opset_imports.get("", 1)
        self.made: list[ir.Node] = []

    def input(self, index: int) -> ir.Value | None:
        return self.node.inputs[index] if index < len(self.node.inputs) else None

    def first(self) -> ir.Value:
        value = self.input(0)
        assert value is not None
        return value

    def shape(self, index: int) -> tuple[int, ...] | None:
        """The static shape of an input; None where it is not known (yet) or there is no such input."""
        value = self.input(index)
        if value is None or value.shape is None or not value.shape.is_static():
            return None
        return tuple(int(n) for n in value.shape.numpy())

    def is_used(self, output: int) -> bool:
        return output < len(self.node.outputs) and is_used(self.node.outputs[output])

    def constant(self, index: int) -> Array | None:
        return constant(self.input(index))

    def call(self, op: str, inputs: Sequence[ir.Value | None], **attributes: Any) -> ir.Value:
        name = f"{self.node.name}_{op.lower()}" if self.made else str(self.node.name)
        self.made.append(ir.node(op, inputs, attributes, name=name))
        return self.made[-1].outputs[0]

    def split(self, x: ir.Value, sizes: Sequence[int], axis: int = -1) -> list[ir.Value]:
        sections = self.integers(sizes, "sections")
        made = ir.node("Split", [x, sections], {"axis": axis}, num_outputs=len(sizes), name=f"{self.node.name}_split")
        self.made.append(made)
        return list(made.outputs)

    def reshape(self, x: ir.Value, shape: Sequence[int]) -> ir.Value:
        return self.call("Reshape", [x, self.integers(shape, "shape")])

    def scalar(self, value: ir.Value) -> ir.Value:
        """A tensor of one element without its axis."""
        data = constant(value)
        if data is not None:
            return add_constant(self.graph, f"{value.name}_scalar", data.reshape(()), value.dtype)
        return self.reshape(value, ())

    def dequantize(self, x: ir.Value, scale: ir.Value | None, zero_point: ir.Value | None) -> ir.Value | None:
        """x in reals, by one scale or one an index of the last axis. None where it is another, or ranks are unknown."""
        if x.shape is None or scale is None or scale.shape is None or scale.shape.rank() > 1:
            return None
        if scale.shape.rank() == 1 and scale.shape[0] == 1:
            zero_point = zero_point and self.scalar(zero_point)
            return self.call("DequantizeLinear", [x, self.scalar(scale), zero_point])
        return self.call("DequantizeLinear", [x, scale, zero_point], axis=x.shape.rank() - 1)

    def integers(self, numbers: Sequence[int], name: str) -> ir.Value:
        return self.array(np.asarray(numbers, np.int64), name)

    def number(self, value: float) -> ir.Value:
        return self.array(np.asarray(value, np.float32), "number")

    def array(self, data: Array, name: str, dtype: ir.DataType | None = None) -> ir.Value:
        return add_constant(self.graph, f"{self.node.name}_{name}", data, dtype)

    def plus(self, x: ir.Value, *more: ir.Value | None) -> ir.Value:
        """The sum of all that there are."""
        for value in more:
            x = x if value is None else self.call("Add", [x, value])
        return x

    def times(self, x: ir.Value, factor: float) -> ir.Value:
        return x if factor == 1.0 else self.call("Mul", [x, self.number(factor)])

    def own(self, op: str, *names: str, inputs: Sequence[ir.Value | None]) -> ir.Value:
        """The standard operator with those attributes of the node that it has."""
        made = ir.Node("", op, inputs, [self.node.attributes[n] for n in names if n in self.node.attributes])
        made.name = self.node.name
        self.made.append(made)
        return made.outputs[0]

    def layer_norm(self, x: ir.Value, scale: ir.Value | None, bias: ir.Value | None, epsilon: float) -> ir.Value:
        """x normalized over the last axis."""
        return self.call("LayerNormalization", [x, scale, bias], axis=-1, epsilon=epsilon)

    def rms_norm(self, x: ir.Value, scale: ir.Value | None, epsilon: float) -> ir.Value:
        """As `layer_norm`, the mean counting as zero."""
        if self.opset >= _RMS_OPSET:
            return self.call("RMSNormalization", [x, scale], axis=-1, epsilon=epsilon)
        mean = self.call("ReduceMean", [self.call("Mul", [x, x]), self.integers([-1], "axes")], keepdims=1)
        root = self.call("Sqrt", [self.plus(mean, self.number(epsilon))])
        return self.call("Mul", [self.call("Div", [x, root]), scale])

    def gelu(self, x: ir.Value, approximate: str = "none") -> ir.Value:
        if self.opset >= _GELU_OPSET:
            return self.call("Gelu", [x], approximate=approximate)
        if approximate == "none":
            inner = self.call("Erf", [self.times(x, float(np.sqrt(0.5)))])
        else:
            cube = self.call("Mul", [self.call("Mul", [x, x]), x])
            inner = self.call("Tanh", [self.times(self.plus(x, self.times(cube, 0.044715)), float(np.sqrt(2 / np.pi)))])
        return self.times(self.call("Mul", [x, self.plus(inner, self.number(1.0))]), 0.5)

    def activated(self, x: ir.Value, parameters: Mapping[str, float]) -> ir.Value | None:
        """The node's activation of x; None where there is no such operator."""
        kind = self.node.attributes.get_string("activation", "")
        if kind in ("", "Relu", "Sigmoid", "Tanh"):
            return self.call(kind, [x]) if kind else x
        if kind == "Clip" and len(parameters) == 2:
            return self.call("Clip", [x, *map(self.number, parameters.values())])
        if kind in ("LeakyRelu", "HardSigmoid"):
            return self.call(kind, [x], **parameters)
        return None
