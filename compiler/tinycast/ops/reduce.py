"""Reductions over whole axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tinycast.ir.fixed_point import INT32_MAX
from tinycast.ir.graph import Builder, Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm
from tinycast.ir.sizes import axis_count, kept_sizes
from tinycast.ir.types import Array, DType, Sizes, Value
from tinycast.ops.elementwise import Binary, BinaryFunction, Clip
from tinycast.ops.extrema import Extremum, ReduceExtremum
from tinycast.ops.logic import Cast, masked
from tinycast.ops.node import Node
from tinycast.ops.requantize import add_requantize
from tinycast.ops.shape import Reshape
from tinycast.ops.sums import chunked_sum
from tinycast.ops.unary import Unary
from tinycast.tvm_bridge import expr as te


def _sum_type(dtype: DType) -> DType:
    return dtype if dtype.itemsize >= 4 else DType.INT32


@dataclass(frozen=True)
class ReduceSum(Op):
    """y = the sum over `axes`, which stay with length 1. Narrow integers give int32, less `offset`."""

    pattern = Pattern.CHANNELWISE
    has_wide_form = True
    axes: tuple[int, ...]
    offset: int = 0

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        shape = tuple(1 if i in self.axes else n for i, n in enumerate(inputs[0].shape))
        return TensorType(shape, _sum_type(inputs[0].dtype))

    def reference(self, arrays: Sequence[Array]) -> Array:
        wide = np.float64 if arrays[0].dtype.kind == "f" else np.int64
        total = arrays[0].astype(wide).sum(self.axes, keepdims=True) - self.offset
        return np.asarray(total, _sum_type(DType(arrays[0].dtype.name)).numpy)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x = tensors[0]

        def term(i: Sequence[te.Expr], k: Sequence[te.Expr]) -> te.Expr:
            reduced = dict(zip(self.axes, k, strict=True))
            return te.cast(x(*(reduced.get(a, i[a]) for a in range(len(out.shape)))), out.dtype)

        acc = chunked_sum(out, [int(x.shape[a]) for a in self.axes], term)
        if not self.offset:
            return acc
        return te.compute(out.shape, lambda *i: acc(*i) - self.offset, name="centred")

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        return kept_sizes(inputs[0], self.axes)

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return ReduceSum(tuple(sorted(perm[a] for a in self.axes)), self.offset)

    def integer_form(self, form: IntegerForm) -> Value | None:
        return _integer_sum(form, self.axes, 1)


@dataclass(frozen=True)
class ReduceMean(Op):
    """y = the mean over `axes`, which stay with length 1; kernels see ReduceSum and a division."""

    pattern = Pattern.CHANNELWISE
    has_wide_form = True
    axes: tuple[int, ...]

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return ReduceSum(self.axes).infer(inputs)

    def reference(self, arrays: Sequence[Array]) -> Array:
        return np.asarray(arrays[0].astype(np.float64).mean(self.axes, keepdims=True), arrays[0].dtype)

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        return kept_sizes(inputs[0], self.axes)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        raise NotImplementedError  # expand() replaces it before kernels are made

    def expand(self, build: Builder, inputs: Sequence[Value], name: str) -> Value:
        """A sum and a division."""
        (x,) = inputs
        summed = build.call(ReduceSum(self.axes), [x])
        count = np.asarray(prod(x.shape[a] for a in self.axes), x.dtype.numpy)
        divisor = build.constant(count, "count")
        return build.call(Binary(BinaryFunction.DIV), [summed, divisor], name)

    def integer_form(self, form: IntegerForm) -> Value | None:
        return _integer_sum(form, self.axes, prod(form.inputs[0].value.shape[a] for a in self.axes))


def _integer_sum(form: IntegerForm, axes: tuple[int, ...], divisor: int) -> Value | None:
    """The sum over axes of an int8 tensor, divided."""
    x = form.inputs[0].activation
    if x is None:
        return None
    count, zero = prod(x.value.shape[a] for a in axes), x.zero_point
    acc = form.build.call(ReduceSum(axes, zero * count), [x.value])
    ratio = np.asarray(x.scale / (form.scale * divisor))
    bound = form.most(zero) * count
    if form.dtype is DType.INT16 and bound + abs(zero) * count > INT32_MAX:
        return None
    return add_requantize(form.build, acc, ratio, form.zero_point, form.bounds, bound, form.output.name, form.dtype)


def import_reduce(node: Node) -> Value:
    """Where no axis is named and this is to mean none, the function of single elements stays."""
    x, build = node.input(0), node.build
    axes = node.reduced_axes(len(x.shape))
    if node.kind == "ReduceLogSumExp":
        y = _log_sum_exp(node, x, axes) if axes else x
    else:
        before, after = _AROUND.get(node.kind, ("", ""))
        y = build.call(Unary(before), [x]) if before else x
        if node.kind in ("ReduceL2", "ReduceSumSquare"):
            y = build.call(Binary(BinaryFunction.MUL), [x, x])
        counts = [count for a in axes if (count := axis_count(y, a)) is not None]
        if counts:
            y = build.call(ReduceSum(axes), [masked(build, y, axes, 0)])
            if node.kind == "ReduceMean":
                y = _divided(node, y, counts, prod(x.shape[a] for a in axes if axis_count(x, a) is None))
        elif axes:
            y = build.call(ReduceMean(axes) if node.kind == "ReduceMean" else ReduceSum(axes), [y])
        y = build.call(Unary(after), [y]) if after else y
    if node.int("keepdims", 1) or not axes:
        return y
    return build.call(Reshape(tuple(n for i, n in enumerate(x.shape) if i not in axes)), [y])


def _divided(node: Node, y: Value, counts: Sequence[Value], others: int) -> Value:
    """y divided by the product of counts and of `others`."""
    for count in (*counts, node.build.constant(np.asarray([others], np.int32), "count")):
        divisor = node.build.call(Reshape(()), [node.build.call(Cast(y.dtype), [count])])
        y = node.build.call(Binary(BinaryFunction.DIV), [y, divisor])
    return y


# What is applied to each element before the sum, and to the sum.
_AROUND = {"ReduceL1": ("Abs", ""), "ReduceL2": ("", "Sqrt"), "ReduceLogSum": ("", "Log")}


def _log_sum_exp(node: Node, x: Value, axes: tuple[int, ...]) -> Value:
    """max + log(sum(exp(x - max))), which does not overflow; with a finite max, since infinities have no difference."""
    build, most = node.build, float(np.finfo(np.float32).max)
    largest = build.call(Clip(-most, most), [build.call(ReduceExtremum(Extremum.MAX, axes), [x])])
    powers = build.call(Unary("Exp"), [build.call(Binary(BinaryFunction.SUB), [x, largest])])
    total = build.call(Unary("Log"), [build.call(ReduceSum(axes), [powers])])
    return build.call(Binary(BinaryFunction.ADD), [largest, total])


_KINDS = ("Mean", "Sum", "L1", "L2", "SumSquare", "LogSum", "LogSumExp")
IMPORTERS = {f"Reduce{kind}": import_reduce for kind in _KINDS}
