"""Operators that ONNX Runtime's optimizer and quantizer write (com.microsoft) become ONNX's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from tinycast.model.edit import Array, add_constant, constant
from tinycast.model.qoperator import MICROSOFT
from tinycast.model.shapes import infer_shapes

_GELU_OPSET, _RMS_OPSET = 20, 23


class _Writer:
    """Makes the nodes that stand for one node."""

    def __init__(self, node: ir.Node) -> None:
        assert isinstance(node.graph, ir.Graph)
        self.node, self.graph = node, node.graph
        self.opset = node.graph.opset_imports.get("", 1)
        self.made: list[ir.Node] = []

    def input(self, index: int) -> ir.Value | None:
        return self.node.inputs[index] if index < len(self.node.inputs) else None

    def constant(self, index: int) -> Array | None:
        return constant(self.input(index))

    def call(self, op: str, inputs: Sequence[ir.Value | None], **attributes: Any) -> ir.Value:
        name = f"{self.node.name}_{op.lower()}" if self.made else str(self.node.name)
        self.made.append(ir.node(op, inputs, attributes, name=name))
        return self.made[-1].outputs[0]

    def number(self, value: float) -> ir.Value:
        return self.array(np.asarray(value, np.float32), "number")

    def array(self, data: Array, name: str) -> ir.Value:
        return add_constant(self.graph, f"{self.node.name}_{name}", data)

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


_Results = list[ir.Value | None] | ir.Value | None  # None: the node stays


def _gelu(w: _Writer) -> _Results:
    x = _first(w)
    return w.gelu(w.plus(x, w.input(1)), "tanh" if w.node.op_type == "FastGelu" else "none")


def _quick_gelu(w: _Writer) -> _Results:
    x = _first(w)
    gate = w.call("Sigmoid", [w.times(x, w.node.attributes.get_float("alpha", 1.702))])
    return w.call("Mul", [x, gate])


def _skip_layer_norm(w: _Writer) -> _Results:
    """(input + skip + bias) normalized; also an output by itself."""
    centred = w.node.op_type == "SkipLayerNormalization"
    total = w.plus(_first(w), w.input(1), w.input(4 if centred else 3))
    epsilon = w.node.attributes.get_float("epsilon", 1e-5 if centred else 1e-6)
    if any(value.uses() or value.is_graph_output() for value in w.node.outputs[1:3]):
        return None
    if centred:
        y = w.call("LayerNormalization", [total, w.input(2), w.input(3)], axis=-1, epsilon=epsilon)
    elif w.opset >= _RMS_OPSET:
        y = w.call("RMSNormalization", [total, w.input(2)], axis=-1, epsilon=epsilon)
    else:
        square = w.call("Mul", [total, total])
        mean = w.call("ReduceMean", [square, w.array(np.asarray([-1], np.int64), "axes")], keepdims=1)
        root = w.call("Sqrt", [w.plus(mean, w.number(epsilon))])
        y = w.call("Mul", [w.call("Div", [total, root]), w.input(2)])
    return [y, None, None, total][: len(w.node.outputs)]


def _fused_mat_mul(w: _Writer) -> _Results:
    attributes = w.node.attributes
    if attributes.get_int("transBatchA", 0) or attributes.get_int("transBatchB", 0):
        return None
    operands: list[ir.Value | None] = []
    for index, swap in enumerate(("transA", "transB")):
        value = w.input(index)
        if attributes.get_int(swap, 0):
            if value is None or value.shape is None or value.shape.rank() < 2:
                return None
            *rest, last, end = range(value.shape.rank())
            value = w.call("Transpose", [value], perm=[*rest, end, last])
        operands.append(value)
    return w.times(w.call("MatMul", operands), attributes.get_float("alpha", 1.0))


def _fused_gemm(w: _Writer) -> _Results:
    y = w.own("Gemm", "alpha", "beta", "transA", "transB", inputs=w.node.inputs)
    names = {"alpha": "activation_alpha", "beta": "activation_beta"}
    stated = {k: w.node.attributes.get_float(n) for k, n in names.items() if n in w.node.attributes}
    return w.activated(y, {k: v for k, v in stated.items() if v is not None})


def _fused_conv(w: _Writer) -> _Results:
    kept = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    y = w.plus(w.own("Conv", *kept, inputs=w.node.inputs[:3]), w.input(3))
    parameters = w.node.attributes.get_floats("activation_params", [])
    return w.activated(y, dict(zip(("alpha", "beta"), parameters, strict=False)))


def _dequantized(w: _Writer, value: int, scale: int, zero_point: int) -> ir.Value | None:
    """The operand in reals; scales of a matrix count along its last axis. None where they are of another form."""
    quantized, factor = w.input(value), w.input(scale)
    if quantized is None or quantized.shape is None or factor is None or factor.shape is None:
        return None
    rank = quantized.shape.rank()
    if factor.shape.rank() > 1:
        return None
    values: list[ir.Value | None] = [factor, w.input(zero_point)]
    if factor.shape.rank() == 1 and factor.shape[0] == 1:
        values = [v if v is None else _scalar(w, v) for v in values]
        return w.call("DequantizeLinear", [quantized, *values])
    return w.call("DequantizeLinear", [quantized, *values], axis=rank - 1)


def _scalar(w: _Writer, value: ir.Value) -> ir.Value:
    data = constant(value)
    if data is not None:
        return add_constant(w.graph, f"{value.name}_scalar", data.reshape(()), value.dtype)
    return w.call("Reshape", [value, w.array(np.zeros(0, np.int64), "scalar")])


def _mat_mul_integer_to_float(w: _Writer) -> _Results:
    a, b = _dequantized(w, 0, 2, 4), _dequantized(w, 1, 3, 5)
    return None if a is None or b is None else w.plus(w.call("MatMul", [a, b]), w.input(6))


def _dynamic_quantize_mat_mul(w: _Writer) -> _Results:
    b = _dequantized(w, 1, 2, 3)
    if b is None:
        return None
    quantize = ir.Node("", "DynamicQuantizeLinear", [w.input(0)], num_outputs=3, name=f"{w.node.name}_quantize")
    w.made.append(quantize)
    a = w.call("DequantizeLinear", quantize.outputs)
    return w.plus(w.call("MatMul", [a, b]), w.input(4))


def _first(w: _Writer) -> ir.Value:
    value = w.input(0)
    assert value is not None
    return value


_REWRITES: Mapping[str, Callable[[_Writer], _Results]] = {
    "BiasGelu": _gelu,
    "DynamicQuantizeMatMul": _dynamic_quantize_mat_mul,
    "FastGelu": _gelu,
    "FusedConv": _fused_conv,
    "FusedGemm": _fused_gemm,
    "FusedMatMul": _fused_mat_mul,
    "Gelu": _gelu,
    "MatMulIntegerToFloat": _mat_mul_integer_to_float,
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_layer_norm,
    "SkipSimplifiedLayerNormalization": _skip_layer_norm,
}


def rewrite_contrib_operators(model: ir.Model) -> int:
    """Rewrite operators of com.microsoft that standard ones can stand for; returns how many.

    A node stays as it is where an attribute has no counterpart. The ranks of some operands have to be known, which
    are inferred as the operators before them become standard ones.
    """
    count = 0
    while rewritten := sum(_rewrite(node) for node in list(model.graph)):
        count += rewritten
        infer_shapes(model)
    return count


def _rewrite(node: ir.Node) -> bool:
    rewrite = _REWRITES.get(node.op_type) if node.domain == MICROSOFT else None
    if rewrite is None:
        return False
    writer = _Writer(node)
    results = rewrite(writer)
    if results is None:
        return False
    values = results if isinstance(results, list) else [results]
    pairs = [(old, new) for old, new in zip(node.outputs, values, strict=False) if new is not None]
    olds, news = zip(*pairs, strict=True)
    ir.convenience.replace_nodes_and_values(writer.graph, node, [node], writer.made, olds, news)
    return True
