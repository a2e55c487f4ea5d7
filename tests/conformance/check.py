"""One case through the compiler: compiled to C for the host, or to WebAssembly, built, run, compared."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from cases import Array, Case
from tinycast.errors import TinycastError
from tinycast.execute.bare import STACK_FIELD_BYTES
from tinycast.execute.build import build_harness
from tinycast.execute.host import run_program
from tinycast.execute.samples import inputs_file, is_dynamic, join_samples, split_samples
from tinycast.execute.wasm import WasmtimeDriver
from tinycast.ir.kernel import Compiled
from tinycast.model import load, simplify
from tinycast.pipeline import build, compile_model, link
from tinycast.target.load import load_target
from tinycast.target.types import Platform
from tinycast.toolchain.find import compiler_for

_TIMEOUT_SECONDS = 60
_FLAGS = ("-O0",)  # the last -O counts: optimizing takes longer than running


@dataclass(frozen=True)
class Outcome:
    """What became of a case: passed, or the reason why not; `bound` are the names of its bound inputs."""

    passed: bool
    reason: str = ""
    bound: tuple[str, ...] = ()


def check(case: Case, target: str = "host") -> Outcome:
    """Compile, build, run and compare one case; its failure is a result, not an exception."""
    try:
        bound = tuple(case.bound)
        outputs = run(case, target)
        reason = difference(case, outputs)
    except TinycastError as error:
        return Outcome(False, _first_line(error), tuple(case.bound))
    except Exception as error:  # a bug of the compiler is a failing case like any other
        return Outcome(False, f"bug: {type(error).__name__}: {str(error).strip()[:200]}", tuple(case.bound))
    return Outcome(not reason, reason, bound)


def _first_line(error: TinycastError) -> str:
    lines = error.what.strip().splitlines()
    where = str(error.where or "").strip().splitlines()
    return " | ".join([*lines[:3], *where[:1]])[:300]


def run(case: Case, target: str = "host") -> dict[str, Array]:
    """The outputs that the generated code computes from the case's free inputs."""
    free = case.free_inputs()
    core = load_target(target)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = folder / "model.onnx"
        path.write_bytes(case.bound_model().SerializeToString())
        model = load(path, _open_shapes(case.bound_model(), free))
        simplify(model)
        compiled = compile_model(model, core, "conformance", "0" * 64)
        run_it = _in_wasmtime if core.platform is Platform.WASM else _on_host
        manifest, outputs = run_it(compiled, free, folder)
    return {
        port["name"]: outputs[port["name"]][0] if is_dynamic(port) else outputs[port["name"]].reshape(port["shape"])
        for port in manifest["outputs"]
    }


def _on_host(compiled: Compiled, free: Mapping[str, Array], folder: Path) -> tuple[Mapping[str, Any], dict[str, Array]]:
    artifact = build(compiled, "c")
    manifest = artifact.manifest
    samples = split_samples(manifest, _samples(manifest, free))
    compiler = compiler_for(compiled.target, None)
    program = build_harness(artifact.files, manifest, compiler, folder, io=["io_stdio.c"], flags=_FLAGS)
    (folder / "inputs.bin").write_bytes(inputs_file(samples))
    run_program([str(program)], folder, _TIMEOUT_SECONDS)
    raw = (folder / "outputs.bin").read_bytes()
    return manifest, join_samples(manifest, raw[:-STACK_FIELD_BYTES], 1)


def _in_wasmtime(
    compiled: Compiled, free: Mapping[str, Array], folder: Path
) -> tuple[Mapping[str, Any], dict[str, Array]]:
    del folder
    artifact = link(compiled)
    manifest = artifact.manifest
    driver = WasmtimeDriver(compiled.target, _TIMEOUT_SECONDS)
    return manifest, dict(driver.run(artifact.files, manifest, _samples(manifest, free)).outputs)


def _samples(manifest: Mapping[str, Any], free: Mapping[str, Array]) -> dict[str, Array]:
    return {port["name"]: free[port["name"]][np.newaxis] for port in manifest["inputs"]}


def _open_shapes(model: onnx.ModelProto, arrays: dict[str, Array]) -> dict[str, tuple[int, ...]]:
    """Shapes of the inputs that the model leaves open."""
    return {
        value.name: arrays[value.name].shape
        for value in model.graph.input
        if value.name in arrays
        and (
            not value.type.tensor_type.HasField("shape")
            or not all(d.HasField("dim_value") for d in value.type.tensor_type.shape.dim)
        )
    }


def difference(case: Case, outputs: dict[str, Array]) -> str:
    """How the outputs differ from the case's; empty where they agree."""
    for value, wanted in zip(case.model.graph.output, case.outputs, strict=True):
        expected, actual = np.asarray(wanted), outputs[value.name]
        if actual.dtype != expected.dtype:
            return f"{value.name} is {actual.dtype}, not {expected.dtype}"
        if actual.shape != expected.shape:
            return f"{value.name} has shape {actual.shape}, not {expected.shape}"
        if expected.dtype.isbuiltin != 1:  # a type that NumPy lacks, which it cannot compare
            actual, expected = actual.astype(np.float64), expected.astype(np.float64)
        if not np.allclose(actual, expected, rtol=case.rtol, atol=case.atol, equal_nan=True):
            return f"{value.name} differs"
    return ""
