"""Small ONNX models for the tests of the model level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

FLOAT = onnx.TensorProto.FLOAT
Shape = Sequence[int | str | None]


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def floats(*shape: int) -> np.ndarray:
    return rng().standard_normal(shape).astype(np.float32)


def info(name: str, shape: Shape | None, dtype: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def proto(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto | str],
    constants: Mapping[str, np.ndarray] | None = None,
    opset: int = 21,
    microsoft: bool = False,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "graph",
        list(inputs),
        [info(output, None) if isinstance(output, str) else output for output in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid("com.microsoft", 1)] * microsoft
    return helper.make_model(graph, opset_imports=opsets, ir_version=8 if opset < 21 else 10)


def write(folder: Path, model: onnx.ModelProto, name: str = "model.onnx") -> Path:
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


def conv_net(opset: int) -> onnx.ModelProto:
    """A small classifier whose operators changed between opsets, written as `opset` has them."""
    node = helper.make_node
    constants = {
        "w": floats(4, 2, 3, 3), "b": floats(4), "gamma": floats(4), "beta": floats(4), "mean": floats(4),
        "var": np.abs(floats(4)) + 0.5, "v": floats(36, 5), "c": floats(5),
    }  # fmt: skip

    def attribute_or_input(
        op: str, source: str, output: str, values: Mapping[str, object], since: int
    ) -> onnx.NodeProto:
        if opset < since:
            return node(op, [source], [output], **values)
        dtype = np.float32 if op == "Clip" else np.int64
        for name, value in values.items():
            constants[f"{output}_{name}"] = np.array(value, dtype)
        return node(op, [source, *(f"{output}_{name}" for name in values)], [output])

    nodes = [
        node("Conv", ["x", "w", "b"], ["conv"], pads=[1, 1, 1, 1]),
        node(
            "BatchNormalization",
            ["conv", "gamma", "beta", "mean", "var"],
            ["norm"],
            **({"is_test": 1} if opset < 7 else {}),
        ),
        attribute_or_input("Clip", "norm", "act", {"min": 0.0, "max": 6.0}, 11),
        node("MaxPool", ["act"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Dropout", ["pool"], ["drop"], **({"is_test": 1} if opset < 7 else {})),
        attribute_or_input("Unsqueeze", "drop", "wide", {"axes": [0]}, 13),
        attribute_or_input("Squeeze", "wide", "narrow", {"axes": [0]}, 13),
        attribute_or_input("Pad", "narrow", "padded", {"pads": [0, 0, 0, 0, 0, 0, 0, 0]}, 11),
        node("Flatten", ["padded"], ["flat"]),
        node("Gemm", ["flat", "v", "c"], ["logits"], **({"broadcast": 1} if opset < 7 else {})),
        node("Softmax", ["logits"], ["y"], axis=1),
    ]
    return proto(nodes, [info("x", ["N", 2, 6, 6])], [info("y", ["N", 5])], constants, opset)
