"""A real Chromium and a real Firefox, packages to load in them, and a server to load them from."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from tinycast.artifact import Artifact
from tinycast.compress.quantize import QuantizeOptions
from tinycast.errors import ToolMissingError
from tinycast.execute.serve import make_server
from tinycast.model import save
from tinycast.pipeline import CompileOptions, compile_file, quantize_file
from tinycast.toolchain.find import zig_path
from web.firefox import Firefox, FirefoxPage, start_firefox

ROOT = Path(__file__).resolve().parents[2]

DIGITS = ROOT / "examples" / "digits"
NPM_TOOLS = ROOT / "scripts" / "npm" / "node_modules" / ".bin"
BLANK = b"<!doctype html><meta charset=utf-8><link rel=icon href=data:,><title>test</title>"
CSP = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'"

Serve = Callable[..., str]
AnyPage = Page | FirefoxPage  # both have goto and evaluate


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs chromium on PATH (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page without history; what it throws and nobody catches fails the test."""
    with chromium.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(20_000)
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        yield page
        assert not problems


@pytest.fixture(scope="session")
def firefox() -> Iterator[Firefox]:
    path = shutil.which("firefox-esr")
    if path is None:
        pytest.skip("needs firefox-esr on PATH (Debian: apt install firefox-esr)")
    with start_firefox(path) as browser:
        yield browser


@pytest.fixture
def firefox_page(firefox: Firefox) -> Iterator[FirefoxPage]:
    page = FirefoxPage(firefox)
    yield page
    page.close()


@pytest.fixture(params=["page", "firefox_page"], ids=["chromium", "firefox"])
def any_page(request: pytest.FixtureRequest) -> AnyPage:
    """A page in each browser."""
    found: AnyPage = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def serve() -> Iterator[Serve]:
    """serve(files, headers) -> the URL of a server of these files, and of an empty page at its root."""
    with ExitStack() as stack:

        def start(files: Mapping[str, bytes], headers: Mapping[str, str] | None = None) -> str:
            server = stack.enter_context(make_server({"index.html": BLANK, **files}.get, 0, headers))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}/"

        yield start


@pytest.fixture(scope="session")
def digits_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits network in int8."""
    try:
        zig_path()
    except ToolMissingError as error:
        pytest.skip(str(error))
    path = tmp_path_factory.mktemp("digits") / "digits_int8.onnx"
    save(quantize_file(DIGITS / "digits.onnx", DIGITS / "calibration.npz", QuantizeOptions(), {}), path)
    return path


@pytest.fixture(scope="session")
def digits(digits_model: Path) -> Artifact:
    """The digits network in int8 as an npm package."""
    return compile_file(digits_model, "wasm32", CompileOptions(name="digits", format="npm"))


@pytest.fixture(scope="session")
def float_digits() -> Artifact:
    """The digits network in float as an npm package."""
    return compile_file(DIGITS / "digits.onnx", "wasm32", CompileOptions(name="digits_float", format="npm"))


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """Held-out digits, float32 (360, 1, 8, 8), from 0 to 1."""
    return np.load(DIGITS / "heldout.npz")["image"]


def npm_tool(name: str) -> str:
    path = NPM_TOOLS / name
    if not path.exists():
        pytest.skip(f"needs {name}: scripts/install_packages.sh installs it where npm is")
    return os.fspath(path)
