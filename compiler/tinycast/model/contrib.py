"""Operators that ONNX Runtime's optimizer and quantizer write (com.microsoft) become ONNX's own.

Source: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx
import onnx_ir as ir

from tinycast.model.contrib_attention import attention, embed_layer_norm, multi_head_attention
from tinycast.model.contrib_quantized import (
    dynamic_quantize_mat_mul,
    gather_blocks,
    linear,
    mat_mul_integer_to_float,
    mat_mul_n_bits,
    nhwc_max_pool,
)
from tinycast.model.edit import is_used
from tinycast.model.node_writer import NodeWriter, Results
from tinycast.model.qoperator import MICROSOFT
from tinycast.model.shapes import infer_shapes

_NORM_OPSET = 17  # the first that has LayerNormalization


def _gelu(w: NodeWriter) -> Results:
    x = w.first()
    return w.gelu(w.plus(x, w.input(1)), "tanh" if w.node.op_type == "FastGelu" else "none")


def _quick_gelu(w: NodeWriter) -> Results:
    x = w.first()
    gate = w.call("Sigmoid", [w.times(x, w.node.attributes.get_float("alpha", 1.702))])
    return w.call("Mul", [x, gate])


def _skip_layer_norm(w: NodeWriter) -> Results:
    """(input + skip + bias) normalized; also an output by itself."""
    epsilon = w.node.attributes.get_float("epsilon", 1e-5 if w.node.op_type == "SkipLayerNormalization" else 1e-6)
    if w.node.op_type == "SkipLayerNormalization":
        total = w.plus(w.first(), w.input(1), w.input(4))
        y = w.layer_norm(total, w.input(2), w.input(3), epsilon)
    else:
        total = w.plus(w.first(), w.input(1), w.input(3))
        y = w.rms_norm(total, w.input(2), epsilon)
    return [y, None, None, total]


def _simplified_layer_norm(w: NodeWriter) -> Results:
    axis, shape = w.node.attributes.get_int("axis", -1), w.shape(0)
    if axis != -1 and (shape is None or axis != len(shape) - 1):
        return None
    return w.rms_norm(w.first(), w.input(1), w.node.attributes.get_float("epsilon", 1e-5))


def _layer_norm(w: NodeWriter) -> Results:
    return w.own("LayerNormalization", "axis", "epsilon", inputs=w.node.inputs)


def _fused_mat_mul(w: NodeWriter) -> Results:
    attributes = w.node.attributes
    if attributes.get_int("transBatchA", 0) or attributes.get_int("transBatchB", 0):
        return None
    operands: list[ir.Value | None] = []
    for index, swap in enumerate(("transA", "transB")):
        value = w.input(index)
        if attributes.get_int(swap, 0):
            if value is None or value.shape is None or value.shape.rank() < 2:
                return None
            *rest, last, end = range(value.shape.rank())
            value = w.call("Transpose", [value], perm=[*rest, end, last])
        operands.append(value)
    return w.times(w.call("MatMul", operands), attributes.get_float("alpha", 1.0))


def _fused_gemm(w: NodeWriter) -> Results:
    y = w.own("Gemm", "alpha", "beta", "transA", "transB", inputs=w.node.inputs)
    names = {"alpha": "activation_alpha", "beta": "activation_beta"}
    stated = {k: w.node.attributes.get_float(n) for k, n in names.items() if n in w.node.attributes}
    return w.activated(y, {k: v for k, v in stated.items() if v is not None})


def _fused_conv(w: NodeWriter) -> Results:
    kept = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    y = w.plus(w.own("Conv", *kept, inputs=w.node.inputs[:3]), w.input(3))
    parameters = w.node.attributes.get_floats("activation_params", [])
    return w.activated(y, dict(zip(("alpha", "beta"), parameters, strict=False)))


_REWRITES: Mapping[str, Callable[[NodeWriter], Results]] = {
    "Attention": attention,
    "BiasGelu": _gelu,
    "DequantizeLinear": linear,
    "DynamicQuantizeMatMul": dynamic_quantize_mat_mul,
    "EmbedLayerNormalization": embed_layer_norm,
    "FastGelu": _gelu,
    "FusedConv": _fused_conv,
    "FusedGemm": _fused_gemm,
    "FusedMatMul": _fused_mat_mul,
    "GatherBlockQuantized": gather_blocks,
    "Gelu": _gelu,
    "LayerNormalization": _layer_norm,
    "MatMulIntegerToFloat": mat_mul_integer_to_float,
    "MatMulNBits": mat_mul_n_bits,
    "MultiHeadAttention": multi_head_attention,
    "NhwcMaxPool": nhwc_max_pool,
    "QAttention": attention,
    "QEmbedLayerNormalization": embed_layer_norm,
    "QuantizeLinear": linear,
    "QuickGelu": _quick_gelu,
    "SimplifiedLayerNormalization": _simplified_layer_norm,
    "SkipLayerNormalization": _skip_layer_norm,
    "SkipSimplifiedLayerNormalization": _skip_layer_norm,
}


def claim_unlisted_operators(proto: onnx.ModelProto) -> None:
    """Give com.microsoft the operators that ONNX Runtime's optimizer writes in ONNX's own domain, which has none such:
    SimplifiedLayerNormalization, and LayerNormalization before opset 17."""
    opset = next((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), _NORM_OPSET)
    foreign = {"SimplifiedLayerNormalization", *(["LayerNormalization"] if opset < _NORM_OPSET else [])}
    nodes = [node for node in proto.graph.node if node.domain in ("", "ai.onnx") and node.op_type in foreign]
    for node in nodes:
        node.domain = MICROSOFT
    if nodes and all(entry.domain != MICROSOFT for entry in proto.opset_import):
        proto.opset_import.add(domain=MICROSOFT, version=1)


def rewrite_contrib_operators(model: ir.Model) -> int:
    """Rewrite operators of com.microsoft that standard ones can stand for; returns how many.

    A node stays as it is where an attribute has no counterpart. The shapes of some operands have to be known, which
    are inferred as the operators before them become standard ones.
    """
    count = 0
    while rewritten := sum(_rewrite(node) for node in list(model.graph)):
        count += rewritten
        infer_shapes(model)
    return count


def _rewrite(node: ir.Node) -> bool:
    rewrite = _REWRITES.get(node.op_type) if node.domain == MICROSOFT else None
    if rewrite is None:
        return False
    writer = NodeWriter(node)
    results = rewrite(writer)
    if results is None:
        return False
    values = results if isinstance(results, list) else [results]
    values += [None] * (len(node.outputs) - len(values))
    if any(new is None and is_used(old) for old, new in zip(node.outputs, values, strict=False)):
        return False
    pairs = [(old, new) for old, new in zip(node.outputs, values, strict=False) if new is not None]
    olds, news = zip(*pairs, strict=True)
    ir.convenience.replace_nodes_and_values(writer.graph, node, [node], writer.made, olds, news)
    return True
