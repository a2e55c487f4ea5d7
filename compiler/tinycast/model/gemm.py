"""Gemm with a bias that is computed: a product and a sum."""

from __future__ import annotations

import onnx_ir as ir

from tinycast.model.edit import free_name, replace


def split_computed_bias(model: ir.Model) -> int:
    """Make Gemm(a, W, c) with constant W and computed c an Add after Gemm(a, W); returns how many.

    tf2onnx makes such of the two products of a recurrent cell. The product is a layer then, which can be quantized.
    """
    changed = 0
    for node in list(model.graph.all_nodes()):
        if node.op_type != "Gemm" or node.domain != "" or len(node.inputs) < 3:
            continue
        weight, bias = node.inputs[1], node.inputs[2]
        if weight is None or bias is None or not weight.is_initializer() or bias.is_initializer():
            continue
        if node.attributes.get_float("beta", 1.0) != 1.0 or not isinstance(node.graph, ir.Graph):
            continue
        product = ir.Node("", "Gemm", node.inputs[:2], node.attributes.values(), name=node.name)
        total = ir.node("Add", [product.outputs[0], bias], name=f"{node.name}_sum")
        output = node.outputs[0]
        product.outputs[0].name = free_name(node.graph, f"{output.name}_product")
        for made in (product, total):
            made.outputs[0].shape, made.outputs[0].type = output.shape, output.type
        replace(node, [product, total], total.outputs[0])
        changed += 1
    return changed
