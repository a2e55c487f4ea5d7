"""What a model takes and gives: name, shape and element type of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from tinycast.errors import ModelError


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a model. `shape` is in the model's own order and fully static."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether a NumPy type is a float: one that only ml_dtypes has, too."""
    return dtype.name.startswith(("float", "bfloat"))


def is_foreign(dtype: np.dtype[Any]) -> bool:
    """Whether a type is one of ml_dtypes, which NumPy's files and ONNX Runtime's inputs lack."""
    return dtype.isbuiltin == 2


def inputs_of(model: ir.Model) -> list[TensorInfo]:
    """The model's inputs (initializers that are listed as inputs too are none), in its order."""
    return _describe(value for value in model.graph.inputs if not value.is_initializer())


def outputs_of(model: ir.Model) -> list[TensorInfo]:
    """The model's outputs, in its order. Raises ModelError where a shape is not static."""
    return _describe(model.graph.outputs)


def static_shape(value: ir.Value) -> tuple[int, ...] | None:
    """The value's shape, or None where a dimension (or the rank) is unknown."""
    if value.shape is None:
        return None
    dims = [dim for dim in value.shape if isinstance(dim, int)]
    return tuple(dims) if len(dims) == len(value.shape) else None


def _describe(values: Iterable[ir.Value]) -> list[TensorInfo]:
    infos = []
    for value in values:
        shape, dtype = static_shape(value), value.dtype
        if shape is None or dtype is None or not isinstance(value.type, ir.TensorType):
            raise ModelError(
                f"the shape or element type of {value.name!r} is not known before the model runs",
                where=f"value {value.name}: {value.type}, shape {value.shape}",
                fix="export the model with static shapes and tensor inputs and outputs",
            )
        infos.append(TensorInfo(str(value.name), shape, dtype.numpy()))
    return infos
