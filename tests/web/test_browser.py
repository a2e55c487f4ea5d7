"""A package of `--format npm` in a real browser: the digits network on the main thread, in workers and worklets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tinycast
from playwright.sync_api import Error, Page
from tinycast.artifact import Artifact
from tinycast.execute.inputs import to_port
from web.fixtures import CSP, AnyPage, Serve

SAMPLES = 40


@pytest.fixture(scope="module")
def pixels(digits: Artifact, images: np.ndarray) -> list[list[int]]:
    """Inputs in the model's own elements."""
    return to_port(images[:SAMPLES], digits.manifest["inputs"][0]).reshape(SAMPLES, -1).tolist()


@pytest.fixture(scope="module")
def logits(digits: Artifact, pixels: list[list[int]], tmp_path_factory: pytest.TempPathFactory) -> list[list[int]]:
    """What wasmtime makes of them, through `tinycast.load`."""
    path = tmp_path_factory.mktemp("lone") / "digits.wasm"
    path.write_bytes(digits.files["digits.wasm"])
    model = tinycast.load(path)
    return [np.ravel(model.run(np.array(row, np.int8))).tolist() for row in pixels]


RUN_ALL = """
  const results = [];
  for (const row of pixels) {
    results.push(Array.from(await model.run(Int8Array.from(row))));
  }
  return results;
"""


@pytest.mark.parametrize("headers", [{}, {"Content-Security-Policy": CSP}], ids=["open", "csp"])
@pytest.mark.parametrize(
    "start",
    [
        "const { load } = await import('/digits.js'); const model = await load();",
        "const { load } = await import('/digits.js'); const model = await load({ build: 'wasm32-scalar' });",
        "const { load } = await import('/digits.inline.js'); const model = await load();",
        "const { loadInWorker } = await import('/digits.worker.js'); const model = await loadInWorker();",
    ],
    ids=["main", "scalar", "inline", "worker"],
)
def test_gives_the_bytes_of_wasmtime(
    any_page: AnyPage,
    serve: Serve,
    digits: Artifact,
    pixels: list[list[int]],
    logits: list[list[int]],
    start: str,
    headers: dict[str, str],
) -> None:
    any_page.goto(serve(digits.files, headers))
    assert any_page.evaluate(f"async (pixels) => {{ {start} {RUN_ALL} }}", pixels) == logits


def test_a_policy_without_wasm_unsafe_eval_is_what_stops_it(any_page: AnyPage, serve: Serve, digits: Artifact) -> None:
    any_page.goto(serve(digits.files, {"Content-Security-Policy": "default-src 'self'"}))
    with pytest.raises((Error, RuntimeError), match=r"Content Security Policy|CSP"):
        any_page.evaluate("async () => { await (await import('/digits.js')).load(); }")


def test_fetches_one_module_once_for_all_models(page: Page, serve: Serve, digits: Artifact) -> None:
    url = serve(digits.files)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url.removeprefix(url)))
    page.goto(url)
    isolated = page.evaluate(
        """async () => {
          const { load } = await import("/digits.js");
          await Promise.all([load(), load(), load()]);
          await load();
          return crossOriginIsolated;
        }"""
    )
    assert requests in (["", "digits.js", "digits.relaxed.wasm"], ["", "digits.js", "digits.wasm"])
    assert isolated is False


def test_relaxed_dot_products_give_the_same_bytes_or_are_refused(
    any_page: AnyPage, serve: Serve, digits: Artifact, pixels: list[list[int]], logits: list[list[int]]
) -> None:
    any_page.goto(serve(digits.files))
    chosen, outputs = any_page.evaluate(
        """async (pixels) => {
          const { chooseBuild, load } = await import("/digits.js");
          const run = async () => {
            const model = await load({ build: "wasm32-relaxed" });
            return pixels.map((row) => Array.from(model.run(Int8Array.from(row))));
          };
          return [chooseBuild(), await run().catch((error) => error.message)];
        }""",
        pixels,
    )
    if isinstance(outputs, str):  # of the engine, or of its lack of relaxed SIMD
        assert "another way" in outputs or "relaxed" in outputs or "CompileError" in outputs or "SIMD" in outputs
        assert chosen == "wasm32"
    else:
        assert outputs == logits


@pytest.mark.parametrize(
    ("answers", "chosen"), [((1, 1, 3), "wasm32-relaxed"), ((1, 3, 1), "wasm32"), ((0, 1, 3), "wasm32")]
)
def test_a_trial_chooses_once_a_page(
    page: Page, serve: Serve, digits: Artifact, answers: tuple[int, int, int], chosen: str
) -> None:
    """An engine whose relaxed dot products are exact or not, and take so many milliseconds beside pairs."""
    page.goto(serve(digits.files))
    got = page.evaluate(
        """async ([exact, relaxed, pairs]) => {
          let clock = 0, trials = 0;
          performance.now = () => clock;
          WebAssembly.Instance = function () {
            ++trials;
            const multiply = (isRelaxed) => void (clock += isRelaxed ? relaxed : pairs);
            return { exports: { exact: () => exact, multiply } };
          };
          const { chooseBuild } = await import("/digits.js");
          const again = await import("/digits.js?again");
          return [chooseBuild(), again.chooseBuild(), chooseBuild(), trials];
        }""",
        list(answers),
    )
    assert got == [chosen] * 3 + [1]


def test_floats_take_the_relaxed_build_which_agrees(
    page: Page, serve: Serve, float_digits: Artifact, images: np.ndarray
) -> None:
    url = serve(float_digits.files)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url.removeprefix(url)))
    page.goto(url)
    relaxed, usual = page.evaluate(
        """async (real) => {
          const { load } = await import("/digits_float.js");
          const models = [await load(), await load({ build: "wasm32" })];
          return models.map((model) => real.map((row) => Array.from(model.run(Float32Array.from(row)))));
        }""",
        images[:SAMPLES].reshape(SAMPLES, -1).tolist(),
    )
    assert requests == ["", "digits_float.js", "digits_float.relaxed.wasm", "digits_float.wasm"]
    np.testing.assert_allclose(relaxed, usual, rtol=0, atol=1e-5 * np.abs(usual).max())


def test_two_models_in_a_page_do_not_disturb_each_other(
    any_page: AnyPage,
    serve: Serve,
    digits: Artifact,
    float_digits: Artifact,
    images: np.ndarray,
    pixels: list[list[int]],
    logits: list[list[int]],
) -> None:
    any_page.goto(serve({**digits.files, **float_digits.files}))
    real = images[:SAMPLES].reshape(SAMPLES, -1).tolist()
    quantized, classes = any_page.evaluate(
        """async ([pixels, real]) => {
          const [a, b] = await Promise.all(
            ["/digits.js", "/digits_float.js"].map(async (path) => (await import(path)).load()));
          const first = [], second = [];
          pixels.forEach((row, index) => {
            a.input().set(row);
            const floats = b.run(Float32Array.from(real[index]));
            first.push(Array.from(a.run()));
            second.push(floats.indexOf(Math.max(...floats)));
          });
          return [first, second];
        }""",
        [pixels, real],
    )
    assert quantized == logits
    agreement = np.mean(np.array(classes) == np.array(logits).argmax(1))
    assert agreement >= 0.95


RUN_OFTEN = """async (count) => {
  globalThis.model ??= await (await import("/digits.js")).load();
  const [input, output, { memoryBytes }] = [model.input(), model.output(), model];
  for (let i = 0; i < count; ++i) {
    input.fill(i % 100);
    model.run();
    model.run(new Int8Array(64).fill(i % 100));
  }
  return [memoryBytes, model.memoryBytes, input.length, output.length, model.output() === output];
}"""


def test_ten_thousand_runs_take_no_more_memory(any_page: AnyPage, serve: Serve, digits: Artifact) -> None:
    any_page.goto(serve(digits.files))
    at_first, at_last, inputs, outputs, same = any_page.evaluate(RUN_OFTEN, 10_000)
    assert at_first == at_last == 65536 * (at_first // 65536)
    assert (inputs, outputs, same) == (64, 10, True)  # a grown memory would leave views of length 0


def test_ten_thousand_runs_leave_nothing_in_the_heap(page: Page, serve: Serve, digits: Artifact) -> None:
    page.goto(serve(digits.files))
    client = page.context.new_cdp_session(page)

    def heap_bytes() -> int:
        client.send("HeapProfiler.collectGarbage")
        return int(client.send("Runtime.getHeapUsage")["usedSize"])

    page.evaluate(RUN_OFTEN, 500)
    before = heap_bytes()
    page.evaluate(RUN_OFTEN, 10_000)
    assert heap_bytes() - before < 100_000


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("model.run(new Int8Array(63))", 'input "image" takes Int8Array of 64, got Int8Array of 63'),
        ("model.run(new Float32Array(64))", "got Float32Array of 64; quantize() converts real numbers"),
        ("model.run(Array(64).fill(0))", 'input "image" takes Int8Array of 64, got object'),
        ("model.run({ picture: new Int8Array(64) })", 'no input "picture"; there are "image"'),
        ("model.dispose(); model.run(new Int8Array(64))", "the model was disposed"),
        ("model.dispose(); model.input()", "the model was disposed"),
        ("await load({ build: 'fast' })", 'no build "fast"; there are wasm32-relaxed, wasm32, wasm32-scalar'),
        ("await load({ source: Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0) })", "not made by tinycast"),
        ("await load({ source: '/missing.wasm' })", "/missing.wasm cannot be loaded: HTTP 404"),
        ("await load({ source: '/' })", "/ cannot be loaded: it is text/html; charset=utf-8"),
        ("await worker.run(new Int8Array(3))", "takes Int8Array of 64, got Int8Array of 3"),
        ("await worker.run()", '0 inputs given, the model has 1: "image"'),
        ("const run = worker.run(new Int8Array(64)); worker.dispose(); await run", "the model was disposed"),
        ("worker.dispose(); await worker.reset()", "the model was disposed"),
        ("await loadInWorker({ build: 'relaxed' })", 'no build "relaxed"'),
    ],
)
def test_mistakes_are_told_clearly(
    any_page: AnyPage, serve: Serve, digits: Artifact, statement: str, message: str
) -> None:
    any_page.goto(serve(digits.files))
    setup = ["const { loadInWorker } = await import('/digits.worker.js'); const worker = await loadInWorker();"]
    told = any_page.evaluate(
        f"""async () => {{
          const {{ load }} = await import("/digits.js");
          const model = await load();
          {setup[0] if "orker" in statement else ""}
          try {{
            {statement};
          }} catch (error) {{
            return error.message;
          }}
          return "nothing was wrong";
        }}"""
    )
    assert message in told


def test_lone_modules_are_as_small_as_their_model(digits: Artifact, tmp_path: Path) -> None:
    """Code, names and manifest together are smaller than 16 KiB; the loader is as well."""
    weights = digits.manifest["weights_bytes"]
    assert len(digits.files["digits.wasm"]) < weights + 16384
    assert len(digits.files["digits.js"]) < 16384
