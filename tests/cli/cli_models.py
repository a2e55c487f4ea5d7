"""Small models, whole and broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
FLOAT = TensorProto.FLOAT


def save_convolution(
    path: Path,
    *,
    shape: tuple[int | str, ...] = (1, 2, 6, 6),
    weight: np.ndarray | None = None,
    extra_nodes: tuple[onnx.NodeProto, ...] = (),
    output: str = "y",
) -> Path:
    """A Conv from `x` to `y`, and whatever nodes follow it."""
    if weight is None:
        weight = np.random.default_rng(0).standard_normal((3, 2, 3, 3)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], name="conv_1"), *extra_nodes]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", FLOAT, shape)],
        [helper.make_tensor_value_info(output, FLOAT, None)],
        [numpy_helper.from_array(weight, "w")],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def save_unsupported(path: Path) -> Path:
    """Two operators that nobody else knows, in a chain after a Conv."""
    nodes = (
        helper.make_node("Wavelet", ["y"], ["z"], name="wavelet_1", domain="com.example"),
        helper.make_node("Relu", ["z"], ["r"], name="relu_1"),
        helper.make_node("Chirp", ["r"], ["out"], name="chirp_1", domain="com.example"),
    )
    return save_convolution(path, extra_nodes=nodes, output="out")


def save_external(path: Path) -> Path:
    """A model whose weights lie in a file beside it."""
    save_convolution(path)
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path
