"""Loading: what is accepted, what is changed, and every refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from model_builders import FLOAT, conv_net, floats, info, proto, write
from onnx import TensorProto, helper
from tinycast.errors import ModelError, TinycastError, UsageError
from tinycast.model import inputs_of, load, outputs_of, require_static_shapes, run, simplify

node = helper.make_node


@pytest.mark.parametrize("opset", range(6, 27))
def test_every_opset_converges(tmp_path: Path, opset: int) -> None:
    x = {"x": floats(1, 2, 6, 6)}
    expected = run(write(tmp_path, conv_net(17), "opset17.onnx"), x)["y"]
    model = load(write(tmp_path, conv_net(opset)))
    assert model.opset_imports[""] == max(21, opset)
    assert [(i.name, i.shape) for i in inputs_of(model)] == [("x", (1, 2, 6, 6))]
    assert [(o.name, o.shape) for o in outputs_of(model)] == [("y", (1, 5))]
    require_static_shapes(model)
    np.testing.assert_allclose(run(model, x)["y"], expected, rtol=1e-6)
    simplify(model)
    ops = [n.op_type for n in model.graph]
    assert ops[:3] == ["Conv", "Clip", "MaxPool"]
    assert ops[3] in ("Flatten", "Reshape")
    assert ops[4:] == ["Gemm", "Softmax"]
    np.testing.assert_allclose(run(model, x)["y"], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("set_name", ["pytorch-operator", "pytorch-converted", "simple"])
def test_onnx_own_models(tmp_path: Path, set_name: str) -> None:
    """The small models that come with the onnx package, most of them at opset 6."""
    data = Path(onnx.__file__).parent / "backend/test/data" / set_name
    checked = 0
    for folder in sorted(data.iterdir()):
        tensors = sorted(folder.glob("test_data_set_0/*.pb"))
        if any(word in folder.name for word in ("sequence", "strnorm", "gradient")) or not tensors:
            continue
        model = load(folder / "model.onnx")
        arrays = {path.stem: onnx.numpy_helper.to_array(onnx.load_tensor(str(path))) for path in tensors}
        inputs = {i.name: arrays[f"input_{index}"] for index, i in enumerate(inputs_of(model))}
        simplify(model)
        for index, (name, result) in enumerate(run(model, inputs).items()):
            np.testing.assert_allclose(
                result, arrays[f"output_{index}"], rtol=1e-3, atol=1e-5, err_msg=f"{folder}: {name}"
            )
            checked += 1
    assert checked >= 7


def relu(shape: list[int | str | None], **changes: object) -> onnx.ModelProto:
    return proto([node("Relu", ["x"], ["y"])], [info("x", shape)], ["y"], **changes)  # type: ignore[arg-type]


def test_symbolic_batch_is_one_wherever_the_symbol_stands(tmp_path: Path) -> None:
    model = proto(
        [node("Add", ["x", "state"], ["y"])],
        [info("x", ["N", 4]), info("state", [2, "N", 4])],
        [info("y", [2, "N", 4])],
    )
    loaded = load(write(tmp_path, model))
    assert [i.shape for i in inputs_of(loaded)] == [(1, 4), (2, 1, 4)]
    assert outputs_of(loaded)[0].shape == (2, 1, 4)


def test_shapes_settle_open_dimensions_and_their_symbols(tmp_path: Path) -> None:
    model = proto([node("Add", ["a", "b"], ["y"])], [info("a", ["N", "L", 3]), info("b", ["N", "L", 3])], ["y"])
    loaded = load(write(tmp_path, model), {"a": (1, 7, 3)})
    assert [i.shape for i in inputs_of(loaded)] == [(1, 7, 3), (1, 7, 3)]
    assert outputs_of(loaded)[0].shape == (1, 7, 3)


def test_unresolved_dimensions_are_all_listed_with_the_option(tmp_path: Path) -> None:
    model = proto(
        [node("Relu", ["img"], ["y"]), node("Relu", ["aux"], ["z"])],
        [info("img", ["N", 3, "H", "W"]), info("aux", [2, None])],
        ["y", "z"],
    )
    with pytest.raises(ModelError) as caught:
        load(write(tmp_path, model))
    assert "img: N,3,H,W" in caught.value.where
    assert "aux: 2,?" in caught.value.where
    assert "--shape img=1,3,96,96" in caught.value.fix
    assert "--shape aux=2,96" in caught.value.fix


def test_input_without_rank_needs_a_shape(tmp_path: Path) -> None:
    path = write(tmp_path, proto([node("Relu", ["x"], ["y"])], [info("x", None)], ["y"]))
    with pytest.raises(ModelError, match="input shapes are open") as caught:
        load(path)
    assert "--shape x=1,3,96,96" in caught.value.fix
    assert outputs_of(load(path, {"x": (1, 5)}))[0].shape == (1, 5)


@pytest.mark.parametrize(
    ("shapes", "what"),
    [({"z": (1, 3)}, "'z'"), ({"x": (1, 4)}, "x=1,4"), ({"x": (1, 3, 1)}, "x=1,3,1"), ({"x": (0, 3)}, "x=0,3")],
)
def test_shapes_that_contradict_the_model(tmp_path: Path, shapes: dict[str, tuple[int, ...]], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        load(write(tmp_path, relu(["N", 3])), shapes)


def test_shape_that_depends_on_data_is_reported(tmp_path: Path) -> None:
    model = load(
        write(tmp_path, proto([node("NonZero", ["x"], ["y"], name="nz")], [info("x", [2, 3])], [info("y", None, 7)]))
    )
    with pytest.raises(ModelError, match="depends on data") as caught:
        require_static_shapes(model)
    assert "y (from NonZero 'nz')" in caught.value.where


def test_initializers_are_no_inputs(tmp_path: Path) -> None:
    model = proto(
        [node("Add", ["x", "c"], ["y"])], [info("x", [1, 3]), info("c", [3])], ["y"], {"c": floats(3)}, opset=9
    )
    model.ir_version = 3
    loaded = load(write(tmp_path, model))
    assert [i.name for i in inputs_of(loaded)] == ["x"]
    x = floats(1, 3)
    np.testing.assert_array_equal(run(loaded, {"x": x})["y"], x + floats(3))


def test_functions_are_inlined(tmp_path: Path) -> None:
    model = proto([helper.make_node("Twice", ["x"], ["y"], domain="local")], [info("x", [1, 3])], ["y"])
    model.opset_import.append(helper.make_opsetid("local", 1))
    body = [node("Add", ["a", "a"], ["b"])]
    model.functions.append(helper.make_function("local", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 21)]))
    loaded = load(write(tmp_path, model))
    assert [n.op_type for n in loaded.graph] == ["Add"]
    assert not loaded.functions
    np.testing.assert_array_equal(run(loaded, {"x": floats(1, 3)})["y"], 2 * floats(1, 3))


CALLING = """
<ir_version: 10, opset_import: ["" : {model}, "local" : 1]> g (float[2] x) => (float[2] y) {{ y = local.twice(x) }}
<opset_import: ["" : {function}, "local" : 1], domain: "local">
twice (a) => (b) {{ c = local.less(a) b = local.less(c) }}
<opset_import: ["" : {function}], domain: "local"> less (a) => (b) {{ b = Exp(a) }}
"""


def test_functions_of_another_opset_may_call_functions(tmp_path: Path) -> None:
    """As skl2onnx writes KNNImputer: ONNX cannot convert them."""
    path = write(tmp_path, onnx.parser.parse_model(CALLING.format(model=22, function=21)))
    model = load(path)
    simplify(model)
    assert [node.op_type for node in model.graph] == ["Exp", "Exp"]
    x = floats(2)
    np.testing.assert_allclose(run(model, {"x": x})["y"], np.exp(np.exp(x)), rtol=1e-6)


def test_functions_of_an_old_opset_that_call_functions_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, onnx.parser.parse_model(CALLING.format(model=22, function=14)))
    with pytest.raises(ModelError, match="functions of opset 14"):
        load(path)


def test_a_wrong_shape_that_an_output_declares_does_not_count(tmp_path: Path) -> None:
    """As skl2onnx writes PLSRegression; ONNX Runtime warns, and runs it."""
    constants = {"w": floats(6, 1)}
    path = write(
        tmp_path,
        proto([helper.make_node("MatMul", ["x", "w"], ["y"])], [info("x", [1, 6])], [info("y", [1, 6])], constants),
    )
    assert outputs_of(load(path))[0].shape == (1, 1)


def test_half_of_a_spectrum_is_the_default_of_stft(tmp_path: Path) -> None:
    """ONNX's inference takes the whole of it where the attribute is left out."""
    constants = {"step": np.array(8), "length": np.array(16)}
    nodes = [helper.make_node("STFT", ["x", "step", "", "length"], ["y"])]
    path = write(tmp_path, proto(nodes, [info("x", [1, 128, 1])], [info("y", [1, 15, 9, 2])], constants))
    assert outputs_of(load(path))[0].shape == (1, 15, 9, 2)


def test_external_data_is_read_into_the_model(tmp_path: Path) -> None:
    model = conv_net(17)
    path = tmp_path / "net.onnx"
    onnx.save(model, path, save_as_external_data=True, location="net.bin", size_threshold=0)
    x = {"x": floats(1, 2, 6, 6)}
    expected = run(path, x)["y"]
    loaded = load(path)
    (tmp_path / "net.bin").unlink()
    np.testing.assert_array_equal(run(loaded, x)["y"], expected)


@pytest.mark.parametrize("damage", ["missing", "short", "outside"])
def test_external_data_that_cannot_be_read(tmp_path: Path, damage: str) -> None:
    path, data = tmp_path / "net.onnx", tmp_path / "net.bin"
    onnx.save(conv_net(17), path, save_as_external_data=True, location="net.bin", size_threshold=0)
    if damage == "missing":
        data.unlink()
    elif damage == "short":
        data.write_bytes(data.read_bytes()[:100])
    else:
        path.write_bytes(path.read_bytes().replace(b"net.bin", b"../a.bi"))
    with pytest.raises(UsageError, match="net.bin" if damage != "outside" else r"\.\./a\.bi") as caught:
        load(path)
    assert ("is missing" in caught.value.what) == (damage != "short")
    assert "tensor" in caught.value.where


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"this is not a model, it is prose", "no ONNX model"),
        (b"", "no ONNX graph"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "no ONNX"),
        ("truncated", "truncated"),
        (None, "does not exist"),
        ("folder", "cannot be read"),
    ],
)
def test_unreadable_files(tmp_path: Path, content: bytes | str | None, what: str) -> None:
    path = tmp_path / "model.onnx"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "truncated":
        path.write_bytes(conv_net(17).SerializeToString()[:-300])
    elif content == "folder":
        path.mkdir()
    with pytest.raises(UsageError, match=what) as caught:
        load(path)
    assert str(path) in caught.value.where
    assert caught.value.exit_code == 2


def bad_checker() -> onnx.ModelProto:
    return proto([node("Relu", ["nowhere"], ["y"], name="r")], [info("x", [1, 3])], ["y"])


def bad_attribute() -> onnx.ModelProto:
    return proto([node("Relu", ["x"], ["y"], strength=3)], [info("x", [1, 3])], ["y"])


def bad_shapes() -> onnx.ModelProto:
    return proto([node("Add", ["x", "c"], ["y"], name="sum")], [info("x", [1, 3])], ["y"], {"c": floats(4)})


def bad_tensor() -> onnx.ModelProto:
    model = proto([node("Add", ["x", "c"], ["y"])], [info("x", [1, 3])], ["y"], {"c": floats(3)})
    model.graph.initializer[0].raw_data = b"\0" * 8
    return model


@pytest.mark.parametrize(
    ("build", "where"),
    [
        (bad_checker, "nowhere"),
        (bad_attribute, "strength"),
        (bad_shapes, "sum"),
        (bad_tensor, "c"),
    ],
)
def test_invalid_models(tmp_path: Path, build: object, where: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(write(tmp_path, build()))  # type: ignore[operator]
    assert where in str(caught.value)
    assert caught.value.exit_code == 1


def test_unconvertible_opset_names_the_node(tmp_path: Path) -> None:
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Upsample", ["a"], ["y"], name="grow", scales=[1.0, 1.0, 2.0, 2.0], mode="nearest"),
        node("Scan", ["y"], ["z"], name="walk", num_scan_inputs=1, body=helper.make_graph(
            [node("Identity", ["i"], ["o"])], "body", [info("i", [4, 4])], [info("o", [4, 4])])),
    ]  # fmt: skip
    model = proto(nodes[:2], [info("x", [1, 2, 2, 2])], ["y"], opset=8)
    loaded = load(write(tmp_path, model))
    assert [n.op_type for n in loaded.graph][-1] == "Resize"
    nodes[2].input.insert(0, "")
    walked = load(write(tmp_path, proto(nodes, [info("x", [1, 2, 2, 2])], ["z"], opset=8)))
    assert [n.op_type for n in walked.graph][-2:] == ["Resize", "Scan"]
    nodes[2].input[0] = "lengths"
    nodes[2].attribute.append(helper.make_attribute("directions", [1]))
    inputs = [info("x", [1, 2, 2, 2]), helper.make_tensor_value_info("lengths", TensorProto.INT64, [1])]
    with pytest.raises(ModelError, match="cannot be converted from opset 8") as caught:
        load(write(tmp_path, proto(nodes, inputs, ["z"], opset=8)))
    assert "walk" in caught.value.where


def conv_with(weights: np.ndarray) -> onnx.ModelProto:
    return proto([node("Conv", ["x", "w"], ["y"], name="first")], [info("x", [1, 1, 4, 4])], ["y"], {"w": weights})


@pytest.mark.parametrize(("bad", "kind"), [(np.nan, "NaN"), (np.inf, "Inf"), (-np.inf, "Inf")])
def test_weights_that_are_not_finite(tmp_path: Path, bad: float, kind: str) -> None:
    weights = floats(2, 1, 3, 3)
    weights[1, 0, 2, 1] = bad
    with pytest.raises(ModelError, match="not finite") as caught:
        load(write(tmp_path, conv_with(weights)))
    assert caught.value.where == f"w has {kind}, used by Conv 'first'"


@pytest.mark.parametrize(
    ("op", "constants", "accepted"),
    [
        ("Clip", {"c": np.float32(-np.inf)}, True),
        ("Clip", {"c": np.float32(np.nan)}, False),
        ("Add", {"c": np.array([0, -np.inf, 0], np.float32)}, True),  # an attention mask
        ("Add", {"c": np.array([1, -np.inf, 0], np.float32)}, False),
        ("Max", {"c": np.float32(-np.inf)}, True),
        ("Mul", {"c": np.float32(np.inf)}, False),
    ],
)
def test_infinite_bounds_and_masks_are_meant(
    tmp_path: Path, op: str, constants: dict[str, np.ndarray], accepted: bool
) -> None:
    path = write(tmp_path, proto([node(op, ["x", "c"], ["y"])], [info("x", [1, 3])], ["y"], constants))
    if accepted:
        assert outputs_of(load(path))[0].shape == (1, 3)
    else:
        with pytest.raises(ModelError, match="not finite"):
            load(path)


def test_constant_nodes_are_checked_for_nan(tmp_path: Path) -> None:
    value = helper.make_tensor("t", FLOAT, [1], [float("nan")])
    nodes = [node("Constant", [], ["c"], value=value), node("Mul", ["x", "c"], ["y"], name="times")]
    with pytest.raises(ModelError, match="not finite") as caught:
        load(write(tmp_path, proto(nodes, [info("x", [1, 3])], ["y"])))
    assert "c has NaN, used by Mul 'times'" in caught.value.where


def test_nodes_get_stable_unique_names(tmp_path: Path) -> None:
    names = ["", "a", "a", "Relu_0", ""]
    values = ["x", *[f"v{i}" for i in range(4)], "y"]
    nodes = [node("Relu", [values[i]], [values[i + 1]], name=name) for i, name in enumerate(names)]
    model = load(write(tmp_path, proto(nodes, [info("x", [1, 3])], ["y"], opset=22)))
    assert [n.name for n in model.graph] == ["Relu_1", "a", "a_0", "Relu_0", "Relu_2"]


def test_shared_models(shared: Path) -> None:
    for name, shape in {"kws": (1, 1, 49, 10), "ic": (1, 3, 32, 32), "ad": (1, 640)}.items():
        for suffix, dtype in {"float": np.float32, "int8_qdq": np.int8}.items():
            model = load(shared / "models" / f"{name}_{suffix}.onnx")
            assert [(i.shape, i.dtype) for i in inputs_of(model)] == [(shape, np.dtype(dtype))]
            require_static_shapes(model)


def test_damaged_files_never_surprise(tmp_path: Path) -> None:
    """Bytes changed at random: the model loads, or the user reads one of our errors."""
    content, random = conv_net(17).SerializeToString(), np.random.default_rng(1)
    exit_codes = []
    for _ in range(200):
        damaged = bytearray(content)
        damaged[random.integers(len(damaged))] = random.integers(256)
        path = tmp_path / "model.onnx"
        path.write_bytes(damaged)
        try:
            simplify(load(path))
        except TinycastError as error:
            exit_codes.append(error.exit_code)
    assert len(exit_codes) > 50
    assert set(exit_codes) <= {1, 2}


def test_all_errors_have_the_users_form(tmp_path: Path) -> None:
    with pytest.raises(TinycastError) as caught:
        load(write(tmp_path, bad_shapes()))
    assert caught.value.what
    assert caught.value.where
    assert caught.value.fix
    assert "\n" not in caught.value.what + caught.value.where + caught.value.fix
