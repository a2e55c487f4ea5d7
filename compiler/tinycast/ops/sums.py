"""Reductions whose rounding error does not grow with their length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from tinycast.ir.graph import Tensor, TensorType
from tinycast.ir.types import DType
from tinycast.tvm_bridge import expr as te

_LONGEST_FLOAT_SUM = 64
_PARTIAL_SUMS = 4
_FEW_TERMS = 8
_MOST_TERMS = 1024


def float_chunks(extents: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Split a reduction's extents into (over chunks, inside a chunk), equal in length to `extents`.

    A sum over at most 64 terms is one chunk; a longer one has at least 4 chunks of at most 64 terms
    (as far as divisors allow), so that its error grows with the chunk and not with the sum. Where divisors
    would leave only a few terms in a chunk, chunks are as much longer as they have to be.
    """
    total = prod(extents)
    if total <= _LONGEST_FLOAT_SUM:
        return (1,) * len(extents), tuple(extents)
    limit = min(_LONGEST_FLOAT_SUM, total // _PARTIAL_SUMS)
    outer, inner = [1] * len(extents), [1] * len(extents)
    size = 1
    for i in range(len(extents) - 1, -1, -1):
        divisors = [d for d in range(1, extents[i] + 1) if extents[i] % d == 0]
        best = max((d for d in divisors if size * d <= limit), default=1)
        if size * best < _FEW_TERMS:
            best = next((d for d in divisors if _FEW_TERMS <= size * d <= _MOST_TERMS), best)
        inner[i], outer[i] = best, extents[i] // best
        size *= best
        if outer[i] > 1:
            for j in range(i):
                outer[j] = extents[j]
            break
    return tuple(outer), tuple(inner)


def chunked_sum(
    out: TensorType, extents: Sequence[int], term: Callable[[Sequence[te.Expr], Sequence[te.Expr]], te.Expr]
) -> Tensor:
    """sum over `extents` of term(index, k). float32 sums go through partial sums in a fixed order."""
    outer, inner = float_chunks(extents) if out.dtype is DType.FLOAT32 else ((1,) * len(extents), tuple(extents))
    if prod(outer) == 1:
        k = [te.reduce_axis((0, n), f"k{i}") for i, n in enumerate(extents)]
        return te.compute(out.shape, lambda *i: te.sum(term(i, k), axis=k), name="accumulator")
    split = [i for i, n in enumerate(outer) if n > 1]
    rank = len(out.shape)
    k = [te.reduce_axis((0, n), f"k{i}") for i, n in enumerate(inner)]

    def chunk(*i: te.Expr) -> te.Expr:
        start = dict(zip(split, i[rank:], strict=True))
        index = [start[d] * inner[d] + k[d] if d in start else k[d] for d in range(len(extents))]
        return te.sum(term(i[:rank], index), axis=k)

    partial = te.compute((*out.shape, *(outer[d] for d in split)), chunk, name="partial")
    chunks = [te.reduce_axis((0, outer[d]), f"chunk{d}") for d in split]
    return te.compute(out.shape, lambda *i: te.sum(partial(*i, *chunks), axis=chunks), name="accumulator")
