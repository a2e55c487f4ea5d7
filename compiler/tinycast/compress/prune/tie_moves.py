"""How operators that move, take or sum elements tie the axes of their inputs and outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from tinycast.compress.prune.ties import Ties, integer_attribute, pin_all, present, tie_all_axes


def tie_concat(node: ir.Node, ties: Ties) -> None:
    y = node.outputs[0]
    along = integer_attribute(node, "axis", 0) % len(ties.shape(y))
    start = 0
    for value in present(node.inputs):
        for axis, atoms in enumerate(ties.axes(value)):
            target = ties.axis(y, axis)
            ties.tie(atoms, target[start : start + len(atoms)] if axis == along else target)
        start += ties.shape(value)[along]


def tie_split(node: ir.Node, ties: Ties) -> None:
    x, *rest = present(node.inputs)
    along = integer_attribute(node, "axis", 0) % len(ties.shape(x))
    for value in rest:
        ties.pin_value(value)
    for y in present(node.outputs):
        for axis, atoms in enumerate(ties.axes(y)):
            if axis == along:
                ties.pin(atoms)
                ties.pin(ties.axis(x, axis))
            else:
                ties.tie(atoms, ties.axis(x, axis))


def tie_transpose(node: ir.Node, ties: Ties) -> None:
    x, y = present(node.inputs)[0], node.outputs[0]
    rank = len(ties.shape(x))
    attribute = node.attributes.get("perm")
    order = attribute.as_ints() if attribute is not None else range(rank)[::-1]
    for axis, source in enumerate(order):
        ties.tie(ties.axis(x, source), ties.axis(y, axis))


def tie_pad(node: ir.Node, ties: Ties) -> None:
    x, pads, *rest = present(node.inputs)
    y = node.outputs[0]
    rank = len(ties.shape(x))
    for value in (pads, *rest):
        ties.pin_value(value)
    if pads.const_value is None or len(pads.const_value.numpy()) != 2 * rank:
        pin_all(node, ties)
        return
    widths = pads.const_value.numpy().reshape(2, rank)
    for axis, (first, second) in enumerate(zip(ties.axes(x), ties.axes(y), strict=True)):
        if widths[:, axis].any():
            ties.pin(first)
            ties.pin(second)
        else:
            ties.tie(first, second)


def tie_reduce(node: ir.Node, ties: Ties) -> None:
    """Axes that are summed over stay: a mean over fewer channels is another mean."""
    x, *rest = present(node.inputs)
    y = node.outputs[0]
    if ties.shape(x) == ties.shape(y):
        tie_all_axes(x, y, ties)
        return
    if integer_attribute(node, "keepdims", 1) == 1:
        reduced = {axis for axis, size in enumerate(ties.shape(y)) if size == 1}
    else:
        axes = _constant_axes(node, rest)
        if axes is None:
            pin_all(node, ties)
            return
        reduced = {axis % len(ties.shape(x)) for axis in axes} or set(range(len(ties.shape(x))))
    kept = iter(ties.axes(y))
    for axis, atoms in enumerate(ties.axes(x)):
        if axis in reduced:
            ties.pin(atoms)
            if integer_attribute(node, "keepdims", 1) == 1:
                next(kept)
        else:
            ties.tie(atoms, next(kept))


def tie_reshape(node: ir.Node, ties: Ties) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze: runs of axes with the same number of elements belong together.

    A run may merge or split one axis that is free to go (channels) and others that are not (positions):
    removing a channel removes its block of the merged axis. The rewriting of Reshape's constant follows.
    """
    x, y = present(node.inputs)[0], node.outputs[0]
    for value in present(node.inputs)[1:]:
        ties.pin_value(value)
        if not value.is_initializer():
            pin_all(node, ties)
    for many, one in _runs(ties.shape(x), ties.shape(y)):
        many_atoms = [ties.axis(x, axis) for axis in many]
        one_atoms = [ties.axis(y, axis) for axis in one]
        if len(many_atoms) == 1:
            many_atoms, one_atoms = one_atoms, many_atoms
        free = [index for index, atoms in enumerate(many_atoms) if not ties.is_pinned(atoms)]
        if len(one_atoms) != 1 or not free:
            for atoms in (*many_atoms, *one_atoms):
                ties.pin(atoms)
            continue
        # Where several are free (an axis split in two), ONNX has channels before positions.
        for index in free[1:]:
            ties.pin(many_atoms[index])
        sizes = [len(atoms) for atoms in many_atoms]
        inner = math.prod(sizes[free[0] + 1 :])
        source = np.arange(len(one_atoms[0])) // inner % sizes[free[0]]
        ties.tie(one_atoms[0], many_atoms[free[0]][source])


def _runs(first: Sequence[int], second: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Split two shapes of equal size into the shortest runs of axes with equal products, axes of one left out."""
    left = [axis for axis, size in enumerate(first) if size != 1]
    right = [axis for axis, size in enumerate(second) if size != 1]
    runs = []
    while left and right:
        a, b = [left.pop(0)], [right.pop(0)]
        while (p := math.prod(first[i] for i in a)) != (q := math.prod(second[i] for i in b)):
            (a if p < q else b).append((left if p < q else right).pop(0))
        runs.append((a, b))
    return runs


def _constant_axes(node: ir.Node, inputs: Sequence[ir.Value]) -> list[int] | None:
    """The axes a reduction names, from its attribute or its constant input; none named is an empty list."""
    if "axes" in node.attributes:
        return list(node.attributes["axes"].as_ints())
    if not inputs:
        return []
    constant = inputs[0].const_value
    return None if constant is None else [int(axis) for axis in constant.numpy()]
