"""Bringing a model to one opset."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.version_converter

from tinycast.errors import ModelError
from tinycast.model.scan_batches import write_batches_as_scans
from tinycast.model.shapes import INFERENCE_FAILURES, inference_error

OPSET = 21  # the one all models are brought to: the first with INT4 in QuantizeLinear and DequantizeLinear
OLDEST_READABLE = 13  # importers read any opset from here on


def convert_opset(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Convert the model to opset 21. Later models stay, and so do those from 13 on that cannot be converted.

    Input shapes must be static: old broadcasting is converted by shape. Raises ModelError naming the nodes
    that cannot be converted.
    """
    opset = _opset(proto)
    if opset >= OPSET:
        return proto
    try:
        inferred = onnx.shape_inference.infer_shapes(proto, check_type=True, data_prop=True)
    except INFERENCE_FAILURES as error:
        raise inference_error(error) from None
    try:
        return _convert(inferred, opset)
    # The converter's own class covers few of its failures; the rest are plain RuntimeErrors.
    except (RuntimeError, onnx.version_converter.ConvertError) as error:
        if opset >= OLDEST_READABLE:
            return proto
        raise ModelError(
            f"the model cannot be converted from opset {opset} to {OPSET}",
            where="; ".join(_failing_nodes(inferred)) or str(error).strip().splitlines()[-1],
            fix=f"export the model with opset {OLDEST_READABLE} or later",
        ) from None


def _convert(proto: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """ONNX's converter, with what it leaves out."""
    if opset < 9 and any(node.op_type == "Scan" for node in proto.graph.node):
        # The converter would take the batch axis from the model's inputs, too.
        write_batches_as_scans(proto.graph)
        _scales_as_inputs(proto.graph)
        for entry in proto.opset_import:  # of the other operators, none means something else in opset 9
            entry.version = 9 if entry.domain in ("", "ai.onnx") else entry.version
    if opset < 7:
        _broadcast_slopes(proto)
    if opset < 13:
        _flatten_hardmax(proto.graph)
    old_resizes = {node.output[0] for node in proto.graph.node if opset < 11 and node.op_type in ("Resize", "Upsample")}
    converted = onnx.version_converter.convert_version(proto, OPSET)
    for node in converted.graph.node:
        if node.op_type == "Resize" and node.output[0] in old_resizes:
            _keep_coordinates(node)
    return converted


def _flatten_hardmax(graph: onnx.GraphProto) -> None:
    """Hardmax was over all axes from `axis` on before opset 13, as Softmax was, which the converter knows."""
    for index, node in reversed(list(enumerate(graph.node))):
        if node.op_type != "Hardmax":
            continue
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        rows, hard, shape = (f"{node.output[0]}_{what}" for what in ("rows", "hard", "shape"))
        nodes = [
            onnx.helper.make_node("Flatten", [node.input[0]], [rows], axis=axis),
            onnx.helper.make_node("Hardmax", [rows], [hard], name=node.name, axis=1),
            onnx.helper.make_node("Shape", [node.input[0]], [shape]),
            onnx.helper.make_node("Reshape", [hard, shape], [node.output[0]]),
        ]
        del graph.node[index]
        for position, new in enumerate(nodes):
            graph.node.insert(index + position, new)


def _keep_coordinates(node: onnx.NodeProto) -> None:
    """Before opset 11 an element at i came from i / scale, the next one before it where the mode is nearest."""
    stated = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    node.attribute.extend(onnx.helper.make_attribute(*item) for item in stated.items())


def _scales_as_inputs(graph: onnx.GraphProto) -> None:
    """Upsample's scales are an input since opset 9."""
    for node in graph.node:
        if node.op_type == "Upsample" and len(node.input) == 1:
            (scales,) = (a for a in node.attribute if a.name == "scales")
            tensor = onnx.numpy_helper.from_array(np.asarray(scales.floats, np.float32), f"{node.output[0]}_scales")
            graph.initializer.append(tensor)
            node.input.append(tensor.name)
            node.attribute.remove(scales)


def _broadcast_slopes(proto: onnx.ModelProto) -> None:
    """PRelu's slope counted along axis 1 before opset 7; since then it broadcasts from the last axis on."""
    known = [*proto.graph.input, *proto.graph.output, *proto.graph.value_info]
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in known}
    ranks.update({tensor.name: len(tensor.dims) for tensor in proto.graph.initializer})
    for index, node in reversed(list(enumerate(proto.graph.node))):
        if node.op_type == "PRelu" and ranks.get(node.input[1]) == 1 and ranks.get(node.input[0], 0) > 2:
            axes = list(range(1, ranks[node.input[0]] - 1))
            wide = f"{node.output[0]}_slope"
            unsqueeze = onnx.helper.make_node("Unsqueeze", [node.input[1]], [wide], axes=axes)
            node.input[1] = wide
            proto.graph.node.insert(index, unsqueeze)


def _opset(proto: onnx.ModelProto) -> int:
    return next((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), OPSET)


def _failing_nodes(proto: onnx.ModelProto) -> list[str]:
    """Convert each node as a model of its own, and tell those that fail."""
    graph = proto.graph
    known = {value.name: value for value in [*graph.input, *graph.output, *graph.value_info]}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    failing = []
    for node in graph.node:
        names = list(dict.fromkeys(name for name in node.input if name))
        single = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
        single.graph.name = graph.name
        single.graph.node.append(node)
        single.graph.initializer.extend(constants[name] for name in names if name in constants)
        single.graph.input.extend(
            known.get(name, onnx.ValueInfoProto(name=name)) for name in names if name not in constants
        )
        single.graph.output.extend(known.get(name, onnx.ValueInfoProto(name=name)) for name in node.output if name)
        try:
            _convert(single, _opset(single))
        except (RuntimeError, onnx.version_converter.ConvertError) as error:
            failing.append(f"{node.op_type} {node.name or node.output[0]!r}: {str(error).strip().splitlines()[-1]}")
    return failing
