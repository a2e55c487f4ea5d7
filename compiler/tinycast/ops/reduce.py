"""Reductions over whole axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from tinycast.ir.graph import Builder, IntegerForm, Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.elementwise import Binary, BinaryFunction
from tinycast.ops.node import Node
from tinycast.ops.requantize import add_requantize
from tinycast.ops.shape import Reshape, rescaled
from tinycast.ops.sums import chunked_sum
from tinycast.ops.unary import Unary
from tinycast.tvm_bridge import expr as te


@dataclass(frozen=True)
class ReduceSum(Op):
    """y = the sum over `axes`, which stay with length 1. int8 gives int32, less `offset`."""

    pattern = Pattern.CHANNELWISE
    axes: tuple[int, ...]
    offset: int = 0

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        shape = tuple(1 if i in self.axes else n for i, n in enumerate(inputs[0].shape))
        return TensorType(shape, DType.FLOAT32 if inputs[0].dtype is DType.FLOAT32 else DType.INT32)

    def reference(self, arrays: Sequence[Array]) -> Array:
        total = arrays[0].astype(np.float64).sum(self.axes, keepdims=True) - self.offset
        return np.asarray(total, np.float32 if arrays[0].dtype == np.float32 else np.int32)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x = tensors[0]

        def term(i: Sequence[te.Expr], k: Sequence[te.Expr]) -> te.Expr:
            reduced = dict(zip(self.axes, k, strict=True))
            return te.cast(x(*(reduced.get(a, i[a]) for a in range(len(out.shape)))), out.dtype)

        acc = chunked_sum(out, [int(x.shape[a]) for a in self.axes], term)
        if not self.offset:
            return acc
        return te.compute(out.shape, lambda *i: acc(*i) - self.offset, name="centred")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return ReduceSum(tuple(sorted(perm[a] for a in self.axes)), self.offset)


@dataclass(frozen=True)
class ReduceMean(Op):
    """y = the mean over `axes`, which stay with length 1; kernels see ReduceSum and a division."""

    pattern = Pattern.CHANNELWISE
    axes: tuple[int, ...]

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return ReduceSum(self.axes).infer(inputs)

    def reference(self, arrays: Sequence[Array]) -> Array:
        return np.asarray(arrays[0].astype(np.float64).mean(self.axes, keepdims=True), np.float32)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        raise NotImplementedError  # expand() replaces it before kernels are made

    def expand(self, build: Builder, x: Value, name: str) -> Value:
        summed = build.call(ReduceSum(self.axes), [x])
        count = np.asarray(prod(x.shape[a] for a in self.axes), np.float32)
        divisor = build.constant(count, "count")
        return build.call(Binary(BinaryFunction.DIV), [summed, divisor], name)

    def integer_form(self, form: IntegerForm) -> Value | None:
        x = form.inputs[0].activation
        if x is None:
            return None
        count = prod(x.value.shape[a] for a in self.axes)
        zero = x.zero_point
        acc = form.build.call(ReduceSum(self.axes, zero * count), [x.value])
        ratio = np.asarray(x.scale / (form.scale * count))
        bound = (255 + abs(zero)) * count
        return add_requantize(form.build, acc, ratio, form.zero_point, form.bounds, bound, form.output.name)


@dataclass(frozen=True)
class ReduceExtreme(Op):
    """y = the largest (or smallest) element over `axes`, which stay with length 1."""

    pattern = Pattern.CHANNELWISE
    axes: tuple[int, ...]
    largest: bool = True

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(ReduceSum(self.axes).infer(inputs).shape, inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        reduce = np.max if self.largest else np.min
        return np.asarray(reduce(arrays[0], self.axes, keepdims=True))

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x = tensors[0]
        k = {a: te.reduce_axis((0, int(x.shape[a])), f"k{a}") for a in self.axes}
        reduce = te.max if self.largest else te.min
        return te.compute(
            out.shape,
            lambda *i: reduce(x(*(k.get(a, i[a]) for a in range(len(i)))), axis=list(k.values())),
            name="accumulator",
        )

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return ReduceExtreme(tuple(sorted(perm[a] for a in self.axes)), self.largest)

    def integer_form(self, form: IntegerForm) -> Value | None:
        x = form.inputs[0].activation
        if x is None:
            return None
        return rescaled(form, replace(x, value=form.build.call(self, [x.value])))


def _reduced(node: Node, x: Value, axes: tuple[int, ...]) -> Value:
    build = node.build
    if node.kind in ("ReduceMax", "ReduceMin"):
        return build.call(ReduceExtreme(axes, node.kind == "ReduceMax"), [x])
    if node.kind == "ReduceMean":
        return build.call(ReduceMean(axes), [x])
    if node.kind == "ReduceL1":
        x = build.call(Unary("Abs"), [x])
    elif node.kind in ("ReduceL2", "ReduceSumSquare"):
        x = build.call(Binary(BinaryFunction.MUL), [x, x])
    y = build.call(ReduceSum(axes), [x])
    return build.call(Unary("Sqrt"), [y]) if node.kind == "ReduceL2" else y


def import_reduce(node: Node) -> Value:
    x = node.input(0)
    rank = len(x.shape)
    default = [] if node.int("noop_with_empty_axes", 0) else range(rank)
    axes = tuple(node.axes(1, default, rank))
    if not axes and node.kind in ("ReduceL1", "ReduceL2", "ReduceSumSquare"):
        node.reject("no axis is reduced", "name the axes")
    if not axes:
        return x
    y = _reduced(node, x, axes)
    if node.int("keepdims", 1):
        return y
    return node.build.call(Reshape(tuple(n for i, n in enumerate(x.shape) if i not in axes)), [y])


_KINDS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare")
IMPORTERS = dict.fromkeys(_KINDS, import_reduce)
