"""A model that NNCF quantized compiles as it is, one scale a channel before depthwise convolutions included."""

from __future__ import annotations

import numpy as np
from conftest import ROOT
from nets import compiled, execute, flat
from tinycast.model import Session, load, load_samples

MODEL = ROOT / "tests" / "data" / "digits_nncf.onnx"


def test_same_classes_as_onnx_runtime() -> None:
    samples = load_samples(ROOT / "examples" / "digits" / "heldout.npz", load(MODEL))
    (outputs,) = execute(MODEL, "host", samples).outputs.values()
    (expected,) = Session(load(MODEL)).run_samples(samples).values()
    assert np.mean(flat(outputs).argmax(1) == flat(expected).argmax(1)) >= 0.995
    assert np.abs(flat(outputs) - flat(expected)).max() <= 0.02 * np.abs(expected).max()


def test_what_runs_in_float_is_reported() -> None:
    notes = "\n".join(compiled(MODEL, "host").manifest["notes"])
    assert "runs in float32" in notes
