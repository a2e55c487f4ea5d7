"""Sample files: an .npz with one array an input, samples on axis 0."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from tinycast.errors import UsageError
from tinycast.model.ports import TensorInfo, inputs_of, is_float, is_foreign
from tinycast.model.run import Session, take_sample
from tinycast.model.state import State

Array = npt.NDArray[Any]


def load_samples(path: str | os.PathLike[str], model: ir.Model, states: Sequence[State] = ()) -> dict[str, Array]:
    """Read the model's inputs from an .npz file, in the model's element types.

    Each array is named as the model names the input. Its samples lie on axis 0, in place of a batch dimension
    of 1 where the input has one, in front of the input's shape where it has none. Arrays that the model does
    not name are left aside. With `states` the samples are one stream, and these inputs what the model itself gives.
    Raises UsageError for a file or an array that does not fit.
    """
    carried = {state.input for state in states}
    samples = fit_samples(read_arrays(path), [info for info in inputs_of(model) if info.name not in carried], path)
    if states:
        outputs = Session(model).run_samples(samples, states)
        for state in states:
            results = outputs[state.output]
            first = state.initial if results.ndim == state.initial.ndim else state.initial[np.newaxis]
            samples[state.input] = np.concatenate([first, results[:-1]])
    return samples


def fit_samples(
    arrays: Mapping[str, Array], expected: Sequence[TensorInfo], path: str | os.PathLike[str]
) -> dict[str, Array]:
    """Give the expected inputs out of the arrays of the file `path`, checked and in their types: see `load_samples`."""
    path = Path(path)
    missing = [info.name for info in expected if info.name not in arrays]
    if missing:
        fix = "name each array as the model names its input"
        if len(arrays) == 1 and len(expected) == 1:
            fix = f"rename the array {next(iter(arrays))!r} to {expected[0].name!r}"
        raise UsageError(
            f"the sample file lacks the input {', '.join(map(repr, missing))}",
            where=f"{path}: it has {_names(arrays)}; the model expects {_names({i.name: i for i in expected})}",
            fix=fix,
        )
    samples = {info.name: _check(arrays[info.name], info, path) for info in expected}
    counts = {name: len(array) for name, array in samples.items()}
    if len(set(counts.values())) > 1:
        raise UsageError(
            "the inputs have different numbers of samples",
            where=f"{path}: " + ", ".join(f"{name}: {count}" for name, count in counts.items()),
            fix="give every input the same number of samples on axis 0",
        )
    return samples


def sample_at(samples: Mapping[str, Array], index: int, model: ir.Model) -> dict[str, Array]:
    """Sample `index` of every input, in the shape the model takes."""
    return {info.name: take_sample(samples[info.name], index, len(info.shape)) for info in inputs_of(model)}


def read_arrays(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Read all arrays of an .npz file. Raises UsageError where it is none."""
    path = Path(path)
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array without a name")
        with file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise UsageError("the sample file does not exist", where=str(path), fix="check the path") from None
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageError(
            "the sample file is no .npz file of numeric arrays",
            where=f"{path}: {error}",
            fix="write it with numpy.savez(path, **{input_name: array})",
        ) from None


def _check(array: Array, info: TensorInfo, path: Path) -> Array:
    where = f"{path}: {info.name} has shape {array.shape}, type {array.dtype}"
    per_sample = info.shape[1:] if info.shape and info.shape[0] == 1 else info.shape
    if array.ndim != 1 + len(per_sample) or array.shape[1:] != per_sample:
        wanted = ", ".join(["N", *map(str, per_sample)])
        raise UsageError(
            f"the samples of {info.name!r} have the wrong shape",
            where=where,
            fix=f"make it ({wanted}{',' if not per_sample else ''}): N samples on axis 0, model shape {info.shape}",
        )
    if len(array) == 0:
        raise UsageError("the sample file has no samples", where=where, fix="give at least one sample")
    if array.dtype.kind == "V" and is_foreign(info.dtype) and array.dtype.itemsize == info.dtype.itemsize:
        array = array.view(info.dtype)  # files do not say which of the types that NumPy lacks it is
    if array.dtype.kind not in "biuf" and array.dtype != info.dtype:
        raise UsageError(f"the samples of {info.name!r} are not numbers", where=where, fix=f"store {info.dtype}")
    if is_float(array.dtype) and not np.isfinite(array.astype(np.float64)).all():
        index = int(np.argwhere(~np.isfinite(array.astype(np.float64)))[0][0])
        raise UsageError(f"sample {index} of {info.name!r} has NaN or Inf", where=where, fix="remove it")
    return _cast(array, info, where)


def _cast(array: Array, info: TensorInfo, where: str) -> Array:
    """The array in the model's type. Only rounding between float types may change a value."""
    with np.errstate(all="ignore"):
        cast: Array = array.astype(info.dtype)
        if is_float(array.dtype) and is_float(info.dtype):
            exact = bool(np.isfinite(cast.astype(np.float64)).all())
        else:
            exact = np.array_equal(cast.astype(array.dtype), array)
    if not exact:
        raise UsageError(
            f"the samples of {info.name!r} do not fit the model's type {info.dtype}",
            where=where,
            fix=f"store {info.dtype}; for a quantized input that is q = round(x / scale) + zero_point",
        )
    return cast


def _names(arrays: Mapping[str, object]) -> str:
    return ", ".join(map(repr, arrays)) or "no arrays"
