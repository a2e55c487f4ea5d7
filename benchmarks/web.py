"""Measures tinycast's WebAssembly beside its peers from npm in Chromium and Node, one thread; writes web.md.

Needs chromium, node, npm and the models of ../shared beside the checkout. What takes no ONNX gets the same network in
its own format; each has to give ONNX Runtime's outputs before it is timed.
"""

from __future__ import annotations

import json
import math
import shutil
import statistics
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, sync_playwright
from tinycast.execute.serve import make_server
from web_peers.prepare import NAMES, PACKAGE, Expected, prepare

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / ".cache" / "bench-web"
OURS, ORT, LITERT, COMPAT, TFJS = "tinycast", "onnxruntime-web", "LiteRT.js", "LiteRT.js compat", "TensorFlow.js"
# Node 20 has no relaxed SIMD, which the first build of LiteRT.js needs.
PEERS = {"Chromium": (ORT, LITERT, COMPAT, TFJS), "Node": (ORT, COMPAT, TFJS)}
STARTED = {ORT: "kws_int8_qdq", LITERT: "kws_int8_qdq", COMPAT: "kws_int8_qdq", TFJS: "kws_float"}
STARTS = 11
FLOAT_TOLERANCE = 1e-4  # of the largest output
BLANK = b"<!doctype html><meta charset=utf-8><link rel=icon href=data:,><title>bench</title><body></body>"
SCRIPTS = {"measure.mjs", "runtimes.mjs"}
# Isolated pages have a clock of 5 microseconds, others one of 100. No runtime starts threads for it.
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}

HEAD = """# WebAssembly

Written by `make bench-web`. {versions}. One thread.

The machine is shared, and its clock is what it is: compare the ratios, which come from runs taken in turn, not the
microseconds. LiteRT.js ("compat": its build without relaxed SIMD) and TensorFlow.js get the networks of the ONNX files,
with the same weights, scales and zero points, in their own formats. LiteRT.js takes no int8: its int8 networks begin
with Quantize and end with Dequantize. TensorFlow.js has no int8 networks.

## Time of an inference

Microseconds, p10 / median of {rounds} batches of runs, each runtime in turn. "÷": p10 of tinycast by that of the peer.

{latency}

## Agreement

What each runtime makes of {samples} real inputs, beside ONNX Runtime: for int8 the largest difference in steps of the
output, and how many outputs differ by more than one; for float the largest difference by the largest output.

{agreement}

## What a page loads, and how soon it has a result

Bytes of all that is fetched for the first result: .wasm, JavaScript, and for peers the file of the model. Start:
milliseconds to the first result, in a new page of a running Chromium (over loopback) and in a new Node process (from
disk); p10 / median of {starts}, once all is fetched, and from nothing. Memory: that of the WebAssembly instance.

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
    with make_server(site.read, 0, ISOLATED) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site.url = f"http://127.0.0.1:{server.server_port}/"
        yield site
        server.shutdown()


def in_page(browser: Browser, site: Site, function: str, *arguments: Any) -> Any:
    """What a function of measure.mjs gives in a new page without a cache."""
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.goto(site.url)
        return page.evaluate(
            """async ([name, given]) => {
              const measure = await import("/measure.mjs");
              const options = {
                base: location.origin + "/",
                ort: "/peers/ort.js",
                tfjs: "/peers/tfjs.js",
                read: async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer()),
                url: (bytes) => URL.createObjectURL(new Blob([bytes])),
              };
              return measure[name](...given, options);
            }""",
            [function, arguments],
        )


def in_node(folder: Path, function: str, *arguments: Any) -> Any:
    command = ["node", "node.mjs", function, *(json.dumps(argument) for argument in arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def runtimes_for(where: str, name: str) -> list[str]:
    peers = [peer for peer in PEERS[where] if peer != TFJS or not Expected.is_int8(name)]
    return [OURS, *peers]


def p10_and_median(values: Sequence[float]) -> str:
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 10]:.1f} / {statistics.median(ordered):.1f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def latency_row(where: str, name: str, times: Mapping[str, Mapping[str, float]]) -> list[str]:
    peers = PEERS["Chromium"]
    ours = times[OURS]["p10"]
    cells = [f"{times[r]['p10']:.0f} / {times[r]['median']:.0f}" if r in times else "" for r in (OURS, *peers)]
    return [where, name, *cells, *(f"{ours / times[r]['p10']:.2f}" if r in times else "" for r in peers)]


def agreement_row(where: str, name: str, expected: Expected, times: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Raises SystemExit where a runtime computes something else: then its time says nothing."""
    cells = []
    for runtime in (OURS, *PEERS["Chromium"]):
        if runtime not in times:
            cells.append("")
            continue
        outputs = np.array(times[runtime]["outputs"])
        # LiteRT.js gives real numbers, the others elements.
        difference = expected.difference(outputs, is_real=runtime in (LITERT, COMPAT))
        if expected.quant is None:
            largest = difference.max() / np.abs(expected.outputs).max()
            is_same = largest <= FLOAT_TOLERANCE
            cells.append(f"{largest:.0e}")
        else:
            many = np.count_nonzero(difference > 1)
            is_same = many <= difference.size / 10 and expected.same_class(outputs) >= 0.9
            cells.append(f"{difference.max():.0f}, {many} of {difference.size:,}")
        if not is_same:
            raise SystemExit(f"{runtime} does not compute {name}: it differs by {cells[-1]}")
    return [where, name, *cells]


def start_row(browser: Browser, site: Site, runtime: str, name: str) -> list[str]:
    site.asked.clear()
    pages = [in_page(browser, site, "measureStart", runtime, name) for _ in range(STARTS)]
    loaded = sorted({path for path in site.asked if path not in SCRIPTS and not path.endswith(".samples.json")})
    is_in_node = runtime in (OURS, *PEERS["Node"])
    processes = [in_node(site.folder, "measureStart", runtime, name) for _ in range(STARTS)] if is_in_node else []
    sizes = subprocess.run(
        ["node", "sizes.mjs", *loaded], cwd=site.folder, check=True, capture_output=True, text=True
    ).stdout
    bytes_cells = [f"{sum(column):,}" for column in zip(*json.loads(sizes), strict=True)]
    start_cells = [
        p10_and_median([start[key] for start in starts]) if starts else ""
        for starts in (pages, processes)
        for key in ("fromFetched", "fromNothing")
    ]
    return [runtime, name, *bytes_cells, *start_cells, f"{math.ceil(pages[0]['memoryBytes'] / 1024):,}"]


def main() -> None:
    networks = prepare(FOLDER)
    latency, agreement = [], []
    with serving(FOLDER) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for where in PEERS:
            for name in NAMES:
                arguments = ("measureLatency", runtimes_for(where, name), name)
                times = in_page(browser, site, *arguments) if where == "Chromium" else in_node(FOLDER, *arguments)
                agreement.append(agreement_row(where, name, networks[name], times))
                latency.append(latency_row(where, name, times))
        start = [start_row(browser, site, OURS, name) for name in NAMES]
        start += [start_row(browser, site, runtime, name) for runtime, name in STARTED.items()]
        node = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout.strip()
        versions = f"Chromium {browser.version}, Node {node.removeprefix('v')}"
        browser.close()
    packages = json.loads((PACKAGE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    versions += "".join(f", {name} {version}" for name, version in packages.items())
    rounds = (PACKAGE / "measure.mjs").read_text(encoding="utf-8").split("ROUNDS = ")[1].split(";")[0]
    peers = PEERS["Chromium"]
    text = HEAD.format(
        versions=versions,
        rounds=rounds,
        starts=STARTS,
        samples=len(networks[NAMES[0]].outputs),
        latency=table(["", "model", OURS, *peers, *(f"÷ {peer}" for peer in peers)], latency),
        agreement=table(["", "model", OURS, *peers], agreement),
        start=table(
            [
                *("", "model", "bytes", "gzip", "brotli"),
                *("Chromium, fetched", "Chromium, from nothing", "Node, fetched", "Node, from nothing", "memory, KiB"),
            ],
            start,
        ),
    )
    (HERE / "web.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
