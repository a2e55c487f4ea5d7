"""Weights to integers so that the layer's outputs, not the weights themselves, come out close.

Error-compensated rounding after Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative
Pre-trained Transformers" (2022): weights are rounded one input at a time, and the weights not yet rounded
(the bias last, which stays exact) take up the error the rounding makes on the calibration inputs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinycast.compress.layerwise import LayerStatistics
from tinycast.compress.quantize.parameters import WEIGHT_LIMIT

FloatArray = NDArray[np.float64]

_BLOCK = 64


def round_with_compensation(
    matrix: FloatArray, scales: FloatArray, gram: FloatArray, columns: int, damping: float
) -> FloatArray:
    """Round the first `columns` columns of (G, M, K) weights to multiples of `scales` (G, M).

    `gram` (G, K, K) is the second moment of the inputs, `damping` what is added to its diagonal as a share
    of the mean. Returns (G, M, K) in units of one: integers times scales, and the adapted rest.
    """
    groups, _, size = matrix.shape
    strength = damping * np.trace(gram, axis1=1, axis2=2) / size
    strength = np.where(strength > 0, strength, 1.0)[:, None, None]
    inverse = np.linalg.inv(gram + strength * np.eye(size))
    # Row j of the factor: how the error in weight j spreads over the weights after it (GPTQ, section 3.3).
    factor = np.swapaxes(np.linalg.cholesky((inverse + np.swapaxes(inverse, 1, 2)) / 2), 1, 2)
    result = matrix.copy()
    for start in range(0, columns, _BLOCK):
        end = min(start + _BLOCK, columns)
        errors = np.zeros((groups, matrix.shape[1], end - start))
        for column in range(start, end):
            rounded = round_to_nearest(result[:, :, column], scales)
            error = (result[:, :, column] - rounded) / factor[:, column, column][:, None]
            result[:, :, column + 1 : end] -= error[:, :, None] * factor[:, None, column, column + 1 : end]
            result[:, :, column] = rounded
            errors[:, :, column - start] = error
        result[:, :, end:] -= errors @ factor[:, start:end, end:]
    return result


def correct_bias(matrix: FloatArray, statistics: LayerStatistics) -> None:
    """Set the last column, the bias, in place, so that every output has the mean of its targets."""
    mean_error = statistics.cross[:, -1, :] - np.einsum("gk,gmk->gm", statistics.gram[:, -1, :], matrix)
    matrix[:, :, -1] += mean_error / statistics.rows


def round_to_nearest(weights: FloatArray, scales: FloatArray) -> FloatArray:
    """Multiples of `scales` nearest to `weights`, at most WEIGHT_LIMIT of them."""
    return np.clip(np.rint(weights / scales), -WEIGHT_LIMIT, WEIGHT_LIMIT) * scales
