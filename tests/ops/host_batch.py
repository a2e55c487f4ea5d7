"""Many small models in one host program: one build instead of one a model.

The models become parts of one graph that share nothing, so the memory plan also gets something to do.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.parser
import onnx_ir
from emit.compilers import STRICT, compiler_command, lay_out, run
from tinycast.errors import TinycastError
from tinycast.execute.host import HostDriver
from tinycast.ir.graph import Program
from tinycast.model import load, simplify
from tinycast.model.convert import OPSET
from tinycast.pipeline import build, compile_model
from tinycast.program.lower import to_integers
from tinycast.target.load import load_target

Array = npt.NDArray[Any]
HOST = load_target("host")


def ints(*values: int) -> Array:
    return np.asarray(values, np.int64)


def floats(*values: float) -> Array:
    return np.asarray(values, np.float32)


def scalar(value: float) -> Array:
    return np.asarray(value, np.float32)


@dataclass(frozen=True)
class Row:
    """A model as text: `given` as in "float[1,3,8,8] x", `nodes` in ONNX's textual syntax.

    Weights are arrays, or shapes of random ones. `output_type` is one for all outputs, or one for each. Samples are
    drawn from low..high.
    """

    name: str
    given: str
    nodes: str
    weights: Mapping[str, tuple[int, ...] | Array] = field(default_factory=dict)
    outputs: str = "y"
    output_type: str = "float"
    opset: int = 21
    version: int = 0  # of the domain ai.onnx.ml
    low: float = -2.0
    high: float = 2.0

    def proto(self) -> onnx.ModelProto:
        random = np.random.default_rng(sum(map(ord, self.name)))
        names, types = self.outputs.split(), self.output_type.split()
        results = ", ".join(f"{kind} {name}" for kind, name in zip(cycle(types), names, strict=False))
        text = f'<ir_version: 7, opset_import: ["" : {self.opset}]> g ({self.given}) => ({results}) {{ {self.nodes} }}'
        proto = onnx.parser.parse_model(text)
        proto.ir_version = 10
        for value in proto.graph.output:
            value.type.tensor_type.ClearField("shape")
        for name, weight in self.weights.items():
            if isinstance(weight, tuple):
                fan_in = max(1.0, float(np.prod(weight[1:])))
                weight = (random.standard_normal(weight) / np.sqrt(fan_in)).astype(np.float32)
            proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(weight), name))
        return proto

    def samples(self, proto: onnx.ModelProto, count: int = 3) -> dict[str, Array]:
        random = np.random.default_rng(7)
        samples = {}
        for value in proto.graph.input:
            kind = value.type.tensor_type
            dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
            numbers = random.uniform(self.low, self.high, (count, *(d.dim_value for d in kind.shape.dim)))
            samples[value.name] = (
                numbers > 0 if dtype == np.bool_ else np.floor(numbers) if dtype.kind in "iu" else numbers
            ).astype(dtype)
        return samples


def loaded(proto: onnx.ModelProto) -> onnx_ir.Model:
    """The model as the compiler takes it, through a file as a user's would be."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(proto.SerializeToString())
        model = load(path)
    simplify(model)
    return model


def joined(models: Mapping[str, onnx_ir.Model]) -> onnx_ir.Model:
    """All models side by side in one graph; every name gets its model's name and a slash in front."""
    whole: onnx.ModelProto | None = None
    for name, model in models.items():
        part = prefixed(model, f"{name}/")
        if whole is None:
            whole = part
            continue
        versions = {o.domain: o.version for o in whole.opset_import}
        for o in part.opset_import:
            assert versions.setdefault(o.domain, o.version) == o.version, name
        del whole.opset_import[:]
        whole.opset_import.extend(onnx.helper.make_opsetid(*entry) for entry in versions.items())
        for repeated in ("node", "initializer", "input", "output", "value_info", "quantization_annotation"):
            getattr(whole.graph, repeated).extend(getattr(part.graph, repeated))
    assert whole is not None
    return onnx_ir.serde.deserialize_model(whole)


def prefixed(model: onnx_ir.Model, prefix: str) -> onnx.ModelProto:
    """The model with a prefix before every name (onnx.compose forgets constants that inner graphs read)."""
    copy = onnx_ir.serde.deserialize_model(onnx_ir.serde.serialize_model(model))
    for graph in list(copy.graphs()):
        values = [*graph.inputs, *graph.initializers.values(), *(v for node in graph for v in node.outputs)]
        for value in dict.fromkeys(values):
            value.name = f"{prefix}{value.name}" if value.name else value.name
        for node in graph:
            node.name = f"{prefix}{node.name}"
    return onnx_ir.serde.serialize_model(copy)


def program_of(model: onnx_ir.Model) -> Program:
    return to_integers(model, "reference")


def run_on_host(
    models: Mapping[str, onnx_ir.Model], samples: Mapping[str, Mapping[str, Array]], *, sanitize: bool = True
) -> dict[str, dict[str, Array]]:
    """Compile all models into one program, run it under ASan and UBSan, and return each model's outputs.

    Every model needs the same number of samples. The C has to be free of warnings.
    """
    compiled = compile_model(joined(models), HOST, "batch", "0" * 64)
    artifact = build(compiled, "c")
    with tempfile.TemporaryDirectory() as folder:
        sources = lay_out(artifact.files, Path(folder))
        command = [*compiler_command("gcc"), *STRICT, "-fsyntax-only", "-Iinclude", "-Isrc"]
        run([*command, *(name for name in sources if not name.endswith("_weights.c"))], Path(folder))
    inputs = {f"{name}/{port}": array for name, ports in samples.items() for port, array in ports.items()}
    outputs = HostDriver(HOST, sanitize=sanitize).run(artifact.files, artifact.manifest, inputs).outputs
    results: dict[str, dict[str, Array]] = {name: {} for name in models}
    for key, array in outputs.items():
        name, _, port = key.partition("/")
        results[name][port] = array
    return results


def run_each_on_host(
    models: Mapping[str, onnx_ir.Model], samples: Mapping[str, Mapping[str, Array]]
) -> tuple[dict[str, dict[str, Array]], list[str]]:
    """`run_on_host`; where the batch does not compile, each model alone, with the failures' messages."""
    try:
        return run_on_host(models, samples), []
    except TinycastError as error:
        results: dict[str, dict[str, Array]] = {}
        failures = []
        for name, model in models.items():
            try:
                results.update(run_on_host({name: model}, {name: samples[name]}))
            except TinycastError as own:
                failures.append(f"{name}: {own}")
        return results, failures or [f"together: {error}"]


def batches(rows: Sequence[Row], size: int) -> list[tuple[Row, ...]]:
    """Parts of the rows, those of one opset (as the compiler takes them) together."""
    of_opset: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        of_opset.setdefault((max(row.opset, OPSET), row.version), []).append(row)
    return [tuple(same[i : i + size]) for same in of_opset.values() for i in range(0, len(same), size)]
