"""Inputs of a compiled model: from a file or random, floats quantized as the manifest says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinycast.ir.types import Array, DType
from tinycast.model.ports import TensorInfo, is_float
from tinycast.model.samples import fit_samples, read_arrays

AnyArray = NDArray[Any]

_SEED = 1
_LARGEST_RANDOM_INDEX = 8  # integers without a scale are often indices or lengths


def load_inputs(path: Path, manifest: Mapping[str, Any]) -> dict[str, Array]:
    """Read samples for the inputs of a manifest from an .npz file: see `tinycast.model.load_samples`.

    An input with a scale takes its own integers or real numbers, which are quantized. Raises UsageError.
    """
    arrays = read_arrays(path)
    expected = []
    for port in manifest["inputs"]:
        is_real = port["scale"] is not None and port["name"] in arrays and is_float(arrays[port["name"]].dtype)
        dtype = np.dtype("float32" if is_real else port["dtype"])
        expected.append(TensorInfo(port["name"], tuple(port["shape"]), dtype))
    samples = fit_samples(arrays, expected, path)
    return {port["name"]: to_port(samples[port["name"]], port) for port in manifest["inputs"]}


def random_inputs(manifest: Mapping[str, Any], count: int) -> dict[str, Array]:
    """`count` samples, the same ones each time: all values of a quantized input, normal ones of a float input."""
    random = np.random.default_rng(_SEED)
    samples: dict[str, Array] = {}
    for port in manifest["inputs"]:
        shape, dtype = port["shape"], DType(port["dtype"])
        shape = (count, *(shape[1:] if shape and shape[0] == 1 else shape))
        if dtype.inside is DType.FLOAT32:
            samples[port["name"]] = random.standard_normal(shape).astype(dtype.numpy)
        elif port["scale"] is not None:
            integers = random.integers(*dtype.bounds, shape, dtype.carrier.numpy, endpoint=True)
            samples[port["name"]] = integers.astype(dtype.numpy)
        else:
            most = 1 if dtype is DType.BOOL else min(_LARGEST_RANDOM_INDEX - 1, dtype.bounds[1])
            samples[port["name"]] = random.integers(0, most + 1, shape).astype(dtype.numpy)
    return samples


def to_port(array: AnyArray, port: Mapping[str, Any]) -> AnyArray:
    """Real numbers as the port's integers, rounded half to even (ONNX QuantizeLinear); others as they are.

    float32 becomes the port's own float type.
    """
    dtype = DType(port["dtype"])
    if dtype.inside is DType.FLOAT32 and array.dtype == np.float32:
        return array.astype(dtype.numpy)
    if port["scale"] is None or not is_float(array.dtype):
        return array
    steps = np.rint(array / np.float32(port["scale"])) + port["zero_point"]
    quantized: AnyArray = np.clip(steps, *dtype.bounds).astype(dtype.numpy)
    return quantized


def to_real(array: AnyArray, port: Mapping[str, Any]) -> AnyArray:
    """A port's integers as the real numbers they stand for (ONNX DequantizeLinear); others as they are."""
    if port["scale"] is None or is_float(array.dtype):
        return array
    real: AnyArray = (array.astype(np.int32) - port["zero_point"]).astype(np.float32) * np.float32(port["scale"])
    return real
