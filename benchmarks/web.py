"""Times tinycast's WebAssembly against onnxruntime-web in Node, one thread, interleaved; writes web.md.

Needs node, npm and the models of ../shared beside the checkout. LiteRT.js is left out: it takes .tflite files only.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from tinycast.pipeline import CompileOptions, compile_file

HERE = Path(__file__).resolve().parent
MODELS = HERE.parents[1] / "shared" / "models"
NAMES = ("kws_int8_qdq", "ic_int8_qdq", "ad_int8_qdq", "kws_float", "ic_float", "ad_float")
HEAD = """# WebAssembly

Written by `benchmarks/web.py`. Node {node}, one thread, onnxruntime-web {ort}, one run of each in turn;
microseconds an inference, p10 / median. Bytes are those of tinycast's .wasm, which is all that is loaded
besides its loader.

| model | tinycast | onnxruntime-web | ratio of p10 | .wasm bytes | gzip -9 |
|---|---|---|---|---|---|
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("package.json", "web.mjs"):
            shutil.copy(HERE / name, folder)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
        sizes = {}
        for name in NAMES:
            shutil.copy(MODELS / f"{name}.onnx", folder)
            module = compile_file(MODELS / f"{name}.onnx", "wasm32", CompileOptions(name=name)).files[f"{name}.wasm"]
            (folder / f"{name}.wasm").write_bytes(module)
            sizes[name] = (len(module), len(gzip.compress(module, 9)))
        command = ["node", "web.mjs", str(folder), *NAMES]
        printed = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
        times = json.loads(printed.splitlines()[-1])
        node = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    ort = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]["onnxruntime-web"]
    rows = [_row(name, times[name], *sizes[name]) for name in NAMES]
    (HERE / "web.md").write_text(HEAD.format(node=node, ort=ort) + "\n".join(rows) + "\n", encoding="utf-8")


def _row(name: str, times: dict[str, dict[str, float]], size: int, packed: int) -> str:
    ours, theirs = times["tinycast"], times["onnxruntime-web"]
    cells = [f"{t['p10']:.0f} / {t['median']:.0f}" for t in (ours, theirs)]
    return f"| {name} | {' | '.join(cells)} | {ours['p10'] / theirs['p10']:.2f} | {size:,} | {packed:,} |"


if __name__ == "__main__":
    main()
