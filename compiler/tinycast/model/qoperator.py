"""Rewriting QOperator models (QLinearConv, …) as QDQ, so that one quantized form is left.

Sources: ONNX operators QLinearConv and QLinearMatMul; ONNX Runtime's contrib operators
(https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md) for the com.microsoft domain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from tinycast.model.edit import Array, add_constant, constant, free_name, replace

MICROSOFT = "com.microsoft"


@dataclass(frozen=True)
class _Form:
    """How a QOperator's inputs are laid out: positions of (value, scale, zero point) and what it computes."""

    float_op: str
    operands: tuple[int, ...]  # position of each quantized input; its scale and zero point follow it
    output: int  # position of the output's scale; the zero point follows it
    bias: int | None = None
    plain: tuple[int, ...] = ()  # positions of inputs that are not quantized, in front of the others


_CONV = _Form("Conv", (0, 3), 6, bias=8)
_MATMUL = _Form("MatMul", (0, 3), 6)
_GEMM = _Form("Gemm", (0, 3), 7, bias=6)
_FORMS: Mapping[tuple[str, str], _Form] = {
    ("", "QLinearConv"): _CONV,
    ("", "QLinearMatMul"): _MATMUL,
    (MICROSOFT, "QGemm"): _GEMM,
    (MICROSOFT, "QLinearConv"): _CONV,
    (MICROSOFT, "QLinearAdd"): _Form("Add", (0, 3), 6),
    (MICROSOFT, "QLinearMul"): _Form("Mul", (0, 3), 6),
    (MICROSOFT, "QLinearAveragePool"): _Form("AveragePool", (0,), 3),
    (MICROSOFT, "QLinearGlobalAveragePool"): _Form("GlobalAveragePool", (0,), 3),
    (MICROSOFT, "QLinearLeakyRelu"): _Form("LeakyRelu", (0,), 3),
    (MICROSOFT, "QLinearReduceMean"): _Form("ReduceMean", (0,), 3),
    (MICROSOFT, "QLinearSigmoid"): _Form("Sigmoid", (0,), 3),
    (MICROSOFT, "QLinearSoftmax"): _Form("Softmax", (0,), 3),
    (MICROSOFT, "QLinearWhere"): _Form("Where", (1, 4), 7, plain=(0,)),
}
_AXES_ARE_AN_INPUT = 18  # the opset from which ReduceMean has them there
_OWN_ATTRIBUTES = frozenset({"channels_last", "opset"})  # of the QOperator; the float operator has none such


def rewrite_qoperators(model: ir.Model) -> int:
    """Rewrite QOperators as DequantizeLinear, the float operator, QuantizeLinear; returns how many.

    A node stays as it is where its scales have several axes. Where the channels come last, Transposes stand around the
    float operator. A smooth Resize, which is the same operator on integers, is dequantized, too.
    """
    nodes = list(model.graph.all_nodes())
    is_quantized = any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in nodes)
    return sum(_rewrite(node) or (is_quantized and _dequantize_resize(node)) for node in nodes)


def _dequantize_resize(node: ir.Node) -> bool:
    """Between the bytes of a quantized model: the weights of neighbours add up to one, so that any scale does."""
    x = _input(node, 0)
    smooth = node.op_type == "Resize" and node.attributes.get_string("mode", "nearest") != "nearest"
    crops = node.attributes.get_string("coordinate_transformation_mode", "") == "tf_crop_and_resize"
    if x is None or not smooth or crops or x.dtype not in (ir.DataType.INT8, ir.DataType.UINT8):
        return False
    graph = _graph(node)
    scale = add_constant(graph, f"{node.name}_scale", np.ones((), np.float32))
    zero = add_constant(graph, f"{node.name}_zero_point", np.zeros((), x.dtype.numpy()), x.dtype)
    real = ir.node("DequantizeLinear", [x, scale, zero], name=f"{node.name}_dequantize")
    resize = ir.Node("", "Resize", [*real.outputs, *node.inputs[1:]], node.attributes.values(), name=node.name)
    narrow = ir.node("QuantizeLinear", [resize.outputs[0], scale, zero], name=f"{node.name}_quantize")
    for made, role in ((real, "real"), (resize, "resized")):
        made.outputs[0].name = free_name(graph, f"{node.outputs[0].name}_{role}")
    replace(node, [real, resize, narrow], narrow.outputs[0])
    return True


def _rewrite(node: ir.Node) -> bool:
    form = _FORMS.get((node.domain, node.op_type))
    if (node.domain, node.op_type) == (MICROSOFT, "QLinearConcat"):
        form = _Form("Concat", tuple(range(2, len(node.inputs), 3)), 0)
    if form is None or not _has_plain_scales(node, form):
        return False
    rank = _rank(node, form.operands[0]) if node.attributes.get_int("channels_last", 0) else 0
    if rank is None:
        return False
    new_nodes: list[ir.Node] = []
    operands: list[ir.Value | None] = [_input(node, position) for position in form.plain]
    operands += [_dequantize(node, position, form, new_nodes) for position in form.operands]
    if form.bias is not None and _input(node, form.bias) is not None:
        operands.append(_dequantize_bias(node, form, new_nodes))
    if rank:
        operands[0] = _transpose(node, operands[0], [0, rank - 1, *range(1, rank - 1)], new_nodes)
    result = _compute(node, form, operands, new_nodes)
    if rank:
        result = _transpose(node, result, [0, *range(2, rank), 1], new_nodes)
    if _input(node, form.output) is not None:
        scale, zero_point = _scalars(node, form.output)
        first = _input(node, form.operands[0])
        if zero_point is None and first is not None and first.dtype is not None:  # it says the output's type
            zero = np.zeros((), first.dtype.numpy())
            zero_point = add_constant(_graph(node), f"{node.outputs[0].name}_zero_point", zero, first.dtype)
        quantize = ir.node("QuantizeLinear", [result, scale, zero_point], name=f"{node.name}_quantize")
        new_nodes.append(quantize)
        result.name = free_name(_graph(node), f"{node.outputs[0].name}_float")
        result = quantize.outputs[0]
    replace(node, new_nodes, result)
    return True


def _compute(node: ir.Node, form: _Form, operands: Sequence[ir.Value | None], new_nodes: list[ir.Node]) -> ir.Value:
    attributes = [attribute for name, attribute in node.attributes.items() if name not in _OWN_ATTRIBUTES]
    if form.float_op == "Softmax" and node.attributes.get_int("opset", 13) < 13:
        return _flattened_softmax(node, operands[0], new_nodes)
    if form.float_op == "ReduceMean" and "axes" in node.attributes and _opset(node) >= _AXES_ARE_AN_INPUT:
        axes = np.asarray(node.attributes.get_ints("axes"), np.int64)
        operands = [*operands, add_constant(_graph(node), f"{node.name}_axes", axes)]
        attributes = [attribute for attribute in attributes if attribute.name != "axes"]
    compute = ir.Node("", form.float_op, operands, attributes, name=node.name)
    new_nodes.append(compute)
    return compute.outputs[0]


def _transpose(node: ir.Node, x: ir.Value | None, perm: list[int], new_nodes: list[ir.Node]) -> ir.Value:
    name = f"{node.name}_transpose_{len(new_nodes)}"
    new_nodes.append(ir.node("Transpose", [x], {"perm": perm}, name=name))
    return new_nodes[-1].outputs[0]


def _rank(node: ir.Node, position: int) -> int | None:
    value = _input(node, position)
    return None if value is None or value.shape is None else value.shape.rank()


def _flattened_softmax(node: ir.Node, source: ir.Value | None, new_nodes: list[ir.Node]) -> ir.Value:
    """Softmax as it was before opset 13: over all axes from `axis` on."""
    flatten = ir.node("Flatten", [source], {"axis": node.attributes.get_int("axis", 1)}, name=f"{node.name}_flatten")
    softmax = ir.node("Softmax", flatten.outputs, {"axis": 1}, name=node.name)
    shape = ir.node("Shape", [source], name=f"{node.name}_shape")
    reshape = ir.node("Reshape", [softmax.outputs[0], shape.outputs[0]], name=f"{node.name}_reshape")
    new_nodes += [flatten, softmax, shape, reshape]
    return reshape.outputs[0]


def _dequantize(node: ir.Node, position: int, form: _Form, new_nodes: list[ir.Node]) -> ir.Value:
    """DequantizeLinear of an operand; a scale for each channel counts along the weight's output channels."""
    value = _input(node, position)
    assert value is not None
    scale, zero_point = _scalars(node, position + 1)
    attributes = {}
    if scale.shape is not None and scale.shape.rank() == 1:
        attributes["axis"] = _channel_axis(node, form)
    dequantize = ir.node(
        "DequantizeLinear", [value, scale, zero_point], attributes, name=f"{node.name}_dequantize_{position}"
    )
    # Both operands may be the same value, and none of the new ones is in the graph yet.
    dequantize.outputs[0].name = free_name(_graph(node), f"{value.name}_float_{position}")
    new_nodes.append(dequantize)
    return dequantize.outputs[0]


def _dequantize_bias(node: ir.Node, form: _Form, new_nodes: list[ir.Node]) -> ir.Value:
    """DequantizeLinear of the int32 bias, whose scale is that of the accumulator."""
    assert form.bias is not None
    value = _input(node, form.bias)
    assert value is not None
    x_scale, w_scale = (_constant_input(node, position + 1) for position in form.operands)
    alpha = np.float32(node.attributes.get_float("alpha", 1.0)) if form is _GEMM else np.float32(1)
    scale = add_constant(_graph(node), f"{value.name}_scale", _scalar_if_single(alpha * x_scale * w_scale))
    rank = value.shape.rank() if value.shape is not None else 1
    attributes = {"axis": rank - 1} if scale.shape is not None and scale.shape.rank() == 1 else {}
    dequantize = ir.node("DequantizeLinear", [value, scale], attributes, name=f"{node.name}_dequantize_bias")
    dequantize.outputs[0].name = free_name(_graph(node), f"{value.name}_float")
    new_nodes.append(dequantize)
    return dequantize.outputs[0]


def _channel_axis(node: ir.Node, form: _Form) -> int:
    if form is _CONV:
        return 0
    weight = _input(node, form.operands[-1])
    assert weight is not None
    assert weight.shape is not None
    if form is _GEMM:
        return 0 if node.attributes.get_int("transB", 0) else 1
    return weight.shape.rank() - 1


def _scalars(node: ir.Node, position: int) -> tuple[ir.Value, ir.Value | None]:
    """Scale and zero point at `position`, as scalars where they have one element."""
    made = []
    for value in (_input(node, position), _input(node, position + 1)):
        array = constant(value)
        if value is not None and array is not None and array.ndim and array.size == 1:
            value = add_constant(_graph(node), f"{value.name}_scalar", array.reshape(()), value.dtype)
        made.append(value)
    assert made[0] is not None
    return made[0], made[1]


def _has_plain_scales(node: ir.Node, form: _Form) -> bool:
    """All scales and zero points have at most one axis, and are constants where a bias needs their product."""
    positions = [position + 1 for position in form.operands] + [form.output]
    values = [v for position in positions for i in (position, position + 1) if (v := _input(node, i)) is not None]
    if form.bias is not None and _input(node, form.bias) is not None and any(constant(v) is None for v in values):
        return False
    return all(v.shape is not None and v.shape.rank() <= 1 for v in values)


def _constant_input(node: ir.Node, position: int) -> Array:
    array = constant(_input(node, position))
    assert array is not None
    return array


def _scalar_if_single(array: Array) -> Array:
    return array.reshape(()) if array.size == 1 else array


def _opset(node: ir.Node) -> int:
    return _graph(node).opset_imports.get("", 1)


def _input(node: ir.Node, position: int) -> ir.Value | None:
    return node.inputs[position] if position < len(node.inputs) else None


def _graph(node: ir.Node) -> ir.Graph:
    assert isinstance(node.graph, ir.Graph)
    return node.graph
