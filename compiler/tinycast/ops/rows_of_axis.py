"""What operators along one axis share: stages that have an element for each row."""

from __future__ import annotations

from collections.abc import Sequence

from tinycast.ir.graph import Tensor
from tinycast.tvm_bridge import expr as te


def kept_indices(axis: int, index: Sequence[te.Expr]) -> list[te.Expr]:
    """The row's index: that of an element without `axis`."""
    return [*index[:axis], *index[axis + 1 :]]


def stage_shape(axis: int, shape: Sequence[int]) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def largest(x: Tensor, axis: int) -> Tensor:
    """The largest element of each row."""
    shape = [int(n) for n in x.shape]
    k = te.reduce_axis((0, shape[axis]), "k")
    return te.compute(stage_shape(axis, shape), lambda *i: te.max(x(*i[:axis], k, *i[axis:]), axis=[k]), name="largest")
