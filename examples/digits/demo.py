"""The main job on real input: quantize the digits network, compile it for three targets, run it, compare.

`make demo` runs this; so does `python examples/digits/demo.py` where tinycast is installed with its `toolchain` extra.
It only calls the command line, as a user would. Exit code 1 if the targets disagree by a single byte.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

EXAMPLE = Path(__file__).resolve().parent
INPUT, OUTPUT = "image", "logits"
TARGETS = {
    "host": "C on this machine",
    "wasm32": "WebAssembly in wasmtime",
    "cortex-m4": "C on an emulated Cortex-M4",
}
MEASURED_TARGET = "cortex-m4"  # flash and instructions are those of a microcontroller
PAGE_TARGET = "wasm32"  # with a page to draw digits on


@dataclass(frozen=True)
class Outcome:
    """What one target computed, and what its code needs. `logits` has one row an image."""

    logits: NDArray[np.generic]
    arena_bytes: int
    weights_bytes: int


def tinycast(*arguments: str | Path) -> dict[str, Any]:
    """Run one tinycast command and return its JSON; end the demo with its message and exit code if it fails."""
    command = [sys.executable, "-m", "tinycast.cli.main", *map(str, arguments), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def run_float(model: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 1, 8, 8) images -> (N, 10) logits of the float model in ONNX Runtime."""
    session = onnxruntime.InferenceSession(str(model))
    return np.concatenate([session.run([OUTPUT], {INPUT: image[None]})[0] for image in images])


def compile_and_run(model: Path, target: str, samples: Path, folder: Path) -> Outcome:
    options = ["--name", "digits", "--force", *(["--format", "web"] if target == PAGE_TARGET else [])]
    compiled = tinycast("compile", model, "--target", target, "-o", folder / target, *options)
    answer = folder / f"{target}.npz"
    tinycast("run", folder / target, "--input", samples, "-o", answer, "--force")
    with np.load(answer) as arrays:
        logits = arrays[OUTPUT]
    return Outcome(logits.reshape(len(logits), -1), compiled["arena_bytes"], compiled["weights_bytes"])


def float_weights_bytes(model: Path) -> int:
    return sum(onnx.numpy_helper.to_array(tensor).nbytes for tensor in onnx.load(model).graph.initializer)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Quantize, compile and run the digits network on every kind of target."
    )
    parser.add_argument("--output", type=Path, default=Path("build/demo"), help="folder for what is generated")
    folder: Path = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    console = Console()
    started = time.monotonic()

    model, quantized, samples = EXAMPLE / "digits.onnx", folder / "digits_int8.onnx", EXAMPLE / "heldout.npz"
    images, labels = np.load(samples)[INPUT], np.load(EXAMPLE / "labels.npz")["label"]
    float_classes = run_float(model, images).argmax(1)
    console.print(f"Quantizing {model.name} with 100 calibration images")
    tinycast("quantize", model, "-o", quantized, "--calibration", EXAMPLE / "calibration.npz", "--force")
    outcomes: dict[str, Outcome] = {}
    for target, title in TARGETS.items():
        console.print(f"Compiling for {target} and running {len(images)} held-out images: {title}")
        outcomes[target] = compile_and_run(quantized, target, samples, folder)
    console.print(f"Measuring on {MEASURED_TARGET}")
    measured = tinycast("bench", quantized, "--target", MEASURED_TARGET)

    float_bytes = float_weights_bytes(model)
    answers = {target: (outcome.logits.dtype, outcome.logits.tobytes()) for target, outcome in outcomes.items()}
    same = {target: answer == answers["host"] for target, answer in answers.items()}
    classes = {target: outcome.logits.argmax(1) for target, outcome in outcomes.items()}
    table = Table("", "float", *TARGETS, title=f"Handwritten digits, {len(images)} held-out images")
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("accuracy", *(f"{(c == labels).mean():.2%}" for c in (float_classes, *classes.values())))
    table.add_row("same class as float", "", *(f"{(c == float_classes).mean():.2%}" for c in classes.values()))
    table.add_row(
        "weights, bytes", f"{float_bytes:,}", *(f"{outcome.weights_bytes:,}" for outcome in outcomes.values())
    )
    table.add_row("arena, bytes", "", *(f"{outcome.arena_bytes:,}" for outcome in outcomes.values()))
    for label, key in (("flash, bytes", "flash_bytes"), ("instructions an image", "instructions")):
        table.add_row(label, "", *(f"{measured[key]:,}" if target == MEASURED_TARGET else "" for target in TARGETS))
    table.add_row("same bytes as host", "", *("yes" if equal else "NO" for equal in same.values()))
    console.print(table)

    weights_bytes = outcomes[MEASURED_TARGET].weights_bytes
    console.print(
        f"Weights {float_bytes / weights_bytes:.1f} times smaller: {float_bytes:,} -> {weights_bytes:,} bytes."
    )
    console.print(f"Every target gave the same bytes: {'yes' if all(same.values()) else 'NO'}.")
    console.print(f"The generated code is in {folder} ({time.monotonic() - started:.0f} s).")
    console.print(f"To draw digits yourself, open {folder / PAGE_TARGET / 'index.html'} in a browser.")
    if not all(same.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
