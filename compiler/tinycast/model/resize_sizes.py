"""Resize by a scale that is rounded: the size of its output as ONNX Runtime computes it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinycast.model.edit import add_constant, constant
from tinycast.model.ports import static_shape
from tinycast.model.shapes import infer_shapes

_SCALES, _SIZES = 2, 3  # operands


def settle_resize_sizes(model: ir.Model) -> int:
    """Give each Resize its sizes where its scales make other ones in float32 than in ONNX's shape inference.

    18/11 as a float is a bit less, and so are 11 times that: exactly, ONNX makes 17 of 11, and ONNX Runtime 18, as
    TensorFlow had it. Returns how many were changed; shapes after them are inferred anew.
    """
    changed = 0
    for node in list(model.graph.all_nodes()):
        if node.op_type != "Resize" or len(node.inputs) <= _SCALES:
            continue
        scales, source, made = constant(node.inputs[_SCALES]), node.inputs[0], static_shape(node.outputs[0])
        shape = None if source is None else static_shape(source)
        if scales is None or shape is None or made is None or scales.size != len(shape):
            continue
        assert isinstance(node.graph, ir.Graph)
        sizes = np.floor(np.asarray(shape, np.float32) * scales.astype(np.float32)).astype(np.int64)
        if made == tuple(int(n) for n in sizes):
            continue
        node.resize_inputs(_SIZES + 1)
        node.replace_input_with(_SCALES, None)
        node.replace_input_with(_SIZES, add_constant(node.graph, f"{node.name}_sizes", sizes))
        for value in (v for other in model.graph.all_nodes() for v in other.outputs):
            value.shape = None
        infer_shapes(model)
        changed += 1
    return changed
