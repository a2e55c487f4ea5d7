"""The page of `--format web` for models of all kinds: types, sizes, states, labels, pictures, and many layers."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper
from playwright.sync_api import Browser, FilePayload, Page, expect
from tinycast.artifact import Artifact
from tinycast.pipeline import CompileOptions, compile_file
from web.fixtures import NPM_TOOLS, Serve, npm_tool

Port = tuple[str, int, list[int]]
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]


def page_of(
    folder: Path,
    nodes: list[NodeProto],
    inputs: list[Port],
    outputs: list[Port],
    constants: Mapping[str, np.ndarray] | None = None,
    **options: Any,
) -> Artifact:
    """The package of a model with a page."""
    takes, gives = ([helper.make_tensor_value_info(*port) for port in ports] for ports in (inputs, outputs))
    tensors = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(nodes, "g", takes, gives, tensors)
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return compile_file(path, "wasm32-scalar", CompileOptions(name="tried", format="web", **options))


def doubling(folder: Path, dtype: int, shape: list[int], name: str = "y") -> Artifact:
    nodes = [helper.make_node("Add", ["x", "x"], [name])]
    return page_of(folder, nodes, [("x", dtype, shape)], [(name, dtype, shape)])


def answers(page: Page) -> list[str]:
    return page.locator(".answer strong").all_inner_texts()


@pytest.mark.parametrize(
    ("dtype", "typed", "answer"),
    [
        (TensorProto.INT64, "3 4000000000", "6, 8000000000"),
        (TensorProto.UINT64, "3 4", "6, 8"),
        (TensorProto.INT32, "-3 16777217", "-6, 33554434"),
    ],
)
def test_numbers_of_every_type(page: Page, serve: Serve, tmp_path: Path, dtype: int, typed: str, answer: str) -> None:
    page.goto(serve(doubling(tmp_path, dtype, [2]).files))
    page.get_by_role("textbox", name="2 numbers for x").fill(typed)
    assert answers(page) == [answer]
    assert page.locator("#problem").is_hidden()


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("1 two", "\u201ctwo\u201d is not a number; the model takes 2."),
        ("1", "1 numbers; the model takes 2."),
        ("1 128", "128 is no int8."),
        ("1 0.5", "0.5 is no int8."),
    ],
)
def test_numbers_that_do_not_fit_are_told_and_give_no_answer(
    page: Page, serve: Serve, tmp_path: Path, typed: str, told: str
) -> None:
    nodes = [helper.make_node("Cast", ["x"], ["c"], to=TensorProto.INT32), helper.make_node("Neg", ["c"], ["y"])]
    ports = [("x", TensorProto.INT8, [2])], [("y", TensorProto.INT32, [2])]
    page.goto(serve(page_of(tmp_path, nodes, *ports).files))
    page.get_by_role("textbox").fill("1 -128")
    assert answers(page) == ["-1, 128"]
    page.get_by_role("textbox").fill(typed)
    assert page.get_by_text(told, exact=True).is_visible()
    assert answers(page) == ["\N{EN DASH}"]


def test_a_scalar_is_one_number(page: Page, serve: Serve, tmp_path: Path) -> None:
    page.goto(serve(doubling(tmp_path, TensorProto.FLOAT, []).files))
    page.get_by_role("textbox", name="1 number for x").fill("2.25")
    assert answers(page) == ["4.500"]
    assert page.locator("legend").inner_text() == "x float32 scalar"


def test_a_model_with_state_goes_on_and_starts_over(page: Page, serve: Serve, tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "sum"], ["next"]), helper.make_node("Identity", ["next"], ["y"])]
    inputs: list[Port] = [(name, TensorProto.FLOAT, [1]) for name in ("x", "sum")]
    outputs: list[Port] = [(name, TensorProto.FLOAT, [1]) for name in ("y", "next")]
    page.goto(serve(page_of(tmp_path, nodes, inputs, outputs, states={"sum": "next"}).files))
    page.get_by_role("textbox").fill("2")
    assert answers(page) == ["2.000"]
    page.get_by_role("button", name="Run again").click()
    assert answers(page) == ["4.000"]
    assert page.get_by_text("3 runs since the start").is_visible()  # the first of them with the field's zero
    page.get_by_role("button", name="Start over").click()
    assert answers(page) == ["\N{EN DASH}"]
    page.get_by_role("button", name="Run again").click()
    assert answers(page) == ["2.000"]


def test_labels_of_a_classifier_are_shown(page: Page, serve: Serve, tmp_path: Path) -> None:
    from skl2onnx import to_onnx
    from sklearn.tree import DecisionTreeClassifier

    samples = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
    tree = DecisionTreeClassifier(random_state=0).fit(samples, ["ant", "bee", "cat"])
    path = tmp_path / "tree.onnx"
    path.write_bytes(to_onnx(tree, samples[:1], target_opset=17).SerializeToString())
    page.goto(serve(compile_file(path, "wasm32-scalar", CompileOptions(format="web")).files))
    page.get_by_role("textbox").first.fill("1 0")
    assert answers(page) == ["bee", "bee"]
    assert page.locator(".scores tbody th").all_inner_texts() == ["ant", "bee", "cat"]
    assert page.get_by_text("Name the classes").is_hidden()


def red_above_white(page: Page) -> FilePayload:
    """A picture made by the browser's own encoder."""
    data = page.evaluate(
        """() => {
          const canvas = Object.assign(document.createElement("canvas"), { width: 200, height: 200 });
          const context = canvas.getContext("2d");
          context.fillStyle = "#f00";
          context.fillRect(0, 0, 200, 100);
          context.fillStyle = "#fff";
          context.fillRect(0, 100, 200, 100);
          return canvas.toDataURL().split(",")[1];
        }"""
    )
    return {"name": "red.png", "mimeType": "image/png", "buffer": b64decode(data)}


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_large_output_of_a_pictures_shape_is_a_picture(
    page: Page, serve: Serve, tmp_path: Path, channels: int
) -> None:
    """A picture of more numbers than a function takes arguments."""
    nodes = [helper.make_node("Sub", ["one", "x"], ["y"])]
    takes, gives = ([(name, TensorProto.FLOAT, [1, channels, 200, 200])] for name in "xy")
    files = page_of(tmp_path, nodes, takes, gives, {"one": np.ones((), np.float32)}).files
    page.goto(serve(files))
    page.locator("input[type=file]").set_input_files(red_above_white(page))
    canvas = page.get_by_role("img", name="y as a picture")
    canvas.wait_for()
    got = canvas.evaluate(
        """(canvas) => [50, 150].map((y) => Array.from(canvas.getContext("2d").getImageData(9, y, 1, 1).data))"""
    )
    inverted_red = [0, 255, 255, 255] if channels > 1 else [178, 178, 178, 255]
    np.testing.assert_allclose(got, [inverted_red, [0, 0, 0, 255]], atol=1)


def test_pixels_as_imagenet_has_them(page: Page, serve: Serve, tmp_path: Path) -> None:
    """The mean of each channel of a white picture."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Split", ["p"], ["r", "g", "b"], axis=1),
    ]
    outputs: list[Port] = [(name, TensorProto.FLOAT, [1, 1, 1, 1]) for name in "rgb"]
    page.goto(serve(page_of(tmp_path, nodes, [("x", TensorProto.FLOAT, [1, 3, 8, 8])], outputs).files))
    page.locator("input[type=file]").set_input_files(red_above_white(page))
    expect(page.locator(".answer strong").first).to_have_text("1.000")
    page.get_by_text("Values of pixels").click()
    page.get_by_role("combobox").select_option(label="0 to 1, less ImageNet's mean, by its deviation")
    means = [(1 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.5 - 0.406) / 0.225]
    np.testing.assert_allclose([float(text) for text in answers(page)], means, atol=0.01)
    page.get_by_role("checkbox", name="Blue before red").check()
    swapped = [(0.5 - 0.406) / 0.225, means[1], (1 - 0.485) / 0.229]
    np.testing.assert_allclose([float(text) for text in answers(page)], swapped, atol=0.01)


@pytest.mark.parametrize(
    ("dtype", "shape", "sources"),
    [
        (TensorProto.UINT8, [1, 16, 16, 3], ["Picture", "Numbers"]),
        (TensorProto.INT32, [1, 2048], ["Numbers"]),
        (TensorProto.FLOAT, [1, 2048], ["Microphone", "Numbers"]),
    ],
)
def test_integers_are_pixels_at_most(
    page: Page, serve: Serve, tmp_path: Path, dtype: int, shape: list[int], sources: list[str]
) -> None:
    """Those of a byte from 0 to 255, as cameras give them."""
    nodes = [
        helper.make_node("Cast", ["x"], ["c"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["c"], ["y"], keepdims=0),
    ]
    page.goto(serve(page_of(tmp_path, nodes, [("x", dtype, shape)], [("y", TensorProto.FLOAT, [])]).files))
    page.locator(".answer").wait_for()
    assert page.locator(".sources label").all_inner_texts() == sources
    if "Picture" in sources:
        page.locator("input[type=file]").set_input_files(red_above_white(page))
        expect(page.locator(".answer strong")).to_have_text("255.0")


def deep(folder: Path) -> Artifact:
    """80 layers with names longer than a phone is wide."""
    weights = np.random.default_rng(3).standard_normal((8, 8)).astype(np.float32)
    names = ["x", *(f"value_{index}" for index in range(79)), "serving_default_output:0/" + 60 * "z"]
    nodes = [
        helper.make_node("Gemm", [a, "w"], [b], name=f"/encoder/layers.{index}/attention/{40 * 'x'}/Gemm")
        for index, (a, b) in enumerate(pairwise(names))
    ]
    takes, gives = ([(name, TensorProto.FLOAT, [1, 8])] for name in (names[0], names[-1]))
    return page_of(folder, nodes, takes, gives, {"w": weights})


def test_of_many_layers_the_slowest_are_shown_first(page: Page, serve: Serve, tmp_path: Path) -> None:
    page.goto(serve(deep(tmp_path).files))
    page.locator("#measure:enabled").wait_for()
    rows = page.locator("#layers tbody tr")
    assert rows.count() == 24
    page.get_by_role("button", name="Show all 80 layers").click()
    assert rows.count() == 80
    assert page.locator("#all-layers").is_hidden()


def test_what_zeros_stop_is_told_and_can_be_measured_again(page: Page, serve: Serve, tmp_path: Path) -> None:
    """A table whose index is out of range for zeros, as that of words counted from one."""
    nodes = [helper.make_node("Sub", ["x", "far"], ["i"]), helper.make_node("Gather", ["table", "i"], ["y"])]
    constants = {"far": np.array(100_000_000, np.int64), "table": np.arange(4, dtype=np.float32)}
    ports = [("x", TensorProto.INT64, [1])], [("y", TensorProto.FLOAT, [1])]
    page.goto(serve(page_of(tmp_path, nodes, *ports, constants).files))
    page.locator("#measure:enabled").wait_for()
    page.get_by_role("textbox").fill("100000002")
    assert answers(page) == ["2.000"]
    assert page.locator("#problem").is_hidden()


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
