"""The portable level: ONNX models as `onnx_ir.Model`, read, simplified, run and written."""

from tinycast.model.files import save, sha256
from tinycast.model.load import load
from tinycast.model.ports import TensorInfo, inputs_of, outputs_of
from tinycast.model.run import Session, run
from tinycast.model.samples import load_samples, sample_at

__all__ = [
    "Session",
    "TensorInfo",
    "inputs_of",
    "load",
    "load_samples",
    "outputs_of",
    "run",
    "sample_at",
    "save",
    "sha256",
]
