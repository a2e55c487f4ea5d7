"""What a model consists of: operators, multiply-accumulates, parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from tinycast.model.control_flow import rounds
from tinycast.model.ports import static_shape

_WINDOWED = frozenset({"Conv", "ConvInteger"})
_PRODUCTS = frozenset({"Gemm", "MatMul", "MatMulInteger"})
_NO_PARAMETERS = frozenset({ir.DataType.INT64, ir.DataType.BOOL})  # shapes, axes, indices


@dataclass
class OperatorRow:
    """All nodes of one operator. `parameters` are elements of constants (not of shapes or indices), `bytes` theirs."""

    op: str
    count: int = 0
    macs: int = 0
    parameters: int = 0
    bytes: int = 0


def operator_rows(model: ir.Model) -> list[OperatorRow]:
    """One row an operator, most MACs first, then by name. A constant counts once, for the first node that reads it."""
    rows: dict[str, OperatorRow] = {}
    counted: set[ir.Value] = set()
    for node, runs in _nodes(model.graph):
        row = rows.setdefault(operator_name(node), OperatorRow(operator_name(node)))
        row.count += 1
        row.macs += runs * node_macs(node)
        for value in _parameters(node):
            if value not in counted and value.const_value is not None:
                counted.add(value)
                row.parameters += value.const_value.size
                row.bytes += value.const_value.nbytes
    return sorted(rows.values(), key=lambda row: (-row.macs, row.op))


def _nodes(graph: ir.Graph, runs: int = 1) -> Iterator[tuple[ir.Node, int]]:
    """All nodes, those inside of others too, and how often each runs: once where that depends on data."""
    for node in graph:
        yield node, runs
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                yield from _nodes(attribute.as_graph(), runs * rounds(node))


def operator_name(node: ir.Node) -> str:
    """The operator, with its domain unless that is ONNX's own."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def node_macs(node: ir.Node) -> int:
    """Multiply-accumulates of a node: of convolutions and matrix products; 0 for others and open shapes."""
    if len(node.inputs) < 2 or node.inputs[0] is None or node.inputs[1] is None:
        return 0
    left, right = static_shape(node.inputs[0]), static_shape(node.inputs[1])
    output = static_shape(node.outputs[0])
    if left is None or right is None or output is None:
        return 0
    if node.op_type in _WINDOWED:
        return math.prod(output) * math.prod(right[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(left) * math.prod(right[1:])
    if node.op_type in _PRODUCTS and left:
        transposed = node.op_type == "Gemm" and "transA" in node.attributes and node.attributes["transA"].as_int()
        return math.prod(output) * (left[0] if transposed else left[-1])
    return 0


def _parameters(node: ir.Node) -> list[ir.Value]:
    """The node's constants, those behind a DequantizeLinear included; a DequantizeLinear's own are its reader's."""
    if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        return []
    found = []
    for value in node.inputs:
        source = None if value is None else value.producer()
        if source is not None and source.op_type == "DequantizeLinear":
            value = source.inputs[0]
        if value is not None and value.const_value is not None and value.dtype not in _NO_PARAMETERS:
            found.append(value)
    return found
