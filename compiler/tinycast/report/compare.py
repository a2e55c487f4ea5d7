"""How outputs of one target differ from another's, and from ONNX Runtime's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinycast.ir.types import DType
from tinycast.model.ports import is_float

Array = NDArray[Any]

# Targets have different math libraries; nothing else may tell their float results apart.
TARGET_TOLERANCE = 1e-5
# Against ONNX Runtime. Float sums are taken in another order; one step a layer adds up over a deep integer network.
FLOAT_TOLERANCE = 1e-4
LEAST_SQNR_DB = 20.0
# ONNX Runtime rounds to a narrow float type after each layer, the compiled model only at the end.
ROUNDINGS = 8


def difference(name: str, expected: Array, got: Array) -> dict[str, Any] | None:
    """Where an output differs between targets; None where it does not.

    Samples lie on axis 0. Integers have to be equal, floats within TARGET_TOLERANCE of the largest magnitude,
    or the distance of two neighbours in a narrow type.
    """
    if expected.shape != got.shape:  # of a size that depends on data; its dimensions are compared before it
        return {
            "output": name,
            "sample": 0,
            "index": [],
            "expected": list(expected.shape),
            "got": list(got.shape),
            "elements": expected.size,
        }
    if is_float(expected.dtype):
        relative = max(TARGET_TOLERANCE, DType(expected.dtype.name).epsilon)
        expected, got = expected.astype(np.float64), got.astype(np.float64)
        magnitudes = np.abs(expected, where=np.isfinite(expected), out=np.zeros_like(expected))
        tolerance = relative * magnitudes.max(initial=0)
        wrong = ~(np.isclose(got, expected, rtol=0, atol=tolerance, equal_nan=True))
    else:
        wrong = got != expected
    if not wrong.any():
        return None
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    return {
        "output": name,
        "sample": first[0],
        "index": list(first[1:]),
        "expected": expected[first].item(),
        "got": got[first].item(),
        "elements": int(wrong.sum()),
    }


def closeness(name: str, reference: Array, got: Array, *, exact_float: bool) -> dict[str, Any]:
    """How close an output is to ONNX Runtime's `reference`, both in the output's own type, samples on axis 0.

    `largest_error` is in steps for integers, relative to the largest magnitude for floats. `ok` says whether it is
    close enough: a float output of a float model (`exact_float`) within FLOAT_TOLERANCE, or ROUNDINGS of a narrow type,
    else one step at most or a signal-to-noise ratio of LEAST_SQNR_DB. `same_class` is the fraction of samples with the
    same largest element.
    """
    if reference.shape != got.shape or not reference.size:  # of a size that depends on data
        same = reference.shape == got.shape
        largest = 0.0 if same else float("inf")
        return {
            "output": name,
            "largest_error": largest,
            "unit": "steps",
            "sqnr_db": None,
            "same_class": None,
            "ok": same,
        }
    count = len(reference)
    real, ours = reference.astype(np.float64).reshape(count, -1), got.astype(np.float64).reshape(count, -1)
    error = np.abs(ours - real)
    is_real = is_float(reference.dtype)
    largest = float(error.max() / max(np.abs(real).max(), np.finfo(np.float32).tiny)) if is_real else int(error.max())
    noise, signal = float((error**2).mean()), float(real.var())
    sqnr = 10 * float(np.log10(signal / noise)) if noise > 0 and signal > 0 else None
    allowed = max(FLOAT_TOLERANCE, ROUNDINGS * DType(reference.dtype.name).epsilon) if is_real else 1
    close = largest <= allowed
    if not (is_real and exact_float):
        close = close or (sqnr is not None and sqnr >= LEAST_SQNR_DB)
    return {
        "output": name,
        "largest_error": largest,
        "unit": "relative" if is_real else "steps",
        "sqnr_db": None if sqnr is None else round(sqnr, 1),
        "same_class": float((real.argmax(1) == ours.argmax(1)).mean()) if real.shape[1] > 1 else None,
        "ok": bool(close),
    }
