"""The networks that the end-to-end tests compile, with real inputs of theirs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, shared_path
from tinycast.artifact import Artifact
from tinycast.compress.quantize import QuantizeOptions, quantize
from tinycast.execute.select import driver_for
from tinycast.execute.types import Measurement
from tinycast.ir.graph import interpret
from tinycast.ir.types import Array
from tinycast.model import load, load_samples, save, simplify
from tinycast.pipeline import build, compile_model
from tinycast.program.lower import to_integers
from tinycast.target.load import load_target

CORES = (
    "cortex-m0plus",
    "cortex-m3",
    "cortex-m4",
    "cortex-m7",
    "cortex-m33",
    "cortex-m55",
    "rv32imc",
)
FAST = ("host", "wasm32", "wasm32-relaxed", "wasm32-scalar")
INT8 = ("digits_int8", "kws_int8_qdq", "ic_int8_qdq", "ad_int8_qdq")
FLOAT = ("digits", "kws_float", "ic_float", "ad_float")


@dataclass(frozen=True)
class Net:
    """A model file, its inputs (samples on axis 0) and labels (None where it is no classifier)."""

    name: str
    path: Path
    samples: dict[str, Array]
    labels: Array | None

    @property
    def is_int8(self) -> bool:
        return "int8" in self.name

    def first(self, count: int) -> dict[str, Array]:
        return {k: v[:count] for k, v in self.samples.items()}


@cache
def net(name: str, folder: Path) -> Net:
    """The network called `name`; `folder` takes files made on the way. Skips where ../shared is needed and absent."""
    if name.startswith("digits"):
        return _digits(name, folder)
    shared = shared_path()
    if not (shared / "models").is_dir():
        pytest.skip("needs the measuring models in ../shared/models beside the checkout")
    short = name.split("_")[0]
    with np.load(shared / "data" / f"{short}_{'int8' if 'int8' in name else 'float'}.npz") as data:
        samples = {"input": data["input"]}
    labels_path = shared / "data" / f"{short}_labels.npz"
    labels = None
    if labels_path.exists():
        with np.load(labels_path) as data:
            labels = data[data.files[0]][: len(samples["input"])]
    return Net(name, shared / "models" / f"{name}.onnx", samples, labels)


def _digits(name: str, folder: Path) -> Net:
    example = ROOT / "examples" / "digits"
    path = example / "digits.onnx"
    model = load(path)
    simplify(model)
    samples = load_samples(example / "heldout.npz", model)
    with np.load(example / "labels.npz") as data:
        labels = data[data.files[0]]
    if name == "digits_int8":
        path = folder / "digits_int8.onnx"
        quantized = quantize(model, load_samples(example / "calibration.npz", model), QuantizeOptions())
        save(quantized, path)
    return Net(name, path, samples, labels)


@cache
def compiled(path: Path, target: str) -> Artifact:
    model = load(path)
    simplify(model)
    return build(compile_model(model, load_target(target), "net", "0" * 64), None)


def port_inputs(path: Path, samples: dict[str, Array]) -> dict[str, Array]:
    """Samples in the type that the compiled model takes."""
    ports = compiled(path, "host").manifest["inputs"]
    result = {}
    for port in ports:
        x = samples[port["name"]]
        if port["dtype"] != x.dtype.name:
            steps = np.rint(x / np.float32(port["scale"])) + port["zero_point"]
            limits = np.iinfo(port["dtype"])
            x = np.clip(steps, limits.min, limits.max).astype(port["dtype"])
        result[port["name"]] = x
    return result


def execute(path: Path, target: str, samples: dict[str, Array], driver: str | None = None) -> Measurement:
    artifact = compiled(path, target)
    return driver_for(load_target(target), driver).run(artifact.files, artifact.manifest, port_inputs(path, samples))


def reference(path: Path, samples: dict[str, Array]) -> list[Array]:
    """What NumPy makes of the integer program: its outputs, one row a sample."""
    model = load(path)
    simplify(model)
    program = to_integers(model, "net")
    inputs = port_inputs(path, samples)
    count = len(next(iter(inputs.values())))
    rows = []
    for i in range(count):
        known = interpret(program, [inputs[v.name][i].reshape(v.shape) for v in program.inputs])
        rows.append([known[value].reshape(-1) for value in program.outputs])
    return [np.stack(column) for column in zip(*rows, strict=True)]


def flat(outputs: Array) -> Array:
    return outputs.reshape(len(outputs), -1)
