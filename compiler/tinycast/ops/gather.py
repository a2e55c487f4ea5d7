"""Operators that take elements at positions which are computed at run time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinycast.ir.graph import Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.node import Node
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
class Gather(Op):
    """y[a, i, b] = x[a, indices[i], b], where a are the axes before `axis` and b those behind it."""

    pattern = Pattern.INJECTIVE
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


@dataclass(frozen=True)
class GatherElements(Op):
    """y[i] = x[i, with indices[i] in the place of axis `axis`]."""

    pattern = Pattern.INJECTIVE
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


@dataclass(frozen=True)
class GatherND(Op):
    """y[b, i, r] = x[b, indices[b, i, :], r] with `batch` axes b; the last axis of indices counts axes of x."""

    pattern = Pattern.INJECTIVE
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


def import_gather(node: Node) -> Value:
    x, indices = node.input(0), node.input(1)
    return node.build.call(Gather(node.axis(0, len(x.shape))), [x, indices])


def import_gather_elements(node: Node) -> Value:
    x, indices = node.input(0), node.input(1)
    return node.build.call(GatherElements(node.axis(0, len(x.shape))), [x, indices])


def import_gather_nd(node: Node) -> Value:
    return node.build.call(GatherND(node.int("batch_dims", 0)), [node.input(0), node.input(1)])


IMPORTERS = {"Gather": import_gather, "GatherElements": import_gather_elements, "GatherND": import_gather_nd}
