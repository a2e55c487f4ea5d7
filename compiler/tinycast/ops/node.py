"""An ONNX node as the importers see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import onnx_ir

from tinycast.errors import ModelError
from tinycast.ir.graph import Builder, Program
from tinycast.ir.sizes import axis_count, size_error
from tinycast.ir.types import Array, DType, Value

_Int = int  # the class below has methods called int and float
_Float = float

# Imports a graph inside of a node: values for its inputs -> its program, and what that reads from around it.
Subprogram = Callable[[onnx_ir.Graph, Sequence[Value]], tuple[Program, tuple[Value, ...]]]


@dataclass(frozen=True)
class Node:
    """One node: its operands (None where an optional one is left out), attributes, and where to append calls."""

    onnx: onnx_ir.Node
    inputs: tuple[Value | None, ...]
    build: Builder
    opset: int
    weights: frozenset[Value]  # values that a DequantizeLinear makes of constants
    import_graph: Subprogram

    @property
    def kind(self) -> str:
        return self.onnx.op_type

    def input(self, index: int) -> Value:
        value = self.optional(index)
        if value is None:
            self.reject(f"input {index} is missing")
        return value

    def optional(self, index: int) -> Value | None:
        return self.inputs[index] if index < len(self.inputs) else None

    def constant(self, index: int) -> Array | None:
        """The constant operand's array; None where it is left out. Rejects a node whose operand is computed."""
        value = self.optional(index)
        if value is None:
            return None
        if value.data is None:
            self.reject(f"input {index} ({value.name}) has to be a constant")
        return value.data

    def required(self, index: int) -> Array:
        """The constant operand's elements as a flat array."""
        data = self.constant(index)
        if data is None:
            self.reject(f"input {index} is missing")
        return data.reshape(-1)

    def reduced_axes(self, rank: int) -> tuple[_Int, ...]:
        """The axes of a Reduce operator: all where none are named, unless it says that this means none."""
        data = self.constant(1)
        named = self.ints("axes", []) if data is None else [*map(round, data.reshape(-1).tolist())]
        if not named:
            return () if self.int("noop_with_empty_axes", 0) else tuple(range(rank))
        return tuple(sorted(a % rank for a in named))

    def int(self, name: str, default: int) -> int:
        attribute = self.onnx.attributes.get(name)
        return default if attribute is None else int(attribute.as_int())

    def ints(self, name: str, default: Sequence[_Int]) -> list[_Int]:
        attribute = self.onnx.attributes.get(name)
        return list(default) if attribute is None else [int(v) for v in attribute.as_ints()]

    def float(self, name: str, default: float) -> float:
        attribute = self.onnx.attributes.get(name)
        # Attributes are float32; the shortest decimal of it is what its author wrote.
        return default if attribute is None else float(str(np.float32(attribute.as_float())))

    def text(self, name: str, default: str) -> str:
        attribute = self.onnx.attributes.get(name)
        return default if attribute is None else attribute.as_string()

    def floats(self, name: str, default: Sequence[_Float]) -> list[_Float]:
        attribute = self.onnx.attributes.get(name)
        return list(default) if attribute is None else [float(str(np.float32(v))) for v in attribute.as_floats()]

    def texts(self, name: str, default: Sequence[str]) -> list[str]:
        attribute = self.onnx.attributes.get(name)
        return list(default) if attribute is None else list(attribute.as_strings())

    def axis(self, default: _Int, rank: _Int) -> _Int:
        return self.int("axis", default) % max(rank, 1)

    def axes(self, index: _Int, default: Sequence[_Int], rank: _Int) -> list[_Int]:
        """Axes from input `index` (newer opsets) or the attribute (older ones), sorted, non-negative."""
        data = self.constant(index)
        axes = self.ints("axes", default) if data is None else [int(v) for v in data.reshape(-1)]
        return sorted(a % rank for a in axes)

    def is_weight(self, index: _Int) -> bool:
        """Whether operand `index` is a constant, plain or quantized."""
        value = self.input(index)
        return value.is_constant or value in self.weights

    def subprogram(self, name: str, inputs: Sequence[Value]) -> tuple[Program, tuple[Value, ...]]:
        """The graph of attribute `name` as a program, and the values from around it that it reads.

        `inputs` stand for the graph's inputs. The program's inputs are those that are no constants, then what stands
        for the values read.
        """
        return self.import_graph(self.onnx.attributes[name].as_graph(), inputs)

    def fresh(self, name: str, shape: tuple[_Int, ...], dtype: DType) -> Value:
        """A value with a name of its own."""
        return Value(self.build.program.unique_name(f"{self.build.source}.{name}"), shape, dtype)

    def output_type(self, index: _Int = 0) -> DType:
        """The element type that ONNX gives an output: inside of the model it is `.inside` of that."""
        return self._type(self.onnx.outputs[index])

    def input_type(self, index: _Int) -> DType:
        """The element type that ONNX gives an input."""
        value = self.onnx.inputs[index]
        assert value is not None
        return self._type(value)

    def _type(self, value: onnx_ir.Value) -> DType:
        name = np.dtype(value.dtype.numpy()).name if value.dtype is not None else "that is not known"
        try:
            return DType(name)
        except ValueError:
            self.reject(f"the element type {name} is not supported")

    def require_static(self, value: Value, axis: _Int) -> None:
        """Reject the node where the axis is of a length that depends on data."""
        if axis_count(value, axis) is not None:
            raise size_error(self.kind, self.build.source, [value])

    def reject(self, reason: str, fix: str = "") -> NoReturn:
        """Say that this node cannot be compiled; all such nodes are reported together."""
        raise ModelError(f"{self.kind}: {reason}", where=self.build.source, fix=fix)


# An importer appends what a node means and returns its outputs in order; None for one that nobody reads.
Imported = Value | tuple[Value | None, ...]
Importer = Callable[[Node], Imported]
