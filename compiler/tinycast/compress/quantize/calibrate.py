"""Activation ranges from the values a tensor takes on the samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tinycast.compress.quantize.options import Calibration
from tinycast.compress.quantize.parameters import LEVELS

FloatArray = NDArray[np.float64]

_BINS = 2048
_OUTSIDE = 1e-5
_MSE_STEPS = 100
_MSE_LEAST = 0.2


def choose_range(values: NDArray[np.float32], calibration: Calibration) -> tuple[float, float]:
    """The range (low, high), with low <= 0 <= high, that is worth representing."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    if calibration is Calibration.MINMAX or low == high:
        return low, high
    if calibration is Calibration.PERCENTILE:
        outer = np.quantile(values, [_OUTSIDE, 1 - _OUTSIDE])
        return min(0.0, float(outer[0])), max(0.0, float(outer[1]))
    # Zero is exact in every range: it tells nothing about which is best, though ReLU makes it the mode.
    counts, edges = np.histogram(values[values != 0], bins=_BINS, range=(low, high))
    if calibration is Calibration.MSE:
        return _least_squared_error(counts, edges)
    return _least_divergence(counts, edges)


def _least_squared_error(counts: NDArray[np.int64], edges: FloatArray) -> tuple[float, float]:
    """Shrink each end of the range in turn, twice, to where the mean squared error is least."""
    centers = (edges[:-1] + edges[1:]) / 2
    low, high = float(edges[0]), float(edges[-1])
    factors = np.linspace(_MSE_LEAST, 1, _MSE_STEPS)
    for _ in range(2):
        high = min((_squared_error(counts, centers, low, f * edges[-1]), f * edges[-1]) for f in factors)[1]
        if edges[0] < 0:
            low = min((_squared_error(counts, centers, f * edges[0], high), f * edges[0]) for f in factors)[1]
    return low, high


def _squared_error(counts: NDArray[np.int64], centers: FloatArray, low: float, high: float) -> float:
    """Rounding inside the range counts as its expectation, scale^2 / 12: bins are too wide to tell more."""
    scale = (high - low) / (LEVELS - 1)
    clipped = np.maximum(low - centers, 0) + np.maximum(centers - high, 0)
    return float(counts @ clipped**2 + counts[clipped == 0].sum() * scale**2 / 12)


def _least_divergence(counts: NDArray[np.int64], edges: FloatArray) -> tuple[float, float]:
    """Migacz's search, on |x| <= threshold cut to the range that occurs."""
    best, least = (float(edges[0]), float(edges[-1])), np.inf
    for low, high in _thresholds(edges):
        inside = slice(low, high)
        clipped = counts[inside].astype(np.float64)
        coarse = _requantized(clipped)
        clipped[0] += counts[:low].sum()
        clipped[-1] += counts[high:].sum()
        divergence = _divergence(clipped, coarse)
        if divergence < least:
            best, least = (float(edges[low]), float(edges[high])), divergence
    return min(0.0, best[0]), max(0.0, best[1])


def _thresholds(edges: FloatArray) -> Iterator[tuple[int, int]]:
    reach = max(-edges[0], edges[-1])
    for threshold in np.linspace(reach, reach * LEVELS / _BINS, _BINS // 16):
        low = int(np.searchsorted(edges, -threshold, side="left"))
        high = int(np.searchsorted(edges, threshold, side="right")) - 1
        if high - low >= LEVELS:
            yield low, high


def _requantized(counts: FloatArray) -> FloatArray:
    """The histogram after rounding to LEVELS levels, each level's count spread over its non-empty bins."""
    level = np.arange(len(counts)) * LEVELS // len(counts)
    total = np.bincount(level, counts, LEVELS)
    filled = np.bincount(level, counts > 0, LEVELS)
    return np.where(counts > 0, (total / np.maximum(filled, 1))[level], 0.0)


def _divergence(p: FloatArray, q: FloatArray) -> float:
    """KL(p || q), both smoothed a little so that clipped mass without a counterpart has a finite price."""
    p, q = p / p.sum(), q / max(q.sum(), 1.0)
    q = np.maximum(q, 1e-9)
    filled = p > 0
    return float((p[filled] * np.log(p[filled] / q[filled])).sum())
