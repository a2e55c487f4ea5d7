"""Tensors made of positions and constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tinycast.ir.graph import Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.counts import dims_of
from tinycast.ops.extrema import Extremum, ReduceExtremum
from tinycast.ops.logic import Cast, Logic, Where
from tinycast.ops.node import Node
from tinycast.ops.shape import Reshape, Slice
from tinycast.tvm_bridge import expr as te


@dataclass(frozen=True)
class Iota(Op):
    """y[i] = start + i * step, without inputs: shape (count,)."""

    pattern = Pattern.ELEMENTWISE
    count: int
    dtype: DType
    start: float = 0
    step: float = 1

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType((self.count,), self.dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        return (self.start + np.arange(self.count) * self.step).astype(self.dtype.numpy)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        start, step = te.const(self.start, self.dtype), te.const(self.step, self.dtype)
        return te.compute(out.shape, lambda i: start + te.cast(i, self.dtype) * step, name="counted")


def import_trilu(node: Node) -> Value:
    """Kept where column - row >= k (upper), or <= k (lower); k may be computed at run time."""
    x, k, build = node.input(0), node.optional(1), node.build
    rows, columns = x.shape[-2:]
    offsets = np.arange(columns)[None, :] - np.arange(rows)[:, None]
    diagonal = build.constant(offsets.astype(np.int64), "diagonal")
    bound = build.constant(np.zeros((), np.int64), "k") if k is None else k
    if bound.shape:
        bound = build.call(Reshape(()), [bound])
    kept = build.call(Logic("GreaterOrEqual" if node.int("upper", 1) else "LessOrEqual"), [diagonal, bound])
    return build.call(Where(), [kept, x, build.constant(np.zeros((), x.dtype.numpy), "zero")])


def import_one_hot(node: Node) -> Value:
    """values[1] where the position along the axis is the index, else values[0]."""
    indices, values, build = node.input(0), node.input(2), node.build
    depth = int(node.required(1).reshape(-1)[0])
    rank = len(indices.shape) + 1
    axis = node.int("axis", -1) % rank
    if indices.dtype is not DType.INT64:
        indices = build.call(Cast(DType.INT64), [indices])
    column = build.call(Reshape((*indices.shape[:axis], 1, *indices.shape[axis:])), [indices])
    places = np.arange(depth).reshape((depth, *(1,) * (rank - 1 - axis)))
    here = build.call(Logic("Equal"), [column, build.constant(places.astype(np.int64), "places")])
    below = build.call(Logic("Equal"), [column, build.constant((places - depth).astype(np.int64), "places_from_end")])
    hot = build.call(Logic("Or"), [here, below])
    off, on = (build.call(Reshape(()), [build.call(Slice((i,), (1,), (1,)), [values])]) for i in (0, 1))
    return build.call(Where(), [hot, on, off])


def import_eye_like(node: Node) -> Value:
    x = node.input(0)
    for axis in range(2):
        node.require_static(x, axis)
    rows, columns = x.shape
    return node.build.constant(np.eye(rows, columns, node.int("k", 0), node.output_type().inside.numpy), "eye")


def import_range(node: Node) -> Value:
    start, limit, step = (node.required(i).reshape(-1)[0] for i in range(3))
    count = max(0, int(np.ceil((limit - start) / step)))
    return node.build.keep(Iota(count, node.input(0).dtype, start.item(), step.item()), [])


def import_constant_of_shape(node: Node) -> Value:
    value = node.onnx.attributes.get("value")
    data = np.zeros(1, np.float32) if value is None else value.as_tensor().numpy()
    shape = tuple(int(n) for n in node.required(0))
    return node.build.constant(np.full(shape, data.reshape(-1)[0], data.dtype), "filled")


def import_constant(node: Node) -> Value:
    for name, kind in (("value_float", np.float32), ("value_int", np.int64)):
        for attribute in (node.onnx.attributes.get(name), node.onnx.attributes.get(f"{name}s")):
            if attribute is not None:
                return node.build.constant(np.asarray(attribute.value, kind), "value")
    value = node.onnx.attributes.get("value")
    if value is None:
        node.reject("its value is no plain tensor")
    return node.build.constant(value.as_tensor().numpy(), "value")


def import_shape(node: Node) -> Value:
    x = node.input(0)
    if x.sizes:
        return _real_shape(node, x)
    if node.kind == "Size":
        return node.build.constant(np.asarray(prod(x.shape), np.int64), "size")
    rank = len(x.shape)
    return node.build.constant(
        np.asarray(x.shape[slice(node.int("start", 0), node.int("end", rank))], np.int64), "shape"
    )


def _real_shape(node: Node, x: Value) -> Value:
    """The shape of a value whose size depends on data, or the product of its dimensions."""
    build, rank = node.build, len(x.shape)
    shape = build.call(Cast(DType.INT64), [dims_of(build, x)])
    if node.kind == "Size":
        return build.call(Reshape(()), [build.call(ReduceExtremum(Extremum.PROD, (0,)), [shape])])
    first, last, _ = slice(node.int("start", 0), node.int("end", rank)).indices(rank)
    return build.call(Slice((first,), (1,), (max(0, last - first),)), [shape])


IMPORTERS = {
    "Constant": import_constant,
    "ConstantOfShape": import_constant_of_shape,
    "EyeLike": import_eye_like,
    "OneHot": import_one_hot,
    "Range": import_range,
    "Shape": import_shape,
    "Size": import_shape,
    "Trilu": import_trilu,
}
