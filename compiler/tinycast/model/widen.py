"""Models of half, bfloat16 or double as ones of float32: what calibrates and refits computes in that."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from tinycast.model.shapes import infer_shapes

_OTHERS = frozenset({ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE})
_NAMES_A_TYPE = frozenset({"to", "dtype", "output_dtype"})  # attributes that hold an element type


def widen_floats(model: ir.Model) -> int:
    """Let the model compute in float32, in place, its inputs and outputs too; returns how many values changed."""
    changed = 0
    for value in _values(model):
        if value.dtype not in _OTHERS:
            continue
        value.type = ir.TensorType(ir.DataType.FLOAT)
        if value.const_value is not None:
            value.const_value = _widened(value.const_value)
        changed += 1
    for node in model.graph.all_nodes():
        for attribute in list(node.attributes.values()):
            if attribute.type == ir.AttributeType.TENSOR and attribute.as_tensor().dtype in _OTHERS:
                node.attributes[attribute.name] = ir.AttrTensor(attribute.name, _widened(attribute.as_tensor()))
            elif attribute.name in _NAMES_A_TYPE and attribute.as_int() in _OTHERS:
                node.attributes[attribute.name] = ir.AttrInt64(attribute.name, ir.DataType.FLOAT)
    if changed:
        infer_shapes(model)
    return changed


def _values(model: ir.Model) -> Iterator[ir.Value]:
    for graph in model.graphs():
        yield from dict.fromkeys([*graph.inputs, *graph.initializers.values()])
        for node in graph:
            yield from node.outputs


def _widened(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    with np.errstate(over="ignore"):
        return ir.Tensor(tensor.numpy().astype(np.float32), name=tensor.name)
