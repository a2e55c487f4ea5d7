"""Accuracy of the default quantization on the measuring networks, as benchmarks/quantization.py measures it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from quantize_models import outputs, sqnr_db
from tinycast.compress.quantize import quantize
from tinycast.model import load


@pytest.mark.parametrize(("network", "agreement_percent", "least_sqnr_db"), [("kws", 98.8, 30.0), ("ic", 97.3, 24.5)])
def test_agreement_and_sqnr(shared: Path, network: str, agreement_percent: float, least_sqnr_db: float) -> None:
    model = load(shared / "models" / f"{network}_float.onnx")
    inputs = np.load(shared / "data" / f"{network}_float.npz")["input"]
    quantized = quantize(model, {"input": inputs[:100]})
    rest = {"input": inputs[100:]}
    expected, actual = outputs(model, rest)[0], outputs(quantized, rest)[0]
    agreement = 100 * np.mean(expected.argmax(axis=1) == actual.argmax(axis=1))
    assert len(expected) == {"kws": 900, "ic": 400}[network]
    assert agreement >= agreement_percent
    assert sqnr_db(expected, actual) >= least_sqnr_db


def test_autoencoder_with_few_samples(shared: Path) -> None:
    model = load(shared / "models" / "ad_float.onnx")
    samples = {"input": np.load(shared / "data" / "ad_float.npz")["input"]}
    quantized = quantize(model, samples)
    assert sqnr_db(outputs(model, samples)[0], outputs(quantized, samples)[0]) > 30
