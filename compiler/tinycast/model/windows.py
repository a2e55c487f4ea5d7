"""Slices that begin anywhere, and whose length is known."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinycast.model.edit import add_constant, constant, replace

_SAME_ELEMENT = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze"})


def gather_windows(model: ir.Model) -> int:
    """A Slice from a computed start to a constant distance behind it becomes a Gather; returns how many.

    So does x[i : i + 2] in a loop over i: its shape is known although its place is not.
    """
    return sum(_gather(node) for node in list(model.graph.all_nodes()) if node.op_type == "Slice" and not node.domain)


def _gather(node: ir.Node) -> bool:
    data, start, end = node.inputs[:3]
    if data is None or start is None or end is None or constant(start) is not None or data.shape is None:
        return False
    (root, first), (other, last) = _offset(start), _offset(end)
    axes = constant(node.inputs[3]) if len(node.inputs) > 3 else np.zeros(1, np.int64)
    steps = constant(node.inputs[4]) if len(node.inputs) > 4 else np.ones(1, np.int64)
    if root is not other or last <= first or axes is None or steps is None or axes.size != 1 or np.any(steps != 1):
        return False
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    offsets = add_constant(graph, f"{node.name}.offsets", np.arange(last - first, dtype=np.int64))
    wide = ir.node("Cast", [start], {"to": ir.DataType.INT64}, name=f"{node.name}.start")
    indices = ir.node("Add", [wide.outputs[0], offsets], name=f"{node.name}.indices")
    axis = int(axes.reshape(-1)[0])
    gather = ir.node("Gather", [data, indices.outputs[0]], {"axis": axis}, name=node.name)
    sizes = list(data.shape)
    sizes[axis] = int(last - first)
    gather.outputs[0].shape, gather.outputs[0].type = ir.Shape(sizes), node.outputs[0].type
    replace(node, [wide, indices, gather], gather.outputs[0])
    return True


def _offset(value: ir.Value) -> tuple[ir.Value, int]:
    """The value as another one of one element plus a constant."""
    offset = 0
    while (producer := value.producer()) is not None:
        source = producer.inputs[0] if producer.inputs else None
        if producer.op_type in ("Add", "Sub"):
            added = constant(producer.inputs[1])
            if added is None and producer.op_type == "Add":
                source, added = producer.inputs[1], constant(producer.inputs[0])
            if added is None or added.size != 1:
                break
            offset += int(added.reshape(-1)[0]) * (1 if producer.op_type == "Add" else -1)
        elif producer.op_type not in _SAME_ELEMENT:
            break
        if source is None:
            break
        value = source
    return value, offset
