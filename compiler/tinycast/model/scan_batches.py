"""Scan as it was in opset 8: with a batch axis in front, and a length for each sample."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper


def write_batches_as_scans(graph: onnx.GraphProto) -> int:
    """Make each Scan of opset 8 a Scan of opset 9 over the samples, around one over the steps; returns how many.

    With lengths, a step past a sample's end leaves the states as they are and gives zeros (as ONNX Runtime does). In
    place; the types of values must be known. Raises RuntimeError where lengths meet a reversed direction.
    """
    types = {v.name: v.type.tensor_type for v in (*graph.input, *graph.value_info)}
    types |= {t.name: _type(t.data_type, t.dims) for t in graph.initializer}
    changed = 0
    for index, node in enumerate(graph.node):
        if node.op_type != "Scan" or any(a.name.startswith("scan_") for a in node.attribute):
            continue
        graph.node[index].CopyFrom(_over_samples(node, types))
        changed += 1
    return changed


def _over_samples(node: NodeProto, types: dict[str, TensorProto]) -> NodeProto:
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    body, scans = attributes["body"], int(attributes["num_scan_inputs"])
    directions = [int(d) for d in attributes.get("directions", [])]
    lengths, operands = node.input[0], list(node.input[1:])
    prefix = node.output[0] or operands[0]
    one = [f"{prefix}/{name}" for name in operands]  # one sample of each
    inputs = [_value(o, types[name], 1) for o, name in zip(one, operands, strict=True)]
    results = [f"{prefix}/{i}" for i in range(len(node.output))]
    steps: list[NodeProto] = []
    states = one[: len(one) - scans]
    inner_outputs = list(results)
    if lengths:
        if any(directions):
            raise RuntimeError("Scan of opset 8: lengths of reversed sequences")
        operands.append(lengths)
        inputs.append(_value(f"{prefix}/length", types[lengths], 1))
        zero = helper.make_tensor("zero", TensorProto.INT64, [], [0])
        steps.append(helper.make_node("Constant", [], [f"{prefix}/zero"], value=zero))
        body = _with_lengths(body, f"{prefix}/length", len(states))
        states = [f"{prefix}/zero", *states]
        inner_outputs = [f"{prefix}/count", *results]
    inner = helper.make_node(
        "Scan", [*states, *one[len(one) - scans :]], inner_outputs, body=body, num_scan_inputs=scans
    )
    if directions:
        inner.attribute.append(helper.make_attribute("scan_input_directions", directions))
    outputs = [ValueInfoProto(name=name) for name in results]
    outer = helper.make_graph([*steps, inner], f"{prefix}/samples", inputs, outputs)
    return helper.make_node(
        "Scan", operands, list(node.output), name=node.name, body=outer, num_scan_inputs=len(operands)
    )


def _with_lengths(body: onnx.GraphProto, length: str, states: int) -> onnx.GraphProto:
    """The body with a count of steps as its first state, which does nothing from step `length` on."""
    new = onnx.GraphProto()
    new.CopyFrom(body)
    count = helper.make_tensor_value_info(f"{length}/step", TensorProto.INT64, [])
    made = [v.name for v in body.output]
    kept = [*(v.name for v in body.input[:states]), *(f"{name}/zero" for name in made[states:])]
    one = helper.make_tensor("one", TensorProto.INT64, [], [1])
    new.node.extend(
        [
            helper.make_node("Less", [count.name, length], [f"{length}/runs"]),
            helper.make_node("Constant", [], [f"{length}/one"], value=one),
            helper.make_node("Add", [count.name, f"{length}/one"], [f"{length}/next"]),
        ]
    )
    for value in body.output[states:]:
        zero = helper.make_tensor("zero", value.type.tensor_type.elem_type, [], [0])
        new.node.append(helper.make_node("Constant", [], [f"{value.name}/zero"], value=zero))
    for name, other in zip(made, kept, strict=True):
        new.node.append(helper.make_node("Where", [f"{length}/runs", name, other], [f"{name}/out"]))
    del new.input[:], new.output[:]
    new.input.extend([count, *body.input])
    outputs = [ValueInfoProto(name=f"{name}/out") for name in made]
    new.output.extend([helper.make_tensor_value_info(f"{length}/next", TensorProto.INT64, []), *outputs])
    return new


def _type(element: int, dims: Sequence[int]) -> TensorProto:
    return helper.make_tensor_type_proto(element, list(dims)).tensor_type


def _value(name: str, kind: TensorProto, skipped: int) -> ValueInfoProto:
    sizes = [d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim]
    return helper.make_tensor_value_info(name, kind.elem_type, sizes[skipped:])
