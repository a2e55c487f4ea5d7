"""Element types, quantization parameters and values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import ml_dtypes  # gives NumPy the types that it lacks
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class DType(Enum):
    """An element type; the value is NumPy's name of it (with ml_dtypes).

    Kernels compute in the first group. Those of the second are how an input or output is stored (`inside` says what
    they are in the model itself) and what a Cast rounds to; the API shows one element a byte or more, as bits.
    """

    FLOAT32 = "float32"
    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    BOOL = "bool"

    FLOAT64 = "float64"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT8_E4M3FN = "float8_e4m3fn"
    FLOAT8_E4M3FNUZ = "float8_e4m3fnuz"
    FLOAT8_E5M2 = "float8_e5m2"
    FLOAT8_E5M2FNUZ = "float8_e5m2fnuz"
    FLOAT8_E8M0FNU = "float8_e8m0fnu"
    FLOAT4_E2M1FN = "float4_e2m1fn"
    INT4 = "int4"
    UINT4 = "uint4"
    INT2 = "int2"
    UINT2 = "uint2"

    @property
    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.value)

    @property
    def itemsize(self) -> int:
        return self.numpy.itemsize

    @property
    def c_name(self) -> str:
        carrier = self.carrier.value
        return {"float32": "float", "float64": "double", "bool": "bool"}.get(carrier, f"{carrier}_t")

    @property
    def is_narrow_integer(self) -> bool:
        """Whether an element has fewer bits than a byte, one of integers."""
        return self in (DType.INT4, DType.UINT4, DType.INT2, DType.UINT2)

    @property
    def is_storage(self) -> bool:
        """Whether no kernel computes in it."""
        return self.inside is not self

    @property
    def is_coded_float(self) -> bool:
        """Whether it is a float that C has no type for."""
        return self.is_storage and self is not DType.FLOAT64 and not self.is_narrow_integer

    @property
    def inside(self) -> DType:
        """The type that the elements have in the model: what kernels compute in."""
        if self.is_narrow_integer:
            return self.carrier
        return DType.FLOAT32 if self.value.startswith(("float", "bfloat")) else self

    @property
    def carrier(self) -> DType:
        """The type of C and TVM that holds an element, or its bits."""
        if self.is_narrow_integer:
            return DType.UINT8 if self.value.startswith("u") else DType.INT8
        if self.is_coded_float:
            return DType.UINT16 if self.itemsize == 2 else DType.UINT8
        return self

    @property
    def bounds(self) -> tuple[int, int]:
        """Least and greatest value of an integer type."""
        if self.is_narrow_integer:
            bits, signed = int(self.value[-1]), self.value.startswith("i")
            return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        limits = np.iinfo(self.numpy)
        return int(limits.min), int(limits.max)

    @property
    def largest(self) -> float:
        """The greatest finite number of a float type."""
        return float(ml_dtypes.finfo(self.numpy).max)  # type: ignore[no-untyped-call]

    @property
    def epsilon(self) -> float:
        """The distance of 1 to the next number of a float type."""
        return float(ml_dtypes.finfo(self.numpy).eps)  # type: ignore[no-untyped-call]


def inside(data: Array) -> Array:
    """An array in the type that its elements have inside. Raises ValueError for types that there is no DType of."""
    dtype = DType(data.dtype.name)
    with np.errstate(over="ignore"):
        return data.astype(dtype.inside.numpy) if dtype.is_storage else data


def to_carrier(data: Array) -> Array:
    """An array as C holds it: bits of coded floats, bytes of narrow integers."""
    dtype = DType(data.dtype.name)
    return data.astype(dtype.carrier.numpy) if dtype.is_narrow_integer else data.view(dtype.carrier.numpy)


def from_carrier(data: Array, dtype: DType) -> Array:
    """The array that `to_carrier` makes `data` of."""
    return data.astype(dtype.numpy) if dtype.is_narrow_integer else data.view(dtype.numpy)


@dataclass(frozen=True)
class Quant:
    """real = scale * (q - zero_point): one scale, or one an index of `axis`."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None

    @property
    def per_tensor(self) -> bool:
        return len(self.scale) == 1


@dataclass(eq=False)
class Value:
    """An edge of the graph. `data` is set for constants only, `sizes` where a size depends on data (ir/sizes.py)."""

    name: str
    shape: tuple[int, ...]
    dtype: DType
    quant: Quant | None = None
    data: Array | None = field(default=None, repr=False)
    sizes: Sizes = field(default=(), repr=False)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def bytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def is_constant(self) -> bool:
        return self.data is not None


Sizes = tuple[Value | None, ...]
