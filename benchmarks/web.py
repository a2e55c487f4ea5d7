"""Measures tinycast's WebAssembly beside onnxruntime-web in Chromium and Node, one thread; writes web.md.

Needs chromium, node, npm and the models of ../shared beside the checkout. LiteRT.js and TensorFlow.js are left out:
they take no ONNX files.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright
from tinycast.execute.serve import make_server
from tinycast.package import write_artifact
from tinycast.pipeline import CompileOptions, compile_file

HERE = Path(__file__).resolve().parent
MODELS = HERE.parents[1] / "shared" / "models"
NAMES = ("kws_int8_qdq", "ic_int8_qdq", "ad_int8_qdq", "kws_float", "ic_float", "ad_float")
STARTED = "kws_int8_qdq"  # whose start is measured for onnxruntime-web too: it is that of the runtime
OURS, ORT = "tinycast", "onnxruntime-web"
STARTS = 9
BLANK = b"<!doctype html><meta charset=utf-8><link rel=icon href=data:,><title>bench</title>"
SCRIPTS = ("web_measure.mjs", "web_node.mjs", "web_brotli.mjs")

HEAD = """# WebAssembly

Written by `make bench-web`. {versions}. One thread.

The machine is shared, and its clock is what it is: compare the ratios, which come from runs taken in turn, not the
microseconds. LiteRT.js and TensorFlow.js are not here, since they take no ONNX files.

## Time of an inference

Microseconds, p10 / median of {rounds} batches of runs, each runtime in turn.

| | model | tinycast | onnxruntime-web | ratio of p10 |
|---|---|---|---|---|
{latency}

## What a page loads, and how soon it has a result

Bytes of all that is fetched for the first result: .wasm and JavaScript, for onnxruntime-web the .onnx file too. Start:
milliseconds to the first result, once all is fetched / from nothing, in a new page of a running Chromium (over
loopback) and in a new Node process (from disk); median of {starts}. Memory: that of the WebAssembly instance.

| | model | bytes | gzip | brotli | start in Chromium | start in Node | memory, KiB |
|---|---|---|---|---|---|---|---|
{start}
"""


@dataclass
class Site:
    """A folder that is served, and the files that were asked for."""

    folder: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)

    def read(self, path: str) -> bytes | None:
        if path == "index.html":
            return BLANK
        self.asked.append(path)
        file = self.folder / path
        return file.read_bytes() if file.is_file() else None


@contextmanager
def serving(folder: Path) -> Iterator[Site]:
    site = Site(folder)
    with make_server(site.read, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site.url = f"http://127.0.0.1:{server.server_port}/"
        yield site
        server.shutdown()


def in_page(browser: Browser, site: Site, call: str) -> Any:
    """What `measure.<call>` gives in a new page without a cache."""
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.goto(site.url)
        return page.evaluate(
            f"""async () => {{
              const measure = await import("/web_measure.mjs");
              const options = {{
                base: location.origin + "/",
                ort: "/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs",
                ortWasm: "node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
                read: async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer()),
              }};
              return measure.{call};
            }}"""
        )


def in_node(folder: Path, *arguments: str) -> Any:
    command = ["node", "web_node.mjs", *arguments]
    printed = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return json.loads(printed.splitlines()[-1])


def prepare(folder: Path) -> None:
    """Install the peer, and compile the models, in `folder`."""
    for name in (*SCRIPTS, "package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    subprocess.run(["npm", "install", "--no-save", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
    for name in NAMES:
        shutil.copy(MODELS / f"{name}.onnx", folder)
        write_artifact(
            compile_file(MODELS / f"{name}.onnx", "wasm32", CompileOptions(name=name, format="npm")), folder / name
        )


def start_row(browser: Browser, site: Site, runtime: str, name: str) -> str:
    site.asked.clear()
    call = f'measureStart("{runtime}", "{name}", options)'
    pages = [in_page(browser, site, call) for _ in range(STARTS)]
    loaded = sorted({path for path in site.asked if path not in SCRIPTS})
    processes = [in_node(site.folder, "start", runtime, name) for _ in range(STARTS)]
    sizes = subprocess.run(
        ["node", "web_brotli.mjs", *loaded], cwd=site.folder, check=True, capture_output=True, text=True
    ).stdout
    raw, gzip, brotli = (sum(column) for column in zip(*json.loads(sizes), strict=True))
    cells = [f"{raw:,}", f"{gzip:,}", f"{brotli:,}", _start_cell(pages), _start_cell(processes)]
    return f"| {runtime} | {name} | {' | '.join(cells)} | {pages[0]['memoryBytes'] // 1024:,} |"


def _start_cell(starts: list[dict[str, float]]) -> str:
    return " / ".join(
        f"{statistics.median(start[key] for start in starts):.1f}" for key in ("fromFetched", "fromNothing")
    )


def latency_row(where: str, name: str, times: dict[str, dict[str, float]]) -> str:
    cells = [f"{times[runtime]['p10']:.0f} / {times[runtime]['median']:.0f}" for runtime in (OURS, ORT)]
    return f"| {where} | {name} | {' | '.join(cells)} | {times[OURS]['p10'] / times[ORT]['p10']:.2f} |"


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary, serving(Path(temporary)) as site, sync_playwright() as playwright:
        folder = site.folder
        prepare(folder)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        latency = [
            latency_row("Chromium", name, in_page(browser, site, f'measureLatency("{name}", options)'))
            for name in NAMES
        ]
        latency += [latency_row("Node", name, in_node(folder, "latency", name)) for name in NAMES]
        start = [start_row(browser, site, OURS, name) for name in NAMES]
        start.append(start_row(browser, site, ORT, STARTED))
        node = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout.strip()
        versions = f"Chromium {browser.version}, Node {node.removeprefix('v')}"
        browser.close()
    peers = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    versions += "".join(f", {name} {version}" for name, version in peers.items())
    rounds = (HERE / "web_measure.mjs").read_text(encoding="utf-8").split("ROUNDS = ")[1].split(";")[0]
    text = HEAD.format(
        versions=versions, rounds=rounds, starts=STARTS, latency="\n".join(latency), start="\n".join(start)
    )
    (HERE / "web.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
