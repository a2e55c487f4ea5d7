"""The page of `--format web` for models of all kinds: types, sizes, states, labels, pictures, and many layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from playwright.sync_api import Page, expect
from tinycast.pipeline import CompileOptions, compile_file
from web.fixtures import Serve
from web.page_models import Port, deep, doubling, page_of, red_above_white


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


def test_a_model_with_state_hears_every_sample(page: Page, serve: Serve, tmp_path: Path) -> None:
    """More than five windows of a hundredth of a second in each second."""
    nodes = [
        helper.make_node("Add", ["x", "sum"], ["next"]),
        helper.make_node("ReduceMax", ["next"], ["y"], keepdims=0),
    ]
    inputs: list[Port] = [(name, TensorProto.FLOAT, [1, 160]) for name in ("x", "sum")]
    outputs: list[Port] = [("y", TensorProto.FLOAT, []), ("next", TensorProto.FLOAT, [1, 160])]
    page.goto(serve(page_of(tmp_path, nodes, inputs, outputs, states={"sum": "next"}).files))
    page.get_by_role("button", name="Listen").click()
    page.get_by_text("Listening: 0.01 s after 0.01 s.").wait_for()
    page.wait_for_timeout(2000)
    page.get_by_role("button", name="Stop").click()
    count = int(page.get_by_text("runs since the start").inner_text().split()[0])
    assert 40 < count < 400


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
