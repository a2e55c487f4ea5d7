"""BitCast: the same bytes as another element type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinycast.ir.graph import Routine, TensorType
from tinycast.ir.types import Array, DType, Value
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
    output = node.onnx.outputs[0]
    name = np.dtype(output.dtype.numpy()).name if output.dtype is not None else ""
    if name not in {d.value for d in DType}:
        node.reject(f"the element type {name} is not supported")
    x = node.input(0)
    if x.dtype.itemsize != DType(name).itemsize:
        node.reject(f"{x.dtype.value} and {name} differ in width")
    (y,) = node.build.call_all(BitCast(DType(name)), [x])
    return y


IMPORTERS = {"BitCast": import_bit_cast}
