"""Measure pruning without retraining; writes pruning.md.

    python benchmarks/pruning.py [--shared ../shared] [--output benchmarks/pruning.md]

Protocol: the first 100 inputs (labels unused) calibrate, the rest evaluate. Agreement is how often the largest
output is the float model's. SQNR is 10 log10(sum y^2 / sum (y - p)^2) over all outputs of all evaluated inputs,
y and p being the model's output: probabilities, after its Softmax. Every model runs in ONNX Runtime with all
graph optimizations off. Fractions are of all weights of all convolutions and the classifier, first, depthwise
and last layers included, biases not; 2:4 leaves depthwise layers whole. Naive is by magnitude without refitting.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from tinycast.compress.prune import ChannelOptions, Pruned, PruneSpec, parse_prune, prune_channels, prune_weights
from tinycast.model import Session, load

ROOT = Path(__file__).resolve().parent.parent
CALIBRATION_INPUTS = 100
SPECS = ["0.5", "layer:0.5", "0.7", "2:4", "channels:0.125", "channels:0.25"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Network:
    name: str
    model: ir.Model
    inputs: Array
    labels: Array
    expected: Array


def network(shared: Path, name: str) -> Network:
    model = load(shared / "models" / f"{name}_float.onnx")
    inputs = np.load(shared / "data" / f"{name}_float.npz")[input_name(model)]
    labels = np.load(shared / "data" / f"{name}_labels.npz")["label"]
    return Network(name, model, inputs, labels[CALIBRATION_INPUTS:], run(model, inputs[CALIBRATION_INPUTS:]))


def input_name(model: ir.Model) -> str:
    return str(model.graph.inputs[0].name)


def run(model: ir.Model, inputs: Array) -> Array:
    (output,) = Session(model).run_samples({input_name(model): inputs}).values()
    return np.asarray(output, np.float64)


def prune(network: Network, spec: PruneSpec) -> Pruned:
    samples = {input_name(network.model): network.inputs[:CALIBRATION_INPUTS]}
    if isinstance(spec, ChannelOptions):
        return prune_channels(network.model, samples, spec)
    return prune_weights(network.model, samples, spec)


def measure(network: Network, spec: PruneSpec) -> str:
    start = time.perf_counter()
    pruned, report = prune(network, spec)
    seconds = time.perf_counter() - start
    actual, expected = run(pruned, network.inputs[CALIBRATION_INPUTS:]), network.expected
    accuracy = 100 * float(np.mean(actual.argmax(axis=1) == network.labels))
    agreement = 100 * float(np.mean(actual.argmax(axis=1) == expected.argmax(axis=1)))
    sqnr_db = 10 * float(np.log10((expected**2).sum() / ((expected - actual) ** 2).sum()))
    left = 100 * (report.parameters_after - report.zeros_after) / report.parameters_before
    return f"{left:.1f} | {accuracy:.2f} / {agreement:.1f} / {sqnr_db:.1f} / {seconds:.1f}"


def table(networks: list[Network]) -> Iterator[str]:
    yield "# Pruning without retraining\n"
    yield "Written by `benchmarks/pruning.py`, which also says how it is measured. Parameters left, not zero, %;"
    yield "accuracy % / agreement with the float model % / SQNR of the output dB / seconds to prune.\n"
    yield "| `--prune` | | " + " | ".join(f"{net.name.upper()} left | {net.name.upper()}" for net in networks) + " |"
    yield "|---" * (2 + 2 * len(networks)) + "|"
    accuracies = [100 * float(np.mean(net.expected.argmax(axis=1) == net.labels)) for net in networks]
    yield "| | float | " + " | ".join(f"100 | {accuracy:.2f}" for accuracy in accuracies) + " |"
    for text in SPECS:
        spec = parse_prune(text)
        for label, reconstruct in (("naive", False), ("**reconstructed**", True)):
            cells = (measure(net, dataclasses.replace(spec, reconstruct=reconstruct)) for net in networks)
            yield f"| {text} | {label} | " + " | ".join(cells) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(description="measure pruning on the measuring networks")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="folder of models/ and data/")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "pruning.md")
    arguments = parser.parse_args()
    if not (arguments.shared / "models").is_dir():
        print(f"no measuring models in {arguments.shared}: name their folder with --shared", file=sys.stderr)
        return 2
    lines = []
    for line in table([network(arguments.shared, name) for name in ("kws", "ic")]):
        print(line, flush=True)
        lines.append(line)
    arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
