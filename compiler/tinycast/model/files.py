"""ONNX files: reading with external data, atomic writing, hashing."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx.external_data_helper import _get_all_tensors, load_external_data_for_tensor, uses_external_data

from tinycast.errors import UsageError


def read_proto(path: str | os.PathLike[str]) -> onnx.ModelProto:
    """Read an ONNX file, external data included.

    Raises UsageError where the file is missing, no ONNX model, truncated, or its external data cannot be read.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UsageError("the model file does not exist", where=str(path), fix="check the path") from None
    except OSError as error:
        raise UsageError(f"the model file cannot be read: {error.strerror}", where=str(path)) from None
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except DecodeError:
        raise UsageError(
            "the file is no ONNX model, or it is truncated",
            where=f"{path} ({len(content)} bytes)",
            fix="export the model again, or download it again (a Git LFS pointer is a short text file)",
        ) from None
    if not proto.HasField("graph") or not proto.opset_import:
        raise UsageError(
            "the file holds no ONNX graph",
            where=f"{path} ({len(content)} bytes)",
            fix="export the model as a binary .onnx file",
        )
    _read_external_data(proto, path)
    return proto


def _read_external_data(proto: onnx.ModelProto, path: Path) -> None:
    for tensor in _get_all_tensors(proto):
        if not uses_external_data(tensor):
            continue
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        try:
            load_external_data_for_tensor(tensor, str(path.parent))
        except (OSError, ValueError, RuntimeError, onnx.checker.ValidationError) as error:
            missing = not (path.parent / location).is_file()
            raise UsageError(
                f"the model's external data file {location!r} is missing"
                if missing
                else f"the model's external data file {location!r} cannot be used: {str(error).splitlines()[0]}",
                where=f"tensor {tensor.name} of {path}",
                fix=f"put {location} beside {path.name}, as the exporter wrote it",
            ) from None
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def to_bytes(model: ir.Model) -> bytes:
    """Serialize the model, weights inside: the same model gives the same bytes."""
    serialized: bytes = ir.serde.serialize_model(model).SerializeToString(deterministic=True)
    return serialized


def save(model: ir.Model, path: str | os.PathLike[str]) -> None:
    """Write the model, weights inside, whole or not at all. Raises UsageError where the folder cannot be written."""
    write_whole(Path(path), to_bytes(model), "the model")


def write_whole(path: Path, content: bytes, what: str) -> None:
    """Write a file whole or not at all; `what` names it in the UsageError where that fails."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        raise UsageError(
            f"{what} cannot be written: {error.strerror}", where=str(path), fix="check the folder and its permissions"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: str | os.PathLike[str]) -> str:
    """Hex SHA-256 of the file. Raises UsageError where it cannot be read."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"the file cannot be read: {error.strerror}", where=str(path), fix="check the path") from None
