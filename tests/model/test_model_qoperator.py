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
