"""WebAssembly packages: linked, run in wasmtime, and through the generated loader in Node."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wasmtime
from emit.compilers import STRICT, compiler_command, lay_out, run
from emit.small_model import compute, small_model
from tinycast.artifact import Artifact
from tinycast.emit import emit_wasm, finish_wasm, read_manifest, wasm_package
from tinycast.errors import InternalError, ToolMissingError, UsageError
from tinycast.ir.kernel import Compiled, MemoryPlan, Placement, Port
from tinycast.ir.types import DType, Value
from tinycast.target.load import load_target
from tinycast.toolchain.find import zig_path
from tinycast.toolchain.wasm import build_wasm

EMPTY_MODULE = b"\0asm\1\0\0\0"
EXPORTS = {"memory", "__stack_pointer", "init", "run", "run_layers", "reset"}
IMAGE = np.arange(-120, 120, 10, dtype=np.int8)


def build(target_name: str) -> Artifact:
    target = load_target(target_name)
    source = emit_wasm(small_model(target))
    return finish_wasm(source, build_wasm(source.files, "tiny", target))


@pytest.fixture(scope="module")
def builds() -> dict[str, Artifact]:
    try:
        zig_path()
    except ToolMissingError as error:
        pytest.skip(str(error))
    return {name: build(name) for name in ("wasm32", "wasm32-scalar")}


@pytest.fixture(scope="module")
def package(builds: dict[str, Artifact], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the whole package, with a package.json that makes .js files ES modules."""
    folder = tmp_path_factory.mktemp("package")
    lay_out(wasm_package(builds["wasm32"], builds["wasm32-scalar"]).files, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def node(folder: Path, script: str) -> Any:
    """Run `script` as a module beside the loader; what it gives to `show` comes back."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("needs node on PATH")
    prelude = 'import { chooseBuild, load } from "./tiny.js";\nconst show = (x) => console.log(JSON.stringify(x));\n'
    (folder / "main.mjs").write_text(prelude + script)
    return json.loads(run([path, "main.mjs"], folder))


def test_glue_has_no_warnings(tmp_path: Path) -> None:
    command = compiler_command("zig")
    lay_out(emit_wasm(small_model(load_target("wasm32"))).files, tmp_path)
    flags = ["-target", "wasm32-freestanding", *STRICT, "-Iinclude"]
    run([*command, *flags, "-c", "src/tiny_wasm.c", "-o", "glue.o"], tmp_path)
    assert (tmp_path / "glue.o").read_bytes().startswith(b"\0asm")


@pytest.mark.parametrize("name", ["wasm32", "wasm32-scalar"])
def test_a_lone_module_tells_how_to_run_it(builds: dict[str, Artifact], name: str) -> None:
    module = builds[name].files["tiny.wasm"]
    manifest = read_manifest(module)
    assert manifest["target"] == name
    assert "layers" not in manifest
    store = wasmtime.Store()
    exports = wasmtime.Instance(store, wasmtime.Module(store.engine, module), []).exports(store)
    assert set(exports) == {*EXPORTS, "input_0", "output_0", "output_1"}
    memory = exports["memory"]
    assert isinstance(memory, wasmtime.Memory)

    def call(function: str) -> Any:
        export = exports[function]
        assert isinstance(export, wasmtime.Func)
        return export(store)

    assert call("run") == -4
    assert call("input_0") == 0
    assert call("init") == 0
    memory.write(store, IMAGE.tobytes(), call("input_0"))
    assert call("run") == 0
    call("reset")
    for index, expected in enumerate(compute(IMAGE)):
        port = manifest["outputs"][index]
        start = call(f"output_{index}")
        got = np.frombuffer(memory.read(store, start, start + port["bytes"]), dtype=port["dtype"])
        np.testing.assert_array_equal(got, expected)


def test_section_may_be_longer_than_one_leb128_byte_says() -> None:
    model = replace(small_model(load_target("wasm32")), model_sha256="f" * 20000)
    finished = finish_wasm(emit_wasm(model), EMPTY_MODULE).files["tiny.wasm"]
    assert read_manifest(finished)["model_sha256"] == "f" * 20000
    assert len(wasmtime.Module(wasmtime.Engine(), finished).exports) == 0


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (b"ELF", "not a WebAssembly module"),
        (b"", "not a WebAssembly module"),
        (EMPTY_MODULE, "no section"),
        (EMPTY_MODULE + b"\0\xff", "damaged"),
        (EMPTY_MODULE + b"\0\x0a\x08tinycast{", "damaged"),
    ],
)
def test_what_is_no_module_of_ours_is_refused(module: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_manifest(module)


def test_package_holds_both_builds_and_one_report(package: Path) -> None:
    report = json.loads((package / "tiny_report.json").read_bytes())
    expected = ["tiny.d.ts", "tiny.js", "tiny.scalar.wasm", "tiny.wasm", "tiny_report.json"]
    assert report["files"] == expected
    assert report["target"] == "wasm32"
    assert len(report["layers"]) == 4


def test_builds_of_two_models_make_no_package(builds: dict[str, Artifact]) -> None:
    other = Artifact(builds["wasm32"].files, {**builds["wasm32"].manifest, "model_sha256": "0" * 64})
    with pytest.raises(InternalError, match="not the same model"):
        wasm_package(builds["wasm32"], other)


@pytest.mark.parametrize(("options", "target"), [("", "wasm32"), ("{ build: 'wasm32-scalar' }", "wasm32-scalar")])
def test_loader_runs_the_build_that_it_chose(package: Path, options: str, target: str) -> None:
    values = ", ".join(map(str, IMAGE.tolist()))
    got = node(
        package,
        f"""
        const model = await load({options});
        const image = Int8Array.of({values});
        const results = [model.run(image), model.run([image]), model.run({{ "serving_default:image": image }})];
        model.input("serving_default:image").set(image);
        results.push(model.run());
        show({{
          target: model.manifest.target,
          best: chooseBuild(),
          relu: results.map((r) => Array.from(r["0"])),
          scaled: results.map((r) => Array.from(r["Résult:0"])),
          views: [Array.from(model.output("0")), Array.from(model.output(1))],
        }});
        """,
    )
    relu, scaled = compute(IMAGE)
    assert got["target"] == target
    assert got["best"] == "wasm32"
    assert got["relu"] == [relu.tolist()] * 4
    assert got["scaled"] == [scaled.tolist()] * 4
    assert got["views"] == [relu.tolist(), scaled.tolist()]


def test_models_do_not_share_memory_and_copies_do_not_change(package: Path) -> None:
    got = node(
        package,
        """
        const [a, b] = [await load(), await load({ build: "wasm32-scalar" })];
        const high = a.run(new Int8Array(24).fill(100));
        const copy = Array.from(high["0"]);
        b.run(new Int8Array(24).fill(-128));
        a.run(new Int8Array(24).fill(-128));
        show([Array.from(high["0"]), copy, Array.from(b.output()), Array.from(a.output())]);
        """,
    )
    assert got[0] == got[1] != got[2]
    assert got[2] == got[3] == compute(np.full(24, -128, np.int8))[0].tolist()


def test_source_may_be_a_url_bytes_or_a_module(package: Path) -> None:
    got = node(
        package,
        """
        import { readFile } from "node:fs/promises";
        const bytes = await readFile("./tiny.scalar.wasm");
        const url = new URL("./tiny.scalar.wasm", import.meta.url);
        const sources = [url, url.href, bytes, bytes.buffer, new WebAssembly.Module(bytes)];
        const targets = [];
        for (const source of sources) {
          targets.push((await load({ source })).manifest.target);
        }
        show(targets);
        """,
    )
    assert got == ["wasm32-scalar"] * 5


@pytest.mark.parametrize("mime", ["application/wasm", "application/octet-stream"])
def test_loads_over_http_with_and_without_streaming(package: Path, mime: str) -> None:
    got = node(
        package,
        f"""
        import {{ createServer }} from "node:http";
        import {{ readFile }} from "node:fs/promises";
        const server = createServer(async (request, response) => {{
          if (request.url !== "/tiny.wasm") {{
            response.writeHead(404).end();
            return;
          }}
          response.writeHead(200, {{ "Content-Type": "{mime}" }}).end(await readFile("tiny.wasm"));
        }});
        await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
        const base = `http://127.0.0.1:${{server.address().port}}`;
        let streamed = 0;
        const streaming = WebAssembly.compileStreaming;
        WebAssembly.compileStreaming = (...all) => {{ ++streamed; return streaming.apply(WebAssembly, all); }};
        const model = await load({{ source: `${{base}}/tiny.wasm` }});
        const missing = await load({{ source: `${{base}}/no.wasm` }}).catch((error) => error.message);
        server.close();
        server.closeAllConnections();
        show([model.manifest.name, streamed, missing.replace(base, "")]);
        """,
    )
    assert got == ["tiny", int(mime == "application/wasm"), "tiny: /no.wasm cannot be loaded: HTTP 404"]


def test_runs_in_a_worker(package: Path) -> None:
    (package / "worker.mjs").write_text(
        """
        import { parentPort } from "node:worker_threads";
        import { load } from "./tiny.js";
        parentPort.postMessage(Array.from((await load()).run(new Int8Array(24))["0"]));
        """
    )
    got = node(
        package,
        """
        import { Worker } from "node:worker_threads";
        const worker = new Worker(new URL("./worker.mjs", import.meta.url));
        worker.once("message", show);
        """,
    )
    assert got == compute(np.zeros(24, np.int8))[0].tolist()


def test_quantize_rounds_half_to_even_and_clamps(package: Path) -> None:
    reals = [0.25, 0.75, 1.25, -0.25, -0.75, 0.2, 1e9, -1e9, 0]
    script = f"const m = await load();\nshow([Array.from(m.quantize({reals})), Array.from(m.dequantize([1, -128]))]);"
    quantized, real = node(package, script)
    expected = np.clip(np.rint(np.array(reals, np.float32) / np.float32(0.5)) - 3, -128, 127)
    assert quantized == expected.astype(int).tolist()
    assert real == [0.25, -32]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("model.run(new Int8Array(3))", "takes Int8Array of 24, got Int8Array of 3"),
        ("model.run(new Float32Array(24))", "got Float32Array of 24; quantize() converts real numbers"),
        ("model.run(new Uint8ClampedArray(24))", "got Uint8ClampedArray of 24"),
        ("model.run([Array(24).fill(0)])", "got object"),
        ("model.run([])", '0 inputs given, the model has 1: "serving_default:image"'),
        ("model.run([new Int8Array(24), new Int8Array(24)])", "2 inputs given, the model has 1"),
        ("model.run({ image: new Int8Array(24) })", 'no input "image"; there are "serving_default:image"'),
        ("model.run(null)", "0 inputs given"),
        ("model.output(2)", 'no output 2; there are "0", "Résult:0"'),
        ("model.dequantize([1], 1)", "is not quantized: it holds float32"),
        ("model.dispose(); model.run(new Int8Array(24))", "the model was disposed"),
        ("model.dispose(); model.input()", "the model was disposed"),
        ("model.dispose(); model.reset()", "the model was disposed"),
        ("await load({ build: 'relaxed' })", 'no build "relaxed"; there are wasm32, wasm32-scalar'),
    ],
)
def test_mistakes_are_told_clearly(package: Path, statement: str, message: str) -> None:
    got = node(
        package,
        f"""
        const model = await load();
        let text = "nothing was wrong";
        try {{
          {statement};
        }} catch (error) {{
          text = error.message;
        }}
        show(text);
        """,
    )
    assert got.startswith("tiny: ")
    assert message in got


def test_loader_uses_neither_eval_nor_other_hosts(package: Path) -> None:
    text = (package / "tiny.js").read_text()
    assert "eval(" not in text
    assert "new Function" not in text
    assert "http://" not in text
    assert "https://" not in text


def test_every_element_type_has_its_typed_array(tmp_path: Path) -> None:
    """A model of no layers, whose outputs are its inputs: one of each type."""
    types = list(DType)
    values = [Value(f"v{i}", (2,), dtype) for i, dtype in enumerate(types)]
    ports = tuple(Port(value, value.dtype.value, value.dtype, (2,), None) for value in values)
    places = {value.name: Placement(value.name, 16 * i, value.bytes, 0, 0) for i, value in enumerate(values)}
    target = load_target("wasm32")
    plan = MemoryPlan((), places, arena_bytes=16 * len(types))
    source = emit_wasm(Compiled("tiny", target, ports, ports, (), plan, "0" * 64))
    artifact = wasm_package(finish_wasm(source, build_wasm(source.files, "tiny", target)))
    lay_out(artifact.files, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    halves = [dtype.value for dtype in types if dtype.is_coded_float and dtype.itemsize == 2]
    bytes_ = [dtype.value for dtype in types if dtype.is_coded_float and dtype.itemsize == 1]
    got = node(
        tmp_path,
        f"const HALVES = {halves}, BYTES = {bytes_};"
        """
        const outputs = (await load()).run({
          bool: Uint8Array.of(0, 1),
          uint8: Uint8ClampedArray.of(300, 7),
          uint16: Uint16Array.of(65535, 7),
          uint32: Uint32Array.of(4294967295, 7),
          int8: Int8Array.of(-128, 7),
          int16: Int16Array.of(-32768, 7),
          int32: Int32Array.of(-2147483648, 7),
          int64: BigInt64Array.of(-9223372036854775808n, 7n),
          uint64: BigUint64Array.of(18446744073709551615n, 7n),
          float32: Float32Array.of(0.5, -Infinity),
          float64: Float64Array.of(0.1, -Infinity),
          int4: Int8Array.of(-8, 7),
          int2: Int8Array.of(-2, 1),
          uint4: Uint8Array.of(15, 7),
          uint2: Uint8Array.of(3, 1),
          ...Object.fromEntries(HALVES.map((name) => [name, Uint16Array.of(65535, 7)])),
          ...Object.fromEntries(BYTES.map((name) => [name, Uint8Array.of(255, 7)])),
        });
        show(Object.entries(outputs).map(([name, array]) => [name, array.constructor.name, Array.from(array, String)]));
        """,
    )
    assert {name: (array, values) for name, array, values in got} == {
        "bool": ("Uint8Array", ["0", "1"]),
        "uint8": ("Uint8Array", ["255", "7"]),
        "uint16": ("Uint16Array", ["65535", "7"]),
        "uint32": ("Uint32Array", ["4294967295", "7"]),
        "int8": ("Int8Array", ["-128", "7"]),
        "int16": ("Int16Array", ["-32768", "7"]),
        "int32": ("Int32Array", ["-2147483648", "7"]),
        "int64": ("BigInt64Array", ["-9223372036854775808", "7"]),
        "uint64": ("BigUint64Array", ["18446744073709551615", "7"]),
        "float32": ("Float32Array", ["0.5", "-Infinity"]),
        "float64": ("Float64Array", ["0.1", "-Infinity"]),
        "int4": ("Int8Array", ["-8", "7"]),
        "int2": ("Int8Array", ["-2", "1"]),
        "uint4": ("Uint8Array", ["15", "7"]),
        "uint2": ("Uint8Array", ["3", "1"]),
        **dict.fromkeys(halves, ("Uint16Array", ["65535", "7"])),
        **dict.fromkeys(bytes_, ("Uint8Array", ["255", "7"])),
    }


def test_single_build_package_loads_without_simd_choice(builds: dict[str, Artifact], tmp_path: Path) -> None:
    artifact = wasm_package(builds["wasm32-scalar"])
    assert "tiny.scalar.wasm" not in artifact.files
    lay_out(artifact.files, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    assert node(tmp_path, "show([chooseBuild(), (await load()).manifest.target]);") == ["wasm32-scalar"] * 2
