"""Class labels that are text, and maps from classes to probabilities: models of ONNX's domain ai.onnx.ml have both.

Compiled code has neither. A map (ZipMap) is replaced by the tensor that it is made of, and text by its number among the
texts that the value may be; the names are kept in the model's metadata, one entry an output.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import onnx
import onnx_ir as ir
from onnx import AttributeProto, TensorProto, helper, numpy_helper

DOMAIN = "ai.onnx.ml"
_KEY = "tinycast.classes."  # and the output's name: key of the metadata
# Attributes that list texts, and those that hold a single one, with their forms as numbers.
_LISTS = {
    "classlabels_strings": {"TreeEnsembleClassifier": "classlabels_int64s", "": "classlabels_ints"},
    "keys_strings": {"": "keys_int64s"},
    "values_strings": {"": "values_int64s"},
}
_KEEPS_TEXT = frozenset(
    {
        *("ArrayFeatureExtractor", "Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze"),
        *("Transpose", "Unsqueeze", "Where"),
    }
)
_OF_OUTPUT = frozenset(["classlabels_strings", "values_strings", "values_tensor", "default_string", "default_tensor"])


def class_names(model: ir.Model, output: str) -> tuple[str, ...]:
    """The names of the classes that the elements (of a label) or columns (of scores) of an output stand for."""
    return tuple(json.loads(model.metadata_props.get(_KEY + output, "[]")))


def class_notes(model: ir.Model) -> list[str]:
    """What the user has to know of the outputs whose classes have names."""
    notes = []
    for value in model.graph.outputs:
        names = ", ".join(class_names(model, str(value.name)))
        if names and value.dtype is ir.DataType.INT64:
            notes.append(f"{value.name} is the number of a class, counted from 0, of these: {names}")
        elif names:
            notes.append(f"{value.name} has a column for each class, in this order: {names}")
    return notes


def number_labels(proto: onnx.ModelProto) -> int:
    """Replace maps and texts of the graph, in place; gives the number of nodes and constants changed."""
    changed = _drop_maps(proto)
    _write_category_mappers(proto.graph.node)
    texts = _Texts(proto.graph)
    for node in proto.graph.node:
        changed += texts.number_node(node)
    for tensor in proto.graph.initializer:
        if tensor.data_type == TensorProto.STRING:
            _number_tensor(tensor, texts.vocabulary(tensor.name))
            changed += 1
    for output in proto.graph.output:
        if output.type.tensor_type.elem_type == TensorProto.STRING and output.name in texts:
            output.type.tensor_type.elem_type = TensorProto.INT64
            _keep_names(proto, output.name, texts.vocabulary(output.name))
    return changed


def _drop_maps(proto: onnx.ModelProto) -> int:
    outputs = {value.name: value for value in proto.graph.output}
    dropped = 0
    for node in proto.graph.node:
        if node.op_type != "ZipMap" or node.domain != DOMAIN:
            continue
        names = [str(name) for a in node.attribute for name in ([s.decode() for s in a.strings] or a.ints)]
        if node.output[0] in outputs:
            kind = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
            outputs[node.output[0]].type.CopyFrom(kind)
            _keep_names(proto, node.output[0], names)
        node.op_type, node.domain = "Identity", ""
        del node.attribute[:]
        dropped += 1
    return dropped


def _keep_names(proto: onnx.ModelProto, output: str, names: Sequence[str]) -> None:
    proto.metadata_props.add(key=_KEY + output, value=json.dumps(list(names)))


def _write_category_mappers(nodes: Iterable[onnx.NodeProto]) -> None:
    """CategoryMapper is a LabelEncoder whose direction is given by the type of its input."""
    texts = {name for node in nodes for name in node.output if _makes_text(node)}
    for node in nodes:
        if node.op_type != "CategoryMapper" or node.domain != DOMAIN:
            continue
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        sides = [("strings", given.get("cats_strings", [])), ("int64s", given.get("cats_int64s", []))]
        default = {"default_int64": given.get("default_int64", -1)}
        if node.input[0] not in texts:
            sides.reverse()
            default = {"default_string": given.get("default_string", b"_Unused")}
        del node.attribute[:]
        attributes = {f"{side}_{kind}": v for side, (kind, v) in zip(("keys", "values"), sides, strict=True)}
        node.attribute.extend(helper.make_attribute(name, v) for name, v in {**attributes, **default}.items())
        node.op_type = "LabelEncoder"


class _Texts:
    """The values of a graph that hold texts, and which texts: values that exchange elements have the same."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._group: dict[str, str] = {}
        self._found: dict[str, dict[str, None]] = {}
        for tensor in graph.initializer:
            if tensor.data_type == TensorProto.STRING:
                self._add(tensor.name, _strings(tensor))
        for node in graph.node:
            if _makes_text(node) or (node.op_type in _KEEPS_TEXT and any(name in self for name in node.input)):
                self._add(node.output[0], [])
            if _is_cast_to_text(node) and node.input[0] in self:
                self._join([node.input[0], node.output[0]])
            if node.op_type in _KEEPS_TEXT or node.op_type == "Equal":
                self._join([name for name in (*node.input, *node.output) if name in self])
        for node in graph.node:
            for attribute in node.attribute:
                place = _place(node, attribute)
                if place in self:
                    self._add(place, _attribute_strings(attribute))

    def __contains__(self, name: str) -> bool:
        return name in self._group

    def vocabulary(self, name: str) -> list[str]:
        return list(self._found[self._root(name)])

    def number_node(self, node: onnx.NodeProto) -> int:
        """Write numbers where the node's attributes have texts."""
        if _is_cast_to_text(node) and node.input[0] in self:
            node.op_type = "Identity"
            del node.attribute[:]
            return 1
        changed = 0
        for attribute in list(node.attribute):
            place = _place(node, attribute)
            if place not in self or not _attribute_strings(attribute):
                continue
            number = {text: index for index, text in enumerate(self.vocabulary(place))}
            numbers = [number[text] for text in _attribute_strings(attribute)]
            if attribute.type == AttributeProto.TENSOR:
                _number_tensor(attribute.t, self.vocabulary(place))
            elif attribute.name in _LISTS:
                forms = _LISTS[attribute.name]
                node.attribute.remove(attribute)
                node.attribute.append(helper.make_attribute(forms.get(node.op_type, forms[""]), numbers))
            elif attribute.name == "default_string":
                node.attribute.remove(attribute)
                node.attribute.append(helper.make_attribute("default_int64", numbers[0]))
            elif attribute.name == "value_strings":
                node.attribute.remove(attribute)
                node.attribute.append(helper.make_attribute("value_ints", numbers))
            changed = 1
        return changed

    def _root(self, name: str) -> str:
        while self._group[name] != name:
            name = self._group[name]
        return name

    def _add(self, name: str, texts: Sequence[str]) -> None:
        self._found.setdefault(self._root(self._group.setdefault(name, name)), {}).update(dict.fromkeys(texts))

    def _join(self, names: Sequence[str]) -> None:
        for name in names[1:]:
            first, other = self._root(names[0]), self._root(name)
            if first != other:
                self._group[other] = first
                self._found[first].update(self._found.pop(other))


def _is_cast_to_text(node: onnx.NodeProto) -> bool:
    return node.op_type == "Cast" and any(a.name == "to" and a.i == TensorProto.STRING for a in node.attribute)


def _makes_text(node: onnx.NodeProto) -> bool:
    """Whether the node's first output holds texts that the node itself names."""
    return any(
        _attribute_strings(a) and _place(node, a) == node.output[0] and a.name != "default_string"
        for a in node.attribute
    )


def _place(node: onnx.NodeProto, attribute: AttributeProto) -> str:
    """The value whose elements the texts of an attribute are; none for other attributes."""
    if node.domain == DOMAIN and attribute.name in ("keys_strings", "keys_tensor"):
        return str(node.input[0])
    of_constant = node.op_type == "Constant" and attribute.name in ("value", "value_strings")
    return str(node.output[0]) if of_constant or (node.domain == DOMAIN and attribute.name in _OF_OUTPUT) else ""


def _attribute_strings(attribute: AttributeProto) -> list[str]:
    if attribute.type == AttributeProto.TENSOR:
        return _strings(attribute.t) if attribute.t.data_type == TensorProto.STRING else []
    texts = attribute.strings if attribute.type == AttributeProto.STRINGS else [attribute.s]
    return [text.decode() for text in texts if attribute.type in (AttributeProto.STRINGS, AttributeProto.STRING)]


def _strings(tensor: TensorProto) -> list[str]:
    return [text.decode() for text in tensor.string_data]


def _number_tensor(tensor: TensorProto, vocabulary: Sequence[str]) -> None:
    number = {text: index for index, text in enumerate(vocabulary)}
    texts, dims, name = _strings(tensor), list(tensor.dims), tensor.name
    array = numpy_helper.to_array(helper.make_tensor(name, TensorProto.INT64, dims, [number[text] for text in texts]))
    tensor.CopyFrom(numpy_helper.from_array(array, name))
