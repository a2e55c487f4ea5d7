"""Networks as PyTorch's two exporters and Keras write them (scripts/export_models.py), float and quantized."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir
import pytest
from tinycast.compress.quantize import QuantizeOptions, quantize
from tinycast.execute.host import HostDriver
from tinycast.execute.select import driver_for
from tinycast.model import Session, load, simplify
from tinycast.pipeline import build, compile_model
from tinycast.target.load import load_target

Array = npt.NDArray[Any]

FOLDER = Path(__file__).parent / "exported"
FILES = sorted(path.stem for path in FOLDER.glob("*.onnx"))
KINDS = (
    "residual_cnn", "mobilenet", "gru_keywords", "bidirectional_lstm", "transformer_encoder", "vision_transformer",
    "dcgan_generator", "unet", "temporal_net", "causal_transformer", "conformer", "channel_attention",
    "series_decomposition",
)  # fmt: skip
ELSEWHERE = ("mobilenet_dynamo_19", "gru_keywords_torchscript_15", "transformer_encoder_dynamo_19")
_TOKENS = 40  # embeddings that the transformer has
_SHAPE_ARITHMETIC = {"Shape", "Size", "ConstantOfShape", "Range"}


def test_every_kind_by_both_exporters() -> None:
    for kind in KINDS:
        assert [name for name in FILES if name.startswith(f"{kind}_dynamo")]
        assert [name for name in FILES if name.startswith(f"{kind}_torchscript")]
    assert "keras_net" in FILES
    sizes = [path.stat().st_size for path in FOLDER.glob("*.onnx")]
    assert max(sizes) <= 60_000
    assert sum(sizes) <= 800_000


@pytest.mark.parametrize("name", FILES)
def test_float(name: str) -> None:
    model = simplified(name)
    assert not {node.op_type for node in model.graph} & _SHAPE_ARITHMETIC
    samples = samples_of(model, 2)
    expected = Session(FOLDER / f"{name}.onnx").run_samples(samples)
    outputs = on_host(model, samples, sanitize=True)
    assert set(outputs) == set(expected)
    for port, wanted in expected.items():
        assert np.abs(outputs[port] - wanted).max() <= 1e-4 * np.abs(wanted).max(), port


@pytest.mark.parametrize("name", FILES)
def test_int8(name: str) -> None:
    """What quantizing costs here is what it costs in ONNX Runtime."""
    model = simplified(name)
    calibration = samples_of(model, 64)
    quantized = quantize(model, calibration, QuantizeOptions())
    samples = {port: array[:32] for port, array in calibration.items()}
    exact = Session(FOLDER / f"{name}.onnx").run_samples(samples)
    theirs = Session(quantized).run_samples(samples)
    simplify(quantized)
    ours = on_host(quantized, samples)
    for port, wanted in exact.items():
        assert signal_to_noise(wanted, theirs[port]) > 20, port
        assert signal_to_noise(wanted, ours[port]) >= signal_to_noise(wanted, theirs[port]) - 0.5, port
        assert same_classes(wanted, ours[port]) >= same_classes(wanted, theirs[port]) - 1 / 32, port


@pytest.mark.parametrize("target", ["cortex-m4", "wasm32"])
@pytest.mark.parametrize("name", ELSEWHERE)
def test_elsewhere(name: str, target: str) -> None:
    model = simplified(name)
    samples = samples_of(model, 2)
    expected = Session(FOLDER / f"{name}.onnx").run_samples(samples)
    core = load_target(target)
    artifact = build(compile_model(model, core, "exported", "0" * 64))
    outputs = driver_for(core).run(artifact.files, artifact.manifest, samples).outputs
    for port, wanted in expected.items():
        assert np.abs(outputs[port] - wanted).max() <= 1e-4 * np.abs(wanted).max(), port


def simplified(name: str) -> onnx_ir.Model:
    model = load(FOLDER / f"{name}.onnx")
    simplify(model)
    return model


def samples_of(model: onnx_ir.Model, count: int) -> dict[str, Array]:
    random = np.random.default_rng(3)
    (port,) = model.graph.inputs
    assert port.shape is not None
    shape = (count, *(int(d) for d in port.shape.numpy()[1:]))
    if port.dtype is onnx_ir.DataType.INT64:
        return {str(port.name): random.integers(0, _TOKENS, shape)}
    return {str(port.name): random.standard_normal(shape).astype(np.float32)}


def on_host(model: onnx_ir.Model, samples: dict[str, Array], *, sanitize: bool = False) -> dict[str, Array]:
    host = load_target("host")
    artifact = build(compile_model(model, host, "exported", "0" * 64, float_io=True), "c")
    return dict(HostDriver(host, sanitize=sanitize).run(artifact.files, artifact.manifest, samples).outputs)


def signal_to_noise(wanted: Array, got: Array) -> float:
    """In dB; 200 where both are the same."""
    noise = float(np.square(wanted.astype(np.float64) - got).sum())
    return 10 * float(np.log10(np.square(wanted.astype(np.float64)).sum() / noise)) if noise else 200.0


def same_classes(wanted: Array, got: Array) -> float:
    """The part of samples (and positions) with the same largest channel."""
    axis = 1 if wanted.ndim != 3 else 2
    return float((wanted.argmax(axis) == got.argmax(axis)).mean())
