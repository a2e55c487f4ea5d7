"""Loops and branches as ONNX has them: shapes inside of them, and what of them can be decided now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx
import onnx_ir as ir

from tinycast.errors import ModelError
from tinycast.model.edit import Array, add_constant, constant
from tinycast.model.ports import static_shape
from tinycast.model.run import Session

_FIRST_STATE = {"Loop": 2, "Scan": 0}  # the operand that is the first carried value
LARGEST_TRIPS = 10_000  # of a loop over constants that is run now


def share_shapes_with_loops(model: ir.Model) -> int:
    """Give the carried values of each Loop, inside and after it, the shape of the first one; returns how many got it.

    ONNX lets carried values grow from one round to the next, so its shape inference stops there.
    """
    found = 0
    for node in _loops(model, "Loop"):
        body = node.attributes["body"].as_graph()
        for i in range(2, len(node.inputs)):
            before, made, after = body.inputs[i], body.outputs[i - 1], node.outputs[i - 2]
            found += _set_shape(before, node.inputs[i])
            if static_shape(made) is not None and static_shape(made) == static_shape(before):
                found += _set_shape(after, before)
        for made, after in zip(body.outputs[len(node.inputs) - 1 :], node.outputs[len(node.inputs) - 2 :], strict=True):
            row = static_shape(made)
            if row is not None and has_constant_rounds(node) and static_shape(after) is None:
                after.shape, after.type = ir.Shape((rounds(node), *row)), made.type
                found += 1
    return found


def _set_shape(value: ir.Value, source: ir.Value | None) -> bool:
    if source is None or static_shape(source) is None or static_shape(value) is not None or source.type is None:
        return False
    value.shape, value.type = source.shape, source.type
    return True


def _is_always_true(body: ir.Graph) -> bool:
    source = origin(body.outputs[0])
    known = constant(source)
    return source is body.inputs[1] or (known is not None and bool(known.all()))


def origin(value: ir.Value) -> ir.Value:
    """The value that this one is the same as."""
    producer = value.producer()
    while producer is not None and producer.op_type == "Identity" and producer.inputs[0] is not None:
        value = producer.inputs[0]
        producer = value.producer()
    return value


def rounds(node: ir.Node) -> int:
    """How often the graphs inside of the node run; 1 where that depends on data."""
    if node.op_type == "Loop":
        trips = constant(node.inputs[0])
        return 1 if trips is None else int(trips.reshape(-1)[0])
    if node.op_type == "Scan" and node.inputs[-1] is not None:
        axis = node.attributes.get_ints("scan_input_axes", [0])[-1]
        shape = static_shape(node.inputs[-1])
        return shape[axis] if shape else 1
    return 1


def capture_invariants(model: ir.Model) -> int:
    """Let what a loop carries unchanged be read from outside instead; returns how many values."""
    changed = 0
    for node in _loops(model, "Loop"):
        if node.inputs[1] is None:  # trailing operands that are left out get lost, and it may have to be the last one
            assert isinstance(node.graph, ir.Graph)
            node.replace_input_with(1, add_constant(node.graph, f"{node.name}.condition", np.asarray(True)))
    for node in list(_loops(model, "Loop", "Scan")):
        body, first = node.attributes["body"].as_graph(), _FIRST_STATE[node.op_type]
        scans = node.attributes.get_int("num_scan_inputs", 0)
        condition = int(node.op_type == "Loop")
        carried = range(len(node.inputs) - first - scans)
        fixed = [k for k in carried if origin(body.outputs[condition + k]) is body.inputs[first + k]]
        if not fixed or len(node.outputs) == len(fixed):
            continue
        for k in fixed:
            initial, graph = node.inputs[first + k], node.graph
            assert initial is not None
            assert graph is not None
            copy_outputs(body, body.inputs[first + k])
            ir.convenience.replace_all_uses_with(body.inputs[first + k], initial)
            after = ir.node("Identity", [initial], name=f"{node.name}.{k}")
            after.outputs[0].shape, after.outputs[0].type = initial.shape, initial.type
            graph.insert_after(node, after)
            ir.convenience.replace_all_uses_with(node.outputs[k], after.outputs[0], replace_graph_outputs=True)
            after.outputs[0].name = node.outputs[k].name
        replace_carried(node, fixed)
        changed += len(fixed)
    return changed


def copy_outputs(body: ir.Graph, value: ir.Value) -> None:
    """Let outputs of the body that are the value itself, as tf2onnx writes them, be copies of it."""
    for i, output in enumerate(body.outputs):
        if output is value:
            copy = ir.node("Identity", [value])
            copy.outputs[0].name = f"{value.name}.{i}"
            copy.outputs[0].shape, copy.outputs[0].type = value.shape, value.type
            body.append(copy)
            body.outputs[i] = copy.outputs[0]


def replace_carried(node: ir.Node, dropped: Sequence[int], added: int = 0) -> ir.Node:
    """The Loop or Scan without some of its carried values, in its place; the last `added` outputs of its body are new.

    Nothing may read the outputs that are dropped, nor the body their inputs.
    """
    body, first = node.attributes["body"].as_graph(), _FIRST_STATE[node.op_type]
    for k in sorted(dropped, reverse=True):
        del body.outputs[int(node.op_type == "Loop") + k], body.inputs[first + k]
    inputs = [v for i, v in enumerate(node.inputs) if i - first not in dropped]
    outputs = [v for k, v in enumerate(node.outputs) if k not in dropped]
    attributes, graph = list(node.attributes.values()), node.graph
    node.attributes.clear()
    new = ir.Node("", node.op_type, inputs, attributes, num_outputs=len(outputs) + added, name=node.name)
    assert graph is not None
    for value in new.outputs[len(outputs) :]:
        value.name = f"{node.name}.{len(outputs)}"
    kept = new.outputs[: len(outputs)]
    ir.convenience.replace_nodes_and_values(graph, node, [node], [new], outputs, kept)
    return new


def has_constant_rounds(node: ir.Node) -> bool:
    """Whether a Loop runs a number of rounds that is known."""
    ends = constant(node.inputs[1]) if len(node.inputs) > 1 and node.inputs[1] is not None else np.asarray(True)
    goes_on = ends is not None and bool(ends.all()) and _is_always_true(node.attributes["body"].as_graph())
    return goes_on and constant(node.inputs[0]) is not None


def fold_several_outputs(model: ir.Model) -> int:
    """Run what has several outputs, or graphs inside, and reads nothing but constants; returns how many nodes.

    (The optimizer folds nodes of one output.)
    """
    folded = 0
    for node in list(model.graph.all_nodes()):
        inner = _graphs(node)
        if node.graph is None or node.domain not in ("", "ai.onnx") or not (inner or len(node.outputs) > 1):
            continue
        if node.op_type not in ("If", "Loop", "Scan", "Split", "TopK", "Unique"):
            continue
        reads = {v for v in node.inputs if v is not None} | set(_captured(node))
        known = {v: array for v in reads if (array := constant(v)) is not None}
        if len(known) < len(reads) or not _ends_soon(node):
            continue
        if any(v.is_graph_output() for v in node.outputs) or not isinstance(node.graph, ir.Graph):
            continue
        results = _run(node, model, known)
        if results is None:
            continue
        graph = node.graph
        for value in (v for v in node.outputs if v.name):
            new = add_constant(graph, f"{value.name}.folded", results[str(value.name)], value.dtype)
            ir.convenience.replace_all_uses_with(value, new)
        graph.remove(node, safe=True)
        folded += 1
    return folded


def _run(node: ir.Node, model: ir.Model, known: Mapping[ir.Value, Array]) -> dict[str, Array] | None:
    """The node's outputs; None where ONNX Runtime cannot run it, or they are no tensors."""
    graph = onnx.helper.make_graph(
        [ir.serde.serialize_node(node)],
        "fold",
        [],
        [onnx.ValueInfoProto(name=v.name) for v in node.outputs if v.name],
        [onnx.numpy_helper.from_array(array, str(v.name)) for v, array in known.items()],
    )
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in model.opset_imports.items()]
    proto = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
    try:
        results = Session(ir.serde.deserialize_model(proto)).run({})
    except ModelError:
        return None
    return results if all(isinstance(array, np.ndarray) for array in results.values()) else None


def _ends_soon(node: ir.Node) -> bool:
    if node.op_type != "Loop":
        return True
    trips = constant(node.inputs[0])
    return trips is not None and int(trips.reshape(-1)[0]) <= LARGEST_TRIPS


def _loops(model: ir.Model, *kinds: str) -> Iterator[ir.Node]:
    return (node for node in model.graph.all_nodes() if node.op_type in kinds and node.domain in ("", "ai.onnx"))


def _graphs(node: ir.Node) -> list[ir.Graph]:
    return [a.as_graph() for a in node.attributes.values() if a.type == ir.AttributeType.GRAPH]


def _captured(node: ir.Node) -> Iterator[ir.Value]:
    """The values from around the node that the graphs inside of it read."""
    for graph in _graphs(node):
        inside = {graph, *graph.subgraphs()}
        reads = [v for inner in graph.all_nodes() for v in inner.inputs if v is not None]
        for value in [*reads, *graph.outputs]:
            if value.graph not in inside:
                yield value
