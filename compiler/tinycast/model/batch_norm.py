"""Folding BatchNormalization into the linear operator before it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinycast.model.edit import Array, add_constant, bypass, constant, replace

_LINEAR = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def fold_batch_norm(model: ir.Model) -> int:
    """Fold BatchNormalization into a Conv, ConvTranspose, Gemm or MatMul (with or without an Add of a constant).

    Computed in float64 and stored in the weight's type; weights that other nodes share are copied. Quantized
    weights stay as they are. Returns the number of nodes folded.
    """
    return sum(_fold(node) for node in list(model.graph.all_nodes()) if node.op_type == "BatchNormalization")


def _fold(node: ir.Node) -> bool:
    parameters = [constant(value) for value in node.inputs[1:5]]
    if any(array is None for array in parameters) or node.attributes.get_int("training_mode"):
        return False
    gamma, beta, mean, variance = (array.astype(np.float64) for array in parameters if array is not None)
    factor = gamma / np.sqrt(variance + node.attributes.get_float("epsilon", 1e-5))

    add, linear = None, _only_producer(node.inputs[0])
    if linear is not None and linear.op_type == "Add":
        add = linear
        linear = next((p for p in map(_only_producer, add.inputs) if p is not None and p.op_type in _LINEAR), None)
    if linear is None or linear.op_type not in _LINEAR or linear.domain != "" or linear.graph is not node.graph:
        return False
    weight = constant(linear.inputs[1])
    scaled = None if weight is None or weight.dtype.kind != "f" else _scale_weight(linear, weight, factor)
    if scaled is None:
        return False
    return _rewrite(node, linear, add, scaled, factor, mean, beta)


def _rewrite(
    node: ir.Node, linear: ir.Node, add: ir.Node | None, weight: Array, factor: Array, mean: Array, beta: Array
) -> bool:
    graph, rank = node.graph, len(node.inputs[0].shape or ()) if node.inputs[0] else 0
    assert isinstance(graph, ir.Graph)
    along_channels = (-1,) + (1,) * (rank - 2)  # broadcasts over (N, C, spatial…)
    bias, bias_scale = None, 1.0
    if linear.op_type != "MatMul":
        bias_scale = linear.attributes.get_float("beta", 1.0) if linear.op_type == "Gemm" else 1.0
        given = linear.inputs[2] if len(linear.inputs) > 2 else None
        bias = np.zeros(1) if given is None else constant(given)
        if bias is None or bias_scale == 0:
            return False
        bias = bias * factor
    if add is not None:
        addend = next((array for array in map(constant, add.inputs) if array is not None), None)
        if addend is None or addend.ndim > rank:
            return False
        index = 0 if constant(add.inputs[0]) is not None else 1
        shifted = (addend - mean.reshape(along_channels)) * factor.reshape(along_channels)
        _set_constant(graph, add, index, shifted + beta.reshape(along_channels), weight.dtype)
        if bias is not None and len(linear.inputs) > 2:
            _set_constant(graph, linear, 2, bias, weight.dtype)
    elif bias is not None:
        _set_constant(graph, linear, 2, bias + (beta - mean * factor) / bias_scale, weight.dtype)
    else:
        shift = add_constant(graph, f"{linear.inputs[1].name}_bias", (beta - mean * factor).astype(weight.dtype))  # type: ignore[union-attr]
        _set_constant(graph, linear, 1, weight, weight.dtype)
        replacement = ir.node("Add", [node.inputs[0], shift], name=node.name)
        replace(node, [replacement], replacement.outputs[0])
        return True
    _set_constant(graph, linear, 1, weight, weight.dtype)
    return bypass(node)


def _only_producer(value: ir.Value | None) -> ir.Node | None:
    """The node that computes the value, where nothing but one node uses it."""
    if value is None or value.is_graph_output() or len(value.uses()) != 1:
        return None
    return value.producer()


def _scale_weight(linear: ir.Node, weight: Array, factor: Array) -> Array | None:
    """The weight with each output channel scaled, in its own type; None where the channels do not line up."""
    match linear.op_type:
        case "Conv":
            scaled = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
        case "ConvTranspose":
            group = linear.attributes.get_int("group", 1)
            grouped = weight.reshape(group, -1, *weight.shape[1:])
            scaled = (grouped * factor.reshape(group, 1, -1, *[1] * (weight.ndim - 2))).reshape(weight.shape)
        case "Gemm" if linear.attributes.get_int("transB", 0):
            scaled = weight * factor[:, None]
        case _:
            rank = linear.outputs[0].shape.rank() if linear.outputs[0].shape is not None else None
            if weight.ndim != 2 or rank != 2:
                return None
            scaled = weight * factor
    return scaled.astype(weight.dtype)


def _set_constant(graph: ir.Graph, node: ir.Node, index: int, array: Array, dtype: np.dtype[np.generic]) -> None:
    """Give the node a new constant input; it keeps the old one's name where no other node uses that."""
    old = node.inputs[index] if index < len(node.inputs) else None
    name = f"{node.inputs[1].name}_bias" if old is None else str(old.name)  # type: ignore[union-attr]
    if old is not None and old.is_initializer() and len(old.uses()) == 1:
        node.replace_input_with(index, None)
        graph.initializers.pop(name)
        old.name = None
    value = add_constant(graph, name, array.astype(dtype))
    if index >= len(node.inputs):
        node.resize_inputs(index + 1)
    node.replace_input_with(index, value)
