"""Which values of a graph are quantized, and which of them share a scale and zero point.

* Compute operators have an integer form: what they read and give is quantized.
* A clamp (Relu, Clip) that alone reads a compute operator is one unit with it, and so is the bias Add of a
  MatMul: nothing is quantized between them.
* Operators that only move or pick values keep the scale: input and output are quantized alike. So are a
  Concat and those of its inputs that nobody else reads: joining them is then a copy.
* Of a recurrent layer the input sequence, Y and Y_h are quantized, and its weights; states that are inputs or
  outputs of the model stay float, so that they can be kept as they are (`compile --stateful`).
* All other operators run in float; values between two of them stay float.

A body of a Loop or Scan and a branch of an If is a graph of its own: what it reads from outside counts as its input.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from tinycast.compress.layerwise import Layer, as_layer

# The clamps that a compute operator's requantization does for nothing.
_CLAMPS = frozenset({"Relu", "Clip"})
_CLAMPED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Sub", "Mul"})
_UNARY = _CLAMPS | {
    *("Abs", "Celu", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Neg", "Selu"),
    *("Sigmoid", "Softplus", "Softsign", "Swish", "Tanh"),
}
_COMPUTE = _CLAMPED | _UNARY | {"AveragePool", "GlobalAveragePool", "ReduceMean", "Concat", "Softmax"}
_COMPUTE |= {
    "LayerNormalization",
    "RMSNormalization",
    "GroupNormalization",
    "InstanceNormalization",
    "PRelu",
    "ReduceSum",
}
_RECURRENT = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}
_MOVE = frozenset(
    {
        *("DepthToSpace", "Expand", "Flatten", "Gather", "GlobalMaxPool", "Identity", "MaxPool", "Pad", "ReduceMax"),
        *("Reshape", "Resize", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
    }
)
# Operators whose inputs are all activations; the others' further inputs are parameters.
_ALL_INPUTS = frozenset({"Add", "Sub", "Mul", "MatMul", "Concat"})


@dataclass(frozen=True)
class Scheme:
    """What to quantize in a model.

    `shared` maps each quantized activation to the one whose values settle its scale (often itself); `sources`
    are those that settle one, in the graph's order.
    `operands` are constant inputs of compute operators that are treated as activations. `layers` have
    constant weights, `transposed` are the ConvTranspose nodes that do, and `recurrent` the RNN, GRU and LSTM nodes.
    """

    shared: dict[ir.Value, ir.Value]
    sources: list[ir.Value]
    operands: list[ir.Value]
    layers: list[Layer]
    transposed: list[ir.Node]
    recurrent: list[ir.Node]


def scheme_of(graph: ir.Graph) -> Scheme:
    """Apply the rules to every node of the graph, not to those of graphs inside. Value types must be known."""
    nodes = list(graph)
    layers = [layer for node in nodes if (layer := as_layer(node)) is not None]
    inside = {layer.node.outputs[0] for layer in layers if layer.bias_node is not None}
    biases = {layer.bias for layer in layers if layer.bias is not None}
    computing = [node for node in nodes if _computes(node)]
    clamped = [node.inputs[0] for node in computing if node.op_type in _CLAMPS]
    inside |= {value for value in clamped if value is not None and _only_clamped(value)}
    touched = [v for node in computing for v in (*_activations(node), *_results(node)) if v not in biases]
    touched = [v for v in dict.fromkeys(touched) if v not in inside]
    operands = [v for v in touched if v.is_initializer()]
    active = {_source(v, graph) for v in touched if not v.is_initializer()}
    every = [*graph.inputs, *captured_values(graph), *(v for node in nodes for v in node.outputs)]
    shared = {v: _source(v, graph) for v in every if _is_float(v) and v not in inside and _source(v, graph) in active}
    transposed = [node for node in computing if node.op_type == "ConvTranspose"]
    sources = [value for value, source in shared.items() if value is source]
    recurrent = [node for node in computing if node.op_type in _RECURRENT]
    return Scheme(shared, sources, operands, layers, transposed, recurrent)


def captured_values(graph: ir.Graph) -> list[ir.Value]:
    """What the graph's nodes read from the graph around it, constants left out."""
    own = {*graph.inputs, *(v for node in graph for v in node.outputs)}
    read = [v for node in graph for v in node.inputs if v is not None and v not in own and not v.is_initializer()]
    return list(dict.fromkeys(read))


def is_softmax(value: ir.Value) -> bool:
    """Whether the value lies between 0 and 1 by construction, so that its scale is 1/256."""
    producer = value.producer()
    return producer is not None and producer.op_type == "Softmax"


def _standard(node: ir.Node) -> bool:
    return node.domain in ("", "ai.onnx") and bool(node.inputs) and _is_float(node.inputs[0])


def _computes(node: ir.Node) -> bool:
    if not _standard(node) or not all(map(_is_float, _activations(node))):
        return False
    if node.op_type in _RECURRENT:
        return _is_plain_recurrent(node)
    if node.op_type not in _COMPUTE:
        return False
    if node.op_type in ("Conv", "Gemm"):
        return as_layer(node) is not None
    if node.op_type == "ConvTranspose":
        return all(v is None or v.is_initializer() for v in node.inputs[1:])
    return True


def _is_plain_recurrent(node: ir.Node) -> bool:
    """Whether weights are constants, and there are no other activations, clips, lengths or peepholes."""
    operands = dict(enumerate(node.inputs))
    if any(operands.get(i) is not None for i in (4, 7)) or "clip" in node.attributes:
        return False
    usual = _RECURRENT[node.op_type]
    stated = [str(name) for name in node.attributes.get_strings("activations", usual)]
    weights = [v for i in (1, 2, 3) if (v := operands.get(i)) is not None]
    return all(v.is_initializer() for v in weights) and stated in (usual, 2 * usual)


def _results(node: ir.Node) -> list[ir.Value]:
    """The outputs that are quantized."""
    if node.op_type not in _RECURRENT:
        return list(node.outputs[:1])
    y, *last = node.outputs[:2]
    return [v for v in (y, *(v for v in last if not v.is_graph_output())) if v.uses() or v.is_graph_output()]


def _moves(node: ir.Node) -> bool:
    if not _standard(node) or node.op_type not in _MOVE:
        return False
    if node.op_type == "Resize":
        mode = node.attributes.get("mode")
        outside = node.attributes.get("coordinate_transformation_mode")
        nearest = mode is None or mode.as_string() == "nearest"
        return nearest and (outside is None or outside.as_string() != "tf_crop_and_resize")
    if node.op_type == "Pad":
        value = node.inputs[2] if len(node.inputs) > 2 else None
        mode = node.attributes.get("mode")
        constant = mode is None or mode.as_string() == "constant"
        return not constant or value is None or (value.const_value is not None and not value.const_value.numpy().any())
    return True


def _activations(node: ir.Node) -> list[ir.Value]:
    """The inputs that are data, not parameters such as a weight, a bias or a clamp's limits."""
    inputs = [v for v in node.inputs if v is not None]
    if node.op_type not in _ALL_INPUTS or (node.op_type == "MatMul" and as_layer(node) is not None):
        inputs = inputs[:1]
    return inputs


def _only_clamped(value: ir.Value) -> bool:
    if value.is_graph_output() or len(value.uses()) != 1:
        return False
    producer, (reader,) = value.producer(), value.consumers()
    if producer is None or producer.graph is not reader.graph:
        return False
    return producer.op_type in _CLAMPED and _computes(producer)


def _source(value: ir.Value, graph: ir.Graph) -> ir.Value:
    """The value whose range decides for `value`: across moves upwards, into a Concat downwards, inside of the graph."""
    producer = value.producer()
    if producer is None or producer.graph is not graph:
        return value
    if _moves(producer):
        moved = producer.inputs[0]
        assert moved is not None
        return value if moved.is_initializer() else _source(moved, graph)
    readers = value.consumers()
    if (
        producer.op_type != "Softmax"
        and _computes(producer)
        and not value.is_graph_output()
        and len(value.uses()) == 1
        and readers[0].graph is graph
        and readers[0].op_type == "Concat"
        and _computes(readers[0])
    ):
        return _source(readers[0].outputs[0], graph)
    return value


def _is_float(value: ir.Value | None) -> bool:
    return value is not None and value.dtype == ir.DataType.FLOAT
