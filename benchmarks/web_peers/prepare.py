"""Fills a folder with what is measured: peers from npm, and the networks in each runtime's format."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from tinycast.package import write_artifact
from tinycast.pipeline import CompileOptions, compile_file

from web_peers.network import Array, Network, Quant, read_network
from web_peers.tfjs_file import to_tfjs
from web_peers.tflite_file import to_tflite

PACKAGE = Path(__file__).resolve().parent
SHARED = PACKAGE.parents[2] / "shared"
NAMES = ("kws_int8_qdq", "ic_int8_qdq", "ad_int8_qdq", "kws_float", "ic_float", "ad_float")
SAMPLES = 12
_SCRIPTS = ("measure.mjs", "runtimes.mjs", "node.mjs", "sizes.mjs")
_TFJS = """
export { env, io, setBackend, tensor, tidy } from "@tensorflow/tfjs-core";
export { loadGraphModel } from "@tensorflow/tfjs-converter";
export { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
"""
_BUNDLES = {
    "litert.js": ('export { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";', "browser"),
    "tfjs.js": (_TFJS, "browser"),
    "tfjs.node.js": (_TFJS, "node"),
}
_COPIES = {
    "ort.js": "onnxruntime-web/dist/ort.wasm.bundle.min.mjs",
    "ort-wasm-simd-threaded.wasm": "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
    "litert_wasm_internal.js": "@litertjs/core/wasm/litert_wasm_internal.js",
    "litert_wasm_internal.wasm": "@litertjs/core/wasm/litert_wasm_internal.wasm",
    "litert_wasm_compat_internal.js": "@litertjs/core/wasm/litert_wasm_compat_internal.js",
    "litert_wasm_compat_internal.wasm": "@litertjs/core/wasm/litert_wasm_compat_internal.wasm",
    "tfjs-backend-wasm-simd.wasm": "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm",
}


@dataclass(frozen=True)
class Expected:
    """ONNX Runtime's outputs, (samples, elements), and what their elements mean."""

    outputs: Array
    quant: Quant | None

    @staticmethod
    def is_int8(name: str) -> bool:
        return "int8" in name

    def difference(self, outputs: Array, *, is_real: bool) -> Array:
        """Absolute differences, in steps where the output is quantized; `is_real`: `outputs` are real numbers."""
        if self.quant is not None and is_real:
            outputs = np.rint(outputs / self.quant.scales + self.quant.zero_points)
        return np.abs(outputs - self.outputs.astype(np.float64))

    def same_class(self, outputs: Array) -> float:
        """The share of samples whose largest output is the same."""
        return float(np.mean(outputs.argmax(1) == self.outputs.argmax(1)))


def prepare(folder: Path) -> dict[str, Expected]:
    """Install the peers and write the models; return what ONNX Runtime makes of the samples of each."""
    install(folder)
    return {name: _write_network(name, folder) for name in NAMES}


def install(folder: Path) -> None:
    """What npm has, bundled as for a page, and what measures; installed again only where the packages changed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _SCRIPTS:
        shutil.copyfile(PACKAGE / name, folder / name)
    lock, installed = PACKAGE / "package-lock.json", folder / "installed.json"
    if not installed.exists() or installed.read_bytes() != lock.read_bytes():
        for path in (PACKAGE / "package.json", lock):
            shutil.copyfile(path, folder / path.name)
        subprocess.run(["npm", "install", "--no-save", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
        shutil.copyfile(lock, installed)
    peers = folder / "peers"
    peers.mkdir(exist_ok=True)
    for name, (entry, platform) in _BUNDLES.items():
        flags = ["--bundle", "--minify", "--format=esm", f"--platform={platform}", "--log-level=error"]
        flags.append(f"--outfile=peers/{name}")
        subprocess.run(["npx", "esbuild", *flags], cwd=folder, check=True, input=entry, text=True)
    for name, source in _COPIES.items():
        shutil.copyfile(folder / "node_modules" / source, peers / name)


def _write_network(name: str, folder: Path) -> Expected:
    path = SHARED / "models" / f"{name}.onnx"
    shutil.copyfile(path, folder / path.name)
    shutil.rmtree(folder / name, ignore_errors=True)
    write_artifact(compile_file(path, "wasm32", CompileOptions(name=name, format="npm")), folder / name)
    network = read_network(path)
    (folder / f"{name}.tflite").write_bytes(to_tflite(network))
    if not network.quants:
        topology, weights = to_tfjs(network)
        (folder / f"{name}.tfjs.json").write_bytes(topology)
        (folder / f"{name}.tfjs.bin").write_bytes(weights)
    return _write_samples(name, network, path, folder)


def _write_samples(name: str, network: Network, path: Path, folder: Path) -> Expected:
    inputs = np.load(SHARED / "data" / f"{name.removesuffix('_qdq')}.npz")["input"][:SAMPLES]
    session = onnxruntime.InferenceSession(path)
    outputs = np.concatenate([session.run(None, {network.input: sample[None]})[0] for sample in inputs])
    quant = network.quants.get(network.input)
    described = {
        "shape": [1, *inputs.shape[1:]],
        "channelsLast": network.shapes[network.input],
        "quant": quant and {"scale": float(quant.scales[0]), "zeroPoint": int(quant.zero_points[0])},
        "samples": inputs.reshape(len(inputs), -1).tolist(),
    }
    (folder / f"{name}.samples.json").write_text(json.dumps(described), encoding="utf-8")
    return Expected(outputs.reshape(len(outputs), -1), network.quants.get(network.output))
