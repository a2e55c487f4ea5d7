"""Made digits_nncf.onnx: NNCF 3.4.0's default quantization of the digits example.

NNCF is not among the dependencies: pip install nncf onnx onnxruntime, then run this beside the example.
"""

from __future__ import annotations

from pathlib import Path

import nncf
import numpy as np
import onnx

HERE = Path(__file__).parent
EXAMPLE = HERE.parent.parent / "examples" / "digits"

images = np.load(EXAMPLE / "calibration.npz")["image"]
dataset = nncf.Dataset([{"image": image[None].astype(np.float32)} for image in images])
model = nncf.quantize(onnx.load(EXAMPLE / "digits.onnx"), dataset, subset_size=len(images))
onnx.save(model, HERE / "digits_nncf.onnx")
