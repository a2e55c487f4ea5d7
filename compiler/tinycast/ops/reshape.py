"""Operators that give the same elements another shape, and those that give back what they get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from tinycast.ir.sizes import size_error
from tinycast.ir.types import Value
from tinycast.ops.counts import reshaped_sizes, stand_ins, without_stand_ins
from tinycast.ops.node import Node
from tinycast.ops.shape import Reshape

Shape = Sequence[int]


def _reshaped(node: Node, x: Value, new_shape: Callable[[Shape], Shape]) -> Value:
    """x in the shape that `new_shape` makes of its own."""
    if not x.sizes:
        return node.build.call(Reshape(tuple(new_shape(x.shape))), [x])
    before = stand_ins(x)
    after = tuple(new_shape(before))
    sizes = reshaped_sizes(x, before, after, node.build)
    if sizes is None:
        raise size_error(node.kind, node.build.source, [x])
    return node.build.call(Reshape(without_stand_ins(after)), [x], sizes=sizes)


def import_reshape(node: Node) -> Value:
    wanted = node.constant(1)
    if wanted is None:
        node.reject("the shape is missing")
    given = [int(v) for v in wanted.reshape(-1)]

    def new_shape(shape: Shape) -> Shape:
        new = given if node.int("allowzero", 0) else [shape[i] if n == 0 else n for i, n in enumerate(given)]
        known = -prod(new)
        return [(prod(shape) // known if known else 0) if n == -1 else n for n in new]

    return _reshaped(node, node.input(0), new_shape)


def import_flatten(node: Node) -> Value:
    axis = node.int("axis", 1)

    def new_shape(shape: Shape) -> Shape:
        split = axis + len(shape) if axis < 0 else axis
        return (prod(shape[:split]), prod(shape[split:]))

    return _reshaped(node, node.input(0), new_shape)


def import_squeeze(node: Node) -> Value:
    def new_shape(shape: Shape) -> Shape:
        axes = node.axes(1, [i for i, n in enumerate(shape) if n == 1], len(shape))
        return [n for i, n in enumerate(shape) if i not in axes]

    return _reshaped(node, node.input(0), new_shape)


def import_unsqueeze(node: Node) -> Value:
    data = node.constant(1)
    axes = node.ints("axes", []) if data is None else [int(v) for v in data.reshape(-1)]

    def new_shape(shape: Shape) -> Shape:
        rank = len(shape) + len(axes)
        places = {a % rank for a in axes}
        rest = iter(shape)
        return [1 if i in places else next(rest) for i in range(rank)]

    return _reshaped(node, node.input(0), new_shape)


def import_identity(node: Node) -> Value:
    return node.input(0)


IMPORTERS = {
    "Reshape": import_reshape,
    "Flatten": import_flatten,
    "Squeeze": import_squeeze,
    "Unsqueeze": import_unsqueeze,
    "Identity": import_identity,
}
