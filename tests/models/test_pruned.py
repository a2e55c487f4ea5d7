"""Channels that are pruned show up where it counts: in instructions, flash and arena of the compiled network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir
import pytest
from nets import net
from tinycast.compress.prune import parse_prune, prune_channels
from tinycast.compress.quantize import QuantizeOptions, quantize
from tinycast.execute.select import driver_for
from tinycast.ir.types import Array
from tinycast.model import load, simplify
from tinycast.pipeline import build, compile_model
from tinycast.target.load import load_target

CALIBRATION_SAMPLES = 40
M4 = load_target("cortex-m4")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nets")


def figures(model: onnx_ir.Model, samples: dict[str, Array]) -> dict[str, int]:
    """Instructions of one inference, and bytes of flash, arena and weights, of the model as int8 on a Cortex-M4."""
    quantized = quantize(model, samples, QuantizeOptions())
    simplify(quantized)
    artifact = build(compile_model(quantized, M4, "net", "0" * 64), "c")
    ports = artifact.manifest["inputs"]
    first = {port["name"]: np.zeros((1, *port["shape"][1:]), port["dtype"]) for port in ports}
    measured = driver_for(M4).run(artifact.files, artifact.manifest, first)
    assert measured.instructions is not None
    assert measured.sizes is not None
    return {
        "instructions": measured.instructions,
        "flash": measured.sizes.flash_bytes,
        "arena": artifact.manifest["arena_bytes"],
        "weights": artifact.manifest["weights_bytes"],
        "macs": artifact.manifest["macs"],
    }


@pytest.mark.parametrize("name", ["digits", "kws_float", "ic_float"])
def test_a_quarter_of_the_channels_less(name: str, folder: Path) -> None:
    subject = net(name, folder)
    model = load(subject.path)
    simplify(model)
    samples = subject.first(CALIBRATION_SAMPLES)
    spec = parse_prune("channels:0.25")
    pruned = prune_channels(model, samples, spec).model
    simplify(pruned)
    before, after = figures(model, samples), figures(pruned, samples)
    for key in before:
        print(f"{name}: {key} {before[key]:,} -> {after[key]:,} ({after[key] / before[key] - 1:+.0%})")
    # A layer between two pruned ones keeps 0.75 * 0.75 of its work.
    assert after["macs"] < 0.75 * before["macs"]
    assert after["weights"] < 0.75 * before["weights"]
    assert after["instructions"] < 0.85 * before["instructions"]
    assert after["arena"] < 0.9 * before["arena"]
    assert before["flash"] - after["flash"] > 0.7 * (before["weights"] - after["weights"])
