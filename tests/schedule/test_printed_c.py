"""The C of expressions."""

from __future__ import annotations

import onnx_ir as ir
from onnx import TensorProto, helper
from tinycast.pipeline import build, compile_model
from tinycast.target.load import load_target


def test_what_is_clipped_is_computed_once() -> None:
    graph = helper.make_graph(
        [helper.make_node("Sigmoid", ["x"], ["a"]), helper.make_node("Clip", ["a", "low", "high"], ["y"])],
        "clipped",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 20))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 20))],
        [helper.make_tensor(name, TensorProto.FLOAT, [], [v]) for name, v in {"low": 0.25, "high": 0.75}.items()],
    )
    model = ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))
    artifact = build(compile_model(model, load_target("host"), "clipped", "x"), "c")
    assert artifact.files["src/clipped_kernels.c"].decode().count("tc_sigmoid(") == 1
