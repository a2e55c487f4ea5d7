"""A package of `--format npm` as its users take it: packed, installed, type-checked, bundled, run in each engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from emit.small_model import small_model
from playwright.sync_api import Page
from tinycast.artifact import Artifact
from tinycast.emit import model_script, wasm_package
from tinycast.errors import UsageError
from tinycast.execute.inputs import to_port
from tinycast.package import package
from tinycast.pipeline import CompileOptions, compile_file, link
from tinycast.target.load import load_target
from web.fixtures import CSP, Serve, npm_tool

USAGE = """
import { compile, instantiate, load, type Model, type Outputs } from "digits";
import { load as loadInline } from "digits/inline";
import { loadInWorker } from "digits/worker";
import { createAudioNode, type AudioMessage } from "digits/audio";

const model: Model = await load({ build: "wasm32" });
const elements: Int8Array = model.quantize(new Float32Array(64));
const scores: Outputs = model.run(elements);
const probabilities: Float32Array = model.dequantize(scores, "logits");
model.input("image").set(elements);
model.run();
const view: Int8Array = model.output(0);
const shape: readonly number[] = model.inputs[0].shape;
model.run({ image: elements });
model.run([elements]);
const other: Model = instantiate(await compile());
const inline: Model = await loadInline();
const worker = await loadInWorker();
const answer: Int8Array = await worker.run(worker.quantize([1, 2, 3]));
const node: AudioWorkletNode = await createAudioNode(new AudioContext(), { hop: 32 });
node.port.onmessage = ({ data }: MessageEvent<AudioMessage>) => {
  if (data.error === undefined) {
    const heard: Int8Array = data.outputs;
  }
};
model.reset();
model.dispose();

// @ts-expect-error: the input is of int8
model.run(new Float32Array(64));
// @ts-expect-error: no input of that name
model.run({ picture: elements });
// @ts-expect-error: no input of that index
model.input(1);
// @ts-expect-error: no such build
await load({ build: "relaxed" });
// @ts-expect-error: views are of the model's own memory
model.memoryBytes = 1;
// @ts-expect-error: `load` makes it
new Model();
"""
SMALL_USAGE = """
import { load } from "./tiny.js";
import { loadInWorker } from "./tiny.worker.js";

const model = await load();
const outputs = model.run({ "serving_default:image": model.quantize([1, 2, 3]) });
const relu: Int8Array = outputs["0"];
const scaled: Float32Array = outputs["R\u00e9sult:0"];
const view: Float32Array = model.output(1);
const again: Float32Array = (await (await loadInWorker()).run(new Int8Array(24)))["R\u00e9sult:0"];
// @ts-expect-error: a float
model.dequantize([1], 1);
"""
RUN = "console.log(JSON.stringify(Array.from(await model.run(Int8Array.from(PIXELS)))));\nmodel.dispose();\n"


def run(command: list[str], folder: Path) -> str:
    """Run in `folder` and return the standard output; fails the test on a status other than 0."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def project(digits: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has the packed package installed from its archive."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm on PATH")
    folder = tmp_path_factory.mktemp("npm")
    for name, content in digits.files.items():
        path = folder / "digits" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    project = folder / "project"
    project.mkdir()
    (project / "package.json").write_text('{ "private": true, "type": "module" }')
    (listed,) = json.loads(run([npm, "pack", "--json", "--pack-destination", str(folder)], folder / "digits"))
    names = {entry["path"] for entry in listed["files"]}
    assert names == set(digits.files) - {"digits_report.json"}
    run([npm, "install", "--offline", "--no-audit", "--no-fund", str(folder / listed["filename"])], project)
    assert (project / "node_modules" / "digits" / "digits.wasm").read_bytes() == digits.files["digits.wasm"]
    return project


@pytest.fixture(scope="module")
def pixels(digits: Artifact, images: np.ndarray) -> list[int]:
    return to_port(images[:1], digits.manifest["inputs"][0]).ravel().tolist()


@pytest.fixture(scope="module")
def logits(project: Path, pixels: list[int]) -> list[int]:
    """What Node makes of the pixels; elsewhere it has to be the same."""
    node = shutil.which("node")
    assert node is not None
    script = f'import {{ load }} from "digits";\nconst model = await load();\n{RUN}'
    (project / "node.mjs").write_text(script.replace("PIXELS", str(pixels)))
    answer: list[int] = json.loads(run([node, "node.mjs"], project))
    return answer


def test_types_are_those_of_the_model(project: Path) -> None:
    (project / "usage.ts").write_text(USAGE)
    flags = ["--strict", "--noEmit", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom"]
    assert run([npm_tool("tsc"), *flags, "usage.ts"], project) == ""


def test_types_of_several_outputs(tmp_path: Path) -> None:
    """Names that are no identifiers, and an output that is a float beside one that is not."""
    target = load_target("wasm32")
    artifact = package(wasm_package(link(small_model(target))), "npm", target)
    for name, content in artifact.files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "usage.ts").write_text(SMALL_USAGE, encoding="utf-8")
    flags = ["--strict", "--noEmit", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom"]
    assert run([npm_tool("tsc"), *flags, "usage.ts"], tmp_path) == ""


@pytest.mark.parametrize("engine", [["node"], ["bun"], ["deno", "run", "--allow-read", "--cached-only"]])
@pytest.mark.parametrize(
    "entry", [("load", "digits"), ("load", "digits/inline"), ("loadInWorker", "digits/worker")], ids=lambda e: e[1]
)
def test_runs_outside_of_browsers(
    project: Path, pixels: list[int], logits: list[int], engine: list[str], entry: tuple[str, str]
) -> None:
    program = shutil.which("node") if engine[0] == "node" else npm_tool(engine[0])
    function, module = entry
    path = project / f"{engine[0]}_{module.replace('/', '_')}.mjs"
    script = f'import {{ {function} }} from "{module}";\nconst model = await {function}();\n{RUN}'
    path.write_text(script.replace("PIXELS", str(pixels)))
    assert json.loads(run([str(program), *engine[1:], path.name], project)) == logits


def test_node_loads_nothing_that_fetches(project: Path) -> None:
    """Its `fetch`, `Response` and so on come to life when first named, which takes longer than all the rest."""
    node = shutil.which("node")
    assert node is not None
    loaded = 'process.moduleLoadList.filter((name) => name.includes("undici")).length'
    script = f'import {{ load }} from "digits";\nawait load();\nconst count = {loaded};\nvoid Response;\n'
    (project / "start.mjs").write_text(f"{script}console.log(JSON.stringify([count, {loaded}]));\n")
    before, after = json.loads(run([node, "start.mjs"], project))
    assert before == 0 < after


def bundle_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


PAGE_SCRIPT = """
globalThis.answer = (async () => {
  const model = await START();
  return Array.from(await model.run(Int8Array.from(PIXELS)));
})();
"""


@pytest.mark.parametrize("entry", [("load", "digits"), ("loadInWorker", "digits/worker")], ids=lambda e: e[1])
def test_vite_bundles_it(
    project: Path, page: Page, serve: Serve, pixels: list[int], logits: list[int], entry: tuple[str, str]
) -> None:
    function, module = entry
    folder = project / function
    folder.mkdir()
    script = f'import {{ {function} }} from "{module}";' + PAGE_SCRIPT.replace("START", function)
    (folder / "main.js").write_text(script.replace("PIXELS", str(pixels)))
    (folder / "index.html").write_text('<!doctype html><script type="module" src="./main.js"></script>')
    run([npm_tool("vite"), "build", "--logLevel", "error", str(folder)], project)
    page.goto(serve(bundle_of(folder / "dist"), {"Content-Security-Policy": f"{CSP}; img-src data:"}))
    page.wait_for_function("globalThis.answer")
    assert page.evaluate("answer") == logits


@pytest.mark.parametrize(
    "imports",
    [
        'import { load } from "digits/inline"; const start = load;',
        'import { load } from "digits"; import source from "digits/digits.wasm"; const start = () => load({ source });',
    ],
    ids=["inline", "file"],
)
def test_esbuild_bundles_it(
    project: Path, page: Page, serve: Serve, tmp_path: Path, pixels: list[int], logits: list[int], imports: str
) -> None:
    main = project / "esbuild.js"
    main.write_text(imports + PAGE_SCRIPT.replace("START", "start").replace("PIXELS", str(pixels)))
    flags = ["--bundle", "--format=esm", "--minify", "--loader:.wasm=file", "--log-level=error"]
    run([npm_tool("esbuild"), "esbuild.js", *flags, f"--outdir={tmp_path}"], project)
    html = b'<!doctype html><link rel=icon href=data:,><script type="module" src="/esbuild.js"></script>'
    page.goto(serve({**bundle_of(tmp_path), "index.html": html}))
    page.wait_for_function("globalThis.answer")
    assert page.evaluate("answer") == logits


def test_vite_serves_it_in_development(
    project: Path, page: Page, pixels: list[int], logits: list[int], tmp_path: Path
) -> None:
    """As README.md of the package says: the development server has to be told to leave the package as it is."""
    folder = project / "development"
    folder.mkdir()
    script = 'import { load } from "digits";' + PAGE_SCRIPT.replace("START", "load").replace("PIXELS", str(pixels))
    (folder / "main.js").write_text(script)
    (folder / "index.html").write_text('<!doctype html><script type="module" src="./main.js"></script>')
    (folder / "vite.config.js").write_text('export default { optimizeDeps: { exclude: ["digits"] } };')
    command = [npm_tool("vite"), str(folder), "--port", "0", "--host", "127.0.0.1", "--clearScreen", "false"]
    environment = {**os.environ, "NO_COLOR": "1"}
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            url = next(word for line in server.stdout for word in line.split() if word.startswith("http://"))
            page.goto(url)
            page.wait_for_function("globalThis.answer")
            assert page.evaluate("answer") == logits
        finally:
            server.terminate()


def test_a_name_that_node_imports_something_else_for_is_refused(digits_model: Path) -> None:
    with pytest.raises(UsageError, match="Node has a module of that name"):
        compile_file(digits_model, "wasm32-scalar", CompileOptions(name="stream", format="npm"))


def test_older_resolvers_find_the_main_file(digits: Artifact) -> None:
    described = json.loads(digits.files["package.json"])
    assert (described["main"], described["types"]) == ("./digits.js", "./digits.d.ts")


@pytest.mark.parametrize(
    ("dtype", "limits"), [("int8", [-128, 127]), ("uint16", [0, 65535]), ("int4", [-8, 7]), ("uint2", [0, 3])]
)
def test_quantized_numbers_stay_within_their_type(tmp_path: Path, dtype: str, limits: list[int]) -> None:
    """Also types narrower than the elements that hold them."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node on PATH")
    port = {"index": 0, "name": "x", "dtype": dtype, "scale": 1, "zero_point": 0}
    usage = f"const ports = new Ports({json.dumps({'name': 'm', 'inputs': [port], 'outputs': []})});\n"
    usage += "console.log(JSON.stringify(Array.from(ports.quantize([-1e6, 1e6]))));\n"
    (tmp_path / "ports.mjs").write_text(model_script().decode() + usage)
    assert json.loads(run([node, "ports.mjs"], tmp_path)) == limits
