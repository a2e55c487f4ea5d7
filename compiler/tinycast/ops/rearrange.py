"""Operators that split, repeat and regroup tensors, written with the moves of `shape`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinycast.ir.graph import Builder, Op, Tensor, TensorType, Tile
from tinycast.ir.sizes import kept_sizes
from tinycast.ir.types import Array, Sizes, Value
from tinycast.ops.node import Node
from tinycast.ops.shape import Move, Reshape, Slice, Transpose, perm_back
from tinycast.tvm_bridge import expr as te


@dataclass(frozen=True)
class Repeat(Move):
    """Every element `counts[axis]` times in a row along each axis."""

    counts: tuple[int, ...]

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(tuple(n * c for n, c in zip(inputs[0].shape, self.counts, strict=True)), inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x = arrays[0]
        for axis, count in enumerate(self.counts):
            x = np.repeat(x, count, axis)
        return x

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x = tensors[0]
        return te.compute(
            out.shape, lambda *i: x(*(k // c for k, c in zip(i, self.counts, strict=True))), name="repeated"
        )

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        return kept_sizes(inputs[0], [a for a, count in enumerate(self.counts) if count != 1])

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return Repeat(tuple(self.counts[b] for b in perm_back(perm)))


def _slice(node: Node, x: Value, axis: int, start: int, size: int, step: int = 1) -> Value:
    starts, steps, shape = [0] * len(x.shape), [1] * len(x.shape), list(x.shape)
    starts[axis], steps[axis], shape[axis] = start, step, size
    return node.build.call(Slice(tuple(starts), tuple(steps), tuple(shape)), [x])


def import_split(node: Node) -> tuple[Value, ...]:
    x = node.input(0)
    axis = node.axis(0, len(x.shape))
    node.require_static(x, axis)
    count, length = len(node.onnx.outputs), x.shape[axis]
    given = node.constant(1)
    sizes = node.ints("split", []) if given is None else [int(n) for n in given.reshape(-1)]
    if not sizes:
        each = -(-length // count)
        sizes = [min(each, length - i * each) for i in range(count)]
    starts = [sum(sizes[:i]) for i in range(count)]
    return tuple(_slice(node, x, axis, start, size) for start, size in zip(starts, sizes, strict=True))


def import_expand(node: Node) -> Value:
    x, wanted = node.input(0), node.constant(1)
    if wanted is None:
        node.reject("the shape is missing")
    shape = np.broadcast_shapes(x.shape, tuple(int(n) for n in wanted.reshape(-1)))
    lifted = (1,) * (len(shape) - len(x.shape)) + x.shape
    if lifted != x.shape:
        x = node.build.call(Reshape(lifted), [x])
    counts = tuple(n // m for n, m in zip(shape, lifted, strict=True))
    return x if shape == lifted else node.build.call(Repeat(counts), [x])


def import_tile(node: Node) -> Value:
    x, repeats = node.input(0), node.constant(1)
    if repeats is None:
        node.reject("the repeats are missing")
    for axis, count in enumerate(int(n) for n in repeats.reshape(-1)):
        if count > 1:  # a new axis in front of this one, repeated
            split = (*x.shape[:axis], 1, *x.shape[axis:])
            apart = node.build.call(Reshape(split), [x])
            counts = tuple(count if i == axis else 1 for i in range(len(split)))
            merged = tuple(n * count if i == axis else n for i, n in enumerate(x.shape))
            x = node.build.call(Reshape(merged), [node.build.call(Repeat(counts), [apart])])
    return x


def import_depth_to_space(node: Node) -> Value:
    x, block = node.input(0), node.int("blocksize", 1)
    n, channels, height, width = x.shape
    inner = channels // block**2
    if node.text("mode", "DCR") == "DCR":
        split, perm = (n, block, block, inner, height, width), (0, 3, 4, 1, 5, 2)
    else:
        split, perm = (n, inner, block, block, height, width), (0, 1, 4, 2, 5, 3)
    y = node.build.call(Transpose(perm), [node.build.call(Reshape(split), [x])])
    return node.build.call(Reshape((n, inner, height * block, width * block)), [y])


def import_space_to_depth(node: Node) -> Value:
    x, block = node.input(0), node.int("blocksize", 1)
    n, channels, height, width = x.shape
    rows, columns = height // block, width // block
    y = node.build.call(Reshape((n, channels, rows, block, columns, block)), [x])
    perm = (0, 3, 5, 1, 2, 4) if node.text("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    y = node.build.call(Transpose(perm), [y])
    return node.build.call(Reshape((n, channels * block**2, rows, columns)), [y])


IMPORTERS = {
    "Split": import_split,
    "Expand": import_expand,
    "Tile": import_tile,
    "DepthToSpace": import_depth_to_space,
    "SpaceToDepth": import_space_to_depth,
}
