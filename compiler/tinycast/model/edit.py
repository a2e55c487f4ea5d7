"""Small edits of a graph that several passes share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

Array = npt.NDArray[Any]


def constant(value: ir.Value | None) -> Array | None:
    """The value's content where it is an initializer or the output of a Constant node."""
    if value is None or value.is_graph_input():
        return None
    tensor = ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()


def add_constant(graph: ir.Graph, name: str, array: Array, dtype: ir.DataType | None = None) -> ir.Value:
    """A new initializer called `name`, or `name` with a number where that is taken."""
    tensor = ir.Tensor(np.asarray(array), dtype=dtype)
    value = ir.Value(
        name=free_name(graph, name), type=ir.TensorType(tensor.dtype), shape=tensor.shape, const_value=tensor
    )
    graph.register_initializer(value)
    return value


def free_name(graph: ir.Graph, name: str) -> str:
    """`name`, or `name` with a number where a value has it already."""
    values = ir.convenience.create_value_mapping(graph)
    candidate, number = name, 0
    while candidate in values:
        number += 1
        candidate = f"{name}_{number}"
    return candidate


def is_used(value: ir.Value) -> bool:
    return bool(value.uses()) or value.is_graph_output()


def replace(node: ir.Node, nodes: Iterable[ir.Node], output: ir.Value) -> None:
    """Put `nodes` in place of `node`, whose first output (its name included) `output` takes over."""
    assert node.graph is not None
    ir.convenience.replace_nodes_and_values(node.graph, node, [node], list(nodes), node.outputs[:1], [output])


def bypass(node: ir.Node) -> bool:
    """Remove a node whose first output equals its first input; False where only an Identity can stand for it.

    The names of the graph's inputs and outputs stay.
    """
    source, output, graph = node.inputs[0], node.outputs[0], node.graph
    assert source is not None
    assert graph is not None
    if output.is_graph_output():
        producer = source.producer()
        if producer is None or producer.graph is not graph or source.is_graph_output():
            if node.op_type != "Identity":
                identity = ir.node("Identity", [source], name=node.name)
                identity.outputs[0].shape, identity.outputs[0].type = output.shape, output.type
                replace(node, [identity], identity.outputs[0])
            return False
        name, output.name = output.name, None
        source.name = name
    ir.convenience.replace_all_uses_with(output, source, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    return True
