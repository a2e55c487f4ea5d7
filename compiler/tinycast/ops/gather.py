"""Operators that take elements at positions which are computed at run time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinycast.ir.graph import Builder, Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.sizes import axis_count, kept_sizes, sizes_of
from tinycast.ir.types import Array, DType, Sizes, Value
from tinycast.ops.elementwise import Binary, BinaryFunction
from tinycast.ops.logic import Cast, Logic, Where
from tinycast.ops.node import Node
from tinycast.ops.shape import Move, Reshape, Slice
from tinycast.tvm_bridge import expr as te


def position(index: te.Expr, length: int) -> te.Expr:
    """An index into an axis, counted from the end where it is negative, kept inside of the axis."""
    narrow = te.cast(index, DType.INT32)
    wrapped = te.select(narrow < 0, narrow + length, narrow)
    return te.maximum(te.minimum(wrapped, te.const(length - 1, DType.INT32)), te.const(0, DType.INT32))


def positions(indices: Array, length: int) -> Array:
    """`position` in NumPy."""
    return np.clip(np.where(indices < 0, indices + length, indices), 0, length - 1).astype(np.int64)


@dataclass(frozen=True)
class Gather(Move):
    """y[a, i, b] = x[a, indices[i], b], where a are the axes before `axis` and b those behind it."""

    axis: int

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        x, indices = inputs
        return TensorType((*x.shape[: self.axis], *indices.shape, *x.shape[self.axis + 1 :]), x.dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        return np.take(arrays[0], positions(arrays[1], arrays[0].shape[self.axis]), self.axis)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x, indices = tensors
        axis, rank = self.axis, len(indices.shape)
        length = int(x.shape[axis])

        def body(*i: te.Expr) -> te.Expr:
            return x(*i[:axis], position(indices(*i[axis : axis + rank]), length), *i[axis + rank :])

        return te.compute(out.shape, body, name="gathered")

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        x, indices = (sizes_of(v) for v in inputs)
        return (*x[: self.axis], *indices, *x[self.axis + 1 :])

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return Gather(perm[self.axis]) if len(inputs[1].shape) == 1 else None


@dataclass(frozen=True)
class GatherElements(Move):
    """y[i] = x[i, with indices[i] in the place of axis `axis`]."""

    axis: int

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[1].shape, inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x, indices = arrays
        places: list[Array] = list(np.indices(indices.shape))
        places[self.axis] = positions(indices, x.shape[self.axis])
        return np.asarray(x[tuple(places)])

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x, indices = tensors
        axis = self.axis
        length = int(x.shape[axis])
        return te.compute(
            out.shape, lambda *i: x(*i[:axis], position(indices(*i), length), *i[axis + 1 :]), name="gathered"
        )

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        return None if kept_sizes(inputs[0], [self.axis]) is None else sizes_of(inputs[1])


@dataclass(frozen=True)
class GatherND(Move):
    """y[b, i, r] = x[b, indices[b, i, :], r] with `batch` axes b; the last axis of indices counts axes of x."""

    batch: int

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        x, indices = inputs
        depth = indices.shape[-1]
        return TensorType((*indices.shape[:-1], *x.shape[self.batch + depth :]), x.dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x, indices = arrays
        batch = np.indices(indices.shape[:-1])[: self.batch]
        wrapped = [positions(indices[..., d], x.shape[self.batch + d]) for d in range(indices.shape[-1])]
        return np.asarray(x[(*batch, *wrapped)])

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x, indices = tensors
        rank, depth, batch = len(indices.shape) - 1, int(indices.shape[-1]), self.batch

        def body(*i: te.Expr) -> te.Expr:
            where = [position(indices(*i[:rank], d), int(x.shape[batch + d])) for d in range(depth)]
            return x(*i[:batch], *where, *i[rank:])

        return te.compute(out.shape, body, name="gathered")

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        x, indices = (sizes_of(v) for v in inputs)
        end = self.batch + inputs[1].shape[-1]
        fits = x[: self.batch] == indices[: self.batch] and indices[-1] is None and not any(x[self.batch : end])
        return (*indices[:-1], *x[end:]) if fits else None


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


def import_gather(node: Node) -> Value:
    """Constant indices in equal steps are a Slice."""
    x, indices, build = node.input(0), node.input(1), node.build
    axis = node.axis(0, len(x.shape))
    if x.sizes:
        count = axis_count(x, axis)
        return build.call(Gather(axis), [x, indices if count is None else _from_end(build, indices, count)])
    wanted = None if indices.data is None else positions(indices.data.reshape(-1), x.shape[axis])
    if wanted is None or wanted.size == 0 or np.unique(np.diff(wanted)).size > 1:
        return build.call(Gather(axis), [x, indices])
    step = int(wanted[1] - wanted[0]) if wanted.size > 1 else 1
    starts, steps, shape = [0] * len(x.shape), [1] * len(x.shape), list(x.shape)
    starts[axis], steps[axis], shape[axis] = int(wanted[0]), step, wanted.size
    y = build.call(Slice(tuple(starts), tuple(steps), tuple(shape)), [x])
    shape[axis : axis + 1] = indices.shape
    return y if y.shape == tuple(shape) else build.call(Reshape(tuple(shape)), [y])


def _from_end(build: Builder, indices: Value, count: Value) -> Value:
    """Negative indices into an axis that is as long as `count` says, counted from its start."""
    if indices.data is not None and (indices.data >= 0).all():
        return indices
    length = build.call(Reshape(()), [build.call(Cast(indices.dtype), [count])])
    below = build.call(Logic("Less"), [indices, build.constant(np.zeros((), indices.dtype.numpy), "zero")])
    return build.call(Where(), [below, build.call(Binary(BinaryFunction.ADD), [indices, length]), indices])


def import_gather_elements(node: Node) -> Value:
    x, indices = node.input(0), node.input(1)
    return node.build.call(GatherElements(node.axis(0, len(x.shape))), [x, indices])


def import_gather_nd(node: Node) -> Value:
    return node.build.call(GatherND(node.int("batch_dims", 0)), [node.input(0), node.input(1)])


def import_reverse_sequence(node: Node) -> Value:
    return node.build.call(
        ReverseSequence(node.int("time_axis", 0), node.int("batch_axis", 1)), [node.input(0), node.input(1)]
    )


IMPORTERS = {
    "Gather": import_gather,
    "GatherElements": import_gather_elements,
    "GatherND": import_gather_nd,
    "ReverseSequence": import_reverse_sequence,
}
