"""Constants as C arrays, equal ones shared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinycast.emit.literals import table_rows
from tinycast.emit.names import Names
from tinycast.errors import InternalError
from tinycast.ir.kernel import Compiled, Role
from tinycast.ir.types import Array, DType, Value


@dataclass(frozen=True)
class Weight:
    """One constant array of the generated code."""

    symbol: str
    dtype: DType
    data: Array
    comment: str
    section_macro: str  # stands in front of its definition

    @property
    def count(self) -> int:
        return max(1, self.data.size)

    @property
    def rows(self) -> list[str]:
        return table_rows(self.data, self.dtype)


class Weights:
    """All constants that the steps and outputs of a model read, in order of first use."""

    def __init__(self, compiled: Compiled) -> None:
        self._prefix = compiled.name
        self._flash = compiled.flash
        self._by_content: dict[tuple[DType, bytes], Weight] = {}
        self._by_value: dict[int, str] = {}
        self._names = Names()
        for step in compiled.steps:
            for value in step.values(Role.INPUT):
                self._add(value)
        for port in compiled.outputs:
            self._add(port.value)
        for state in compiled.states:
            if state.fill is None:
                self._add(state.initial)

    @property
    def bytes(self) -> int:
        """Bytes of all arrays, each counted once."""
        return sum(weight.count * weight.dtype.itemsize for weight in self.arrays)

    @property
    def arrays(self) -> list[Weight]:
        return list(self._by_content.values())

    def symbol(self, value: Value) -> str:
        """The name of the array that holds the constant `value`."""
        return self._by_value[id(value)]

    def _add(self, value: Value) -> None:
        if value.data is None or id(value) in self._by_value:
            return
        if value.data.dtype != value.dtype.numpy or value.data.size != value.size:
            raise InternalError("a constant's data does not have its type and shape", where=value.name)
        data = np.ascontiguousarray(value.data)
        key = (value.dtype, data.tobytes())
        if key not in self._by_content:
            symbol = self._names.unique(f"{self._prefix}_w{len(self._by_content)}", value.name, longest=32)
            shape = ", ".join(map(str, value.shape))
            region = self._flash.get(key)
            macro = f"{self._prefix}_weights_{region.name + '_' if region else ''}section".upper()
            self._by_content[key] = Weight(symbol, value.dtype, data, f"{value.name} [{shape}]", macro)
        self._by_value[id(value)] = self._by_content[key].symbol
