"""How each operator ties the axes of its inputs and outputs. Operators without a rule pin all they touch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from tinycast.compress.prune.ties import Ties, is_known, present

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
    group = _integer(node, "group", 1)
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
        _pin_all(node, ties)
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
        _pin_all(node, ties)
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
    _elementwise_pair(x, y, ties)
    ties.pin(ties.axis(x, _integer(node, "axis", -1)))


def _concat(node: ir.Node, ties: Ties) -> None:
    y = node.outputs[0]
    along = _integer(node, "axis", 0) % len(ties.shape(y))
    start = 0
    for value in present(node.inputs):
        for axis, atoms in enumerate(ties.axes(value)):
            target = ties.axis(y, axis)
            ties.tie(atoms, target[start : start + len(atoms)] if axis == along else target)
        start += ties.shape(value)[along]


def _split(node: ir.Node, ties: Ties) -> None:
    x, *rest = present(node.inputs)
    along = _integer(node, "axis", 0) % len(ties.shape(x))
    for value in rest:
        ties.pin_value(value)
    for y in present(node.outputs):
        for axis, atoms in enumerate(ties.axes(y)):
            if axis == along:
                ties.pin(atoms)
                ties.pin(ties.axis(x, axis))
            else:
                ties.tie(atoms, ties.axis(x, axis))


def _transpose(node: ir.Node, ties: Ties) -> None:
    x, y = present(node.inputs)[0], node.outputs[0]
    rank = len(ties.shape(x))
    attribute = node.attributes.get("perm")
    order = attribute.as_ints() if attribute is not None else range(rank)[::-1]
    for axis, source in enumerate(order):
        ties.tie(ties.axis(x, source), ties.axis(y, axis))


def _reduce(node: ir.Node, ties: Ties) -> None:
    """Axes that are summed over stay: a mean over fewer channels is another mean."""
    x, *rest = present(node.inputs)
    y = node.outputs[0]
    if ties.shape(x) == ties.shape(y):
        _elementwise_pair(x, y, ties)
        return
    if _integer(node, "keepdims", 1) == 1:
        reduced = {axis for axis, size in enumerate(ties.shape(y)) if size == 1}
    else:
        axes = _constant_axes(node, rest)
        if axes is None:
            _pin_all(node, ties)
            return
        reduced = {axis % len(ties.shape(x)) for axis in axes} or set(range(len(ties.shape(x))))
    kept = iter(ties.axes(y))
    for axis, atoms in enumerate(ties.axes(x)):
        if axis in reduced:
            ties.pin(atoms)
            if _integer(node, "keepdims", 1) == 1:
                next(kept)
        else:
            ties.tie(atoms, next(kept))


def _pad(node: ir.Node, ties: Ties) -> None:
    x, pads, *rest = present(node.inputs)
    y = node.outputs[0]
    rank = len(ties.shape(x))
    for value in (pads, *rest):
        ties.pin_value(value)
    if pads.const_value is None or len(pads.const_value.numpy()) != 2 * rank:
        _pin_all(node, ties)
        return
    widths = pads.const_value.numpy().reshape(2, rank)
    for axis, (first, second) in enumerate(zip(ties.axes(x), ties.axes(y), strict=True)):
        if widths[:, axis].any():
            ties.pin(first)
            ties.pin(second)
        else:
            ties.tie(first, second)


def _reshape(node: ir.Node, ties: Ties) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze: runs of axes with the same number of elements belong together.

    A run may merge or split one axis that is free to go (channels) and others that are not (positions):
    removing a channel removes its block of the merged axis. The rewriting of Reshape's constant follows.
    """
    x, y = present(node.inputs)[0], node.outputs[0]
    for value in present(node.inputs)[1:]:
        ties.pin_value(value)
        if not value.is_initializer():
            _pin_all(node, ties)
    for many, one in _runs(ties.shape(x), ties.shape(y)):
        many_atoms = [ties.axis(x, axis) for axis in many]
        one_atoms = [ties.axis(y, axis) for axis in one]
        if len(many_atoms) == 1:
            many_atoms, one_atoms = one_atoms, many_atoms
        free = [index for index, atoms in enumerate(many_atoms) if not ties.is_pinned(atoms)]
        if len(one_atoms) != 1 or not free:
            for atoms in (*many_atoms, *one_atoms):
                ties.pin(atoms)
            continue
        # Where several are free (an axis split in two), ONNX has channels before positions.
        for index in free[1:]:
            ties.pin(many_atoms[index])
        sizes = [len(atoms) for atoms in many_atoms]
        inner = math.prod(sizes[free[0] + 1 :])
        source = np.arange(len(one_atoms[0])) // inner % sizes[free[0]]
        ties.tie(one_atoms[0], many_atoms[free[0]][source])


def _runs(first: Sequence[int], second: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Split two shapes of equal size into the shortest runs of axes with equal products, axes of one left out."""
    left = [axis for axis, size in enumerate(first) if size != 1]
    right = [axis for axis, size in enumerate(second) if size != 1]
    runs = []
    while left and right:
        a, b = [left.pop(0)], [right.pop(0)]
        while (p := math.prod(first[i] for i in a)) != (q := math.prod(second[i] for i in b)):
            (a if p < q else b).append((left if p < q else right).pop(0))
        runs.append((a, b))
    return runs


def _tie_broadcast(value: ir.Value, y: ir.Value, ties: Ties) -> None:
    rank = len(ties.shape(value))
    for atoms, target in zip(ties.axes(value), ties.axes(y)[len(ties.shape(y)) - rank :], strict=True):
        if len(atoms) == len(target):
            ties.tie(atoms, target)


def _elementwise_pair(x: ir.Value, y: ir.Value, ties: Ties) -> None:
    for first, second in zip(ties.axes(x), ties.axes(y), strict=True):
        ties.tie(first, second)


def _tie_channels(node: ir.Node, ties: Ties) -> None:
    x, y = present(node.inputs)[0], node.outputs[0]
    ties.tie(ties.axis(x, 0), ties.axis(y, 0))
    ties.tie(ties.axis(x, 1), ties.axis(y, 1))
    for atoms in (*ties.axes(x)[2:], *ties.axes(y)[2:]):
        ties.pin(atoms)
    if len(present(node.outputs)) > 1:
        _pin_all(node, ties)


def _pin_all(node: ir.Node, ties: Ties) -> None:
    for value in present([*node.inputs, *node.outputs]):
        ties.pin_value(value)


def _turned(axes: list[np.ndarray], node: ir.Node, attribute: str) -> list[np.ndarray]:
    return axes[::-1] if _integer(node, attribute, 0) else axes


def _integer(node: ir.Node, name: str, default: int) -> int:
    attribute = node.attributes.get(name)
    return attribute.as_int() if attribute is not None else default


def _constant_axes(node: ir.Node, inputs: Sequence[ir.Value]) -> list[int] | None:
    """The axes a reduction names, from its attribute or its constant input; none named is an empty list."""
    if "axes" in node.attributes:
        return list(node.attributes["axes"].as_ints())
    if not inputs:
        return []
    constant = inputs[0].const_value
    return None if constant is None else [int(axis) for axis in constant.numpy()]


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
    "Concat": _concat,
    "Split": _split,
    "Transpose": _transpose,
    "Pad": _pad,
    "Resize": _resize,
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), _reshape),
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(_POOLING, _channelwise),
    **dict.fromkeys(_REDUCTIONS, _reduce),
}
"""Operators through which channels can be removed."""
