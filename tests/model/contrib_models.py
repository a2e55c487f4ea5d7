"""Models with operators of ONNX Runtime's own, run by ONNX Runtime, simplified, and compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from model_builders import info, proto
from onnx import helper
from tinycast.execute.select import driver_for
from tinycast.model import load, simplify
from tinycast.pipeline import CompileOptions, compile_file
from tinycast.target.load import load_target

node = helper.make_node
Arrays = dict[str, np.ndarray]


def microsoft(kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> onnx.NodeProto:
    return node(kind, inputs, outputs, domain="com.microsoft", **attributes)


def model_of(
    nodes: list[onnx.NodeProto], shapes: dict[str, list[int]], outputs: list[str], constants: Arrays, opset: int = 21
) -> onnx.ModelProto:
    values = [info(name, shape) for name, shape in shapes.items()]
    model = proto(nodes, values, [info(name, None) for name in outputs], constants, opset=opset)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


def inputs_of(shapes: dict[str, list[int]]) -> Arrays:
    random = np.random.default_rng(6)
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def reference(path: Path, inputs: Arrays) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))


def simplified(path: Path) -> ir.Model:
    model = load(path)
    simplify(model)
    assert {n.domain for n in model.graph} <= {"", "ai.onnx"}, [n.op_type for n in model.graph]
    return model


def assert_near(got: np.ndarray, wanted: np.ndarray, tolerance: float) -> None:
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= tolerance * np.abs(wanted).max()


def compiled(path: Path, inputs: Arrays) -> Arrays:
    artifact = compile_file(path, "host", CompileOptions(float_io=True))
    given = {n: a if a.shape[0] == 1 else a[None] for n, a in inputs.items()}
    return dict(driver_for(load_target("host")).run(artifact.files, artifact.manifest, given).outputs)
