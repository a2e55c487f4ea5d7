"""tinycast verify"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx_ir

from tinycast.artifact import Artifact
from tinycast.cli.choices import network_options
from tinycast.cli.common import PATH, Output, output_options
from tinycast.cli.parameters import parse_names
from tinycast.errors import UsageError, VerificationError
from tinycast.execute.inputs import load_inputs, random_inputs, to_port, to_real
from tinycast.execute.samples import is_dynamic
from tinycast.execute.select import driver_for
from tinycast.model import Session, inputs_of, load, sha256, simplify
from tinycast.model.ports import is_float
from tinycast.model.state import State, add_states
from tinycast.package import read_artifact
from tinycast.pipeline import CompileOptions, compile_file
from tinycast.report.compare import closeness, difference
from tinycast.report.tables import verify_tables
from tinycast.target.load import load_target

Arrays = Mapping[str, np.ndarray[Any, Any]]
_TARGETS = ("host", "cortex-m4", "wasm32")
_RANDOM_SAMPLES = 8


@click.command("verify")
@click.argument("subject", metavar="DIR|MODEL", type=PATH)
@click.option("--model", "model_file", type=PATH, help="The model that DIR was compiled from, if it is not beside it.")
@click.option("--input", "samples", type=PATH, help="Samples (.npz); random ones by default, the same each time.")
@click.option(
    "--on",
    "targets",
    type=parse_names,
    metavar="TARGETS",
    help=f"Targets, with commas between them, besides that of DIR. Default: host; for a model {','.join(_TARGETS)}.",
)
@network_options
@output_options
def command(
    subject: Path,
    model_file: Path | None,
    samples: Path | None,
    targets: tuple[str, ...] | None,
    options: CompileOptions,
    output: Output,
) -> None:
    """Run a compiled model on several targets: all have to give the same bytes, close to ONNX Runtime's.

    Of a DIR its own files are run, and its model is compiled for the other targets: the .onnx file beside DIR or in
    the working folder that the report names by its hash, or --model. Floats may differ by 1e-5 of the largest between
    targets and by 1e-4 from ONNX Runtime; a quantized model by one step, or by 20 dB signal to noise. Of a model with
    state the samples are one stream.
    """
    artifacts: dict[str, Artifact] = {}
    path = subject
    if subject.is_dir():
        artifact = read_artifact(subject)
        own = artifact.manifest["target"]
        artifacts[own] = artifact
        path = _model_of(artifact.manifest, subject, model_file)
        targets = tuple(dict.fromkeys((own, *(targets or ("host",)))))
    elif model_file is not None:
        raise UsageError("--model goes with a folder", where="--model", fix="give the model or the folder")
    targets = targets or _TARGETS
    drivers = {target: driver_for(load_target(target)) for target in targets}
    model = load(path, options.shapes)
    if subject.is_dir():
        manifest = artifact.manifest
        known = {value.name for value in model.graph.inputs}
        options = CompileOptions(
            name=manifest["name"],
            float_io=_has_float_io(manifest, model),
            shapes=options.shapes,
            stateful=any(state["input"] not in known for state in manifest["states"]),
            states={state["input"]: state["output"] for state in manifest["states"] if state["input"] in known},
        )
    results: dict[str, Arrays] = {}
    inputs: Arrays = {}
    with output.progress() as tell:
        for index, target in enumerate(targets):
            if target not in artifacts:
                tell(f"compiling for {target}", 2 * index, 2 * len(targets) + 1)
                artifacts[target] = compile_file(path, target, options)
            manifest = artifacts[target].manifest
            if not inputs:
                inputs = random_inputs(manifest, _RANDOM_SAMPLES) if samples is None else load_inputs(samples, manifest)
            tell(f"running on {target} in {drivers[target].name}", 2 * index + 1, 2 * len(targets) + 1)
            results[target] = drivers[target].run(artifacts[target].files, manifest, inputs).outputs
        tell("running in ONNX Runtime", 2 * len(targets), 2 * len(targets) + 1)
        reference = _reference(model, artifacts[targets[0]].manifest, inputs, options)
    first = results[targets[0]]
    data: dict[str, Any] = {
        "model": str(path),
        "samples": len(next(iter(inputs.values()))),
        "targets": [
            {
                "target": target,
                "driver": drivers[target].name,
                "differences": [
                    found for name in first if (found := difference(name, first[name], results[target][name]))
                ],
            }
            for target in targets
        ],
        "onnxruntime": [closeness(name, reference[name], first[name], exact_float=_is_float(model)) for name in first],
    }
    _conclude(data, output)


def _conclude(data: dict[str, Any], output: Output) -> None:
    different = [entry for entry in data["targets"] if entry["differences"]]
    far = [entry for entry in data["onnxruntime"] if not entry["ok"]]
    data["ok"] = not different and not far
    if data["ok"]:
        output.show(data, *verify_tables(data))
        return
    first = data["targets"][0]["target"]
    found = [
        f"{entry['target']} differs from {first} in {d['elements']} elements of {d['output']}, first in sample "
        f"{d['sample']} at {d['index']}: {d['got']}, expected {d['expected']}"
        for entry in different
        for d in entry["differences"]
    ]
    found += [f"{entry['output']} is {entry['largest_error']:g} {entry['unit']} from ONNX Runtime" for entry in far]
    what = "targets give different bytes" if different else "outputs are far from ONNX Runtime's"
    error = VerificationError(what, where="; ".join(found), fix="report this as a bug of tinycast, with the model")
    output.fail(error, data, *verify_tables(data))


def _model_of(manifest: Mapping[str, Any], folder: Path, given: Path | None) -> Path:
    """The file that `folder` was compiled from, known by its hash."""
    digest = manifest["model_sha256"]
    if given is not None:
        if sha256(given) != digest:
            raise UsageError(
                "the folder was compiled from another model",
                where=str(given),
                fix=f"give the file with SHA-256 {digest}",
            )
        return given
    places = dict.fromkeys((folder.resolve().parent, Path.cwd()))
    for path in (path for place in places for path in sorted(place.glob("*.onnx"))):
        if sha256(path) == digest:
            return path
    raise UsageError(
        "the model that the folder was compiled from is not found",
        where=f"{folder}: SHA-256 {digest}",
        fix="give it with --model; a model quantized by `compile --quantize` has to be quantized to a file first",
    )


def _has_float_io(manifest: Mapping[str, Any], model: onnx_ir.Model) -> bool:
    """Whether all inputs and outputs that are floats in the model are float32."""
    own = {value.name: value.dtype for value in (*model.graph.inputs, *model.graph.outputs)}
    ports = (*manifest["inputs"], *manifest["outputs"])
    return all(
        port["dtype"] == "float32"
        for port in ports
        for dtype in [own[port["name"]]]
        if dtype is not None and is_float(dtype.numpy())
    )


def _is_float(model: onnx_ir.Model) -> bool:
    return not any("QuantizeLinear" in node.op_type or "Integer" in node.op_type for node in model.graph)


def _reference(model: onnx_ir.Model, manifest: Mapping[str, Any], inputs: Arrays, options: CompileOptions) -> Arrays:
    """What ONNX Runtime makes of the inputs, as the compiled model's types show it, samples on axis 0."""
    kept: tuple[State, ...] = ()
    if options.stateful or options.states:
        simplify(model)
        kept = add_states(model, options.states, recurrent=options.stateful)
    ports = {port["name"]: port for port in manifest["inputs"]}
    own = {info.name: info.dtype for info in inputs_of(model)}
    fed = {
        name: (to_real(array, ports[name]) if is_float(own[name]) else array).astype(own[name])
        for name, array in inputs.items()
    }
    dynamic = {port["name"] for port in manifest["outputs"] if is_dynamic(port)}
    outputs = Session(model).run_samples(fed, kept, dynamic)
    found = {port["name"]: to_port(outputs[port["name"]], port) for port in manifest["outputs"]}
    return {**found, **{f"{name}.dims": outputs[f"{name}.dims"] for name in dynamic}}
