"""Operators that copy, repeat and rearrange elements, made of few typed ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinycast.ir.graph import Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.gather import positions
from tinycast.ops.logic import Where
from tinycast.ops.node import Node
from tinycast.ops.shape import Move, Pad, Reshape, Slice, Transpose
from tinycast.tvm_bridge import expr as te


@dataclass(frozen=True)
class Repeat(Move):
    """The tensor repeated along each axis; an axis of the output counts modulo the input's length."""

    shape: tuple[int, ...]

    @property
    def title(self) -> str:
        return "Tile"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(self.shape, inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x = arrays[0]
        return x[np.ix_(*(np.arange(n) % m for n, m in zip(self.shape, x.shape, strict=True)))]

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x = tensors[0]
        return te.compute(
            out.shape,
            lambda *i: x(
                *(
                    te.const(0, DType.INT32) if int(m) == 1 else k if int(m) == n else k % int(m)
                    for k, n, m in zip(i, out.shape, x.shape, strict=True)
                )
            ),
            name="tiled",
        )


@dataclass(frozen=True)
class PadBy(Move):
    """A border of the tensor's own elements: along each axis, output element i is x[sources[axis][i]]."""

    mode: str  # "reflect", "edge" or "wrap"
    before: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def title(self) -> str:
        return "Pad"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(self.shape, inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x = arrays[0]
        after = [n - b - m for n, b, m in zip(self.shape, self.before, x.shape, strict=True)]
        return np.pad(x, list(zip(self.before, after, strict=True)), mode=self.mode)  # type: ignore[call-overload,no-any-return]

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x = tensors[0]

        def source(i: te.Expr, before: int, n: int, length: int) -> te.Expr:
            if n == length:
                return i
            i = i - before
            last = te.const(length - 1, DType.INT32)
            if self.mode == "edge":
                return te.maximum(te.minimum(i, last), te.const(0, DType.INT32))
            if self.mode == "wrap":
                return (i + before // length * length + length) % length
            period = max(1, 2 * (length - 1))
            folded = (i + (before // period + 1) * period) % period
            return te.minimum(folded, period - folded)

        def body(*index: te.Expr) -> te.Expr:
            rows = zip(index, self.before, out.shape, x.shape, strict=True)
            return x(*(source(i, before, n, int(length)) for i, before, n, length in rows))

        return te.compute(out.shape, body, name="padded")


@dataclass(frozen=True)
class ReverseSequence(Op):
    """The first lengths[b] elements along `time` of each batch b back to front. Inputs: x, lengths."""

    pattern = Pattern.INJECTIVE
    time: int
    batch: int

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x, lengths = arrays
        places: list[Array] = list(np.indices(x.shape))
        t, limit = places[self.time], lengths[places[self.batch]]
        places[self.time] = positions(np.where(t < limit, limit - 1 - t, t), x.shape[self.time])
        return np.asarray(x[tuple(places)])

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x, lengths = tensors

        def body(*i: te.Expr) -> te.Expr:
            t = i[self.time]
            limit = te.minimum(
                te.cast(lengths(i[self.batch]), DType.INT32), te.const(out.shape[self.time], DType.INT32)
            )
            where = te.select(t < limit, limit - 1 - t, t)
            return x(*i[: self.time], where, *i[self.time + 1 :])

        return te.compute(out.shape, body, name="reversed")


def expand(node: Node, x: Value, shape: Sequence[int]) -> Value:
    """`x` broadcast to `shape` (NumPy's rule)."""
    wide = tuple(np.broadcast_shapes(x.shape, tuple(shape)))
    same_rank = (1,) * (len(wide) - len(x.shape)) + x.shape
    if same_rank != x.shape:
        x = node.build.call(Reshape(same_rank), [x])
    return x if x.shape == wide else node.build.call(Repeat(wide), [x])


def import_expand(node: Node) -> Value:
    return expand(node, node.input(0), [int(n) for n in node.required(1)])


def import_tile(node: Node) -> Value:
    x = node.input(0)
    shape = tuple(n * int(r) for n, r in zip(x.shape, node.required(1), strict=True))
    return node.build.call(Repeat(shape), [x])


def import_split(node: Node) -> tuple[Value, ...]:
    x = node.input(0)
    axis, count = node.axis(0, len(x.shape)), len(node.onnx.outputs)
    given = node.constant(1)
    size = -(-x.shape[axis] // count)
    sizes = [size] * (count - 1) + [x.shape[axis] - size * (count - 1)] if given is None else [int(n) for n in given]
    parts, start = [], 0
    for n in sizes:
        starts, steps, shape = [0] * len(x.shape), (1,) * len(x.shape), list(x.shape)
        starts[axis], shape[axis] = start, n
        parts.append(node.build.call(Slice(tuple(starts), steps, tuple(shape)), [x]))
        start += n
    return tuple(parts)


def import_depth_to_space(node: Node) -> Value:
    x, block, build = node.input(0), node.int("blocksize", 1), node.build
    n, c, h, w = x.shape
    if node.text("mode", "DCR") == "DCR":
        split, perm = (n, block, block, c // block**2, h, w), (0, 3, 4, 1, 5, 2)
    else:
        split, perm = (n, c // block**2, block, block, h, w), (0, 1, 4, 2, 5, 3)
    y = build.call(Transpose(perm), [build.call(Reshape(split), [x])])
    return build.call(Reshape((n, c // block**2, h * block, w * block)), [y])


def import_space_to_depth(node: Node) -> Value:
    x, block, build = node.input(0), node.int("blocksize", 1), node.build
    n, c, h, w = x.shape
    split = (n, c, h // block, block, w // block, block)
    perm = (0, 3, 5, 1, 2, 4) if node.text("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    y = build.call(Transpose(perm), [build.call(Reshape(split), [x])])
    return build.call(Reshape((n, c * block**2, h // block, w // block)), [y])


def import_reverse_sequence(node: Node) -> Value:
    return node.build.call(
        ReverseSequence(node.int("time_axis", 0), node.int("batch_axis", 1)), [node.input(0), node.input(1)]
    )


def import_pad(node: Node) -> Value:
    """Negative pads crop first; the fill may be computed at run time."""
    x, build = node.input(0), node.build
    mode = node.text("mode", "constant")
    rank = len(x.shape)
    amounts, axes = [int(p) for p in node.required(1)], node.constant(3)
    half = len(amounts) // 2
    before, after = [0] * rank, [0] * rank
    for i, axis in enumerate(range(rank) if axes is None else axes.reshape(-1)):
        before[int(axis) % rank], after[int(axis) % rank] = amounts[i], amounts[half + i]
    if min(before + after, default=0) < 0:
        starts = tuple(max(0, -b) for b in before)
        shape = tuple(n + min(0, b) + min(0, a) for n, b, a in zip(x.shape, before, after, strict=True))
        x = build.call(Slice(starts, (1,) * rank, shape), [x])
        before, after = [max(0, b) for b in before], [max(0, a) for a in after]
    shape = tuple(n + b + a for n, b, a in zip(x.shape, before, after, strict=True))
    if mode != "constant":
        return build.call(PadBy(mode, tuple(before), shape), [x])
    fill = node.optional(2)
    if fill is None or fill.data is not None:
        number = 0.0 if fill is None or fill.data is None else float(fill.data.reshape(-1)[0])
        return build.call(Pad(tuple(before), tuple(after), number), [x])
    inside = np.pad(np.ones(x.shape, np.bool_), list(zip(before, after, strict=True)))
    wide = build.call(Pad(tuple(before), tuple(after)), [x])
    scalar = build.call(Reshape(()), [fill]) if fill.shape else fill
    return build.call(Where(), [build.constant(inside, "inside"), wide, scalar])


IMPORTERS = {
    "DepthToSpace": import_depth_to_space,
    "Expand": import_expand,
    "Pad": import_pad,
    "ReverseSequence": import_reverse_sequence,
    "SpaceToDepth": import_space_to_depth,
    "Split": import_split,
    "Tile": import_tile,
}
