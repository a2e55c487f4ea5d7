"""Samples as the harness reads and writes them: raw bytes, one sample after the other, in the manifest's order.

Behind an output whose size depends on data come its real dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinycast.errors import UsageError
from tinycast.execute.types import ExecutionError
from tinycast.ir.types import Array, DType, from_carrier, to_carrier
from tinycast.model.run import stack_sizes

_DIMENSION_BYTES = 4


def split_samples(manifest: Mapping[str, Any], inputs: Mapping[str, Array]) -> list[list[bytes]]:
    """Return the bytes of every input of every sample: result[sample][input].

    Each array has the manifest's dtype, and its samples on axis 0, in place of a batch dimension of 1 or in
    front of the shape. A model without inputs has one sample. Raises UsageError for a missing, unknown or
    misshapen array, or no sample at all.
    """
    names = [port["name"] for port in manifest["inputs"]]
    if set(inputs) != set(names):
        raise UsageError(f"the inputs are {sorted(inputs)}, the model has {sorted(names)}", fix="rename the arrays")
    columns = []
    for port in manifest["inputs"]:
        array, where = np.asarray(inputs[port["name"]]), f"input {port['name']!r}"
        shape, dtype = _sample_shape(port), np.dtype(port["dtype"])
        if array.dtype != dtype:
            raise UsageError(f"expected {dtype}, got {array.dtype}", where=where, fix="convert the array")
        if array.ndim == 0 or array.shape[1:] not in (shape, tuple(port["shape"])):
            expected = ", ".join(str(size) for size in ("samples", *shape))
            raise UsageError(f"expected shape ({expected}), got {array.shape}", where=where, fix="reshape the array")
        columns.append([sample.tobytes() for sample in to_carrier(array)])
    if not columns:  # a model of constants
        return [[]]
    counts = {len(column) for column in columns}
    if len(counts) != 1 or counts == {0}:
        raise UsageError(f"the inputs have {sorted(counts)} samples", fix="give each input the same number, at least 1")
    return [list(row) for row in zip(*columns, strict=True)]


def inputs_file(samples: list[list[bytes]]) -> bytes:
    """Return what the harness reads: the number of samples (uint32), then the inputs of each."""
    return len(samples).to_bytes(4, "little") + b"".join(part for sample in samples for part in sample)


def join_samples(manifest: Mapping[str, Any], raw: bytes, count: int) -> dict[str, Array]:
    """Turn the concatenated outputs of `count` samples into one array an output, samples on axis 0.

    Where the size depends on data see `stack_sizes`.
    """
    ports = manifest["outputs"]
    stride = sum(output_bytes(port) for port in ports)
    if len(raw) != stride * count:
        raise ExecutionError(
            f"the program wrote {len(raw)} bytes of output for {count} samples, not {stride * count}",
            fix="report this as a bug of tinycast",
        )
    rows = np.frombuffer(raw, np.uint8).reshape(count, stride)
    outputs: dict[str, Array] = {}
    offset = 0
    for port in ports:
        end = offset + output_bytes(port)
        column = np.ascontiguousarray(rows[:, offset:end])
        dtype = DType(port["dtype"])
        if is_dynamic(port):
            outputs |= stack_sizes(port["name"], [real_array(row.tobytes(), port) for row in column])
        else:
            values = from_carrier(np.frombuffer(column.tobytes(), dtype.carrier.numpy), dtype)
            outputs[port["name"]] = values.copy().reshape(count, *_sample_shape(port))
        offset = end
    return outputs


def is_dynamic(port: Mapping[str, Any]) -> bool:
    """Whether the output's size depends on data."""
    return bool(port.get("dynamic_axes"))


def output_bytes(port: Mapping[str, Any]) -> int:
    """Bytes of the output, with the dimensions behind it where it has such."""
    return int(port["bytes"]) + (_DIMENSION_BYTES * len(port["shape"]) if is_dynamic(port) else 0)


def real_array(raw: bytes, port: Mapping[str, Any]) -> Array:
    """The real array of a dynamic output from its `output_bytes`."""
    dims = np.frombuffer(raw, "<i4", offset=int(port["bytes"]))
    dtype = DType(port["dtype"])
    elements = np.frombuffer(raw, dtype.carrier.numpy, count=int(dims.prod()))
    return from_carrier(elements, dtype).copy().reshape(dims)


def _sample_shape(port: Mapping[str, Any]) -> tuple[int, ...]:
    shape = tuple(port["shape"])
    return shape[1:] if shape and shape[0] == 1 else shape
