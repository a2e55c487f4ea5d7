"""Running in ONNX Runtime, sample files, saving."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from model_builders import conv_net, floats, info, proto, write
from onnx import helper
from tinycast.errors import ModelError, UsageError
from tinycast.model import Session, load, load_samples, run, sample_at, save, sha256

node = helper.make_node


def two_inputs(tmp_path: Path) -> Path:
    """`x` with a batch of 1, `s` without one."""
    nodes = [
        node("Add", ["x", "c"], ["a"]),
        node("ReduceSum", ["a"], ["sum"], keepdims=0),
        node("Mul", ["s", "sum"], ["y"]),
    ]
    inputs = [info("x", ["N", 3]), info("s", [2, 2])]
    return write(tmp_path, proto(nodes, inputs, ["y"], {"c": np.array([1, 2, 3], np.float32)}))


def test_run_gives_intermediate_values_inputs_and_constants(tmp_path: Path) -> None:
    path = two_inputs(tmp_path)
    x, s = floats(1, 3), floats(2, 2)
    a = x + np.array([1, 2, 3], np.float32)
    for model in (path, load(path)):
        results = run(model, {"x": x, "s": s}, outputs=["a", "y", "x", "c", "sum"])
        assert list(results) == ["a", "y", "x", "c", "sum"]
        np.testing.assert_array_equal(results["a"], a)
        np.testing.assert_array_equal(results["x"], x)
        np.testing.assert_array_equal(results["c"], [1, 2, 3])
        np.testing.assert_allclose(results["y"], s * a.sum(), rtol=1e-6)
    assert list(run(path, {"x": x, "s": s})) == ["y"]


def test_optimized_agrees(tmp_path: Path) -> None:
    model = load(write(tmp_path, conv_net(17)))
    x = {"x": floats(1, 2, 6, 6)}
    np.testing.assert_allclose(run(model, x, optimized=True)["y"], run(model, x)["y"], atol=1e-6)


def test_run_samples_stacks_in_place_of_the_batch_or_in_front(tmp_path: Path) -> None:
    session = Session(load(two_inputs(tmp_path)), outputs=["a", "y", "sum"])
    samples = {"x": floats(5, 3), "s": floats(5, 2, 2)}
    results = session.run_samples(samples)
    assert {name: array.shape for name, array in results.items()} == {"a": (5, 3), "y": (5, 2, 2), "sum": (5,)}
    for i in range(5):
        one = session.run({"x": samples["x"][i : i + 1], "s": samples["s"][i]})
        np.testing.assert_array_equal(results["y"][i], one["y"])
        np.testing.assert_array_equal(results["a"][i], one["a"][0])


def test_unknown_output(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no value named nothing"):
        Session(two_inputs(tmp_path), outputs=["y", "nothing"])


def test_models_that_onnx_runtime_refuses(tmp_path: Path) -> None:
    model = proto([node("Mystery", ["x"], ["y"], domain="com.microsoft")], [info("x", [1, 3])], ["y"], microsoft=True)
    with pytest.raises(ModelError, match="refuses") as caught:
        run(write(tmp_path, model), {"x": floats(1, 3)})
    assert "Mystery" in caught.value.where
    with pytest.raises(ModelError, match="cannot run"):
        run(two_inputs(tmp_path), {"x": floats(1, 4), "s": floats(2, 2)})


def test_load_samples(tmp_path: Path) -> None:
    model = load(two_inputs(tmp_path))
    path = tmp_path / "s.npz"
    x, s = floats(4, 3).astype(np.float64), np.arange(16, dtype=np.int64).reshape(4, 2, 2)
    np.savez(path, x=x, s=s, labels=np.array(["a"] * 4))
    samples = load_samples(path, model)
    assert {name: (array.shape, array.dtype) for name, array in samples.items()} == {
        "x": ((4, 3), np.float32),
        "s": ((4, 2, 2), np.float32),
    }
    one = sample_at(samples, 2, model)
    assert {name: array.shape for name, array in one.items()} == {"x": (1, 3), "s": (2, 2)}
    np.testing.assert_array_equal(one["s"], s[2])
    np.testing.assert_array_equal(one["x"], x[2:3].astype(np.float32))


def relu_model(tmp_path: Path, dtype: int = onnx.TensorProto.FLOAT, op: str = "Relu") -> Path:
    return write(tmp_path, proto([node(op, ["x"], ["y"])], [info("x", ["N", 3], dtype)], [info("y", None, dtype)]))


@pytest.mark.parametrize(
    ("arrays", "what", "hint"),
    [
        ({"input": floats(2, 3)}, "lacks the input 'x'", "rename the array 'input' to 'x'"),
        ({"a": floats(2, 3), "b": floats(2, 3)}, "lacks the input 'x'", "it has 'a', 'b'; the model expects 'x'"),
        ({}, "lacks the input 'x'", "it has no arrays"),
        ({"x": floats(2, 4)}, "wrong shape", "(N, 3)"),
        ({"x": floats(3)}, "wrong shape", "(N, 3)"),
        ({"x": floats(2, 1, 3)}, "wrong shape", "model shape (1, 3)"),
        ({"x": floats(0, 3)}, "no samples", "(0, 3)"),
        ({"x": np.array([[1, 2, 3], [1, np.nan, 3]])}, "sample 1 of 'x' has NaN", "float64"),
        ({"x": np.array([[1, np.inf, 3]])}, "sample 0 of 'x' has NaN or Inf", "float64"),
        ({"x": np.array([["a", "b", "c"]])}, "not numbers", "<U1"),
        ({"x": np.array([[1, 2, 1e300]])}, "do not fit the model's type float32", "float64"),
        ({"x": np.ones((1, 3), np.complex64)}, "not numbers", "complex64"),
    ],
)
def test_samples_that_do_not_fit(tmp_path: Path, arrays: dict[str, np.ndarray], what: str, hint: str) -> None:
    path = tmp_path / "s.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(UsageError) as caught:
        load_samples(path, load(relu_model(tmp_path)))
    assert what in caught.value.what
    assert hint in caught.value.where + caught.value.fix
    assert str(path) in caught.value.where


def test_inputs_with_different_numbers_of_samples(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", x=floats(4, 3), s=floats(5, 2, 2))
    with pytest.raises(UsageError, match="different numbers of samples") as caught:
        load_samples(tmp_path / "s.npz", load(two_inputs(tmp_path)))
    assert "x: 4, s: 5" in caught.value.where


@pytest.mark.parametrize(
    ("array", "accepted"),
    [
        (np.array([[-128.0, 0.0, 127.0]]), True),
        (np.array([[5, 6, 7]], np.int64), True),
        (np.array([[0.5, 0.0, 1.0]]), False),
        (np.array([[128, 0, 1]], np.int16), False),
    ],
)
def test_integer_inputs_take_only_equal_values(tmp_path: Path, array: np.ndarray, accepted: bool) -> None:
    model = load(relu_model(tmp_path, onnx.TensorProto.INT8, "Abs"))
    np.savez(tmp_path / "s.npz", x=array)
    if accepted:
        samples = load_samples(tmp_path / "s.npz", model)
        assert samples["x"].dtype == np.int8
        np.testing.assert_array_equal(samples["x"], array)
    else:
        with pytest.raises(UsageError, match="do not fit the model's type int8"):
            load_samples(tmp_path / "s.npz", model)


@pytest.mark.parametrize("kind", ["missing", "text", "npy", "truncated", "empty", "pickled", "folder"])
def test_sample_files_that_cannot_be_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s.npz"
    if kind == "text":
        path.write_text("1,2,3\n")
    elif kind == "npy":
        with path.open("wb") as file:
            np.save(file, floats(2, 3))
    elif kind == "truncated":
        np.savez(path, x=floats(200, 3))
        path.write_bytes(path.read_bytes()[:-400])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "pickled":
        np.savez(path, x=np.array([{}, None], dtype=object), allow_pickle=True)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(UsageError, match="does not exist" if kind == "missing" else r"no \.npz file") as caught:
        load_samples(path, load(relu_model(tmp_path)))
    assert str(path) in caught.value.where
    assert caught.value.exit_code == 2


def test_save_gives_the_same_bytes_and_the_same_model(tmp_path: Path) -> None:
    source = write(tmp_path, conv_net(13))
    first, second, third = (tmp_path / f"{i}.onnx" for i in range(3))
    save(load(source), first)
    save(load(source), second)
    save(load(first), third)
    assert first.read_bytes() == second.read_bytes() == third.read_bytes()
    assert sha256(first) == hashlib.sha256(first.read_bytes()).hexdigest()
    onnx.checker.check_model(str(first), full_check=True)
    x = {"x": floats(1, 2, 6, 6)}
    np.testing.assert_array_equal(run(first, x)["y"], run(source, x)["y"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.onnx", "1.onnx", "2.onnx", "model.onnx"]


def test_save_leaves_nothing_behind_when_it_fails(tmp_path: Path) -> None:
    model = load(write(tmp_path, conv_net(13)))
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        save(model, target)  # a folder cannot be replaced by a file
    with pytest.raises(UsageError, match="cannot be written"):
        save(model, tmp_path / "absent" / "m.onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "model.onnx"]


def test_shared_samples(shared: Path) -> None:
    for name, count in {"kws": 1000, "ic": 500, "ad": 12}.items():
        for suffix, data in {"float": "float", "int8_qdq": "int8"}.items():
            path = shared / "models" / f"{name}_{suffix}.onnx"
            model = load(path)
            samples = load_samples(shared / "data" / f"{name}_{data}.npz", model)
            assert len(samples["input"]) == count
            few = {"input": samples["input"][:5]}
            result = Session(model).run_samples(few)["output"]
            assert result.shape[0] == 5
            np.testing.assert_array_equal(result, Session(path).run_samples(few)["output"])
