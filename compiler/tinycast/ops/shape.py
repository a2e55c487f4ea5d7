"""Operators that only move elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from tinycast.ir.graph import Builder, Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm, QuantizedTensor
from tinycast.ir.sizes import kept_sizes, sizes_of
from tinycast.ir.types import Array, DType, Sizes, Value
from tinycast.ops.counts import count_of, reshaped_sizes
from tinycast.ops.node import Node
from tinycast.tvm_bridge import expr as te


def perm_back(perm: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes `perm`."""
    return tuple(int(i) for i in np.argsort(perm))


TO_NHWC = (0, 2, 3, 1)
TO_NCHW = (0, 3, 1, 2)


@dataclass(frozen=True)
class Move(Op):
    """Base of the operators that take elements from their first input: the same for every element type."""

    pattern = Pattern.INJECTIVE
    broadcasts = False  # positions
    has_wide_form = True

    @property
    def picks(self) -> bool:
        return True

    def integer_form(self, form: IntegerForm) -> Value | None:
        x = form.inputs[0].activation
        if x is None:
            return None
        others = [operand.value for operand in form.inputs[1:]]
        moved = form.build.call(self.quantized(x.scale, x.zero_point, form.dtype), [x.value, *others])
        return rescaled(form, replace(x, value=moved))

    def quantized(self, scale: float, zero_point: int, dtype: DType) -> Op:
        """The same on quantized elements of that type."""
        return self

    def less(self, offset: int) -> Op:
        """The same on elements from which `offset` is subtracted."""
        return self


@dataclass(frozen=True)
class Reshape(Move):
    """The same elements in another shape: bytes do not move."""

    shape: tuple[int, ...]

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(self.shape, inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        return arrays[0].reshape(self.shape)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x = tensors[0]
        shape = [int(n) for n in x.shape]

        def body(*index: te.Expr) -> te.Expr:
            flat = te.const(0, DType.INT32)
            for i, n in zip(index, self.shape, strict=True):
                flat = flat * n + i
            where = []
            for axis, n in enumerate(shape):
                stride = prod(shape[axis + 1 :])
                where.append(flat // stride % n if axis else flat // stride)
            return x(*where) if where else x()

        return te.compute(self.shape, body, name="reshaped")

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        (x,) = inputs
        if any(n == 1 and count is not None for n, count in zip(x.shape, sizes_of(x), strict=True)):
            return x.sizes if x.shape == self.shape else None  # which of the ones it is cannot be told
        return reshaped_sizes(x, x.shape, self.shape, build)


@dataclass(frozen=True)
class Transpose(Move):
    """Output axis i is input axis perm[i]."""

    perm: tuple[int, ...]

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(tuple(inputs[0].shape[p] for p in self.perm), inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        return arrays[0].transpose(self.perm)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x = tensors[0]
        back = perm_back(self.perm)
        return te.compute(out.shape, lambda *i: x(*(i[b] for b in back)), name="transposed")

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        return tuple(inputs[0].sizes[p] for p in self.perm)


@dataclass(frozen=True)
class Pad(Move):
    """A constant border: `before` and `after` elements an axis."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    value: float = 0.0

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        shape = zip(inputs[0].shape, self.before, self.after, strict=True)
        return TensorType(tuple(n + b + a for n, b, a in shape), inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        widths = list(zip(self.before, self.after, strict=True))
        return np.pad(arrays[0], widths, constant_values=self.value)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x = tensors[0]

        def body(*index: te.Expr) -> te.Expr:
            checks = []
            for i, n, before, after in zip(index, x.shape, self.before, self.after, strict=True):
                if before:
                    checks.append(i >= before)
                if after:
                    checks.append(i < int(n) + before)
            source = [i - b for i, b in zip(index, self.before, strict=True)]
            return te.select(te.all_of(checks), x(*source), te.const(self.value, out.dtype)) if checks else x(*source)

        return te.compute(out.shape, body, name="padded")

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        return kept_sizes(inputs[0], [a for a, n in enumerate(self.before) if n or self.after[a]])

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        back = perm_back(perm)
        return replace(self, before=tuple(self.before[b] for b in back), after=tuple(self.after[b] for b in back))

    def quantized(self, scale: float, zero_point: int, dtype: DType) -> Op:
        steps = np.rint(np.float32(self.value) / np.float32(scale))
        kind = np.iinfo(dtype.value)
        return replace(self, value=float(np.clip(steps + zero_point, kind.min, kind.max)))

    def less(self, offset: int) -> Op:
        return replace(self, value=self.value - offset)


@dataclass(frozen=True)
class Slice(Move):
    """Every step-th element from start, `shape` of them, along each axis (steps may be negative)."""

    starts: tuple[int, ...]
    steps: tuple[int, ...]
    shape: tuple[int, ...]

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(self.shape, inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        index = [s + np.arange(n) * t for s, t, n in zip(self.starts, self.steps, self.shape, strict=True)]
        return arrays[0][np.ix_(*index)]

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x = tensors[0]
        return te.compute(
            out.shape,
            lambda *i: x(*(s + k * t for k, s, t in zip(i, self.starts, self.steps, strict=True))),
            name="sliced",
        )

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        """Of an axis that depends on data the elements start, start + 1, … as far as there are such."""
        sizes = list(inputs[0].sizes)
        for axis, count in enumerate(sizes):
            start, length = self.starts[axis], self.shape[axis]
            if count is None or ((start, length) == (0, inputs[0].shape[axis]) and self.steps[axis] == 1):
                continue
            if self.steps[axis] != 1 or start < 0:
                return None
            sizes[axis] = count_of(build, count, shift=-start, most=length)
        return tuple(sizes)

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return Slice(*(tuple(v[b] for b in perm_back(perm)) for v in (self.starts, self.steps, self.shape)))


@dataclass(frozen=True)
class Concat(Op):
    """Inputs one after the other along `axis`."""

    pattern = Pattern.INJECTIVE
    has_wide_form = True
    axis: int

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        shape = list(inputs[0].shape)
        shape[self.axis] = sum(v.shape[self.axis] for v in inputs)
        return TensorType(tuple(shape), inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        return np.concatenate(arrays, self.axis)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        def body(*index: te.Expr) -> te.Expr:
            position = index[self.axis]
            begin = out.shape[self.axis]
            result = None
            for x in reversed(tensors):
                begin -= int(x.shape[self.axis])
                element = x(*index[: self.axis], position - begin, *index[self.axis + 1 :])
                result = (
                    element
                    if result is None
                    else te.select(position < begin + int(x.shape[self.axis]), element, result)
                )
            return result

        return te.compute(out.shape, body, name="concatenated")

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        if any(kept_sizes(v, [self.axis]) is None for v in inputs):
            return None
        found = [{sizes_of(v)[axis] for v in inputs} for axis in range(len(inputs[0].shape))]
        return tuple(counts.pop() for counts in found) if all(len(counts) == 1 for counts in found) else None

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return Concat(perm[self.axis])

    def integer_form(self, form: IntegerForm) -> Value | None:
        tensors = [x.tensor for x in form.inputs]
        parts = [rescaled(form, x, named=False) for x in tensors if x is not None]
        return form.build.call(self, parts, form.output.name) if len(parts) == len(tensors) else None


def rescaled(form: IntegerForm, x: QuantizedTensor, *, named: bool = True) -> Value:
    """`x` brought to the output's scale, zero point and bounds; `x` itself where they are the same."""
    from tinycast.ops.quantize import rescale_table  # a table is an operator of its own, made of these

    return rescale_table(form, x, form.output.name if named else "")


def import_transpose(node: Node) -> Value:
    x = node.input(0)
    return node.build.call(Transpose(tuple(node.ints("perm", range(len(x.shape))[::-1]))), [x])


def import_slice(node: Node) -> Value:
    x = node.input(0)
    starts_in, ends_in = node.constant(1), node.constant(2)
    if starts_in is None or ends_in is None:
        node.reject("starts and ends are missing")
    axes_in, steps_in = node.constant(3), node.constant(4)
    rank = len(x.shape)
    starts, steps, shape = [0] * rank, [1] * rank, list(x.shape)
    axes = range(len(starts_in)) if axes_in is None else axes_in
    for i, axis in enumerate(int(a) % rank for a in axes):
        step = 1 if steps_in is None else int(steps_in[i])
        if step != 1 or starts_in[i] < 0 or ends_in[i] < 0:  # counted from an end that depends on data
            node.require_static(x, axis)
        wanted = slice(int(starts_in[i]), int(ends_in[i]), step).indices(x.shape[axis])
        starts[axis], steps[axis], shape[axis] = wanted[0], step, len(range(*wanted))
    return node.build.call(Slice(tuple(starts), tuple(steps), tuple(shape)), [x])


def import_concat(node: Node) -> Value:
    inputs = [node.input(i) for i in range(len(node.inputs))]
    return node.build.call(Concat(node.axis(0, len(inputs[0].shape))), inputs)


IMPORTERS = {"Transpose": import_transpose, "Slice": import_slice, "Concat": import_concat}
