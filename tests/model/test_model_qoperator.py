"""QOperator models, made here by ONNX Runtime's quantizer or by hand, become QDQ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.utils
import onnx_ir as ir
import pytest
from model_builders import floats, info, proto, write
from onnx import helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from tinycast.model import load, require_static_shapes, run, simplify

node = helper.make_node


class Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, samples: np.ndarray) -> None:
        self.samples = iter(samples)

    def get_next(self) -> dict[str, np.ndarray] | None:
        sample = next(self.samples, None)
        return None if sample is None else {"x": sample}


def float_net() -> onnx.ModelProto:
    constants = {
        "w": floats(6, 3, 3, 3) / 4, "b": floats(6) / 4, "d": floats(6, 1, 3, 3) / 2, "m": floats(6, 5),
        "g": floats(8, 10), "gb": floats(8), "k": floats(1, 6, 1, 1),
    }  # fmt: skip
    nodes = [
        node("Conv", ["x", "w", "b"], ["c1"], pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "d"], ["c2"], group=6, pads=[1, 1, 1, 1]),
        node("LeakyRelu", ["c2"], ["l2"], alpha=0.2),
        node("Add", ["r1", "l2"], ["a"]),
        node("Mul", ["a", "k"], ["mu"]),
        node("Sigmoid", ["mu"], ["s"]),
        node("Concat", ["s", "l2"], ["cat"], axis=1),
        node("AveragePool", ["cat"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("MaxPool", ["p"], ["q"], kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", ["q"], ["gp"]),
        node("Reshape", ["gp", "two_six"], ["f"]),
        node("MatMul", ["f", "m"], ["mm"]),
        node("Reshape", ["mm", "one_ten"], ["mr"]),
        node("Gemm", ["mr", "g", "gb"], ["ge"], transB=1),
        node("Softmax", ["ge"], ["y"], axis=-1),
    ]
    constants |= {"two_six": np.array([2, 6]), "one_ten": np.array([1, 10])}
    return proto(nodes, [info("x", [1, 3, 8, 8])], [info("y", [1, 8])], constants, opset=17)


@pytest.mark.parametrize("activations", [QuantType.QInt8, QuantType.QUInt8], ids=["int8", "uint8"])
@pytest.mark.parametrize("per_channel", [False, True], ids=["per_tensor", "per_channel"])
def test_onnx_runtime_qoperator_models(tmp_path: Path, activations: QuantType, per_channel: bool) -> None:
    samples = np.random.default_rng(5).standard_normal((20, 1, 3, 8, 8)).astype(np.float32)
    quantized = tmp_path / "q.onnx"
    quantize_static(
        write(tmp_path, float_net()), quantized, Reader(samples), quant_format=QuantFormat.QOperator,
        activation_type=activations, weight_type=QuantType.QInt8, per_channel=per_channel,
        op_types_to_quantize=None,
    )  # fmt: skip
    original = onnx.load(quantized)
    assert sum(n.op_type.startswith("Q") and n.op_type != "QuantizeLinear" for n in original.graph.node) >= 10
    model = load(quantized)
    simplify(model)
    require_static_shapes(model)
    left = {(n.domain, n.op_type) for n in model.graph}
    assert not {(domain, op) for domain, op in left if domain or op.startswith("QL") or op == "QGemm"}
    assert "com.microsoft" not in model.opset_imports

    # Every quantized tensor, each node fed by the original's own inputs, so that steps do not add up.
    before = {n.output[0]: n for n in original.graph.node}
    compared = 0
    for sample in samples[:5]:
        names = [name for name in before if before[name].op_type.startswith("Q")]
        wanted = run(quantized, {"x": sample}, outputs=names)
        for name, array in wanted.items():
            result = run_alone(model, name, run(quantized, {"x": sample}, outputs=group_inputs(model, name)))
            assert result.dtype == array.dtype
            assert np.abs(result.astype(int) - array.astype(int)).max() <= 1, name
            compared += 1
    assert compared >= 50


@pytest.mark.parametrize("activations", [QuantType.QInt8, QuantType.QUInt8, QuantType.QInt16])
def test_onnx_runtime_qdq_models_keep_their_bytes(tmp_path: Path, activations: QuantType) -> None:
    samples = np.random.default_rng(5).standard_normal((20, 1, 3, 8, 8)).astype(np.float32)
    quantized = tmp_path / "q.onnx"
    quantize_static(
        write(tmp_path, float_net()), quantized, Reader(samples), quant_format=QuantFormat.QDQ,
        activation_type=activations, weight_type=QuantType.QInt8, per_channel=True,
    )  # fmt: skip
    model = load(quantized)
    operators = sorted(n.op_type for n in model.graph)
    before = [run(model, {"x": sample})["y"] for sample in samples]
    simplify(model)
    assert sorted(n.op_type for n in model.graph) == operators
    assert operators.count("DequantizeLinear") >= 15
    np.testing.assert_array_equal([run(model, {"x": sample})["y"] for sample in samples], before)


INT8, UINT8 = onnx.TensorProto.INT8, onnx.TensorProto.UINT8
A = {"as": np.float32(0.05), "az": np.int8(4), "bs": np.float32(0.02), "bz": np.int8(0), "ys": np.float32(0.3)}
A |= {"yz": np.int8(-3)}


def int8s(*shape: int) -> np.ndarray:
    return np.random.default_rng(11).integers(-128, 128, shape).astype(np.int8)


def single(
    op: str, inputs: str, shape: list[int], constants: dict[str, np.ndarray], **attributes: float
) -> onnx.ModelProto:
    """One QOperator from `x` to `y`; "-" stands for an input that is left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    domain = "" if op in ("QLinearConv", "QLinearMatMul") else "com.microsoft"
    used = {name: array for name, array in (A | constants).items() if name in names}
    has_scale = "ys" in names or "s255" in names
    return proto(
        [node(op, names, ["y"], domain=domain, **attributes)], [info("x", shape, INT8)],
        [info("y", None, INT8 if has_scale else onnx.TensorProto.FLOAT)], used, microsoft=True,
    )  # fmt: skip


SINGLE = {
    "conv_vector_scales": (
        single("QLinearConv", "x as az w bs bz ys yz", [1, 2, 5, 5], {
            "w": int8s(3, 2, 3, 3), "as": np.array([0.05], np.float32), "az": np.array([4], np.int8),
            "bs": np.array([0.02], np.float32), "bz": np.array([0], np.int8),
        }),
        ["Conv", "DequantizeLinear", "DequantizeLinear", "QuantizeLinear"],
    ),
    "matmul_per_column": (
        single("QLinearMatMul", "x as az w bs bz ys yz", [1, 6], {
            "w": int8s(6, 4), "bs": np.array([0.1, 0.02, 0.03, 0.01], np.float32), "bz": np.zeros(4, np.int8),
        }),
        ["DequantizeLinear", "DequantizeLinear", "MatMul", "QuantizeLinear"],
    ),
    "gemm_float_output": (
        single("QGemm", "x as az w bs bz c", [1, 6], {
            "w": int8s(4, 6), "bs": np.array([0.1, 0.02, 0.03, 0.01], np.float32), "bz": np.zeros(4, np.int8),
            "c": np.array([1000, -2000, 300, 4], np.int32),
        }, transB=1, alpha=0.5),
        ["DequantizeLinear", "DequantizeLinear", "DequantizeLinear", "Gemm"],
    ),
    "softmax_before_opset_13": (
        single("QLinearSoftmax", "x as az s255 z128", [2, 3, 4], {"s255": np.float32(1 / 256), "z128": np.int8(-128)},
               axis=1, opset=11),
        ["DequantizeLinear", "Flatten", "QuantizeLinear", "Reshape", "Softmax"],
    ),
    "add_without_output_zero_point": (
        single("QLinearAdd", "x as az w bs bz ys", [1, 6], {"w": int8s(1, 6)}),
        ["Add", "DequantizeLinear", "DequantizeLinear", "QuantizeLinear"],
    ),
    "mul_by_itself": (
        single("QLinearMul", "x as az x as az ys yz", [1, 6], {}),
        ["DequantizeLinear", "DequantizeLinear", "Mul", "QuantizeLinear"],
    ),
    "average_pool": (
        single("QLinearAveragePool", "x as az ys yz", [1, 2, 5, 5], {}, kernel_shape=[3, 3], pads=[1, 1, 1, 1],
               count_include_pad=1, strides=[2, 2]),
        ["AveragePool", "DequantizeLinear", "QuantizeLinear"],
    ),
    "channels_last": (
        single("QLinearGlobalAveragePool", "x as az ys yz", [1, 5, 5, 2], {}, channels_last=1),
        ["DequantizeLinear", "GlobalAveragePool", "QuantizeLinear", "Transpose", "Transpose"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SINGLE)
def test_single_qoperators(tmp_path: Path, name: str) -> None:
    original, operators = SINGLE[name]
    path = write(tmp_path, original)
    model = load(path)
    simplify(model)
    assert sorted(n.op_type for n in model.graph) == operators
    x = {"x": int8s(*[d.dim_value for d in original.graph.input[0].type.tensor_type.shape.dim])}
    expected, result = run(path, x)["y"], run(model, x)["y"]
    assert result.dtype == expected.dtype
    assert len(np.unique(expected)) > 1
    if expected.dtype == np.float32:
        np.testing.assert_allclose(result, expected, rtol=1e-5)
    else:
        assert np.abs(result.astype(int) - expected.astype(int)).max() <= 1


def test_scales_computed_at_run_time_stay_computed(tmp_path: Path) -> None:
    model = single("QLinearAdd", "x s az w bs bz ys yz", [1, 6], {"w": int8s(1, 6)})
    model.graph.input.append(info("s", []))
    loaded = load(write(tmp_path, model))
    simplify(loaded)
    assert sorted(n.op_type for n in loaded.graph) == ["Add", "DequantizeLinear", "DequantizeLinear", "QuantizeLinear"]
    assert [v.name for v in loaded.graph.inputs] == ["x", "s"]


@pytest.mark.parametrize("op", ["ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"])
def test_integer_operators_stay(tmp_path: Path, op: str) -> None:
    nodes = [node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"])]
    if op == "DynamicQuantizeLinear":
        nodes.append(node("Identity", ["q"], ["y"]))
        output = info("y", None, UINT8)
    else:
        nodes.append(node(op, ["q", "w", "z"], ["y"]))
        output = info("y", None, onnx.TensorProto.INT32)
    shape, weight = ([1, 2, 4, 4], int8s(3, 2, 3, 3)) if op == "ConvInteger" else ([1, 6], int8s(6, 4))
    path = write(tmp_path, proto(nodes, [info("x", shape)], [output], {"w": weight}))
    model = load(path)
    simplify(model)
    assert {n.op_type for n in model.graph} == {"DynamicQuantizeLinear", op}
    x = {"x": floats(*shape)}
    np.testing.assert_array_equal(run(model, x)["y"], run(path, x)["y"])


def group_inputs(model: ir.Model, name: str) -> list[str]:
    """The values that go into the DequantizeLinear nodes, or come from outside, on the way to the value `name`."""
    producers = {output.name: n for n in model.graph for output in n.outputs}
    inputs: list[str] = []
    pending = [producers[name]]
    while pending:
        current = pending.pop()
        for value in current.inputs:
            if value is None or value.is_initializer():
                continue
            producer = value.producer()
            if current.op_type == "DequantizeLinear" or producer is None:
                inputs.append(str(value.name))
            else:
                pending.append(producer)
    return list(dict.fromkeys(inputs))


def run_alone(model: ir.Model, name: str, given: dict[str, np.ndarray]) -> np.ndarray:
    part = onnx.utils.Extractor(ir.serde.serialize_model(model)).extract_model(list(given), [name])
    return run(ir.serde.deserialize_model(part), given)[name]


def test_a_smooth_resize_of_bytes_is_dequantized(tmp_path: Path) -> None:
    nodes = [
        node("QuantizeLinear", ["x", "as", "az"], ["q"]),
        node("Resize", ["q", "", "sizes"], ["r"], mode="linear"),
        node("DequantizeLinear", ["r", "as", "az"], ["y"]),
    ]
    constants = {name: A[name] for name in ("as", "az")} | {"sizes": np.array([1, 1, 2.5, 2], np.float32)}
    path = write(tmp_path, proto(nodes, [info("x", [1, 2, 4, 6])], [info("y", None)], constants, opset=17))
    model = load(path)
    simplify(model)
    assert [n.op_type for n in model.graph][1:4] == ["DequantizeLinear", "Resize", "QuantizeLinear"]
    x = {"x": floats(1, 2, 4, 6) * 2}
    assert np.abs(run(path, x)["y"] - run(model, x)["y"]).max() <= 1.01 * A["as"]
