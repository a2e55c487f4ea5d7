"""Simplifying: what goes, what must stay, and that nothing changes what the model computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from model_builders import conv_net, floats, info, proto, write
from onnx import helper
from tinycast.errors import ModelError
from tinycast.model import Session, load, load_samples, outputs_of, require_static_shapes, run, save, simplify

node = helper.make_node
Built = tuple[onnx.ModelProto, list[str]]  # a model and the operators that simplifying leaves


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def batch_norm(
    linear: list[onnx.NodeProto], channels: int, constants: dict[str, np.ndarray], shape: list[int]
) -> onnx.ModelProto:
    """BatchNormalization of the value `l`, which the nodes `linear` compute from `x`."""
    constants |= {
        "gamma": floats(channels), "beta": floats(channels) + 1, "mean": floats(channels) - 1,
        "var": np.abs(floats(channels)) + 0.1,
    }  # fmt: skip
    norm = node("BatchNormalization", ["l", "gamma", "beta", "mean", "var"], ["y"], epsilon=1e-3)
    return proto([*linear, norm], [info("x", shape)], ["y"], constants)


def conv_bn(**attributes: int) -> Callable[[], Built]:
    def build() -> Built:
        group = attributes.get("group", 1)
        constants = {"w": floats(6, 4 // group, 3, 3), "b": floats(6)}
        return batch_norm([node("Conv", ["x", "w", "b"], ["l"], **attributes)], 6, constants, [1, 4, 8, 8]), ["Conv"]

    return build


def conv_bn_without_bias() -> Built:
    return batch_norm([node("Conv", ["x", "w"], ["l"])], 6, {"w": floats(6, 4, 3, 3)}, [1, 4, 8, 8]), ["Conv"]


def conv_1d_bn() -> Built:
    return batch_norm([node("Conv", ["x", "w"], ["l"])], 6, {"w": floats(6, 4, 3)}, [1, 4, 8]), ["Conv"]


def conv_add_bn() -> Built:
    constants = {"w": floats(6, 4, 3, 3), "a": floats(6, 1, 1)}
    nodes = [node("Conv", ["x", "w"], ["c"]), node("Add", ["a", "c"], ["l"])]
    return batch_norm(nodes, 6, constants, [1, 4, 8, 8]), ["Conv", "Add"]


def conv_transpose_bn() -> Built:
    constants = {"w": floats(4, 3, 3, 3), "b": floats(6)}
    return batch_norm([node("ConvTranspose", ["x", "w", "b"], ["l"], group=2)], 6, constants, [1, 4, 8, 8]), [
        "ConvTranspose"
    ]


def gemm_bn(trans_b: int, beta: float) -> Callable[[], Built]:
    def build() -> Built:
        constants = {"w": floats(*((6, 4) if trans_b else (4, 6))), "b": floats(6)}
        linear = node("Gemm", ["x", "w", "b"], ["l"], transB=trans_b, alpha=0.5, beta=beta)
        return batch_norm([linear], 6, constants, [1, 4]), ["Gemm"]

    return build


def matmul_bn() -> Built:
    return batch_norm([node("MatMul", ["x", "w"], ["l"])], 6, {"w": floats(4, 6)}, [1, 4]), ["MatMul", "Add"]


def matmul_add_bn() -> Built:
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "a"], ["l"])]
    return batch_norm(nodes, 6, {"w": floats(4, 6), "a": floats(6)}, [1, 4]), ["MatMul", "Add"]


def shared_weight_bn() -> Built:
    """Two convolutions share a weight, and one is followed by BatchNormalization."""
    nodes = [node("Conv", ["x", "w"], ["l"]), node("Conv", ["x", "w"], ["z"])]
    model = batch_norm(nodes, 6, {"w": floats(6, 4, 3, 3)}, [1, 4, 8, 8])
    model.graph.output.append(info("z", None))
    return model, ["Conv", "Conv"]


def used_twice_bn() -> Built:
    """The convolution's result is an output, too: folding would change it."""
    model = batch_norm([node("Conv", ["x", "w"], ["l"])], 6, {"w": floats(6, 4, 3, 3)}, [1, 4, 8, 8])
    model.graph.output.append(info("l", None))
    return model, ["Conv", "BatchNormalization"]


def bn_alone() -> Built:
    return batch_norm([node("Relu", ["x"], ["l"])], 4, {}, [1, 4, 8, 8]), ["Relu", "BatchNormalization"]


def chain(
    *nodes: onnx.NodeProto, left: list[str], shape: tuple[int, ...] = (1, 4, 6, 6), **constants: np.ndarray
) -> Callable[[], Built]:
    """A model from `x` to `y`, whose first node follows a Relu so that it is not fed by an input."""
    return lambda: (proto([node("Relu", ["x"], ["r"]), *nodes], [info("x", shape)], ["y"], constants), ["Relu", *left])


def shape_arithmetic() -> Built:
    """Flatten as PyTorch writes it: from the shape, with a product."""
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("Shape", ["r"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Slice", ["s", "one1", "four1"], ["rest"]),
        node("ReduceProd", ["rest"], ["product"], keepdims=0),
        node("Div", ["product", "two"], ["half"]),
        node("Cast", ["half"], ["half_float"], to=1),
        node("Floor", ["half_float"], ["floor"]),
        node("Cast", ["floor"], ["length"], to=7),
        node("Unsqueeze", ["n", "zero1"], ["n1"]),
        node("Unsqueeze", ["length", "zero1"], ["l1"]),
        node("Concat", ["n1", "two1", "l1"], ["target"], axis=0),
        node("Reshape", ["r", "target"], ["y"]),
    ]
    constants = {
        "zero": np.int64(0),
        "two": np.int64(2),
        "zero1": ints(0),
        "one1": ints(1),
        "two1": ints(2),
        "four1": ints(4),
    }
    return proto(nodes, [info("x", ["N", 4, 6, 6])], ["y"], constants), ["Relu", "Reshape"]


def constant_nodes() -> Built:
    value = helper.make_tensor("t", 1, [3], [1, 2, 3])
    nodes = [
        node("Constant", [], ["a"], value=value),
        node("Constant", [], ["b"], value_float=2.0),
        node("Mul", ["a", "b"], ["c"]),
        node("ConstantOfShape", ["n"], ["d"], value=helper.make_tensor("v", 1, [1], [4.0])),
        node("Sub", ["c", "d"], ["e"]),
        node("Add", ["x", "e"], ["y"]),
        node("Exp", ["x"], ["unused"]),
    ]
    return proto(nodes, [info("x", [1, 3])], ["y"], {"n": ints(3)}), ["Add"]


def constant_if() -> Built:
    def branch(op: str) -> onnx.GraphProto:
        return helper.make_graph([node(op, ["x"], ["o"])], op, [], [info("o", [1, 3])])

    choose = node("If", ["c"], ["y"], then_branch=branch("Exp"), else_branch=branch("Neg"))
    return proto([choose], [info("x", [1, 3])], ["y"], {"c": np.array(True)}), ["Exp"]


def identity_fan_out() -> Built:
    """Two Identities of one value are two outputs: both names must stay."""
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("Identity", ["r"], ["y"]),
        node("Identity", ["r"], ["z"]),
        node("Identity", ["x"], ["w"]),
    ]
    return proto(nodes, [info("x", [1, 3])], ["y", "z", "w"]), ["Relu", "Identity", "Identity"]


def dropout_with_mask() -> Built:
    nodes = [node("Dropout", ["x"], ["y", "mask"]), node("Dropout", ["x"], ["z", "unused"])]
    return proto(nodes, [info("x", [1, 3])], ["y", info("mask", None, 9), "z"]), ["Identity", "Identity"]


def function_call() -> Built:
    model = proto([node("Twice", ["x"], ["y"], domain="local")], [info("x", [1, 3])], ["y"])
    model.opset_import.append(helper.make_opsetid("local", 1))
    body = [node("Add", ["a", "a"], ["b"])]
    model.functions.append(helper.make_function("local", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 21)]))
    return model, ["Add"]


CASES: dict[str, Callable[[], Built]] = {
    "conv_bn": conv_bn(),
    "conv_bn_group": conv_bn(group=2),
    "conv_bn_without_bias": conv_bn_without_bias,
    "conv_1d_bn": conv_1d_bn,
    "conv_add_bn": conv_add_bn,
    "conv_transpose_bn": conv_transpose_bn,
    "gemm_bn": gemm_bn(0, 1.0),
    "gemm_trans_bn": gemm_bn(1, 0.25),
    "matmul_bn": matmul_bn,
    "matmul_add_bn": matmul_add_bn,
    "shared_weight_bn": shared_weight_bn,
    "used_twice_bn": used_twice_bn,
    "bn_alone": bn_alone,
    "shape_arithmetic": shape_arithmetic,
    "constant_nodes": constant_nodes,
    "constant_if": constant_if,
    "identity_fan_out": identity_fan_out,
    "dropout_with_mask": dropout_with_mask,
    "function_call": function_call,
    "inverse_transposes": chain(
        node("Transpose", ["r"], ["t"], perm=[0, 2, 3, 1]), node("Transpose", ["t"], ["y"], perm=[0, 3, 1, 2]), left=[]
    ),
    "transposes_merge": chain(
        node("Transpose", ["r"], ["t"], perm=[0, 2, 3, 1]), node("Transpose", ["t"], ["y"], perm=[0, 2, 1, 3]),
        left=["Transpose"],
    ),
    "identity_transpose": chain(node("Transpose", ["r"], ["y"], perm=[0, 1, 2, 3]), left=[]),
    "same_reshape": chain(node("Reshape", ["r", "s"], ["y"]), left=[], s=ints(0, 4, -1, 6)),
    "reshapes_merge": chain(
        node("Reshape", ["r", "s"], ["t"]), node("Reshape", ["t", "u"], ["y"]), left=["Reshape"],
        s=ints(4, 36), u=ints(1, 144),
    ),
    "reshape_and_back": chain(
        node("Flatten", ["r"], ["f"]), node("Unsqueeze", ["f", "a"], ["g"]), node("Reshape", ["g", "s"], ["y"]),
        left=[], a=ints(0), s=ints(1, 4, 6, 6),
    ),
    "same_cast": chain(node("Cast", ["r"], ["y"], to=1), left=[]),
    "zero_pad": chain(node("Pad", ["r", "p"], ["y"]), left=[], p=ints(0, 0, 0, 0, 0, 0, 0, 0)),
    "shifting_pad": chain(node("Pad", ["r", "p"], ["y"]), left=["Pad"], p=ints(0, 0, 1, 0, 0, 0, -1, 0)),
    "pad_into_conv": chain(
        node("Pad", ["r", "p"], ["q"]), node("Conv", ["q", "w"], ["y"]), left=["Conv"],
        p=ints(0, 0, 1, 1, 0, 0, 1, 1), w=floats(2, 4, 3, 3),
    ),
    "full_slice": chain(
        node("Slice", ["r", "b", "e", "a"], ["y"]), left=[], b=ints(0, -6), e=ints(9, 2**31), a=ints(1, 2)
    ),
    "reversing_slice": chain(
        node("Slice", ["r", "b", "e", "a", "s"], ["y"]), left=["Slice"],
        b=ints(-1), e=ints(-(2**31)), a=ints(2), s=ints(-1),
    ),
    "same_expand": chain(node("Expand", ["r", "s"], ["y"]), left=[], s=ints(1, 6, 6)),
    "single_concat": chain(node("Concat", ["r"], ["y"], axis=1), left=[]),
    "dropout": chain(node("Dropout", ["r", "p"], ["d"]), node("Neg", ["d"], ["y"]), left=["Neg"], p=np.float32(0.5)),
    "relu_clip": chain(node("Clip", ["r", "lo", "hi"], ["y"]), left=[], lo=np.float32(0), hi=np.float32(6)),
    "multiply_by_one": chain(node("Mul", ["r", "one"], ["y"]), left=[], one=np.float32(1)),
}  # fmt: skip
CLIPPED = {"relu_clip": ["Clip"]}


@pytest.mark.parametrize("name", CASES)
def test_simplify(tmp_path: Path, name: str) -> None:
    built, left = CASES[name]()
    path = write(tmp_path, built)
    model = load(path)
    inputs = {"x": np.random.default_rng(3).standard_normal(model.graph.inputs[0].shape.numpy()).astype(np.float32)}  # type: ignore[union-attr]
    expected = run(path, inputs)
    simplify(model)
    assert sorted(n.op_type for n in model.graph) == sorted(CLIPPED.get(name, left))
    result = run(model, inputs)
    assert list(result) == list(expected) == [o.name for o in outputs_of(model)]
    for output, array in expected.items():
        np.testing.assert_allclose(
            result[output], array, rtol=0, atol=1e-6 * max(1, np.abs(array).max()), err_msg=output
        )
        assert result[output].shape == array.shape
    require_static_shapes(model)
    save(model, tmp_path / "out.onnx")
    onnx.checker.check_model(str(tmp_path / "out.onnx"), full_check=True)
    names = [n.name for n in model.graph]
    assert all(names)
    assert len(set(names)) == len(names)
    assert all(not n.metadata_props for n in model.graph)


def test_value_and_node_names_stay(tmp_path: Path) -> None:
    built = conv_net(17)
    for index, n in enumerate(built.graph.node):
        n.name = f"node{index}"
    model = load(write(tmp_path, built))
    simplify(model)
    names = {n.op_type: (n.name, n.inputs[1].name if len(n.inputs) > 1 else "") for n in model.graph}  # type: ignore[union-attr]
    assert names["Conv"] == ("node0", "w")
    assert names["Gemm"] == ("node9", "v")
    assert [o.name for o in model.graph.outputs] == ["y"]


def test_simplify_is_stable(tmp_path: Path) -> None:
    path = write(tmp_path, conv_net(11))
    contents = []
    for run_number in range(2):
        model = load(path)
        simplify(model)
        if run_number:
            simplify(model)
        save(model, tmp_path / "out.onnx")
        contents.append((tmp_path / "out.onnx").read_bytes())
    assert contents[0] == contents[1]


def test_dequantized_constants_stay_quantized(tmp_path: Path) -> None:
    """A float weight that is quantized in the graph becomes int8; its DequantizeLinear stays, transposed."""
    nodes = [
        node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        node("QuantizeLinear", ["w", "ws", "wz"], ["wq"], axis=0),
        node("DequantizeLinear", ["wq", "ws", "wz"], ["wd"], axis=0),
        node("Transpose", ["wd"], ["wt"], perm=[1, 0]),
        node("MatMul", ["xd", "wt"], ["y"]),
    ]
    scales = np.abs(floats(6)) / 50 + 0.01
    constants = {
        "xs": np.float32(0.05), "xz": np.int8(3), "w": floats(6, 4), "ws": scales, "wz": np.zeros(6, np.int8),
    }  # fmt: skip
    path = write(tmp_path, proto(nodes, [info("x", [1, 4])], ["y"], constants))
    model = load(path)
    simplify(model)
    assert [n.op_type for n in model.graph] == ["QuantizeLinear", "DequantizeLinear", "DequantizeLinear", "MatMul"]
    weight = model.graph.node(3).inputs[1].producer()
    assert weight is not None
    assert weight.inputs[0].const_value.numpy().dtype == np.int8  # type: ignore[union-attr]
    assert weight.inputs[0].shape.numpy() == (4, 6)  # type: ignore[union-attr]
    assert weight.attributes["axis"].as_int() == 1
    x = {"x": floats(1, 4)}
    np.testing.assert_array_equal(run(model, x)["y"], run(path, x)["y"])


def test_batch_norm_stays_apart_from_quantized_weights(tmp_path: Path) -> None:
    constants = {"w": np.arange(24, dtype=np.int8).reshape(6, 4, 1, 1), "s": np.float32(0.1)}
    nodes = [node("DequantizeLinear", ["w", "s"], ["wd"]), node("Conv", ["x", "wd"], ["l"])]
    path = write(tmp_path, batch_norm(nodes, 6, constants, [1, 4, 3, 3]))
    model = load(path)
    simplify(model)
    assert [n.op_type for n in model.graph] == ["DequantizeLinear", "Conv", "BatchNormalization"]


def test_model_that_contradicts_itself_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path, proto([node("Relu", ["x"], ["y"])], [info("x", [1, 3])], ["y"]))
    model = load(path)
    model.graph.node(0).op_type = "Transpose"
    model.graph.node(0).attributes.add(ir.AttrInt64s("perm", [0, 2, 1]))
    with pytest.raises(ModelError, match="do not fit together"):
        simplify(model)


@pytest.mark.parametrize("name", ["kws", "ic", "ad"])
@pytest.mark.parametrize("suffix", ["float", "int8_qdq"])
def test_shared_models(shared: Path, name: str, suffix: str) -> None:
    path = shared / "models" / f"{name}_{suffix}.onnx"
    model = load(path)
    samples = {
        k: v[:8] for k, v in load_samples(shared / "data" / f"{name}_{suffix.removesuffix('_qdq')}.npz", model).items()
    }
    dequantized = sum(n.op_type == "DequantizeLinear" for n in model.graph)
    simplify(model)
    assert sum(n.op_type == "DequantizeLinear" for n in model.graph) == dequantized
    before, after = Session(path).run_samples(samples)["output"], Session(model).run_samples(samples)["output"]
    if suffix == "float":
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-6 * np.abs(before).max())
    else:
        np.testing.assert_array_equal(after, before)
