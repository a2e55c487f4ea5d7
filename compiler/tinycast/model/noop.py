"""Removing nodes that give their input back."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinycast.model.edit import bypass, constant, replace
from tinycast.model.ports import static_shape

_RESHAPES = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
# Where these keep the shape, they keep every element where it is.
_ORDERED = _RESHAPES | {"Expand", "Tile"}
_VARIADIC = frozenset({"Concat", "Max", "Mean", "Min", "Sum"})


def remove_noops(model: ir.Model) -> int:
    """Remove Identity, Dropout, and any Cast, Reshape, Pad, Slice, … that changes nothing; returns how many."""
    for node in list(model.graph.all_nodes()):
        _skip_reshapes(node)
        _settle_choice(node)
    return sum(bypass(node) for node in list(model.graph.all_nodes()) if _is_noop(node))


def _skip_reshapes(node: ir.Node) -> None:
    """Where a chain of reshapes comes back to a shape it had before, take the value from there."""
    wanted = static_shape(node.outputs[0]) if _is_reshape(node) else None
    source: ir.Value | None = node.inputs[0] if wanted is not None else None
    while source is not None:
        if static_shape(source) == wanted:
            node.replace_input_with(0, source)
        producer = source.producer()
        source = producer.inputs[0] if producer is not None and _is_reshape(producer) else None


def _settle_choice(node: ir.Node) -> None:
    """A Where whose condition is known, and the same everywhere, is what it chooses."""
    if node.op_type != "Where" or node.domain != "":
        return
    condition = constant(node.inputs[0])
    if condition is None or not (condition.all() or not condition.any()):
        return
    chosen = node.inputs[1 if condition.all() else 2]
    shape = static_shape(node.outputs[0])
    if chosen is not None and shape is not None and shape == static_shape(chosen):
        identity = ir.node("Identity", [chosen], name=node.name)
        identity.outputs[0].shape, identity.outputs[0].type = chosen.shape, chosen.type
        replace(node, [identity], identity.outputs[0])


def _is_reshape(node: ir.Node) -> bool:
    return node.op_type in _RESHAPES and node.domain == ""


def _is_noop(node: ir.Node) -> bool:
    if node.domain != "" or not node.inputs or node.inputs[0] is None:
        return False
    source, output = node.inputs[0], node.outputs[0]
    match node.op_type:
        case "Identity":
            return True
        case "Dropout":
            return _is_inference_dropout(node)
        case "Cast":
            return source.dtype is not None and source.dtype == node.attributes["to"].as_int()
        case op if op in _VARIADIC:
            return len(node.inputs) == 1
    shape = static_shape(source)
    if shape is None or shape != static_shape(output):
        return False
    match node.op_type:
        case "Add":
            return _all(node.inputs[1], 0)
        case "Pad":
            return _all(node.inputs[1], 0)
        case "Slice":
            return len(node.inputs) < 5 or node.inputs[4] is None or _all_positive(node.inputs[4])
        case op:
            return op in _ORDERED


def _is_inference_dropout(node: ir.Node) -> bool:
    mask_is_used = len(node.outputs) > 1 and (bool(node.outputs[1].uses()) or node.outputs[1].is_graph_output())
    training = node.inputs[2] if len(node.inputs) > 2 else None
    return not mask_is_used and (training is None or _all(training, 0))


def _all(value: ir.Value | None, wanted: int) -> bool:
    array = constant(value)
    return array is not None and bool(np.all(array == wanted))


def _all_positive(value: ir.Value) -> bool:
    array = constant(value)
    return array is not None and bool(np.all(array > 0))
