"""What a caller can choose."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

AnyArray = NDArray[Any]


class Calibration(enum.Enum):
    """How the range of an activation is chosen from its values on the samples (of an input: always MINMAX).

    MINMAX: smallest to largest. PERCENTILE: without the outermost 0.001 % on each side. MSE: the range with
    the least mean squared quantization error. ENTROPY: the range with the least Kullback-Leibler divergence
    (Migacz, "8-bit Inference with TensorRT", 2017).
    """

    MINMAX = "minmax"
    PERCENTILE = "percentile"
    MSE = "mse"
    ENTROPY = "entropy"


class ActivationType(enum.Enum):
    """The element type of quantized activations; weights are int8 beside each.

    INT16 is symmetric, and its range is always MINMAX: its steps are fine enough for the whole of it.
    """

    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        return np.dtype(self.value)


@dataclass(frozen=True)
class QuantizeOptions:
    """`reconstruct` refits each layer's weights and rounds them with error compensation (see `reconstruct.py`);
    without it weights are rounded to nearest. `per_channel` gives each output channel of a layer its scale."""

    calibration: Calibration = Calibration.PERCENTILE
    activations: ActivationType = ActivationType.INT8
    per_channel: bool = True
    reconstruct: bool = True
