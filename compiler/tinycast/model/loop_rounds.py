"""Loops that count: how often they run is found by running what decides it, and nothing else.

TensorFlow's while loops, and so Keras's recurrent layers, carry a counter and compare it with a limit.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
import onnx_ir as ir

from tinycast.errors import ModelError
from tinycast.model.control_flow import LARGEST_TRIPS, copy_outputs, has_constant_rounds, rounds
from tinycast.model.edit import Array, add_constant, constant, free_name
from tinycast.model.run import Session

_CONDITION, _FIRST_CARRIED = 1, 2  # operands of Loop


def count_rounds(model: ir.Model) -> int:
    """Give each Loop whose condition depends on nothing but constants the number of its rounds; returns how many."""
    loops = [n for n in model.graph.all_nodes() if n.op_type == "Loop" and n.domain in ("", "ai.onnx")]
    return sum(_count(node, model) for node in loops if not has_constant_rounds(node))


def _count(node: ir.Node, model: ir.Model) -> bool:
    body, graph = node.attributes["body"].as_graph(), node.graph
    found = _deciding(body)
    if found is None or not isinstance(graph, ir.Graph):
        return False
    nodes, carried, captured = found
    operands = [node.inputs[0], *node.inputs[_CONDITION:_FIRST_CARRIED], *(node.inputs[i] for i in carried)]
    known = {v: constant(v) for v in (*operands, *captured) if v is not None}
    if any(array is None for array in known.values()):
        return False
    count = _run(node, nodes, carried, {v: a for v, a in known.items() if a is not None}, model)
    if count is None or count > LARGEST_TRIPS:
        return False
    node.replace_input_with(0, add_constant(graph, f"{node.name}.rounds", np.asarray(count, np.int64)))
    node.replace_input_with(_CONDITION, add_constant(graph, f"{node.name}.condition", np.asarray(True)))
    body.outputs[0] = _always(body)
    return True


def inline_single_rounds(model: ir.Model) -> int:
    """Put the body of a Loop of one round in its place; returns how many.

    PyTorch writes EmbeddingBag as a loop over the batch.
    """
    loops = [n for n in model.graph.all_nodes() if n.op_type == "Loop" and n.domain in ("", "ai.onnx")]
    single = [n for n in loops if has_constant_rounds(n) and rounds(n) == 1 and isinstance(n.graph, ir.Graph)]
    for node in single:
        _inline(node)
    return len(single)


def _inline(node: ir.Node) -> None:
    body, graph = node.attributes["body"].as_graph(), node.graph
    assert isinstance(graph, ir.Graph)
    first = add_constant(graph, f"{node.name}.round", np.zeros((), np.int64))
    goes_on = add_constant(graph, f"{node.name}.condition", np.asarray(True))
    for inside, outside in zip(body.inputs, [first, goes_on, *node.inputs[_FIRST_CARRIED:]], strict=True):
        assert outside is not None
        copy_outputs(body, inside)
        ir.convenience.replace_all_uses_with(inside, outside)
    for value in list(body.initializers.values()):
        assert value.const_value is not None
        copy_outputs(body, value)
        moved = add_constant(graph, str(value.name), value.const_value.numpy(), value.dtype)
        ir.convenience.replace_all_uses_with(value, moved)
    results = list(body.outputs)[1:]
    body.outputs.clear()
    for inner in list(body):
        body.remove(inner)
        graph.insert_before(node, inner)
        for value in inner.outputs:
            name, value.name = value.name, None
            value.name = free_name(graph, str(name)) if name else name
    axis = add_constant(graph, f"{node.name}.axis", np.zeros(1, np.int64))
    for k, (after, value) in enumerate(zip(node.outputs, results, strict=True)):
        collects = k >= len(node.inputs) - _FIRST_CARRIED
        last = ir.node("Unsqueeze" if collects else "Identity", [value, axis] if collects else [value])
        last.name, last.outputs[0].type, last.outputs[0].shape = f"{node.name}.{k}", after.type, after.shape
        graph.insert_before(node, last)
        name, after.name = after.name, None
        ir.convenience.replace_all_uses_with(after, last.outputs[0], replace_graph_outputs=True)
        last.outputs[0].name = name
    graph.remove(node, safe=True)


def _deciding(body: ir.Graph) -> tuple[list[ir.Node], list[int], list[ir.Value]] | None:
    """What the condition of the next round comes from: nodes in order, carried inputs, and values from outside."""
    needed: set[ir.Node] = set()
    carried: list[int] = []
    captured: dict[ir.Value, None] = {}
    todo = [body.outputs[0]]
    while todo:
        value = todo.pop()
        producer = value.producer()
        if value in body.inputs:
            index = body.inputs.index(value)
            if index >= _FIRST_CARRIED and index not in carried:
                carried.append(index)
                todo.append(body.outputs[index - 1])
        elif producer is not None and producer.graph is body:
            if any(a.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for a in producer.attributes.values()):
                return None
            if producer not in needed:
                needed.add(producer)
                todo += [v for v in producer.inputs if v is not None]
        else:
            captured[value] = None
    return [n for n in body if n in needed], sorted(carried), list(captured)


def _run(
    node: ir.Node, nodes: Iterable[ir.Node], carried: list[int], known: dict[ir.Value, Array], model: ir.Model
) -> int | None:
    """The rounds of the loop with those nodes in its body; one more than the most where it does not end before."""
    body = node.attributes["body"].as_graph()
    trips = known.get(node.inputs[0]) if node.inputs[0] is not None else None
    most = min(LARGEST_TRIPS + 1, LARGEST_TRIPS + 1 if trips is None else int(trips.reshape(-1)[0]))
    inputs = [body.inputs[i] for i in (0, 1, *carried)]
    outputs = [body.outputs[0], *(body.outputs[i - 1] for i in carried)]
    serialized = [ir.serde.serialize_value(v) for v in inputs]
    results = [_named(f"{i}.next") for i in range(len(outputs))]
    copies = [
        onnx.helper.make_node("Identity", [str(v.name)], [r.name])
        for v, r in zip((*outputs, body.inputs[0]), (*results, _named("round")), strict=True)
    ]
    inner = onnx.helper.make_graph(
        [*map(ir.serde.serialize_node, nodes), *copies], "body", serialized, [*results, _named("round")]
    )
    operands = ["most", "", *(str(v.name) for i in carried if (v := node.inputs[i]) is not None)]
    if len(node.inputs) > 1 and node.inputs[_CONDITION] is not None:
        operands[1] = str(node.inputs[_CONDITION].name)  # type: ignore[union-attr]
    ends = [f"{i}.last" for i in range(len(carried))]
    loop = onnx.helper.make_node("Loop", operands, [*ends, "rounds"], body=inner)
    tensors = [onnx.numpy_helper.from_array(array, str(v.name)) for v, array in known.items()]
    tensors = [t for t in tensors if t.name != "most"] + [onnx.numpy_helper.from_array(np.asarray(most), "most")]
    graph = onnx.helper.make_graph([loop], "count", [], [_named("rounds")], tensors)
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in model.opset_imports.items()]
    proto = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
    try:
        return int(Session(ir.serde.deserialize_model(proto)).run({})["rounds"].shape[0])
    except ModelError:
        return None


def _named(name: str) -> onnx.ValueInfoProto:
    return onnx.ValueInfoProto(name=name)


def _always(body: ir.Graph) -> ir.Value:
    """The condition that the body is given, as an output of its own."""
    given = ir.node("Identity", [body.inputs[_CONDITION]])
    given.outputs[0].name = f"{body.inputs[_CONDITION].name}.kept"
    given.outputs[0].type, given.outputs[0].shape = ir.TensorType(ir.DataType.BOOL), ir.Shape(())
    body.append(given)
    return given.outputs[0]
