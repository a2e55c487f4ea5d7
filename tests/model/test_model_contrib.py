"""Operators of ONNX Runtime's own, written by its optimizer and quantizer or by hand, become standard ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from contrib_models import Arrays, assert_near, compiled, inputs_of, microsoft, model_of, reference, simplified
from model_builders import floats, info, proto, write
from onnx import helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from tinycast.model import load, run, simplify
from tinycast.pipeline import CompileOptions, compile_file

node = helper.make_node
X = {"x": [2, 3, 8]}
GAMMA, BETA, BIAS = floats(8), floats(8), floats(8)
ACTIVATIONS: dict[str, dict[str, list[float]]] = {
    "Relu": {},
    "Sigmoid": {},
    "LeakyRelu": {"activation_params": [0.2]},
    "Clip": {"activation_params": [-0.5, 0.75]},
    "HardSigmoid": {"activation_params": [0.3, 0.4]},
}
KERNEL, ADDEND = floats(5, 3, 3, 3), floats(1, 5, 8, 8)
FUSED: dict[str, tuple[list[onnx.NodeProto], dict[str, list[int]], list[str], Arrays]] = {
    "gelu": ([microsoft("Gelu", ["x"], ["y"])], X, ["y"], {}),
    "quick_gelu": ([microsoft("QuickGelu", ["x"], ["y"], alpha=1.5)], X, ["y"], {}),
    "bias_gelu": ([microsoft("BiasGelu", ["x", "b"], ["y"])], X, ["y"], {"b": BIAS}),
    "fast_gelu": ([microsoft("FastGelu", ["x", "b"], ["y"])], X, ["y"], {"b": BIAS}),
    "fast_gelu_no_bias": ([microsoft("FastGelu", ["x"], ["y"])], X, ["y"], {}),
    "skip_layer_norm": (
        [microsoft("SkipLayerNormalization", ["x", "s", "g", "b", "c"], ["y", "", "", "sum"], epsilon=1e-3)],
        X | {"s": [2, 3, 8]}, ["y", "sum"], {"g": GAMMA, "b": BETA, "c": BIAS},
    ),
    "skip_layer_norm_plain": (
        [microsoft("SkipLayerNormalization", ["x", "s", "g"], ["y"])], X | {"s": [2, 3, 8]}, ["y"], {"g": GAMMA}
    ),
    "skip_rms_norm": (
        [microsoft("SkipSimplifiedLayerNormalization", ["x", "s", "g"], ["y"], epsilon=1e-3)],
        X | {"s": [2, 3, 8]}, ["y"], {"g": GAMMA},
    ),
    "matmul": (
        [microsoft("FusedMatMul", ["x", "z"], ["y"], transA=1, alpha=0.5)], X | {"z": [2, 3, 5]}, ["y"], {}
    ),
    "matmul_of_unknown_rank": (
        [microsoft("Gelu", ["x"], ["h"]), microsoft("FusedMatMul", ["h", "x"], ["y"], transB=1)], X, ["y"], {}
    ),
    **{
        f"gemm_{kind.lower()}": (
            [microsoft("FusedGemm", ["x", "w", "b"], ["y"], transB=1, alpha=0.5, beta=2.0, activation=kind, **more)],
            {"x": [3, 8]}, ["y"], {"w": floats(4, 8), "b": floats(4)},
        )
        for kind, more in (("Relu", {}), ("Tanh", {}), ("LeakyRelu", {"activation_alpha": 0.2}))
    },
    **{
        f"conv_{kind.lower()}": (
            [microsoft("FusedConv", ["x", "w", "b"], ["y"], pads=[1] * 4, activation=kind, **more)],
            {"x": [1, 3, 8, 8]}, ["y"], {"w": KERNEL, "b": floats(5)},
        )
        for kind, more in ACTIVATIONS.items()
    },
    "conv_sum": (
        [microsoft("FusedConv", ["x", "w", "b", "z"], ["y"], pads=[1] * 4, activation="Relu")],
        {"x": [1, 3, 8, 8]}, ["y"], {"w": KERNEL, "b": floats(5), "z": ADDEND},
    ),
}  # fmt: skip


@pytest.mark.parametrize("opset", [17, 21])
@pytest.mark.parametrize("name", FUSED)
def test_fused_operators(name: str, opset: int, tmp_path: Path) -> None:
    nodes, shapes, outputs, constants = FUSED[name]
    path = write(tmp_path, model_of(nodes, shapes, outputs, constants, opset))
    inputs = inputs_of(shapes)
    got = run(simplified(path), inputs)
    for output, wanted in zip(outputs, reference(path, inputs), strict=True):
        assert_near(got[output], wanted, 1e-5)


def test_what_onnx_runtimes_optimizer_makes_of_a_transformer(tmp_path: Path) -> None:
    """An encoder layer after ORT_ENABLE_EXTENDED: Gelu and skip normalization."""
    half, root = np.float32(0.5), np.float32(np.sqrt(2))
    constants = {
        "w1": floats(8, 16) / 3, "b1": floats(16), "w2": floats(16, 8) / 4, "b2": floats(8),
        "g": floats(8), "b": floats(8),
        "half": np.asarray(half), "root": np.asarray(root), "one": np.asarray(1, np.float32),
    }  # fmt: skip
    nodes = [
        node("MatMul", ["x", "w1"], ["m1"]),
        node("Add", ["m1", "b1"], ["a1"]),
        node("Div", ["a1", "root"], ["d"]),
        node("Erf", ["d"], ["e"]),
        node("Add", ["e", "one"], ["e1"]),
        node("Mul", ["a1", "e1"], ["p"]),
        node("Mul", ["p", "half"], ["h"]),
        node("MatMul", ["h", "w2"], ["m2"]),
        node("Add", ["m2", "b2"], ["a2"]),
        node("Add", ["a2", "x"], ["s"]),
        node("LayerNormalization", ["s", "g", "b"], ["y"]),
    ]
    source = write(tmp_path, proto(nodes, [info("x", [1, 5, 8])], [info("y", None)], constants, opset=17))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    written = {n.op_type for n in onnx.load(tmp_path / "optimized.onnx").graph.node if n.domain == "com.microsoft"}
    assert "SkipLayerNormalization" in written
    assert written & {"BiasGelu", "Gelu"}
    inputs = inputs_of({"x": [1, 5, 8]})
    simplified(tmp_path / "optimized.onnx")
    (wanted,) = reference(source, inputs)
    assert_near(compiled(tmp_path / "optimized.onnx", inputs)["y"], wanted, 1e-5)


def test_dynamically_quantized_products(tmp_path: Path) -> None:
    """DynamicQuantizeMatMul and MatMulIntegerToFloat, as the optimizer makes them of quantize_dynamic's output."""
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["h"]), node("MatMul", ["h", "v"], ["y"])]
    constants = {"w": floats(8, 6), "b": floats(6), "v": floats(6, 4)}
    source = write(tmp_path, proto(nodes, [info("x", [3, 8])], [info("y", None)], constants, opset=17))
    quantize_dynamic(source, tmp_path / "q.onnx", per_channel=True, weight_type=QuantType.QInt8)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(tmp_path / "q.onnx", options, providers=["CPUExecutionProvider"])
    written = {n.op_type for n in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert written & {"DynamicQuantizeMatMul", "MatMulIntegerToFloat"}
    inputs = inputs_of({"x": [3, 8]})
    (wanted,) = reference(tmp_path / "q.onnx", inputs)
    assert_near(run(simplified(tmp_path / "optimized.onnx"), inputs)["y"], wanted, 1e-5)
    assert_near(compiled(tmp_path / "optimized.onnx", inputs)["y"].reshape(wanted.shape), wanted, 1e-4)


def test_integer_product_to_float(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    constants = {
        "w": random.integers(-128, 128, (8, 5)).astype(np.int8), "bs": random.uniform(0.01, 0.02, 5).astype(np.float32),
        "bz": random.integers(-5, 5, 5).astype(np.int8), "as": np.asarray([0.03], np.float32),
        "az": np.asarray([120], np.uint8), "b": floats(5),
    }  # fmt: skip
    product = microsoft("MatMulIntegerToFloat", ["x", "w", "as", "bs", "az", "bz", "b"], ["y"])
    values = [helper.make_tensor_value_info("x", onnx.TensorProto.UINT8, [3, 8])]
    model = proto([product], values, [info("y", None)], constants)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    path = write(tmp_path, model)
    inputs = {"x": random.integers(0, 256, (3, 8)).astype(np.uint8)}
    (wanted,) = reference(path, inputs)
    assert_near(run(simplified(path), inputs)["y"], wanted, 1e-5)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("weights", [QuantType.QInt8, QuantType.QUInt8])
@pytest.mark.parametrize("per_channel", [False, True])
def test_dynamically_quantized_lstm(direction: str, weights: QuantType, per_channel: bool, tmp_path: Path) -> None:
    """Inputs and states are rounded to 8 bits on the way, as ONNX Runtime does; the weights stay int8."""
    count = 1 + (direction == "bidirectional")
    random = np.random.default_rng(3)
    constants = {
        "w": random.normal(0, 0.4, (count, 24, 5)).astype(np.float32),
        "r": random.normal(0.1, 0.4, (count, 24, 6)).astype(np.float32),
        "b": random.normal(0, 0.4, (count, 48)).astype(np.float32),
    }
    lstm = node("LSTM", ["x", "w", "r", "b"], ["y", "h", "c"], hidden_size=6, direction=direction)
    outputs = [info(n, None) for n in "yhc"]
    source = write(tmp_path, proto([lstm], [info("x", [7, 1, 5])], outputs, constants, opset=17))
    quantize_dynamic(source, tmp_path / "q.onnx", weight_type=weights, per_channel=per_channel)
    assert [n.op_type for n in onnx.load(tmp_path / "q.onnx").graph.node] == ["DynamicQuantizeLSTM"]
    inputs = inputs_of({"x": [7, 1, 5]})
    artifact = compile_file(tmp_path / "q.onnx", "host", CompileOptions(float_io=True))
    integers = count * 24 * (6 + 6)  # odd columns are filled up
    assert artifact.manifest["weights_bytes"] <= integers + 4 * count * (48 + 4 * 24)
    got = compiled(tmp_path / "q.onnx", {"x": inputs["x"][None]})
    for name, wanted, exact in zip(
        "yhc", reference(tmp_path / "q.onnx", inputs), reference(source, inputs), strict=True
    ):
        difference = np.abs(got[name].reshape(wanted.shape) - wanted).max()
        assert difference <= 1e-5 * np.abs(wanted).max()
        assert difference < 0.1 * np.abs(wanted - exact).max()


class Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, samples: list[Arrays]) -> None:
        self.samples = iter(samples)

    def get_next(self) -> Arrays | None:
        return next(self.samples, None)


def test_quantized_mean_and_choice(tmp_path: Path) -> None:
    """QLinearWhere, and QLinearReduceMean, which ONNX Runtime has a schema but no kernel for."""
    scale, zero = np.asarray(0.05, np.float32), np.asarray(3, np.int8)
    other, point = np.asarray(0.02, np.float32), np.asarray(-7, np.int8)
    constants = {"s": scale, "z": zero, "t": other, "u": point}
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("QuantizeLinear", ["v", "t", "u"], ["p"]),
        node("Greater", ["x", "v"], ["c"]),
        microsoft("QLinearWhere", ["c", "q", "s", "z", "p", "t", "u", "s", "u"], ["w"]),
        microsoft("QLinearReduceMean", ["w", "s", "u", "t", "z"], ["m"], axes=[2], keepdims=1),
        node("DequantizeLinear", ["m", "t", "z"], ["y"]),
        node("DequantizeLinear", ["w", "s", "u"], ["r"]),
    ]
    shapes = {"x": [1, 3, 8], "v": [1, 3, 8]}
    path = write(tmp_path, model_of(nodes, shapes, ["y", "r"], constants, opset=17))
    chosen = model_of([*nodes[:4], nodes[-1]], shapes, ["r"], constants, opset=17)
    inputs = inputs_of(shapes)
    (choice,) = reference(write(tmp_path, chosen, "chosen.onnx"), inputs)
    wanted = choice.mean(2, keepdims=True)
    model = simplified(path)
    assert_near(run(model, inputs)["r"], choice, 1e-6)
    assert {"Where", "ReduceMean"} <= {n.op_type for n in model.graph}
    assert np.abs(run(model, inputs)["y"] - wanted).max() <= 1.01 * other
    assert np.abs(compiled(path, inputs)["y"].reshape(wanted.shape) - wanted).max() <= 1.01 * other


def small_net() -> onnx.ModelProto:
    constants = {"w": floats(4, 3, 3, 3) / 4, "b": floats(4), "g": floats(5, 4), "gb": floats(5)}
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], pads=[1] * 4),
        node("Sigmoid", ["c"], ["s"]),
        node("Mul", ["c", "s"], ["m"]),
        node("Add", ["m", "c"], ["a"]),
        node("LeakyRelu", ["a"], ["l"], alpha=0.1),
        node("Concat", ["l", "m"], ["k"], axis=2),
        node("AveragePool", ["k"], ["v"], kernel_shape=[2, 2], strides=[2, 2]),
        node("MaxPool", ["v"], ["t"], kernel_shape=[2, 2]),
        node("GlobalAveragePool", ["t"], ["p"]),
        node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "g", "gb"], ["y"], transB=1),
    ]
    return proto(nodes, [info("x", [1, 3, 8, 8])], [info("y", None)], constants, opset=17)


@pytest.mark.parametrize("level", ["ORT_DISABLE_ALL", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"])
def test_static_quantization_with_qoperators_and_its_optimizer(level: str, tmp_path: Path) -> None:
    """quantize_static's QOperator form, then the optimizer on it (with all: channels last), compiled."""
    source = write(tmp_path, small_net())
    samples = [inputs_of({"x": [1, 3, 8, 8]}) for _ in range(3)]
    quantize_static(source, tmp_path / "q.onnx", Reader(samples), quant_format=QuantFormat.QOperator)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(tmp_path / "q.onnx", options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(tmp_path / "optimized.onnx").graph.node
    assert {
        "QLinearConv",
        "QLinearAdd",
        "QLinearMul",
        "QLinearSigmoid",
        "QLinearLeakyRelu",
        "QLinearConcat",
        "QGemm",
    } <= {n.op_type for n in nodes}
    assert any(a.name == "channels_last" and a.i for n in nodes for a in n.attribute) == (level == "ORT_ENABLE_ALL")
    (exact,) = reference(source, samples[0])
    (wanted,) = reference(tmp_path / "q.onnx", samples[0])
    got = compiled(tmp_path / "optimized.onnx", samples[0])["y"].reshape(wanted.shape)
    assert np.abs(got - wanted).max() < 0.05 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("activations", "weights"),
    [
        (QuantType.QInt8, QuantType.QInt4),
        (QuantType.QInt16, QuantType.QInt8),
        (QuantType.QUInt16, QuantType.QInt8),
        (QuantType.QUInt16, QuantType.QUInt8),
    ],
)
def test_static_quantization_with_operators_of_its_own_domain(
    activations: QuantType, weights: QuantType, tmp_path: Path
) -> None:
    """QuantizeLinear and DequantizeLinear of com.microsoft, which had these types before ONNX."""
    source = write(tmp_path, small_net())
    samples = [inputs_of({"x": [1, 3, 8, 8]}) for _ in range(3)]
    options = {"UseQDQContribOps": True, "ActivationSymmetric": activations == QuantType.QInt16}
    quantize_static(
        source, tmp_path / "q.onnx", Reader(samples), quant_format=QuantFormat.QDQ, activation_type=activations,
        weight_type=weights, extra_options=options,
    )  # fmt: skip
    assert {n.domain for n in onnx.load(tmp_path / "q.onnx").graph.node if "Quant" in n.op_type} == {"com.microsoft"}
    simplified(tmp_path / "q.onnx")
    (wanted,) = reference(tmp_path / "q.onnx", samples[0])
    got = compiled(tmp_path / "q.onnx", samples[0])["y"].reshape(wanted.shape)
    assert np.abs(got - wanted).max() < 0.03 * np.abs(wanted).max()


def test_what_has_no_counterpart_stays(tmp_path: Path) -> None:
    nodes = [microsoft("FusedMatMul", ["x", "x"], ["y"], transBatchA=1, transBatchB=1)]
    model = load(write(tmp_path, model_of(nodes, {"x": [3, 3, 3]}, ["y"], {})))
    simplify(model)
    assert [n.domain for n in model.graph] == ["com.microsoft"]
