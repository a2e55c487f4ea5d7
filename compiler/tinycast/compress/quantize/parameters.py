"""Scales and zero points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinycast.compress.quantize.options import ActivationType

LEVELS = 256
WEIGHT_LIMIT = 127
# Ranges below this carry no signal: a constant zero gets the range 0..1.
_NO_RANGE = 1e-7
# A channel's scale stays within 2^15 of the layer's largest, so that its multiplier keeps 16 bits beside it.
_SCALE_SPREAD = 2.0**-15
# A quantized bias stays far enough below 2^31 for the products that are added to it.
_BIAS_LIMIT = 2.0**28


@dataclass(frozen=True)
class Parameters:
    """real = scale * (quantized - zero_point), a per-tensor activation."""

    scale: np.float32
    zero_point: int


def activation_parameters(low: float, high: float, kind: ActivationType) -> Parameters:
    """Parameters for low..high (low <= 0 <= high) on all levels of the type; zero is exact, and 0 in INT16."""
    if high - low < _NO_RANGE:
        high = low + 1.0
    limits = np.iinfo(kind.numpy_dtype)
    if kind is ActivationType.INT16:
        return Parameters(np.float32(max(-low, high) / limits.max), 0)
    scale = np.float32((high - low) / (LEVELS - 1))
    zero_point = limits.min + int(np.clip(np.rint(-low / float(scale)), 0, LEVELS - 1))
    return Parameters(scale, zero_point)


def softmax_parameters(kind: ActivationType) -> Parameters:
    """0..1, as TensorFlow Lite's and this compiler's integer Softmax give it."""
    if kind is ActivationType.INT16:
        return Parameters(np.float32(2.0**-15), 0)
    return Parameters(np.float32(1 / LEVELS), int(np.iinfo(kind.numpy_dtype).min))


def weight_scales(
    limits: NDArray[np.float64], biases: NDArray[np.float64], input_scale: float, per_channel: bool
) -> NDArray[np.float32]:
    """Never-zero scales from each channel's largest |weight| and |bias|: one a channel, or one for all as a scalar."""
    if not per_channel:
        limits, biases = limits.max(), biases.max()
    scales = np.asarray(limits / WEIGHT_LIMIT)
    largest = scales.max()
    scales = np.maximum(scales, largest * _SCALE_SPREAD if largest > 0 else 1.0 / WEIGHT_LIMIT)
    return np.maximum(scales, biases / (input_scale * _BIAS_LIMIT)).astype(np.float32)
