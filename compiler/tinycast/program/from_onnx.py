"""ONNX to a Program of typed operators, still in ONNX's element order and with its Q/DQ pairs."""

from __future__ import annotations

import numpy as np
import onnx_ir

from tinycast.errors import ModelError
from tinycast.ir.graph import Builder, Program
from tinycast.ir.types import DType, Value
from tinycast.ops import IMPORTERS
from tinycast.ops.advice import advice, rewrite
from tinycast.ops.node import Node
from tinycast.ops.quantize import Dequantize

_DTYPES = {d.value for d in DType}


def import_program(model: onnx_ir.Model, name: str) -> Program:
    """Translate a simplified model with static shapes.

    Raises ModelError that lists every node that cannot be compiled, each with its reason.
    """
    graph = model.graph
    values: dict[onnx_ir.Value, Value] = {}
    for tensor in graph.initializers.values():
        assert tensor.const_value is not None
        data = tensor.const_value.numpy()
        values[tensor] = Value(tensor.name or "", data.shape, _dtype(data.dtype.name, tensor.name), data=data)
    refused: list[ModelError] = []
    broken: set[onnx_ir.Value] = set()
    inputs = []
    for v in graph.inputs:
        try:
            inputs.append(_input(v))
            values[v] = inputs[-1]
        except ModelError as error:
            refused.append(error)
            broken.add(v)
    program = Program(name, inputs, [])
    program.reserved.update(v.name for node in graph for v in node.outputs if v.name)
    weights: set[Value] = set()
    opset = model.opset_imports.get("", 21)
    # ONNX's shape inference counts pool windows that lie in the border only, ONNX Runtime does not.
    rounds_up = any(node.attributes.get_int("ceil_mode", 0) for node in graph)
    for node in graph:
        if any(v in broken for v in node.inputs if v is not None):
            broken.update(node.outputs)
            refused += _unsupported_in(node)
            continue
        try:
            _import_node(node, program, values, weights, opset, rounds_up)
        except ModelError as error:
            error.fix = error.fix or rewrite(node)
            refused.append(error)
            broken.update(node.outputs)
    if refused:
        raise _all(refused)
    program.outputs = [values[v] for v in graph.outputs]
    program.remove_dead()
    return program


def _kind(node: onnx_ir.Node) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def _unsupported_in(node: onnx_ir.Node) -> list[ModelError]:
    """What is wrong with a node, and with those in its bodies, whatever its operands are."""
    bodies = [a.as_graph() for a in node.attributes.values() if a.type is onnx_ir.AttributeType.GRAPH]
    nodes = [node, *(inner for body in bodies for inner in body.all_nodes())]
    return [_unsupported(inner) for inner in nodes if _kind(inner) not in IMPORTERS]


def _import_node(
    node: onnx_ir.Node,
    program: Program,
    values: dict[onnx_ir.Value, Value],
    weights: set[Value],
    opset: int,
    rounds_up: bool,
) -> None:
    importer = IMPORTERS.get(_kind(node))
    if importer is None:
        raise _unsupported(node)
    build = Builder(program, node.name or node.op_type, node.op_type)
    operands = tuple(None if v is None else values[v] for v in node.inputs)
    result = importer(Node(node, operands, build, opset, frozenset(weights)))
    results = result if isinstance(result, tuple) else (result,)
    made = {value for call in build.calls for value in call.outputs}
    for output, value in zip(node.outputs, results, strict=False):
        if value is None:
            continue
        if not rounds_up:
            _check_shape(output, value, build.source)
        if value in made:
            made.remove(value)
            value.name = output.name or value.name
        values[output] = value
    unmade = [v.name for v in node.outputs[len(results) :] if v.name]
    if unmade:
        raise ModelError(f"{_kind(node)}: the output {unmade[0]} is not supported", where=node.name or "")
    program.calls += build.calls
    last = build.calls[-1] if build.calls else None
    if last is not None and isinstance(last.op, Dequantize) and last.inputs[0].is_constant:
        weights.add(last.output)


def _check_shape(expected: onnx_ir.Value, result: Value, source: str) -> None:
    if expected.shape is None or not expected.shape.is_static():
        return
    shape = tuple(int(d) for d in expected.shape.numpy())
    if shape != result.shape:
        raise ModelError(f"shape inference says {shape}, the operator gives {result.shape}", where=source)


def _input(value: onnx_ir.Value) -> Value:
    assert value.shape is not None
    assert value.dtype is not None
    dtype = np.dtype(value.dtype.numpy()).name
    return Value(value.name or "", tuple(int(d) for d in value.shape.numpy()), _dtype(dtype, value.name))


def _dtype(name: str, where: str | None) -> DType:
    if name not in _DTYPES:
        raise ModelError(f"the element type {name} is not supported", where=where or "", fix="cast to float32 or int8")
    return DType(name)


def _unsupported(node: onnx_ir.Node) -> ModelError:
    return ModelError(f"{_kind(node)}: operator not supported", where=node.name or "", fix=advice(node))


def _all(errors: list[ModelError]) -> ModelError:
    if len(errors) == 1:
        return errors[0]
    lines = "".join(f"\n  {e.where}: {e.what}" + (f" ({e.fix})" if e.fix else "") for e in errors)
    error = ModelError(f"{len(errors)} nodes cannot be compiled:{lines}", where="the model", fix="see `tinycast ops`")
    error.causes = tuple(errors)
    return error
