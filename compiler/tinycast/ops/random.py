"""Random numbers: of a generator that counts, so that they need no state and are the same in every run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from tinycast.ir.graph import Routine, TensorType
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.elementwise import Binary, BinaryFunction
from tinycast.ops.logic import Cast, Logic, Where
from tinycast.ops.node import Node
from tinycast.ops.shape import Reshape

_STREAM = 0x9E3779B9  # far apart for seeds that lie side by side


def _uniform(first: int, count: int) -> npt.NDArray[np.float32]:
    """`tc_random_uniform` of first, first + 1, … in NumPy."""
    bits = (np.arange(count, dtype=np.uint64) + np.uint64(first)).astype(np.uint32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        bits = (bits ^ (bits >> np.uint32(shift))) * np.uint32(factor)
    return np.asarray((bits >> np.uint32(8)).astype(np.float32) * np.float32(2**-24), np.float32)


@dataclass(frozen=True)
class Random(Routine):
    """float32 numbers in low <= y < low + span, or normal ones around `low` with the deviation `span`."""

    runtime = frozenset({"tc_random.h"})
    shape: tuple[int, ...]
    low: float
    span: float
    seed: int
    normal: bool

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType(self.shape, DType.FLOAT32),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        count = prod(self.shape)
        numbers: Array = _uniform(self._first, 2 * count if self.normal else count)
        if self.normal:
            length = np.sqrt(-2 * np.log(1 - numbers[::2].astype(np.float64)))
            numbers = (length * np.cos(2 * np.pi * numbers[1::2])).astype(np.float32)
        return ((np.float32(self.low) + numbers * np.float32(self.span)).reshape(self.shape),)

    @property
    def _first(self) -> int:
        return self.seed * _STREAM % 2**32

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        function = "tc_random_normal" if self.normal else "tc_random_uniform"
        low, span = (f"{np.float32(v)!s}f" for v in (self.low, self.span))
        place = "2u * (uint32_t)i" if self.normal else "(uint32_t)i"
        return f"""
for (int32_t i = 0; i < {prod(self.shape)}; ++i) {{
    output_0[i] = {low} + {function}({self._first}u + {place}) * {span};
}}
"""


def _seed(node: Node) -> int:
    """The node's own, else one made of how many nodes come before it."""
    given = node.onnx.attributes.get("seed")
    return 1 + len(node.build.program.calls) if given is None else int(given.value)


def _random(node: Node, shape: tuple[int, ...], low: float, span: float, *, normal: bool = False) -> Value:
    return node.build.keep(Random(shape, low, span, _seed(node), normal), [])


def import_random(node: Node) -> Value:
    shape = node.input(0).shape if node.kind.endswith("Like") else tuple(node.ints("shape", []))
    if node.kind.startswith("RandomUniform"):
        low = node.float("low", 0.0)
        y = _random(node, shape, low, node.float("high", 1.0) - low)
    else:
        y = _random(node, shape, node.float("mean", 0.0), node.float("scale", 1.0), normal=True)
    return _typed(node, y)


def _typed(node: Node, y: Value) -> Value:
    dtype = node.output_type().inside
    return y if y.dtype is dtype else node.build.call(Cast(dtype), [y])


def import_bernoulli(node: Node) -> Value:
    """1 with the given probability, as the operator's text says; the function body beside it has it the other way."""
    chance = node.input(0)
    return _typed(node, node.build.call(Logic("Less"), [_random(node, chance.shape, 0.0, 1.0), chance]))


def import_dropout(node: Node) -> tuple[Value, ...]:
    """In training elements are dropped at random and the others grow for it; else nothing is. The mask says which."""
    x, ratio, build = node.input(0), node.optional(1), node.build
    training = node.optional(2)
    never = training is None or (training.data is not None and not training.data.any())
    if training is None or never or (ratio is not None and ratio.data is not None and not ratio.data.any()):
        kept = build.constant(np.ones(x.shape, np.bool_), "mask")
        kept.sizes = x.sizes
        return (x, kept)
    if ratio is None:
        ratio = build.constant(np.asarray(0.5, np.float32), "ratio")
    nothing = build.constant(np.zeros((), np.float32), "nothing")
    ratio = build.call(Where(), [*(build.call(Reshape(()), [v]) for v in (training, ratio)), nothing])
    mask = build.call(Logic("GreaterOrEqual"), [_random(node, x.shape, 0.0, 1.0), ratio])
    one = build.constant(np.ones((), np.float32), "one")
    rest = build.call(Binary(BinaryFunction.SUB), [one, ratio])
    grown = build.call(Binary(BinaryFunction.DIV), [x, rest])
    return (build.call(Where(), [mask, grown, nothing]), mask)


IMPORTERS = {
    **dict.fromkeys(("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"), import_random),
    "Bernoulli": import_bernoulli,
    "Dropout": import_dropout,
}
