"""How each operator ties the axes of its inputs and outputs. Operators without a rule pin all they touch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from tinycast.compress.prune.tie_moves import tie_concat, tie_pad, tie_reduce, tie_reshape, tie_split, tie_transpose
from tinycast.compress.prune.ties import Ties, integer_attribute, is_known, pin_all, present, tie_all_axes

Rule = Callable[[ir.Node, Ties], None]


def tie_model(model: ir.Model) -> Ties:
    """Tie everything in the model's graph. What subgraphs and functions touch stays as it is."""
    ties = Ties()
    for value in (*model.graph.inputs, *model.graph.outputs):
        ties.pin_value(value)
    for node in model.graph.all_nodes():
        values = present([*node.inputs, *node.outputs])
        rule = RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if rule is not None and node.graph is model.graph and all(map(is_known, values)):
            rule(node, ties)
        else:
            for value in values:
                ties.pin_value(value)
    return ties


def _convolution(node: ir.Node, ties: Ties) -> None:
    """Dense: filters make output channels. Depthwise: channel c makes channels c*m to c*m+m-1. Others stay."""
    x, weight, *bias = present(node.inputs)
    y = node.outputs[0]
    group = integer_attribute(node, "group", 1)
    transposed = node.op_type == "ConvTranspose"
    inputs, outputs = ties.axis(x, 1), ties.axis(y, 1)
    if group == 1:
        ties.tie(inputs, ties.axis(weight, 0 if transposed else 1))
        ties.tie(outputs, ties.axis(weight, 1 if transposed else 0))
    elif group == len(inputs) and not transposed:
        ties.tie(outputs, ties.axis(weight, 0))
        ties.tie(outputs, np.repeat(inputs, len(outputs) // group))
    else:
        ties.pin(inputs)
        ties.pin(outputs)
        ties.pin_value(weight)
    for value in bias:
        ties.tie(outputs, ties.axis(value, 0))
    ties.tie(ties.axis(x, 0), ties.axis(y, 0))
    for atoms in (*ties.axes(x)[2:], *ties.axes(y)[2:], *ties.axes(weight)[2:]):
        ties.pin(atoms)


def _gemm(node: ir.Node, ties: Ties) -> None:
    a, b, *bias = present(node.inputs)
    y = node.outputs[0]
    rows, depth = _turned(ties.axes(a), node, "transA")
    depth_b, columns = _turned(ties.axes(b), node, "transB")
    ties.tie(depth, depth_b)
    ties.tie(rows, ties.axis(y, 0))
    ties.tie(columns, ties.axis(y, 1))
    for value in bias:
        _tie_broadcast(value, y, ties)


def _matmul(node: ir.Node, ties: Ties) -> None:
    a, b = present(node.inputs)
    y = node.outputs[0]
    if len(ties.shape(a)) < 2 or len(ties.shape(b)) != 2:
        pin_all(node, ties)
        return
    ties.tie(ties.axis(a, -1), ties.axis(b, 0))
    ties.tie(ties.axis(b, 1), ties.axis(y, -1))
    for first, second in zip(ties.axes(a)[:-1], ties.axes(y)[:-1], strict=True):
        ties.tie(first, second)


def _elementwise(node: ir.Node, ties: Ties) -> None:
    for value in present(node.inputs):
        _tie_broadcast(value, node.outputs[0], ties)
    for mask in present(node.outputs[1:]):
        _tie_broadcast(mask, node.outputs[0], ties)


def _channelwise(node: ir.Node, ties: Ties) -> None:
    """Pooling and resizing: samples and channels pass, positions stay. MaxPool's indices count channels."""
    _tie_channels(node, ties)
    for value in present(node.inputs)[1:]:
        ties.pin_value(value)


def _resize(node: ir.Node, ties: Ties) -> None:
    """Channels pass where scales, not sizes (which name the channel count), are given."""
    x, y = present(node.inputs)[0], node.outputs[0]
    has_sizes = len(node.inputs) > 3 and node.inputs[3] is not None
    if has_sizes or "axes" in node.attributes or ties.shape(x)[:2] != ties.shape(y)[:2]:
        pin_all(node, ties)
    else:
        _channelwise(node, ties)


def _normalization(node: ir.Node, ties: Ties) -> None:
    """Batch and instance normalization at inference: one constant a channel, no channel sees another."""
    x, *constants = present(node.inputs)
    _tie_channels(node, ties)
    for value in constants:
        ties.tie(ties.axis(x, 1), ties.axis(value, 0))


def _softmax(node: ir.Node, ties: Ties) -> None:
    x, y = present(node.inputs)[0], node.outputs[0]
    tie_all_axes(x, y, ties)
    ties.pin(ties.axis(x, integer_attribute(node, "axis", -1)))


def _tie_broadcast(value: ir.Value, y: ir.Value, ties: Ties) -> None:
    rank = len(ties.shape(value))
    for atoms, target in zip(ties.axes(value), ties.axes(y)[len(ties.shape(y)) - rank :], strict=True):
        if len(atoms) == len(target):
            ties.tie(atoms, target)


def _tie_channels(node: ir.Node, ties: Ties) -> None:
    x, y = present(node.inputs)[0], node.outputs[0]
    ties.tie(ties.axis(x, 0), ties.axis(y, 0))
    ties.tie(ties.axis(x, 1), ties.axis(y, 1))
    for atoms in (*ties.axes(x)[2:], *ties.axes(y)[2:]):
        ties.pin(atoms)
    if len(present(node.outputs)) > 1:
        pin_all(node, ties)


def _turned(axes: list[np.ndarray], node: ir.Node, attribute: str) -> list[np.ndarray]:
    return axes[::-1] if integer_attribute(node, attribute, 0) else axes


# fmt: off
_ELEMENTWISE = [
    "Abs", "Add", "Cast", "Celu", "Clip", "Cos", "Div", "Dropout", "Elu", "Erf", "Exp", "Floor", "Gelu",
    "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "PRelu",
    "Pow", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt",
    "Sub", "Sum", "Tanh", "ThresholdedRelu", "Where",
]
# fmt: on
_POOLING = [
    "AveragePool",
    "GlobalAveragePool",
    "GlobalLpPool",
    "GlobalMaxPool",
    "LpPool",
    "MaxPool",
]
_REDUCTIONS = [
    "ReduceL1",
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceSum",
    "ReduceSumSquare",
]

RULES: dict[str, Rule] = {
    "Conv": _convolution,
    "ConvTranspose": _convolution,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _normalization,
    "InstanceNormalization": _normalization,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "Concat": tie_concat,
    "Split": tie_split,
    "Transpose": tie_transpose,
    "Pad": tie_pad,
    "Resize": _resize,
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), tie_reshape),
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(_POOLING, _channelwise),
    **dict.fromkeys(_REDUCTIONS, tie_reduce),
}
"""Operators through which channels can be removed."""
