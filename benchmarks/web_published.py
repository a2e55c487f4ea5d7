"""Measures published models in WebAssembly beside onnxruntime-web, in Chromium and Node; writes web_published.md.

The models are those of scripts/published_models.toml that take up to half a billion multiply-accumulates. Each has to
give ONNX Runtime's outputs before it is timed.
"""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright
from tinycast.model import load, simplify
from tinycast.package import write_artifact
from tinycast.pipeline import CompileOptions, compile_file
from tinycast.report.operators import operator_rows
from web import FOLDER, HERE, ORT, OURS, in_node, in_page, serving, table
from web_peers.prepare import PACKAGE, install

sys.path.insert(0, str(HERE.parent / "scripts"))
from check_models import frames_of, with_constants
from fetch_models import PublishedModel, fetch_package, model_bytes, published_models

MODELS = HERE.parent / ".cache" / "models"
MOST_MACS = 500_000_000
TOLERANCE = 1e-4  # of the largest output
HEAD = """# Published models in WebAssembly

Written by `make bench-web-published`: the ONNX models of [docs/models.md](../docs/models.md) up to {macs} million
multiply-accumulates, as they are, beside onnxruntime-web {version} in Chromium {chromium} and Node. One thread.
Microseconds, p10 of batches of runs, each runtime in turn; "÷": tinycast by onnxruntime-web. The error is the largest
difference from ONNX Runtime, by the largest output.

{rows}
"""


def prepared(model: PublishedModel, name: str) -> tuple[int, Any] | None:
    """Write all that measuring the model needs; its multiply-accumulates, and the first output of each frame."""
    path = FOLDER / f"{name}.onnx"
    content = model_bytes(fetch_package(model.package, model.version, MODELS), model.file)
    path.write_bytes(with_constants(content, model.constants))
    loaded = load(path, model.shapes)
    simplify(loaded)
    macs = sum(row.macs for row in operator_rows(loaded))
    if macs > MOST_MACS:
        return None
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    options = CompileOptions(name=name, format="npm", shapes=model.shapes)
    write_artifact(compile_file(path, "wasm32", options), FOLDER / name)
    inputs, outputs = frames_of(model, loaded, path)
    frames = [
        {
            key: {"type": str(array.dtype), "shape": array.shape, "elements": array.reshape(-1).tolist()}
            for key, array in ((key, np.asarray(given)) for key, given in frame.items())
        }
        for frame in inputs
    ]
    (FOLDER / f"{name}.samples.json").write_text(json.dumps({"frames": frames}), encoding="utf-8")
    first = str(loaded.graph.outputs[0].name)
    return macs, [np.asarray(frame[first], np.float64).reshape(-1) for frame in outputs]


def error_of(outputs: Any, expected: Any) -> float:
    largest = max(np.abs(frame).max() for frame in expected)
    return float(max(np.abs(np.array(a) - b).max() for a, b in zip(outputs, expected, strict=True)) / largest)


def main() -> None:
    install(FOLDER)
    rows = []
    with serving(FOLDER) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for index, model in enumerate(published_models()):
            name = f"published_{index}"
            ready = prepared(model, name)
            if ready is None:
                continue
            macs, expected = ready
            cells = []
            for where in ("Chromium", "Node"):
                arguments = ("measureLatency", [OURS, ORT], name)
                times = in_page(browser, site, *arguments) if where == "Chromium" else in_node(FOLDER, *arguments)
                error = error_of(times[OURS]["outputs"], expected)
                ours, ort = (times[runtime]["p10"] for runtime in (OURS, ORT))
                cells += [f"{ours:,.0f}", f"{ort:,.0f}", f"{ours / ort:.2f}" if error <= TOLERANCE else "differs"]
            rows.append([model.package, model.file, f"{macs:,}", *cells, f"{error:.0e}"])
            print(" | ".join(rows[-1]), flush=True)
        version = browser.version
        browser.close()
    packages = json.loads((PACKAGE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    sides = [cell for where in ("Chromium", "Node") for cell in (f"{where}, tinycast", ORT, "÷")]
    text = HEAD.format(
        macs=MOST_MACS // 1_000_000,
        version=packages[ORT],
        chromium=version,
        rows=table(["package", "file", "MACs", *sides, "error"], rows),
    )
    (HERE / "web_published.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
