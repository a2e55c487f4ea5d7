"""What an operator is given to write itself in integers: its operands and its output, quantized."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinycast.ir.graph import Builder
from tinycast.ir.types import DType, Value


@dataclass(frozen=True)
class QuantizedTensor:
    """The real tensor scale * (value - zero_point); `value` is int8, or int16 in a wide form."""

    value: Value
    scale: float
    zero_point: int


@dataclass(frozen=True)
class QuantizedInput:
    """An operand of a float operator that is really `scale * (value - zero_point)`, or a float constant.

    `scale` and `zero_point` are arrays: scalars, or one element an index of `axis`. For a float
    constant or a float activation `scale` is None. `dtype` is what activations of the form are.
    """

    value: Value
    scale: npt.NDArray[np.float64] | None = None
    zero_point: npt.NDArray[np.int64] | None = None
    axis: int | None = None
    dtype: DType = DType.INT8

    @property
    def tensor(self) -> QuantizedTensor | None:
        """The operand, if it is of the form's type with one scale, constant or not."""
        if self.scale is None or self.zero_point is None or self.scale.ndim or self.value.dtype is not self.dtype:
            return None
        return QuantizedTensor(self.value, float(self.scale), int(self.zero_point))

    @property
    def activation(self) -> QuantizedTensor | None:
        """The operand, if it is of the form's type with one scale and computed at run time."""
        return None if self.value.is_constant else self.tensor

    def real(self) -> npt.NDArray[np.float64] | None:
        """The constant's real values; None for an activation."""
        if self.value.data is None:
            return None
        data = self.value.data.astype(np.float64)
        if self.scale is None or self.zero_point is None:
            return data
        shape = [1] * data.ndim
        if self.scale.ndim:
            shape[self.axis or 0] = -1
        return (data - self.zero_point.reshape(shape)) * self.scale.reshape(shape)


@dataclass(frozen=True)
class IntegerForm:
    """What an operator needs to write itself in integers: operands, the output's rule, where to append."""

    inputs: tuple[QuantizedInput, ...]
    output: Value  # the quantized output that is replaced: its name and shape
    scale: float
    zero_point: int
    low: int
    high: int
    build: Builder
    dtype: DType = DType.INT8  # of activations; INT16 in a wide form

    @property
    def bounds(self) -> tuple[int, int]:
        return (self.low, self.high)

    def most(self, zero_point: int) -> int:
        """A bound of |element - zero_point|."""
        low, high = self.dtype.bounds
        return max(high - zero_point, zero_point - low)
