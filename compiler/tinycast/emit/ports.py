"""Inputs and outputs as the generated API shows them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinycast.emit.kernels import arena_field
from tinycast.emit.literals import float_literal, string_literal
from tinycast.emit.names import Names
from tinycast.errors import InternalError
from tinycast.ir.kernel import Compiled, MemoryPlan, Port, StatePort
from tinycast.ir.types import DType, Value


@dataclass(frozen=True)
class PortView:
    """One port with the names and expressions that the templates print."""

    kind: str  # "input" or "output"
    index: int
    port: Port
    function: str  # kws_input_0
    alias: str  # kws_input_image, "" where the ONNX name adds nothing
    pointer: str  # C expression of the data's address, given `model`
    arena_offset: int | None  # None for an output that is a constant
    dims_pointer: str | None = None  # C expression of the real dimensions' address; None where they are static

    @property
    def macro(self) -> str:
        return self.function.upper()

    @property
    def dtype(self) -> DType:
        return self.port.dtype

    @property
    def elements(self) -> int:
        return self.port.value.size

    @property
    def bytes(self) -> int:
        return self.elements * self.port.dtype.itemsize

    @property
    def to_float(self) -> str:
        """What makes an element of a float type a float32, in front of its brackets."""
        return f"tc_from_{self.dtype.value}" if self.dtype.is_coded_float else "(float)"

    @property
    def scale(self) -> str | None:
        return None if self.port.quant is None else float_literal(self.port.quant.scale[0])

    @property
    def zero_point(self) -> int | None:
        return None if self.port.quant is None else self.port.quant.zero_point[0]

    @property
    def dims_function(self) -> str:
        return f"{self.function}_dims"

    @property
    def classes(self) -> list[str]:
        """The lines of a C initializer of the names of the classes."""
        items = [string_literal(name) for name in self.port.classes]
        return textwrap.wrap(", ".join(items), 110, break_long_words=False, break_on_hyphens=False)

    def manifest(self) -> dict[str, Any]:
        """This port's entry in the manifest."""
        quant = self.port.quant
        return {
            "index": self.index,
            "name": self.port.name,
            "c_name": self.alias or self.function,
            "shape": list(self.port.shape),
            "dtype": self.port.dtype.value,
            "scale": None if quant is None else quant.scale[0],
            "zero_point": self.zero_point,
            "bytes": self.bytes,
            "arena_offset": self.arena_offset,
            **({"classes": list(self.port.classes)} if self.port.classes else {}),
            "dynamic_axes": list(self.port.dynamic_axes),
        }


def port_views(compiled: Compiled, kind: str, weight_symbol: Callable[[Value], str]) -> list[PortView]:
    """Return the views of all inputs (`kind` "input") or outputs ("output")."""
    ports = compiled.inputs if kind == "input" else compiled.outputs
    functions = [f"{compiled.name}_{kind}_{index}" for index in range(len(ports))]
    names = Names(frozenset((*functions, *(f"{function}_dims" for function in functions))))
    views = []
    for index, port in enumerate(ports):
        _check(port)
        alias = functions[index]
        if port.name != str(index):
            alias = names.unique(f"{compiled.name}_{kind}", port.name)
        offset = None if port.value.is_constant else compiled.plan.placements[port.value.name].offset
        pointer = weight_symbol(port.value) if offset is None else _buffer_at(compiled.plan, port.value)
        alias = "" if alias == functions[index] else alias
        dims = None if port.dims is None else _buffer_at(compiled.plan, port.dims)
        views.append(PortView(kind, index, port, functions[index], alias, pointer, offset, dims))
    return views


def _buffer_at(plan: MemoryPlan, value: Value) -> str:
    function = f"buffer_at_{arena_field(plan, value.name)}" if plan.regions else "buffer_at"
    return f"{function}(model, {plan.placements[value.name].offset})"


@dataclass(frozen=True)
class StateView:
    """One state as the templates print it."""

    state: StatePort
    arena_offset: int
    symbol: str  # the constant array of its initial value, where `fill` is None
    arena: str = "arena"  # member of the model that points to where it lies

    def manifest(self) -> dict[str, Any]:
        """This state's entry in the manifest."""
        port = self.state.port
        quant = port.quant
        return {
            "input": port.name,
            "output": self.state.output,
            "shape": list(port.shape),
            "dtype": port.dtype.value,
            "scale": None if quant is None else quant.scale[0],
            "zero_point": None if quant is None else quant.zero_point[0],
            "bytes": port.value.bytes,
            "arena_offset": self.arena_offset,
        }


def state_views(compiled: Compiled, weight_symbol: Callable[[Value], str]) -> list[StateView]:
    """Return the views of all states."""
    return [
        StateView(
            state,
            compiled.plan.placements[state.port.value.name].offset,
            weight_symbol(state.initial) if state.fill is None else "",
            arena_field(compiled.plan, state.port.value.name),
        )
        for state in compiled.states
    ]


def _check(port: Port) -> None:
    if port.quant is not None and not port.quant.per_tensor:
        raise InternalError("an input or output has one scale a channel", where=port.name)
    if port.value.bytes != port.value.size * port.dtype.itemsize:
        raise InternalError(f"the buffer is {port.value.dtype.value}, the API says {port.dtype.value}", where=port.name)
