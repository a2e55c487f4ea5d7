"""Bodies of Loop and Scan and branches of If: what their values are on the samples, over all rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinycast.model import Session
from tinycast.model.run import take_sample

AnyArray = NDArray[Any]

_CONTROL = frozenset({"If", "Loop", "Scan"})
# Attributes of Scan that have an element for each output of its rounds.
_PER_OUTPUT = ("scan_output_axes", "scan_output_directions")


def bodies_of(model: ir.Model) -> list[ir.Graph]:
    """The bodies and branches of the main graph's control flow, in order; not those inside of others."""
    return [graph for node in model.graph for graph in _graphs(node)]


def observe(
    model: ir.Model, samples: Mapping[str, AnyArray], wanted: Sequence[Sequence[str]]
) -> list[dict[str, NDArray[np.float32]]]:
    """All elements that the values `wanted` of each body take on the samples, by name; none where it never ran.

    They become outputs of a copy of the model, of every round: an Identity each, which a Loop and a Scan collect.
    """
    tapped = model.clone()
    remaining = iter(wanted)
    taps: list[dict[str, str]] = []
    for node in list(tapped.graph):
        graphs = _graphs(node)
        for graph in graphs:
            known = _values_read_or_made(graph)
            taps.append({name: _tap(node, graphs, graph, known[name]) for name in next(remaining)})
    names = [name for each in taps for name in each.values()]
    if not names:
        return [{} for _ in wanted]
    session = Session(tapped, names)
    inputs = {value.name or "": value for value in model.graph.inputs}
    count = len(next(iter(samples.values())))
    runs = []
    for index in range(count):
        ranks = {n: len(v.shape) if v.shape is not None else samples[n].ndim for n, v in inputs.items()}
        runs.append(session.run({n: take_sample(samples[n], index, rank) for n, rank in ranks.items()}))
    return [{n: np.concatenate([run[tap].reshape(-1) for run in runs]) for n, tap in each.items()} for each in taps]


def _graphs(node: ir.Node) -> list[ir.Graph]:
    if node.op_type not in _CONTROL:
        return []
    return [a.as_graph() for a in node.attributes.values() if a.type == ir.AttributeType.GRAPH]


def _values_read_or_made(graph: ir.Graph) -> dict[str, ir.Value]:
    values = [*graph.inputs, *(v for node in graph for v in (*node.inputs, *node.outputs) if v is not None)]
    return {value.name or "": value for value in values}


def _tap(node: ir.Node, graphs: Sequence[ir.Graph], graph: ir.Graph, value: ir.Value) -> str:
    """Make the value an output of the control flow, and return its name there."""
    name = f"{node.name}.{len(node.outputs)}.{value.name}"
    for other in graphs:  # the other branch of an If gives nothing
        nothing = ir.node("Constant", [], {"value": ir.tensor(np.zeros(0, np.float32))})
        source = ir.node("Identity", [value]) if other is graph else nothing
        source.outputs[0].name, source.outputs[0].type = f"{name}.inside", ir.TensorType(ir.DataType.FLOAT)
        other.append(source)
        other.outputs.append(source.outputs[0])
    node.resize_outputs(len(node.outputs) + 1)
    node.outputs[-1].name, node.outputs[-1].type = name, ir.TensorType(ir.DataType.FLOAT)
    for kind in _PER_OUTPUT:
        if kind in node.attributes:
            node.attributes[kind] = ir.AttrInt64s(kind, [*node.attributes[kind].as_ints(), 0])
    return name
