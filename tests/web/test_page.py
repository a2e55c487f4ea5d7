"""The page of `--format web`: a digit is drawn and recognized, and everyone can use it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from playwright.sync_api import Browser, Page, expect
from tinycast.artifact import Artifact
from tinycast.package import write_artifact
from tinycast.pipeline import CompileOptions, compile_file
from web.firefox import FirefoxPage
from web.fixtures import Serve

NO_ANSWER = "\N{EN DASH}"
# Strokes on a pad of one by one, as one would draw them.
STROKES = {
    "0": [[(0.5, 0.15), (0.3, 0.3), (0.27, 0.6), (0.4, 0.85), (0.6, 0.85), (0.72, 0.6), (0.7, 0.3), (0.5, 0.15)]],
    "1": [[(0.4, 0.3), (0.52, 0.15), (0.52, 0.85)]],
    "2": [[(0.3, 0.25), (0.5, 0.17), (0.68, 0.3), (0.62, 0.48), (0.3, 0.82), (0.72, 0.82)]],
    "4": [[(0.5, 0.15), (0.28, 0.6), (0.72, 0.6)], [(0.6, 0.4), (0.58, 0.88)]],
    "6": [[(0.62, 0.15), (0.4, 0.4), (0.32, 0.7), (0.5, 0.87), (0.66, 0.72), (0.5, 0.58), (0.35, 0.68)]],
    "7": [[(0.3, 0.18), (0.7, 0.18), (0.45, 0.85)]],
}


@pytest.fixture(scope="module")
def web(digits_model: Path) -> Artifact:
    return compile_file(digits_model, "wasm32", CompileOptions(name="digits", format="web"))


@pytest.fixture
def opened(page: Page, web: Artifact, tmp_path: Path) -> Page:
    """The page without any server: it is one file."""
    path = tmp_path / "index.html"
    path.write_bytes(web.files["index.html"])
    page.goto(path.as_uri())
    page.wait_for_selector(".pad")
    return page


def draw(page: Page, strokes: list[list[tuple[float, float]]]) -> None:
    box = page.locator(".pad").bounding_box()
    assert box is not None
    for stroke in strokes:
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=4)
        page.mouse.up()


def test_drawn_digits_are_recognized(opened: Page) -> None:
    answer = opened.locator(".answer strong")
    assert answer.inner_text() == NO_ANSWER
    recognized = {}
    for digit, strokes in STROKES.items():
        draw(opened, strokes)
        recognized[digit] = answer.inner_text()
        opened.get_by_role("button", name="Clear").click()
        assert answer.inner_text() == NO_ANSWER
    assert recognized == {digit: digit for digit in STROKES}


def test_drawn_digits_are_recognized_in_firefox(firefox_page: FirefoxPage, web: Artifact, serve: Serve) -> None:
    firefox_page.goto(serve(web.files))
    left, top, width, height = firefox_page.evaluate(
        """async () => {
          while (!document.querySelector(".pad")) {
            await new Promise((resolve) => setTimeout(resolve, 20));
          }
          const { x, y, width, height } = document.querySelector(".pad").getBoundingClientRect();
          return [x, y, width, height];
        }"""
    )
    recognized = {}
    for digit, strokes in STROKES.items():
        for stroke in strokes:
            firefox_page.draw([(left + x * width, top + y * height) for x, y in stroke])
        recognized[digit] = firefox_page.evaluate(
            """() => {
              const answer = document.querySelector(".answer strong").textContent;
              [...document.querySelectorAll("button")].find((button) => button.textContent === "Clear").click();
              return answer;
            }"""
        )
    assert recognized == {digit: digit for digit in STROKES}


def test_a_digit_is_drawn_with_keys(opened: Page) -> None:
    """A one: the pen starts at the top; down it goes."""
    opened.locator(".pad").focus()
    opened.keyboard.press("Space")
    for _ in range(9):
        opened.keyboard.press("ArrowDown")
    opened.keyboard.press("Space")
    assert opened.locator(".answer strong").inner_text() == "1"
    assert opened.get_by_role("status").filter(has_text="Pen up at 50 %").is_visible()
    opened.keyboard.press("Delete")
    assert opened.locator(".answer strong").inner_text() == NO_ANSWER


def test_it_says_what_the_model_takes(opened: Page, web: Artifact) -> None:
    opened.locator("#measure:enabled").wait_for()
    assert re.fullmatch(r"[\d.]+ (µs|ms)", opened.locator("#latency").inner_text())
    assert opened.locator("#memory").inner_text() == "64 KiB"
    assert re.fullmatch(r"[\d.]+ KB", opened.locator("#tiles dd").nth(4).inner_text())
    rows = opened.locator("#layers tbody tr").all_inner_texts()
    assert len(rows) == len(web.manifest["layers"])
    times = [float(row.split()[-1]) for row in rows]
    assert all(time >= 0 for time in times)
    assert sum(times) > 1
    latency, unit = opened.locator("#latency").inner_text().split()
    assert sum(times) < 3 * float(latency) * {"µs": 1, "ms": 1000}[unit]


def test_it_loads_nothing_and_trusts_only_itself(web: Artifact, page: Page, serve: Serve) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    url = serve(web.files)
    page.goto(url)
    page.wait_for_selector(".pad")
    assert [r for r in requests if not r.startswith("data:")] == [url]
    html = web.files["index.html"].decode()
    assert "unsafe-inline" not in html
    assert "unsafe-eval" not in html.replace("wasm-unsafe-eval", "")
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), { text: 'globalThis.bad = 1' }))"
    )
    assert page.evaluate("typeof globalThis.bad") == "undefined"


def test_a_picture_and_numbers_are_taken_too(opened: Page, tmp_path: Path) -> None:
    """A picture of a one, made with the browser's own encoder; then the numbers of a blank image, and too few."""
    data = opened.evaluate(
        """() => {
          const canvas = Object.assign(document.createElement("canvas"), { width: 80, height: 80 });
          const context = canvas.getContext("2d");
          context.fillRect(0, 0, 80, 80);
          context.fillStyle = "#fff";
          context.fillRect(33, 0, 16, 80);
          return canvas.toDataURL("image/png").split(",")[1];
        }"""
    )
    path = tmp_path / "one.png"
    path.write_bytes(b64decode(data))
    opened.get_by_text("Picture", exact=True).click()
    opened.locator("input[type=file]").set_input_files(path)
    opened.get_by_text("one.png: 80 \N{MULTIPLICATION SIGN} 80 pixels").wait_for()
    assert opened.locator(".answer strong").inner_text() == "1"
    opened.get_by_text("Numbers", exact=True).click()
    assert opened.get_by_text("64 numbers.").is_visible()
    opened.get_by_role("textbox", name="64 numbers for image").fill("1, 2")
    assert opened.get_by_text("2 numbers; the model takes 64.").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(360, 780), (1280, 900)], ids=["phone", "desktop"])
def test_it_fits_the_screen_and_can_be_read(
    chromium: Browser, web: Artifact, serve: Serve, scheme: str, size: tuple[int, int]
) -> None:
    width, height = size
    with chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme) as context:
        page = context.new_page()
        page.goto(serve(web.files))
        page.wait_for_selector(".pad")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        unnamed = page.evaluate(
            """() => {
              const name = (element) => element.getAttribute("aria-label") || element.textContent.trim();
              const controls = [...document.querySelectorAll("button, input, select, textarea, .pad")];
              return controls.filter((element) => !name(element) && !name(element.closest("label") ?? element)).length;
            }"""
        )
        assert unnamed == 0
        contrasts = page.evaluate(
            """() => {
              const light = (color) => {
                const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((value) => value / 255)
                  .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
              };
              const ground = (element) => {
                const color = getComputedStyle(element).backgroundColor;
                return color === "rgba(0, 0, 0, 0)" && element.parentElement ? ground(element.parentElement) : color;
              };
              const tags = "h1, h2, p, dt, dd, th, td, button, label, legend, footer, span, summary";
              const texts = [...document.querySelectorAll(tags)]
                .filter((element) => element.textContent.trim() && element.checkVisibility());
              return texts.map((element) => {
                const [a, b] = [light(getComputedStyle(element).color), light(ground(element))];
                return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
              });
            }"""
        )
        assert len(contrasts) > 20
        assert min(contrasts) >= 4.5  # WCAG 2.2, AA


def save_dense(path: Path, shape: list[int], outputs: int) -> Path:
    """A dense layer on an input of `shape`, saved to `path`."""
    weights = np.random.default_rng(1).standard_normal((int(np.prod(shape)), outputs)).astype(np.float32)
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", shape), ("y", [1, outputs]))]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.mark.parametrize(
    ("shape", "sources"),
    [
        ([1, 800], ["Microphone", "Numbers"]),
        ([1, 3, 16, 16], ["Picture", "Numbers"]),
        ([1, 32, 3], ["Motion", "Numbers"]),
    ],
    ids=["sound", "picture", "motion"],
)
def test_the_shape_of_the_input_decides_its_source(
    page: Page, serve: Serve, tmp_path: Path, shape: list[int], sources: list[str]
) -> None:
    path = save_dense(tmp_path / "dense.onnx", shape, 5)
    page.goto(serve(compile_file(path, "wasm32-scalar", CompileOptions(name="dense", format="web")).files))
    page.wait_for_selector(".sources")
    assert page.locator(".sources label").all_inner_texts() == sources
    if sources[0] == "Microphone":
        page.get_by_role("button", name="Listen").click()
        page.get_by_text(re.compile("^Listening: the last 0.05 s")).wait_for()
        expect(page.locator(".answer strong")).not_to_have_text(NO_ANSWER)
        page.get_by_role("button", name="Stop").click()
    elif sources[0] == "Motion":
        page.get_by_role("button", name="Feel motion").click()
        page.get_by_text(re.compile("Waiting for the sensor|no motion sensor")).wait_for()
        page.evaluate(
            """() => {
              const accelerationIncludingGravity = { x: 1, y: 2, z: 9.8 };
              for (let i = 0; i < 8; ++i) {
                dispatchEvent(new DeviceMotionEvent("devicemotion", { accelerationIncludingGravity }));
              }
            }"""
        )
        assert page.locator(".answer strong").inner_text() != NO_ANSWER


def test_serve_shows_the_page_on_loopback_until_ctrl_c(web: Artifact, tmp_path: Path) -> None:
    write_artifact(web, tmp_path / "digits_web")
    command = [sys.executable, "-m", "tinycast.cli.main", "serve", str(tmp_path / "digits_web"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[0]
            assert url.startswith("http://127.0.0.1:")
            with urlopen(f"{url}digits.wasm") as answer:
                assert answer.headers["Content-Type"] == "application/wasm"
                assert answer.read() == web.files["digits.wasm"]
            with urlopen(url) as answer:
                assert answer.read() == web.files["index.html"]
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(10) == 130


def test_serve_refuses_what_has_no_page(digits: Artifact, tmp_path: Path) -> None:
    write_artifact(digits, tmp_path / "npm")
    command = [sys.executable, "-m", "tinycast.cli.main", "serve", str(tmp_path / "npm")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "compile the model with --format web" in done.stderr
