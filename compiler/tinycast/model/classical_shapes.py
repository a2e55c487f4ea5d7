"""Shapes and types of what operators of ai.onnx.ml and ONNX Runtime give: ONNX's inference leaves most of them out."""

from __future__ import annotations

from math import prod

import onnx_ir as ir

from tinycast.model.ports import static_shape

DOMAIN = "ai.onnx.ml"
_SAME_TYPE = frozenset({"Binarizer", "Imputer"})
_FLOAT = frozenset({"Normalizer", "Scaler"})


def infer_classical_shapes(model: ir.Model) -> int:
    """Fill in what follows from the inputs and attributes alone, in place; gives the number of values settled."""
    settled = 0
    for node in model.graph:
        shape = None if not node.inputs or node.inputs[0] is None else static_shape(node.inputs[0])
        if shape is None or all(static_shape(v) is not None and v.dtype is not None for v in node.outputs):
            continue
        for value, (dtype, known) in zip(node.outputs, _outputs(node, shape), strict=False):
            value.shape, value.dtype = ir.Shape(known), dtype
            settled += 1
    return settled


def _outputs(node: ir.Node, shape: tuple[int, ...]) -> list[tuple[ir.DataType, tuple[int, ...]]]:
    if (node.domain, node.op_type) == ("com.microsoft", "CDist"):
        other = node.inputs[1] and static_shape(node.inputs[1])
        return [(ir.DataType.FLOAT, (shape[0], other[0]))] if other else []
    if (node.domain, node.op_type) == ("com.microsoft", "DynamicQuantizeLSTM"):
        directions = 2 if node.attributes.get_string("direction", "forward") == "bidirectional" else 1
        hidden = node.attributes.get_int("hidden_size", 0)
        state = (directions, shape[1], hidden)
        return [(ir.DataType.FLOAT, wanted) for wanted in ((shape[0], directions, shape[1], hidden), state, state)]
    if node.domain != DOMAIN:
        return []
    first = node.inputs[0]
    dtype = first.dtype if first is not None else None
    rows = shape[0] if len(shape) > 1 else 1
    kind = node.op_type
    if kind in _SAME_TYPE and dtype is not None:
        return [(dtype, shape)]
    if kind in _FLOAT:
        return [(ir.DataType.FLOAT, shape)]
    if kind == "LabelEncoder":
        return [(_encoded_type(node), shape)]
    if kind in ("TreeEnsembleClassifier", "LinearClassifier", "SVMClassifier"):
        return [(ir.DataType.INT64, (rows,)), (ir.DataType.FLOAT, (rows, _scores(node)))]
    if kind == "SVMRegressor":
        return [(ir.DataType.FLOAT, (rows, 1))]
    if kind == "LinearRegressor":
        return [(ir.DataType.FLOAT, (rows, node.attributes.get_int("targets", 1)))]
    if kind in ("TreeEnsemble", "TreeEnsembleRegressor") and dtype is not None:
        result = dtype if kind == "TreeEnsemble" else ir.DataType.FLOAT
        return [(result, (rows, node.attributes.get_int("n_targets", 1)))]
    if kind == "OneHotEncoder":
        return [(ir.DataType.FLOAT, (*shape, len(node.attributes.get_ints("cats_int64s", ()))))]
    if kind == "FeatureVectorizer":
        return [(ir.DataType.FLOAT, (rows, sum(node.attributes.get_ints("inputdimensions", ()))))]
    if kind == "ArrayFeatureExtractor" and dtype is not None and node.inputs[1] is not None:
        indices = static_shape(node.inputs[1])
        return [] if indices is None else [(dtype, (*(shape[:-1] or (1,)), prod(indices)))]
    return []


def _scores(node: ir.Node) -> int:
    """How many scores a classifier gives for a row."""
    attributes = node.attributes
    labels = [*attributes.get_ints("classlabels_ints", ()), *attributes.get_ints("classlabels_int64s", ())]
    if node.op_type == "LinearClassifier":
        intercepts = len(attributes.get_floats("intercepts", ()))
        return 2 if intercepts == 1 and len(labels) == 2 else intercepts
    classes = len(labels)
    if node.op_type == "SVMClassifier" and "vectors_per_class" in attributes and "prob_a" not in attributes:
        return classes if classes <= 2 else classes * (classes - 1) // 2
    return max(2, classes) if node.op_type == "TreeEnsembleClassifier" else classes


def _encoded_type(node: ir.Node) -> ir.DataType:
    if "values_tensor" in node.attributes:
        return node.attributes["values_tensor"].as_tensor().dtype
    return ir.DataType.FLOAT if "values_floats" in node.attributes else ir.DataType.INT64
