"""What ai.onnx.ml does to features before a model sees them: scaling, filling gaps, encoding, picking columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tinycast.ir.graph import Routine, TensorType
from tinycast.ir.types import Array, DType, Value, inside
from tinycast.ops.extrema import Extremum, ReduceExtremum
from tinycast.ops.gather import Gather
from tinycast.ops.linear_models import float_attribute
from tinycast.ops.logic import Cast, Logic, Where
from tinycast.ops.node import Node
from tinycast.ops.reduce import ReduceSum
from tinycast.ops.scores import Terms, as_rows, checked
from tinycast.ops.shape import Concat, Reshape


@dataclass(frozen=True)
class Lookup(Routine):
    """y[i] = values[k] of the first k where keys[k] is x[i], else `default`; a NaN finds a NaN.

    Inputs: x, keys, values.
    """

    default: float

    @property
    def title(self) -> str:
        return "LabelEncoder"

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].shape, inputs[2].dtype),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x, keys, values = arrays
        same = x.reshape(-1, 1) == keys
        if x.dtype.kind == "f":
            same |= np.isnan(x.reshape(-1, 1)) & np.isnan(keys)
        found = np.where(same.any(1), values[same.argmax(1)], np.asarray(self.default, values.dtype))
        return (found.reshape(x.shape).astype(values.dtype),)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        x, keys, values = inputs
        same = "input_1[k] == element"
        if x.dtype is DType.FLOAT32:
            same += " || (input_1[k] != input_1[k] && element != element)"
        default = f"{np.float32(self.default)!s}f" if values.dtype is DType.FLOAT32 else str(int(self.default))
        return f"""
for (int32_t i = 0; i < {prod(x.shape)}; ++i) {{
    const {x.dtype.c_name} element = input_0[i];
    {values.dtype.c_name} found = {default};
    for (int32_t k = 0; k < {keys.shape[0]}; ++k) {{
        if ({same}) {{
            found = input_2[k];
            break;
        }}
    }}
    output_0[i] = found;
}}
"""


def _as_float(node: Node, x: Value) -> Value:
    return x if x.dtype is DType.FLOAT32 else node.build.call(Cast(DType.FLOAT32), [x])


def import_scaler(node: Node) -> Value:
    terms, x = Terms(node.build), _as_float(node, node.input(0))
    offset, scale = float_attribute(node, "offset"), float_attribute(node, "scale")
    y = terms.subtract(x, node.build.constant(offset, "offset")) if offset.any() else x
    return terms.multiply(y, node.build.constant(scale, "scale")) if (scale != 1).any() else y


def import_normalizer(node: Node) -> Value:
    """Rows divided by their norm, but for those of norm 0."""
    terms, x, norm = Terms(node.build), as_rows(node, node.input(0)), node.text("norm", "MAX")
    if norm == "MAX":
        size = node.build.call(ReduceExtremum(Extremum.MAX, (1,)), [x])
    else:
        parts = terms.multiply(x, x) if norm == "L2" else terms.unary("Abs", x)
        size = node.build.call(ReduceSum((1,)), [parts])
        size = terms.unary("Sqrt", size) if norm == "L2" else size
    is_zero = node.build.call(Logic("Equal"), [size, terms.constant(0.0)])
    y = terms.divide(x, terms.where(is_zero, 1.0, size))
    shape = node.input(0).shape
    return y if y.shape == shape else node.build.call(Reshape(shape), [y])


def import_imputer(node: Node) -> Value:
    build, x = node.build, node.input(0)
    if x.dtype is DType.FLOAT32:
        filling = float_attribute(node, "imputed_value_floats")
        replaced = np.float32(node.float("replaced_value_float", 0.0))
    else:
        filling = np.asarray(node.ints("imputed_value_int64s", []), x.dtype.numpy)
        replaced = x.dtype.numpy.type(node.int("replaced_value_int64", 0))
    if x.dtype.numpy.kind == "f" and np.isnan(replaced):
        is_missing = build.call(Logic("IsNaN"), [x])
    else:
        is_missing = build.call(Logic("Equal"), [x, build.constant(np.asarray(replaced), "replaced")])
    return build.call(Where(), [is_missing, build.constant(filling, "imputed"), x])


def import_binarizer(node: Node) -> Value:
    x = node.input(0)
    bound = node.build.constant(np.asarray(node.float("threshold", 0.0), x.dtype.numpy), "threshold")
    return node.build.call(Cast(x.dtype), [node.build.call(Logic("Greater"), [x, bound])])


def import_label_encoder(node: Node) -> Value:
    keys, values = (_encoding(node, side) for side in ("keys", "values"))
    x = node.input(0)
    if keys.dtype != x.dtype.numpy:
        x = node.build.call(Cast(DType(keys.dtype.name)), [x])
    tensor = node.onnx.attributes.get("default_tensor")
    if tensor is not None:
        default = float(tensor.as_tensor().numpy().reshape(-1)[0])
    else:
        default = node.float("default_float", -0.0) if values.dtype.kind == "f" else node.int("default_int64", -1)
    constants = [node.build.constant(keys, "keys"), node.build.constant(values, "values")]
    return node.build.call_all(Lookup(default), [x, *constants])[0]


def _encoding(node: Node, side: str) -> Array:
    for kind, read in (("floats", float_attribute), ("int64s", _int_attribute)):
        if f"{side}_{kind}" in node.onnx.attributes:
            return read(node, f"{side}_{kind}")
    tensor = node.onnx.attributes.get(f"{side}_tensor")
    array = None if tensor is None else tensor.as_tensor().numpy().reshape(-1)
    if array is None or array.dtype.name not in {d.value for d in DType}:
        node.reject(f"its {side} are no numbers", fix="encode text before the model")
    return inside(array)


def _int_attribute(node: Node, name: str) -> Array:
    return np.asarray(node.ints(name, []), np.int64)


def import_array_feature_extractor(node: Node) -> Value:
    x, indices, build = node.input(0), node.input(1), node.build
    if len(x.shape) == 1:
        x = build.call(Reshape((1, x.size)), [x])
    if len(indices.shape) != 1:
        indices = build.call(Reshape((indices.size,)), [indices])
    return build.call(Gather(len(x.shape) - 1), [x, indices])


def import_one_hot_encoder(node: Node) -> Value:
    """1 where the element is the category, as a new last axis; unknown ones are all zeros."""
    x, categories = node.input(0), np.asarray(node.ints("cats_int64s", []))
    if not categories.size:
        node.reject("its categories are text", fix="encode text before the model")
    column = node.build.call(Reshape((*x.shape, 1)), [x])
    known = node.build.constant(categories.astype(x.dtype.numpy), "categories")
    return node.build.call(Cast(DType.FLOAT32), [node.build.call(Logic("Equal"), [column, known])])


def import_feature_vectorizer(node: Node) -> Value:
    inputs = [as_rows(node, node.input(i)) for i in range(len(node.inputs))]
    sizes = node.ints("inputdimensions", [v.shape[1] for v in inputs])
    if [v.shape[1] for v in inputs] != sizes:
        node.reject(f"inputdimensions are {sizes}, the inputs have {[v.shape[1] for v in inputs]} columns")
    return inputs[0] if len(inputs) == 1 else node.build.call(Concat(1), inputs)


IMPORTERS = {
    "ai.onnx.ml.ArrayFeatureExtractor": checked(import_array_feature_extractor),
    "ai.onnx.ml.Binarizer": checked(import_binarizer),
    "ai.onnx.ml.FeatureVectorizer": checked(import_feature_vectorizer),
    "ai.onnx.ml.Imputer": checked(import_imputer),
    "ai.onnx.ml.LabelEncoder": checked(import_label_encoder),
    "ai.onnx.ml.Normalizer": checked(import_normalizer),
    "ai.onnx.ml.OneHotEncoder": checked(import_one_hot_encoder),
    "ai.onnx.ml.Scaler": checked(import_scaler),
}
