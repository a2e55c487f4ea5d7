"""Weights in a file beside the .wasm: the same model, from two files that can be cached apart."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tinycast
from playwright.sync_api import Page
from tinycast.artifact import Artifact
from tinycast.errors import UsageError
from tinycast.execute.select import driver_for
from tinycast.package import write_artifact
from tinycast.pipeline import CompileOptions, compile_file
from tinycast.target.load import load_target
from web.fixtures import CSP, DIGITS, AnyPage, Serve, npm_tool

OPTIONS = CompileOptions(name="digits", format="npm", separate_weights=True)
PIXELS = [index * 37 % 256 - 128 for index in range(64)]


@pytest.fixture(scope="module")
def apart(digits_model: Path) -> Artifact:
    return compile_file(digits_model, "wasm32", OPTIONS)


@pytest.fixture(scope="module")
def logits(digits: Artifact, tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """Of the module in one file."""
    path = tmp_path_factory.mktemp("whole") / "digits.wasm"
    path.write_bytes(digits.files["digits.wasm"])
    return np.ravel(tinycast.load(path).run(np.array(PIXELS, np.int8))).tolist()


@pytest.mark.parametrize("build", ["wasm32", "wasm32-scalar"])
@pytest.mark.parametrize("entry", ["load|digits.js", "loadInWorker|digits.worker.js"])
def test_both_files_are_the_model(
    any_page: AnyPage, serve: Serve, apart: Artifact, logits: list[int], build: str, entry: str
) -> None:
    function, _, file = entry.partition("|")
    any_page.goto(serve(apart.files, {"Content-Security-Policy": CSP}))
    script = f"""async ([pixels, build]) => {{
      const model = await (await import("/{file}")).{function}({{ build }});
      return Array.from(await model.run(Int8Array.from(pixels)));
    }}"""
    assert any_page.evaluate(script, [PIXELS, build]) == logits


def test_code_and_weights_are_fetched_once(page: Page, serve: Serve, apart: Artifact) -> None:
    url = serve(apart.files)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url.removeprefix(url)))
    page.goto(url)
    build = page.evaluate(
        """async () => {
          const { chooseBuild, load } = await import('/digits.js');
          await Promise.all([load(), load()]);
          return chooseBuild();
        }"""
    )
    stem = {"wasm32": "digits", "wasm32-relaxed": "digits.relaxed"}[build]
    assert sorted(requests) == ["", "digits.js", f"{stem}.wasm", f"{stem}.weights.bin"]


def test_code_alone_is_refused(any_page: AnyPage, serve: Serve, apart: Artifact, tmp_path: Path) -> None:
    any_page.goto(serve(apart.files))
    told = any_page.evaluate(
        """async () => {
          const { load } = await import("/digits.js");
          return load({ source: "/digits.wasm" }).catch((error) => error.message);
        }"""
    )
    assert "without its weights" in told
    (tmp_path / "digits.wasm").write_bytes(apart.files["digits.wasm"])
    with pytest.raises(UsageError, match="weights beside it"):
        tinycast.load(tmp_path / "digits.wasm")


def test_python_reads_both(apart: Artifact, logits: list[int], tmp_path: Path) -> None:
    for name in ("digits.wasm", "digits.weights.bin"):
        (tmp_path / name).write_bytes(apart.files[name])
    pixels = np.array(PIXELS, np.int8)
    assert np.ravel(tinycast.load(tmp_path / "digits.wasm").run(pixels)).tolist() == logits
    sample = pixels.reshape(1, 1, 1, 8, 8)
    outputs = driver_for(load_target("wasm32")).run(apart.files, apart.manifest, {"image": sample}).outputs
    assert np.ravel(outputs["logits"]).tolist() == logits


def test_builds_with_the_same_weights_share_them(float_digits: Artifact) -> None:
    artifact = compile_file(DIGITS / "digits.onnx", "wasm32", replace(OPTIONS, name="digits_float", format=None))
    weights = "digits_float.weights.bin"
    assert {name for name in artifact.files if name.endswith(".bin")} == {weights, "digits_float.scalar.weights.bin"}
    assert artifact.files["digits_float.js"].count(b'"./digits_float.weights.bin"') == 2
    for name in ("digits_float.wasm", "digits_float.relaxed.wasm"):
        assert len(artifact.files[name]) + len(artifact.files[weights]) - len(float_digits.files[name]) < 100


def test_as_a_package_it_runs_and_has_types(apart: Artifact, logits: list[int], tmp_path: Path) -> None:
    """In Node, from the package, from places of both files, and in one file."""
    write_artifact(apart, tmp_path / "node_modules" / "digits")
    (tmp_path / "package.json").write_text('{ "private": true, "type": "module" }')
    usage = f"""
import {{ load, type Part }} from "digits";
import {{ load as loadInline }} from "digits/inline";
const folder = new URL("node_modules/digits/", import.meta.url);
const parts: Part[] = ["digits.wasm", "digits.weights.bin"].map((name) => new URL(name, folder));
const results = [await load(), await load({{ source: parts }}), await loadInline()].map((model) =>
  Array.from(model.run(Int8Array.from({PIXELS}))));
console.log(JSON.stringify(results));
"""
    (tmp_path / "usage.ts").write_text(usage)
    flags = ["--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom", "usage.ts"]
    typed = subprocess.run([npm_tool("tsc"), *flags], cwd=tmp_path, capture_output=True, text=True)
    assert (typed.stdout, typed.returncode) == ("", 0)
    node = shutil.which("node")
    assert node is not None
    done = subprocess.run([node, "usage.js"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [logits, logits, logits]


def test_c_has_no_file_of_weights(digits_model: Path) -> None:
    with pytest.raises(UsageError, match="not a file of their own"):
        compile_file(digits_model, "host", CompileOptions(separate_weights=True))
