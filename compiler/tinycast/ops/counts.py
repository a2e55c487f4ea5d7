"""Counts of axes whose length depends on data: made of other counts, written as dimensions, and used as masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tinycast.ir.graph import Builder, Op, Pattern, Routine, Tensor, TensorType, Tile
from tinycast.ir.sizes import axis_count, sizes_of
from tinycast.ir.types import Array, DType, Sizes, Value
from tinycast.tvm_bridge import expr as te


@dataclass(frozen=True)
class CountOf(Op):
    """factor * clamp(count + shift, 0, most), from a count: int32 of shape (1,)."""

    pattern = Pattern.ELEMENTWISE
    shift: int
    most: int
    factor: int

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType((1,), DType.INT32)

    def reference(self, arrays: Sequence[Array]) -> Array:
        return np.asarray(np.clip(arrays[0] + self.shift, 0, self.most) * self.factor, np.int32)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        zero, most = te.const(0, DType.INT32), te.const(self.most, DType.INT32)
        return te.elementwise(
            tensors, out.shape, lambda n: te.maximum(te.minimum(n + self.shift, most), zero) * self.factor, "count"
        )


def count_of(build: Builder, count: Value, *, shift: int = 0, most: int, factor: int = 1) -> Value:
    """See `CountOf`; the same count made before is taken again, so that equal lengths are known to be equal."""
    op = CountOf(shift, most, factor)
    for call in (*build.program.calls, *build.calls):
        if call.op == op and call.inputs == (count,):
            return call.output
    return build.call(op, [count], build.program.unique_name(f"{count.name}.derived"))


_PRIMES = (1000003, 1000033, 1000037, 1000039)


def stand_ins(x: Value) -> tuple[int, ...]:
    """The shape of x, every length that depends on data times a large prime of its own."""
    primes = iter(_PRIMES)
    return tuple(n if count is None else n * next(primes) for n, count in zip(x.shape, sizes_of(x), strict=True))


def without_stand_ins(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape that one made of `stand_ins` stands for."""
    return tuple(next((n // prime for prime in _PRIMES if n and n % prime == 0), n) for n in shape)


def reshaped_sizes(x: Value, before: Sequence[int], after: Sequence[int], build: Builder) -> Sizes | None:
    """The sizes of x reshaped; `before` and `after` are the two shapes, or stand-ins for them.

    An axis that depends on data stays as it is, or swallows the static axes behind it; one that was made so gives
    them back. None for what would need elements to move.
    """
    sizes: list[Value | None] = [None] * len(after)
    if prod(before) != prod(after):
        return None
    i = j = 0
    while i < len(before) and j < len(after):
        if before[i] == 1 and axis_count(x, i) is None:
            i += 1
        elif after[j] == 1:
            j += 1
        else:
            n = m = 1
            while prod(before[i : i + n]) != prod(after[j : j + m]):
                if prod(before[i : i + n]) < prod(after[j : j + m]):
                    n += 1
                else:
                    m += 1
            counts = [axis_count(x, a) for a in range(i, i + n)]
            if any(count is not None for count in counts):
                taken, given = prod(before[i + 1 : i + n]), prod(after[j + 1 : j + m])
                sizes[j] = _joined(build, counts[0], x.shape[i], taken, given)
                if sizes[j] is None or any(count is not None for count in counts[1:]):
                    return None
            i, j = i + n, j + m
    return None if any(axis_count(x, a) is not None for a in range(i, len(before))) else tuple(sizes)


def _joined(build: Builder, count: Value | None, most: int, taken: int, given: int) -> Value | None:
    """The count of an axis that swallows `taken` elements each, of which `given` stay axes behind it."""
    if count is None or taken == given:
        return count
    if given == 1:
        return count_of(build, count, most=most, factor=taken)
    made = next((c for c in (*build.program.calls, *build.calls) if c.output is count), None)
    plain = made is not None and isinstance(made.op, CountOf) and (made.op.shift, made.op.factor) == (0, given)
    return made.inputs[0] if made is not None and plain and taken == 1 else None


@dataclass(frozen=True)
class Dims(Routine):
    """The real dimensions (int32) of a tensor: the lengths given, and for None the next operand's count."""

    lengths: tuple[int | None, ...]

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType((len(self.lengths),), DType.INT32),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        counts = iter(arrays)
        return (np.asarray([int(next(counts)[0]) if n is None else n for n in self.lengths], np.int32),)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        counts = iter(range(len(inputs)))
        values = [f"input_{next(counts)}[0]" if n is None else n for n in self.lengths]
        return "\n".join(f"output_0[{i}] = {value};" for i, value in enumerate(values))


def dims_of(build: Builder, x: Value) -> Value:
    """The real dimensions of x, int32."""
    sizes = sizes_of(x)
    lengths = tuple(n if count is None else None for n, count in zip(x.shape, sizes, strict=True))
    return build.call_all(Dims(lengths), [count for count in sizes if count is not None])[0]


@dataclass(frozen=True)
class Mask(Op):
    """Whether an index of an axis of `length` is below the count: bool of shape (length, 1, …) with `behind` ones."""

    pattern = Pattern.ELEMENTWISE
    length: int
    behind: int

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType((self.length, *(1,) * self.behind), DType.BOOL)

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return None

    def reference(self, arrays: Sequence[Array]) -> Array:
        return (np.arange(self.length) < arrays[0]).reshape(self.length, *(1,) * self.behind)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        (count,) = tensors
        return te.compute(out.shape, lambda *i: i[0] < count(te.const(0, DType.INT32)), name="real")
