"""Operators that ONNX defines by others are written out where the compiler has no kernel of their own."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import onnx
import onnx.defs
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from tinycast.model.names import name_nodes
from tinycast.model.shapes import infer_shapes
from tinycast.model.simplify import simplify

_DEPTH = 4  # bodies within bodies; ONNX's own need two


def write_out_functions(model: ir.Model, supported: Container[str]) -> int:
    """Replace nodes that are not `supported` by their function bodies in ONNX's standard, where there are any.

    In place; afterwards the model is simplified. Returns the number of nodes replaced.
    """
    replaced = 0
    for _ in range(_DEPTH):
        found = [
            node
            for node in model.graph.all_nodes()
            if node.domain in ("", "ai.onnx") and node.op_type not in supported and not _has_graphs(node)
        ]
        bodies = [(node, body) for node in found if (body := _body(node, model)) is not None]
        if not bodies:
            break
        for number, (node, body) in enumerate(bodies):
            body.overload = node.overload = str(number)
            body.domain = node.domain = "tinycast.standard"
            function = ir.serde.deserialize_function(body)
            model.functions[function.identifier()] = function
            for index, value in enumerate(node.outputs):  # what the body computes needs a name, read or not
                value.name = value.name or f"{node.name}.unused_{index}"
        model.opset_imports["tinycast.standard"] = 1
        InlinePass()(model)
        name_nodes(model)
        infer_shapes(model)
        simplify(model)
        replaced += len(bodies)
    return replaced


def _body(node: ir.Node, model: ir.Model) -> onnx.FunctionProto | None:
    """The node's function body for the model's opset, its attributes' defaults filled in."""
    opset = model.opset_imports.get("", 1)
    try:
        schema: Any = onnx.defs.get_schema(node.op_type, opset)
    except onnx.defs.SchemaError:
        return None
    body = onnx.FunctionProto()
    proto = ir.serde.serialize_node(node)
    if schema.has_function:
        version = max((v for v in schema.function_opset_versions if v <= opset), default=None)
        if version is None:
            return None
        body.ParseFromString(schema.get_function_with_opset_version(version))
    elif schema.has_context_dependent_function:
        version = max((v for v in schema.context_dependent_function_opset_versions if v <= opset), default=None)
        types = [_type(value) for value in node.inputs]
        if version is None:
            return None
        body.ParseFromString(
            schema.get_context_dependent_function_with_opset_version(version, proto.SerializeToString(), types)
        )
    if not body.node:
        return None
    del body.output[len(node.outputs) :]
    made = {name for inner in body.node for name in inner.output} | set(body.input)
    for name in body.output:
        if name not in made:  # an optional output that this node does not have
            body.node.append(onnx.helper.make_node("Constant", [], [name], value_float=0.0))
    for name, attribute in schema.attributes.items():
        if name not in node.attributes and attribute.default_value.name:
            node.attributes[name] = ir.serde.deserialize_attribute(attribute.default_value)
    for entry in body.opset_import:
        if entry.domain == "":
            entry.version = opset
    return body


def _has_graphs(node: ir.Node) -> bool:
    return any(attribute.type == ir.AttributeType.GRAPH for attribute in node.attributes.values())


def _type(value: ir.Value | None) -> bytes:
    if value is None:
        return bytes(onnx.TypeProto().SerializeToString())
    return bytes(ir.serde.serialize_value(value).type.SerializeToString())
