"""Measure W8A8 quantization beside ONNX Runtime's own quantizer; writes quantization.md.

    python benchmarks/quantization.py [--shared ../shared] [--output benchmarks/quantization.md]

Protocol: the first 100 inputs (labels unused) calibrate, the rest evaluate. Agreement is how often the largest
output is the float model's. SQNR is 10 log10(sum y^2 / sum (y - q)^2) over all outputs of all evaluated inputs,
y and q being the model's output: probabilities, after its Softmax. Every model runs in ONNX Runtime with
all graph optimizations off.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from tinycast.compress.quantize import Calibration, QuantizeOptions, quantize
from tinycast.model import Session, load, save

ROOT = Path(__file__).resolve().parent.parent
CALIBRATION_INPUTS = 100

Array = npt.NDArray[Any]
Quantizer = Callable[[ir.Model, Array], ir.Model]


@dataclass(frozen=True)
class Network:
    name: str
    model: ir.Model
    inputs: Array
    labels: Array
    expected: Array


@dataclass(frozen=True)
class Row:
    accuracy: float
    agreement: float
    sqnr_db: float
    seconds: float


class Samples(CalibrationDataReader):  # type: ignore[misc]
    """Calibration inputs as ONNX Runtime's quantizer asks for them."""

    def __init__(self, name: str, inputs: Array) -> None:
        self._items: Iterator[dict[str, Array]] = ({name: array[None]} for array in inputs)

    def get_next(self) -> dict[str, Array] | None:
        return next(self._items, None)


def ours(calibration: Calibration, reconstruct: bool = True) -> Quantizer:
    options = QuantizeOptions(calibration=calibration, reconstruct=reconstruct)
    return lambda model, inputs: quantize(model, {input_name(model): inputs}, options)


def onnx_runtime(method: CalibrationMethod) -> Quantizer:
    """ONNX Runtime's static quantizer: QDQ, int8 activations, int8 weights per channel, defaults otherwise."""

    def run(model: ir.Model, inputs: Array) -> ir.Model:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "float.onnx", Path(folder) / "quantized.onnx"
            save(model, source)
            with contextlib.redirect_stdout(io.StringIO()):
                quantize_static(
                    source,
                    target,
                    Samples(input_name(model), inputs),
                    quant_format=QuantFormat.QDQ,
                    per_channel=True,
                    activation_type=QuantType.QInt8,
                    weight_type=QuantType.QInt8,
                    calibrate_method=method,
                )
            return load(target)

    return run


METHODS: list[tuple[str, Quantizer]] = [
    ("ONNX Runtime, min-max", onnx_runtime(CalibrationMethod.MinMax)),
    ("ONNX Runtime, percentile", onnx_runtime(CalibrationMethod.Percentile)),
    ("tinycast, percentile, round to nearest", ours(Calibration.PERCENTILE, reconstruct=False)),
    ("tinycast, min-max", ours(Calibration.MINMAX)),
    ("tinycast, MSE", ours(Calibration.MSE)),
    ("tinycast, entropy", ours(Calibration.ENTROPY)),
    ("**tinycast, percentile (default)**", ours(Calibration.PERCENTILE)),
]


def input_name(model: ir.Model) -> str:
    return str(model.graph.inputs[0].name)


def network(shared: Path, name: str) -> Network:
    model = load(shared / "models" / f"{name}_float.onnx")
    inputs = np.load(shared / "data" / f"{name}_float.npz")[input_name(model)]
    labels = np.load(shared / "data" / f"{name}_labels.npz")["label"]
    return Network(name, model, inputs, labels[CALIBRATION_INPUTS:], run(model, inputs[CALIBRATION_INPUTS:]))


def run(model: ir.Model, inputs: Array) -> Array:
    (output,) = Session(model).run_samples({input_name(model): inputs}).values()
    return np.asarray(output, np.float64)


def measure(network: Network, quantizer: Quantizer) -> Row:
    start = time.perf_counter()
    quantized = quantizer(network.model, network.inputs[:CALIBRATION_INPUTS])
    seconds = time.perf_counter() - start
    actual, expected = run(quantized, network.inputs[CALIBRATION_INPUTS:]), network.expected
    return Row(
        accuracy=100 * float(np.mean(actual.argmax(axis=1) == network.labels)),
        agreement=100 * float(np.mean(actual.argmax(axis=1) == expected.argmax(axis=1))),
        sqnr_db=10 * float(np.log10((expected**2).sum() / ((expected - actual) ** 2).sum())),
        seconds=seconds,
    )


def table(networks: list[Network]) -> Iterator[str]:
    yield "# W8A8 quantization without retraining\n"
    yield "Written by `benchmarks/quantization.py`, which also says how it is measured. Accuracy % / agreement with"
    yield "the float model % / SQNR of the output dB / seconds to quantize.\n"
    yield "| | " + " | ".join(net.name.upper() for net in networks) + " |"
    yield "|---" * (1 + len(networks)) + "|"
    accuracies = [100 * float(np.mean(net.expected.argmax(axis=1) == net.labels)) for net in networks]
    yield "| float | " + " | ".join(f"{accuracy:.2f}" for accuracy in accuracies) + " |"
    for label, quantizer in METHODS:
        rows = [measure(net, quantizer) for net in networks]
        cells = (f"{r.accuracy:.2f} / {r.agreement:.1f} / {r.sqnr_db:.1f} / {r.seconds:.1f}" for r in rows)
        yield f"| {label} | " + " | ".join(cells) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(description="measure W8A8 quantization on the measuring networks")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="folder of models/ and data/")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "quantization.md")
    arguments = parser.parse_args()
    if not (arguments.shared / "models").is_dir():
        print(f"no measuring models in {arguments.shared}: name their folder with --shared", file=sys.stderr)
        return 2
    logging.getLogger().setLevel(logging.ERROR)  # ONNX Runtime's advice to preprocess
    lines = []
    for line in table([network(arguments.shared, name) for name in ("kws", "ic")]):
        print(line, flush=True)
        lines.append(line)
    arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
