"""BitCast: the same bytes as another element type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinycast.ir.graph import Routine, TensorType
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.formats import Decode, Encode, Rule
from tinycast.ops.node import Node


@dataclass(frozen=True)
class BitCast(Routine):
    """y has the bytes of x; its type is as wide."""

    runtime: ClassVar[frozenset[str]] = frozenset({"tc_copy.h"})
    dtype: DType

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].shape, self.dtype),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        return (np.ascontiguousarray(arrays[0]).view(self.dtype.numpy).reshape(arrays[0].shape),)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        count = int(np.prod(inputs[0].shape)) * self.dtype.itemsize
        return f"memcpy(output_0, input_0, {count});\n"


def import_bit_cast(node: Node) -> Value:
    source, target, build = node.input_type(0), node.output_type(), node.build
    if source.is_narrow_integer or target.is_narrow_integer:
        node.reject("integers of less than a byte are not supported")
    if source.itemsize != target.itemsize:
        node.reject(f"{source.value} and {target.value} differ in width")
    x = build.call(Encode(Rule(source)), [node.input(0)]) if source.is_storage else node.input(0)
    (y,) = build.call_all(BitCast(target), [x])
    return build.call(Decode(target), [y]) if target.is_storage else y


IMPORTERS = {"BitCast": import_bit_cast}
