"""Largest and smallest elements along axes, where they are, and products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import prod
from typing import Any

import numpy as np

from tinycast.ir.graph import Builder, Op, Pattern, Routine, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm
from tinycast.ir.sizes import kept_sizes
from tinycast.ir.types import Array, DType, Sizes, Value
from tinycast.ops.logic import Cast, masked
from tinycast.ops.node import Node
from tinycast.ops.shape import Reshape, rescaled
from tinycast.tvm_bridge import expr as te


class Extremum(Enum):
    MAX = "ReduceMax"
    MIN = "ReduceMin"
    PROD = "ReduceProd"


_NUMPY: dict[Extremum, Callable[..., Array]] = {
    Extremum.MAX: np.max,
    Extremum.MIN: np.min,
    Extremum.PROD: np.prod,
}
_EXPR = {Extremum.MAX: te.max, Extremum.MIN: te.min, Extremum.PROD: te.product}


@dataclass(frozen=True)
class ReduceExtremum(Op):
    """y = the largest or smallest element, or the product, over `axes`, which stay with length 1."""

    pattern = Pattern.CHANNELWISE
    has_wide_form = True
    function: Extremum
    axes: tuple[int, ...]

    @property
    def title(self) -> str:
        return self.function.value

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        x = inputs[0]
        return TensorType(tuple(1 if i in self.axes else n for i, n in enumerate(x.shape)), x.dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x = arrays[0]
        return _NUMPY[self.function](x, axis=self.axes, keepdims=True, initial=self.of_nothing(x.dtype)).astype(x.dtype)

    def of_nothing(self, dtype: np.dtype[Any]) -> float:
        """The result where there are no elements."""
        if self.function is Extremum.PROD:
            return 1
        if dtype.kind == "f":
            return -np.inf if self.function is Extremum.MAX else np.inf
        limits = np.iinfo(dtype)
        return limits.min if self.function is Extremum.MAX else limits.max

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x = tensors[0]
        k = {a: te.reduce_axis((0, int(x.shape[a])), f"k{a}") for a in self.axes}
        return te.compute(
            out.shape,
            lambda *i: _EXPR[self.function](x(*(k.get(a, i[a]) for a in range(len(out.shape)))), axis=list(k.values())),
            name="accumulator",
        )

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        return kept_sizes(inputs[0], self.axes)

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return ReduceExtremum(self.function, tuple(sorted(perm[a] for a in self.axes)))

    def integer_form(self, form: IntegerForm) -> Value | None:
        x = form.inputs[0].activation
        if x is None or self.function is Extremum.PROD:
            return None
        return rescaled(form, replace(x, value=form.build.call(self, [x.value])))


@dataclass(frozen=True)
class ArgExtremum(Routine):
    """y = where along `axis` the largest (or smallest) element is; of equal ones the first (or last). int64."""

    axis: int
    largest: bool
    last: bool

    @property
    def title(self) -> str:
        return "ArgMax" if self.largest else "ArgMin"

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        shape = tuple(1 if i == self.axis else n for i, n in enumerate(inputs[0].shape))
        return (TensorType(shape, DType.INT64),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x = np.flip(arrays[0], self.axis) if self.last else arrays[0]
        found = (np.argmax if self.largest else np.argmin)(x, self.axis, keepdims=True)
        found = arrays[0].shape[self.axis] - 1 - found if self.last else found
        return (found.astype(np.int64),)

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        return kept_sizes(inputs[0], [self.axis])

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        shape = inputs[0].shape
        outer, length, inner = prod(shape[: self.axis]), shape[self.axis], prod(shape[self.axis + 1 :])
        sign = (">" if self.largest else "<") + ("=" if self.last else "")
        return f"""
for (int32_t i = 0; i < {outer}; ++i) {{
    for (int32_t j = 0; j < {inner}; ++j) {{
        int32_t best = 0;
        for (int32_t k = 1; k < {length}; ++k) {{
            if (input_0[(i * {length} + k) * {inner} + j] {sign} input_0[(i * {length} + best) * {inner} + j]) {{
                best = k;
            }}
        }}
        output_0[i * {inner} + j] = best;
    }}
}}
"""


def import_extremum(node: Node) -> Value:
    x, build = node.input(0), node.build
    axes = node.reduced_axes(len(x.shape))
    if not axes:
        return x
    is_bool = x.dtype is DType.BOOL
    y = build.call(Cast(DType.UINT8), [x]) if is_bool else x
    op = ReduceExtremum(Extremum(node.kind), axes)
    y = build.call(op, [masked(build, y, axes, op.of_nothing(y.dtype.numpy))])
    if is_bool:
        y = build.call(Cast(DType.BOOL), [y])
    if node.int("keepdims", 1):
        return y
    return build.call(Reshape(tuple(n for i, n in enumerate(x.shape) if i not in axes)), [y])


def import_arg_extremum(node: Node) -> Value:
    x = node.input(0)
    axis = node.axis(0, len(x.shape))
    op = ArgExtremum(axis, node.kind == "ArgMax", bool(node.int("select_last_index", 0)))
    (y,) = node.build.call_all(op, [x])
    if node.int("keepdims", 1):
        return y
    return node.build.call(Reshape((*x.shape[:axis], *x.shape[axis + 1 :])), [y])


IMPORTERS = {
    **{function.value: import_extremum for function in Extremum},
    "ArgMax": import_arg_extremum,
    "ArgMin": import_arg_extremum,
}
