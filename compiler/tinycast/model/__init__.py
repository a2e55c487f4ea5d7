"""The portable level: ONNX models as `onnx_ir.Model`, read, simplified, run and written."""

import logging

from tinycast.model.files import save, sha256
from tinycast.model.load import load
from tinycast.model.ports import TensorInfo, inputs_of, outputs_of
from tinycast.model.run import Session, run
from tinycast.model.samples import load_samples, sample_at
from tinycast.model.shapes import require_static_shapes
from tinycast.model.simplify import simplify

# Both warn of what they leave undone, which is no concern of the user's: what matters is checked here.
for _library in ("onnx_ir", "onnxscript"):
    logging.getLogger(_library).addHandler(logging.NullHandler())

__all__ = [
    "Session",
    "TensorInfo",
    "inputs_of",
    "load",
    "load_samples",
    "outputs_of",
    "require_static_shapes",
    "run",
    "sample_at",
    "save",
    "sha256",
    "simplify",
]
