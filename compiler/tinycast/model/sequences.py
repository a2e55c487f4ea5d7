"""Sequences and optionals whose content is known: operators on tensors take their place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from tinycast.model.control_flow import has_constant_rounds, origin, replace_carried, rounds
from tinycast.model.edit import Array, add_constant, constant, replace
from tinycast.model.ports import static_shape


@dataclass(frozen=True)
class Row:
    """Row `index` of a tensor."""

    tensor: ir.Value
    index: int


Elements = tuple[ir.Value | Row, ...]
Content = Elements | ir.Value | None  # of a sequence, of an optional tensor, of an optional without one


def resolve_sequences(model: ir.Model) -> int:
    """Replace what reads sequences and optionals of known length by operators on their elements; returns how many.

    Positions have to be constants, except SequenceAt's among elements of one shape. A Loop that appends a tensor to a
    sequence in each of a constant number of rounds collects a scan output instead. The nodes that make the sequences
    are left without readers.
    """
    return _Resolver().resolve(model.graph)


class _Resolver:
    def __init__(self) -> None:
        self._known: dict[ir.Value, Content] = {}

    def resolve(self, graph: ir.Graph) -> int:
        changed = 0
        for node in list(graph):
            if node.domain == "" and (make := getattr(self, f"_{node.op_type}", None)) is not None:
                changed += make(node)
            for attribute in list(node.attributes.values()):
                if attribute.type == ir.AttributeType.GRAPH:
                    changed += self.resolve(attribute.as_graph())
        return changed

    def _elements(self, value: ir.Value | None) -> Elements | None:
        content = None if value is None else self._known.get(value)
        return content if isinstance(content, tuple) else None

    def _keep(self, node: ir.Node, content: Content) -> bool:
        self._known[node.outputs[0]] = content
        return False

    def _Identity(self, node: ir.Node) -> bool:  # noqa: N802 - the operators' names
        source = node.inputs[0]
        return source in self._known and self._keep(node, self._known[source])

    def _SequenceEmpty(self, node: ir.Node) -> bool:  # noqa: N802
        return self._keep(node, ())

    def _SequenceConstruct(self, node: ir.Node) -> bool:  # noqa: N802
        return self._keep(node, tuple(v for v in node.inputs if v is not None))

    def _SequenceInsert(self, node: ir.Node) -> bool:  # noqa: N802
        elements, tensor = self._elements(node.inputs[0]), node.inputs[1]
        if elements is None or tensor is None:
            return False
        place = _position(node, 2, len(elements), len(elements))
        return place is not None and self._keep(node, (*elements[:place], tensor, *elements[place:]))

    def _SequenceErase(self, node: ir.Node) -> bool:  # noqa: N802
        elements = self._elements(node.inputs[0])
        place = None if elements is None else _position(node, 1, len(elements), len(elements) - 1)
        return (
            elements is not None and place is not None and self._keep(node, (*elements[:place], *elements[place + 1 :]))
        )

    def _SplitToSequence(self, node: ir.Node) -> bool:  # noqa: N802
        source, given = node.inputs[0], node.inputs[1] if len(node.inputs) > 1 else None
        shape = None if source is None else static_shape(source)
        lengths = constant(given)
        if source is None or shape is None or (given is not None and lengths is None):
            return False
        axis = node.attributes.get_int("axis", 0) % len(shape)
        whole = shape[axis]
        step = 1 if lengths is None else int(lengths.reshape(-1)[0])
        sizes = [min(step, whole - i) for i in range(0, whole, step)]
        if lengths is not None and lengths.ndim:
            sizes = [int(n) for n in lengths]
        graph = _graph(node)
        operand = add_constant(graph, f"{node.name}.sizes", np.asarray(sizes, np.int64))
        split = ir.Node(
            "",
            "Split",
            [source, operand],
            [ir.AttrInt64("axis", axis)],
            num_outputs=len(sizes),
            name=f"{node.name}.split",
        )
        graph.insert_before(node, split)
        parts = list(split.outputs)
        for part, size in zip(parts, sizes, strict=True):
            part.shape, part.type = ir.Shape([*shape[:axis], size, *shape[axis + 1 :]]), source.type
        if given is None and not node.attributes.get_int("keepdims", 1):
            axes = add_constant(graph, f"{node.name}.axes", np.asarray([axis], np.int64))
            parts = [_insert(node, "Squeeze", [part, axes]) for part in parts]
        return self._keep(node, tuple(parts))

    def _SequenceLength(self, node: ir.Node) -> bool:  # noqa: N802
        elements = self._elements(node.inputs[0])
        return elements is not None and _become_constant(node, np.asarray(len(elements), np.int64))

    def _SequenceAt(self, node: ir.Node) -> bool:  # noqa: N802
        elements, place = self._elements(node.inputs[0]), node.inputs[1]
        if not elements or place is None:
            return False
        known = _position(node, 1, len(elements), 0)
        if known is not None and known < len(elements):
            return _become(node, _tensor(node, elements[known]))
        tensors = [_tensor(node, element) for element in elements]
        if len({static_shape(v) for v in tensors}) > 1 or static_shape(tensors[0]) is None:
            return False
        return _become(node, _insert(node, "Gather", [_joined(node, tensors, 0, stacked=True), place], {"axis": 0}))

    def _ConcatFromSequence(self, node: ir.Node) -> bool:  # noqa: N802
        elements = self._elements(node.inputs[0])
        if not elements:
            return False
        axis, stacked = node.attributes["axis"].as_int(), bool(node.attributes.get_int("new_axis", 0))
        first = elements[0]
        if isinstance(first, Row) and elements == tuple(Row(first.tensor, i) for i in range(len(elements))):
            return _become(node, _rows_along(node, first.tensor, axis, stacked=stacked))
        return _become(node, _joined(node, [_tensor(node, e) for e in elements], axis, stacked=stacked))

    def _Optional(self, node: ir.Node) -> bool:  # noqa: N802
        source = node.inputs[0] if node.inputs else None
        return self._keep(node, self._known.get(source, source) if source is not None else None)

    def _OptionalHasElement(self, node: ir.Node) -> bool:  # noqa: N802
        source = node.inputs[0] if node.inputs else None
        is_optional = source is not None and isinstance(source.type, ir.OptionalType)
        if is_optional and source not in self._known:
            return False
        content = self._known.get(source, source) if source is not None else None
        return _become_constant(node, np.asarray(content is not None))

    def _OptionalGetElement(self, node: ir.Node) -> bool:  # noqa: N802
        source = node.inputs[0]
        if source is None or (source not in self._known and not isinstance(source.type, ir.TensorType)):
            return False
        content = self._known.get(source, source)
        if isinstance(content, tuple):
            return self._keep(node, content)
        return content is not None and _become(node, content)

    def _Loop(self, node: ir.Node) -> bool:  # noqa: N802
        """A sequence that grows by a tensor each round: a scan output holds what is appended."""
        body = node.attributes["body"].as_graph()
        for k in range(len(node.inputs) - 2):
            elements = self._elements(node.inputs[2 + k])
            insert = origin(body.outputs[1 + k]).producer()
            if elements is None or insert is None or insert.op_type != "SequenceInsert" or len(insert.inputs) > 2:
                continue
            grown, tensor = insert.inputs
            if grown is not body.inputs[2 + k] or len(grown.uses()) > 1 or tensor is None:
                continue
            if node.outputs[k].is_graph_output() or not has_constant_rounds(node):
                continue
            if len(insert.outputs[0].uses()) + insert.outputs[0].is_graph_output() > 1:
                continue
            element = ir.node("Identity", [tensor], name=f"{node.name}.element")
            element.outputs[0].shape, element.outputs[0].type = tensor.shape, tensor.type
            insert.graph.append(element)  # type: ignore[union-attr]
            body.outputs.append(element.outputs[0])
            self._collect(node, k, tensor, elements)
            return True
        return False

    def _collect(self, node: ir.Node, k: int, tensor: ir.Value, elements: Elements) -> None:
        """Replace the sequence that the Loop carries as number `k` by the last output of its body, `tensor`."""
        graph, shape, count = _graph(node), static_shape(tensor), rounds(node)
        waiting = ir.node("SequenceEmpty", [], name=f"{node.name}.waiting")
        graph.insert_before(node, waiting)
        ir.convenience.replace_all_uses_with(node.outputs[k], waiting.outputs[0])
        loop = replace_carried(node, [k], added=1)
        stacked = loop.outputs[-1]
        stacked.type, stacked.shape = tensor.type, None if shape is None else ir.Shape((count, *shape))
        rows = tuple(Row(stacked, i) for i in range(count))
        made = ir.node("SequenceConstruct", [], name=f"{node.name}.sequence")
        graph.insert_after(loop, made)
        tensors = [_tensor(made, element) for element in (*elements, *rows)]
        made.resize_inputs(len(tensors))
        for i, value in enumerate(tensors):
            made.replace_input_with(i, value)
        ir.convenience.replace_all_uses_with(waiting.outputs[0], made.outputs[0])
        graph.remove(waiting, safe=True)
        self._known[made.outputs[0]] = (*elements, *rows)


def _position(node: ir.Node, index: int, count: int, default: int) -> int | None:
    """The constant position among `count` elements, or behind them; None where it is computed or there is none such."""
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None:
        return default
    array = constant(value)
    if array is None or not -count <= int(array.reshape(-1)[0]) <= count:
        return None
    place = int(array.reshape(-1)[0])
    return place + count if place < 0 else place


def _tensor(node: ir.Node, element: ir.Value | Row) -> ir.Value:
    if isinstance(element, ir.Value):
        return element
    index = add_constant(_graph(node), f"{node.name}.index", np.asarray(element.index, np.int64))
    return _insert(node, "Gather", [element.tensor, index], {"axis": 0})


def _joined(node: ir.Node, tensors: list[ir.Value], axis: int, *, stacked: bool) -> ir.Value:
    if stacked:
        axes = add_constant(_graph(node), f"{node.name}.axes", np.asarray([axis], np.int64))
        tensors = [_insert(node, "Unsqueeze", [tensor, axes]) for tensor in tensors]
    return _insert(node, "Concat", tensors, {"axis": axis})


def _rows_along(node: ir.Node, tensor: ir.Value, axis: int, *, stacked: bool) -> ir.Value:
    """All rows of a tensor side by side along `axis`, a new one if `stacked`."""
    shape = static_shape(tensor)
    if shape is None:
        return _joined(node, [_tensor(node, Row(tensor, 0))], axis, stacked=stacked)
    row = list(shape[1:])
    axis %= len(row) + stacked
    order = [*range(1, axis + 1), 0, *range(axis + 1, len(shape))]
    moved = _insert(node, "Transpose", [tensor], {"perm": order})
    if stacked:
        return moved
    row[axis] *= shape[0]
    sizes = add_constant(_graph(node), f"{node.name}.shape", np.asarray(row, np.int64))
    return _insert(node, "Reshape", [moved, sizes])


def _insert(
    node: ir.Node, op: str, inputs: Iterable[ir.Value], attributes: Mapping[str, Any] | None = None
) -> ir.Value:
    new = ir.node(op, list(inputs), attributes, name=f"{node.name}.{op.lower()}")
    _graph(node).insert_before(node, new)
    return new.outputs[0]


def _become(node: ir.Node, value: ir.Value) -> bool:
    identity = ir.node("Identity", [value], name=node.name)
    identity.outputs[0].shape, identity.outputs[0].type = value.shape, value.type
    replace(node, [identity], identity.outputs[0])
    return True


def _become_constant(node: ir.Node, array: Array) -> bool:
    return _become(node, add_constant(_graph(node), f"{node.name}.known", array))


def _graph(node: ir.Node) -> ir.Graph:
    assert isinstance(node.graph, ir.Graph)
    return node.graph
