"""The page of `--format web` for everyone: fingers, narrow screens, forced colors, and what axe finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto
from playwright.sync_api import Browser
from web.fixtures import NPM_TOOLS, Serve, npm_tool
from web.page_models import deep, doubling

AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]


def test_a_second_finger_draws_nothing(chromium: Browser, serve: Serve, tmp_path: Path) -> None:
    with chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as context:
        page = context.new_page()
        page.goto(serve(doubling(tmp_path, TensorProto.FLOAT, [1, 1, 28, 28]).files))
        pad = page.locator(".pad")
        pad.scroll_into_view_if_needed()
        box = pad.bounding_box()
        assert box is not None
        client = context.new_cdp_session(page)

        def touch(kind: str, *places: tuple[float, float]) -> None:
            points = [
                {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"], "id": index}
                for index, (x, y) in enumerate(places)
            ]
            client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        scrolled = page.evaluate("scrollY")
        touch("touchStart", (0.2, 0.2))
        touch("touchMove", (0.2, 0.8))
        touch("touchStart", (0.2, 0.8), (0.8, 0.2))
        touch("touchMove", (0.2, 0.85), (0.8, 0.8))
        touch("touchEnd")
        inked = pad.evaluate(
            """(pad) => [[0.2, 0.5], [0.8, 0.5], [0.5, 0.5]].map(([x, y]) =>
                 pad.getContext("2d").getImageData(x * pad.width, y * pad.height, 1, 1).data[3])"""
        )
        assert inked == [255, 0, 0]
        assert page.evaluate("scrollY") == scrolled


@pytest.mark.parametrize("kind", ["picture", "deep", "numbers"])
def test_axe_finds_nothing_and_narrow_screens_hold_it(
    chromium: Browser, serve: Serve, tmp_path: Path, kind: str
) -> None:
    npm_tool("esbuild")  # skips where npm is not
    made = {
        "picture": lambda: doubling(tmp_path, TensorProto.FLOAT, [1, 1, 28, 28]),
        "deep": lambda: deep(tmp_path),
        "numbers": lambda: doubling(tmp_path, TensorProto.FLOAT, [1, 1000], "a_name_" + 80 * "y"),
    }
    url = serve(made[kind]().files)
    axe = (NPM_TOOLS.parent / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    for width, scheme in ((320, "light"), (1280, "dark")):
        with chromium.new_context(
            viewport={"width": width, "height": 640}, color_scheme=scheme, bypass_csp=True
        ) as context:
            page = context.new_page()
            page.goto(url)
            page.locator("#measure:enabled").wait_for()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            page.evaluate(axe)
            found = page.evaluate(
                "async (values) => (await axe.run({ runOnly: { type: 'tag', values } })).violations", AXE_TAGS
            )
            assert [(entry["id"], [node["html"] for node in entry["nodes"]]) for entry in found] == []


def test_bars_and_ink_are_visible_in_forced_colors(chromium: Browser, serve: Serve, tmp_path: Path) -> None:
    with chromium.new_context(forced_colors="active", reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(serve(doubling(tmp_path, TensorProto.FLOAT, [1, 1, 28, 28]).files))
        page.locator("#measure:enabled").wait_for()
        color = "(element) => getComputedStyle(element).backgroundColor"
        ground = page.locator(".card").first.evaluate(color)
        assert page.locator("#layers .bar i").first.evaluate(color) != ground
        assert page.locator(".sources :checked + span").evaluate(color) != ground
        assert page.locator(".pad").evaluate(color) == "rgb(18, 22, 28)"  # the ink is white
        assert page.locator(".bar i").first.evaluate("(bar) => getComputedStyle(bar).transitionDuration") == "0s"
