"""Einsum, as products, sums and diagonals of transposed operands."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from tinycast.ir.types import Value
from tinycast.ops.gather import GatherND
from tinycast.ops.node import Node
from tinycast.ops.product import BatchedProduct
from tinycast.ops.reduce import ReduceSum
from tinycast.ops.shape import Reshape, Transpose


@dataclass
class _Term:
    """A tensor and the letter of each of its axes."""

    value: Value
    letters: str


def import_einsum(node: Node) -> Value:
    values = [node.input(i) for i in range(len(node.inputs))]
    terms, result = _parse(node.text("equation", ""), values)
    joined = _without_repeats(node, terms[0])
    for i, other in enumerate(terms[1:], 2):
        later = "".join(t.letters for t in terms[i:]) + result
        joined = _multiply(node, joined, _without_repeats(node, other), later)
    joined = _summed(node, joined, result)
    perm = tuple(joined.letters.index(c) for c in result)
    return node.build.call(Transpose(perm), [joined.value]) if len(perm) > 1 else joined.value


def _parse(equation: str, values: list[Value]) -> tuple[list[_Term], str]:
    """Letters of operands and result; an ellipsis becomes capital letters, counted from its end."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    spare = [c for c in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if c not in equation]
    terms, longest = [], 0
    for text, value in zip(left.split(","), values, strict=True):
        count = len(value.shape) - len(text.replace("...", ""))
        longest = max(longest, count if "..." in text else 0)
        terms.append(_Term(value, text.replace("...", "".join(reversed(spare[:count])))))
    dots = "".join(reversed(spare[:longest]))
    if not arrow:
        letters = left.replace(",", "").replace(".", "")
        right = "..." + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    return terms, right.replace("...", dots)


def _without_repeats(node: Node, term: _Term) -> _Term:
    """The diagonal along letters that occur twice."""
    while repeated := next((c for c in term.letters if term.letters.count(c) > 1), None):
        first, second = (i for i, c in enumerate(term.letters) if c == repeated)
        perm = (first, second, *(i for i in range(len(term.letters)) if i not in (first, second)))
        moved = node.build.call(Transpose(perm), [term.value])
        n = moved.shape[0]
        indices = node.build.constant(np.stack([np.arange(n)] * 2, 1).astype(np.int32), "diagonal")
        value = node.build.call(GatherND(0), [moved, indices])
        term = _Term(value, "".join(term.letters[p] for p in perm[1:]))
    return term


def _summed(node: Node, term: _Term, kept: str) -> _Term:
    axes = tuple(i for i, c in enumerate(term.letters) if c not in kept)
    if not axes:
        return term
    letters = "".join(c for c in term.letters if c in kept)
    total = node.build.call(ReduceSum(axes), [term.value])
    return _Term(
        node.build.call(Reshape(tuple(n for i, n in enumerate(term.value.shape) if i not in axes)), [total]), letters
    )


def _multiply(node: Node, a: _Term, b: _Term, later: str) -> _Term:
    """One batched product: letters of both that are still needed are its batch, others of both are summed over."""
    a, b = _summed(node, a, b.letters + later), _summed(node, b, a.letters + later)
    shared = [c for c in a.letters if c in b.letters]
    batch = "".join(c for c in shared if c in later)
    inner = "".join(c for c in shared if c not in later)
    rows = "".join(c for c in a.letters if c not in b.letters)
    columns = "".join(c for c in b.letters if c not in a.letters)
    sizes = dict(zip(a.letters + b.letters, a.value.shape + b.value.shape, strict=True))
    left = _matrix(node, a, (batch, rows, inner))
    right = _matrix(node, b, (batch, inner, columns))
    y = node.build.call(BatchedProduct(), [left, right])
    letters = batch + rows + columns
    return _Term(node.build.call(Reshape(tuple(sizes[c] for c in letters)), [y]), letters)


def _matrix(node: Node, term: _Term, parts: tuple[str, str, str]) -> Value:
    """The term's axes brought into the order of `parts`, each part one axis."""
    sizes = dict(zip(term.letters, term.value.shape, strict=True))
    perm = tuple(term.letters.index(c) for c in "".join(parts))
    x = node.build.call(Transpose(perm), [term.value]) if perm != tuple(range(len(perm))) else term.value
    return node.build.call(Reshape(tuple(prod(sizes[c] for c in part) for part in parts)), [x])


IMPORTERS = {"Einsum": import_einsum}
