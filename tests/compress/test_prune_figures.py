"""What pruning keeps of the measuring networks' accuracy, by the protocol of benchmarks/pruning.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from conftest import ROOT
from tinycast.compress.prune import (
    ChannelOptions,
    PruneOptions,
    PruneSpec,
    Scope,
    parse_prune,
    prune_channels,
    prune_weights,
)
from tinycast.model import Session, load, load_samples, simplify


def accuracy_percent(shared: Path, network: str, spec: PruneSpec) -> tuple[float, ir.Model]:
    model = load(shared / "models" / f"{network}_float.onnx")
    inputs = np.load(shared / "data" / f"{network}_float.npz")["input"]
    labels = np.load(shared / "data" / f"{network}_labels.npz")["label"]
    samples = {"input": inputs[:100]}
    if isinstance(spec, ChannelOptions):
        pruned = prune_channels(model, samples, spec).model
    else:
        pruned = prune_weights(model, samples, spec).model
    output = Session(pruned).run_samples({"input": inputs[100:]})["output"]
    assert len(output) == {"kws": 900, "ic": 400}[network]
    return 100 * float(np.mean(output.argmax(axis=1) == labels[100:])), pruned


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("network", "spec", "least_percent"),
    [
        pytest.param("kws", PruneOptions(0.5), 88.0, id="kws half"),
        pytest.param("kws", PruneOptions(0.5, Scope.PER_LAYER), 87.0, id="kws half of each layer", marks=SLOW),
        pytest.param("kws", PruneOptions(0.7), 74.0, id="kws 70 %", marks=SLOW),
        pytest.param("kws", PruneOptions(n_m=(2, 4)), 86.0, id="kws 2:4", marks=SLOW),
        pytest.param("ic", PruneOptions(0.5), 83.0, id="ic half"),
        pytest.param("ic", PruneOptions(0.7), 77.5, id="ic 70 %", marks=SLOW),
        pytest.param("ic", PruneOptions(n_m=(2, 4)), 82.75, id="ic 2:4", marks=SLOW),
    ],
)
def test_weights(shared: Path, network: str, spec: PruneOptions, least_percent: float) -> None:
    accuracy, pruned = accuracy_percent(shared, network, spec)
    assert accuracy >= least_percent
    weights = [v.const_value.numpy() for v in pruned.graph.initializers.values() if len(v.shape) > 1]
    zeros = sum(int(np.sum(weight == 0)) for weight in weights) / sum(weight.size for weight in weights)
    assert zeros >= (0.44 if spec.n_m else spec.fraction) - 1e-4


@pytest.mark.parametrize(("network", "least_percent"), [("kws", 84.0), ("ic", 68.0)])
def test_a_quarter_of_all_channels(shared: Path, network: str, least_percent: float) -> None:
    accuracy, pruned = accuracy_percent(shared, network, ChannelOptions(0.25))
    assert accuracy >= least_percent
    onnx.checker.check_model(ir.to_proto(pruned), full_check=True)
    before = load(shared / "models" / f"{network}_float.onnx")
    for old, new in zip(before.graph, pruned.graph, strict=True):
        shape, smaller = old.outputs[0].shape.numpy(), new.outputs[0].shape.numpy()
        if shape[1] in (16, 32, 64):
            assert smaller[1] == 3 * shape[1] // 4


@pytest.mark.parametrize(("text", "least_percent"), [("0.5", 98.0), ("2:4", 95.0), ("channels:0.25", 95.0)])
def test_digits(text: str, least_percent: float) -> None:
    """The committed example: simplified, pruned, and still reading digits it was not calibrated with."""
    folder = ROOT / "examples" / "digits"
    model = load(folder / "digits.onnx")
    simplify(model)
    samples, heldout = (load_samples(folder / f"{name}.npz", model) for name in ("calibration", "heldout"))
    spec = parse_prune(text)
    if isinstance(spec, ChannelOptions):
        pruned, report = prune_channels(model, samples, spec)
        assert report.parameters_after < 0.6 * report.parameters_before
    else:
        pruned, report = prune_weights(model, samples, spec)
        assert report.zeros_after > 0.45 * report.parameters_before
    (output,) = Session(pruned).run_samples(heldout).values()
    labels = np.load(folder / "labels.npz")["label"]
    assert 100 * np.mean(output.argmax(axis=1) == labels) >= least_percent
