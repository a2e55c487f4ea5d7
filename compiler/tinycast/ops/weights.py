"""Constant weights of layers that sum products: their integer form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinycast.ir.fixed_point import INT32_MAX
from tinycast.ir.quantized import IntegerForm
from tinycast.ir.types import DType, Value


@dataclass(frozen=True)
class IntegerWeights:
    """What acc = bias + sum(x * weight) needs so that acc * ratio is the real result."""

    weight: Value
    bias: Value  # int32, the share of the input's zero point inside
    ratio: npt.NDArray[np.float64]  # (O,) or (1,)
    pad_value: int
    bound: int  # the largest |acc| that any input can give


def integer_weights(form: IntegerForm) -> IntegerWeights | None:
    """From inputs x, weight (O, ...) and bias (O,). None where the weights are not quantized or not constant.

    Weights whose zero point is not 0 are shifted by it at compile time, and held in 16 bits where 8
    are too few. The bias is rounded to the accumulator's scale (half to even).
    """
    _, weight, bias = form.inputs
    x = form.inputs[0].activation
    if x is None or weight.value.data is None or weight.scale is None or weight.zero_point is None:
        return None
    if weight.scale.ndim and weight.axis != 0:
        return None
    real_bias = bias.real()
    if real_bias is None:
        return None
    data = weight.value.data.astype(np.int64)
    shape = (-1,) + (1,) * (data.ndim - 1) if weight.zero_point.ndim else ()
    data = data - weight.zero_point.reshape(shape)
    dtype = np.int8 if data.min(initial=0) >= -128 and data.max(initial=0) <= 127 else np.int16
    scale = np.atleast_1d(weight.scale) * x.scale
    rows = data.reshape(data.shape[0], -1)
    rounded = np.rint(real_bias / scale).astype(np.int64)
    start = rounded - x.zero_point * rows.sum(axis=1)
    least, most = x.value.dtype.bounds
    low = np.minimum(rows * least, rows * most).sum(axis=1)
    high = np.maximum(rows * least, rows * most).sum(axis=1)
    # The sum is added to the start last, so the bare sum has to stay in range too.
    bound = max(int(np.abs(v).max(initial=0)) for v in (start + low, start + high, low, high, start))
    if form.dtype is DType.INT16 and bound > INT32_MAX:  # wide activations often fit 32 bits, not always
        return None
    build = form.build
    if bound <= 2**31 - 1:
        start = start.astype(np.int32)
    return IntegerWeights(
        build.constant(data.astype(dtype), "weight"),
        build.constant(np.asarray(start, np.int32) if bound <= 2**31 - 1 else np.zeros(len(start), np.int32), "bias"),
        scale / form.scale,
        x.zero_point,
        bound,
    )
