"""Borders of a tensor: constant, or made of its own elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinycast.ir.graph import Tensor, TensorType, Tile
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.logic import Where
from tinycast.ops.node import Node
from tinycast.ops.shape import Move, Pad, Reshape, Slice
from tinycast.tvm_bridge import expr as te


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


IMPORTERS = {"Pad": import_pad}
