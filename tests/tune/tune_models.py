"""Small quantized models that take seconds to tune."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper
from tinycast.compress.quantize import QuantizeOptions, quantize
from tinycast.model import save, simplify
from tinycast.program.lower import to_integers
from tinycast.program.steps import to_layers
from tinycast.schedule.tuning import Tuning
from tinycast.target.load import load_target
from tinycast.tune.measure import KernelTask

CORE = "cortex-m0plus"


def product_net(outputs: int = 6) -> ir.Model:
    """One fully connected layer of eight inputs."""
    random = np.random.default_rng(2)
    weight = random.normal(0, 1, (outputs, 8)).astype(np.float32)
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    return _quantized([node], {"w": weight}, (1, 8), seed=outputs)


def image_net() -> ir.Model:
    """A depthwise layer with a border, a 1x1 convolution, a pool and a fully connected layer."""
    random = np.random.default_rng(1)
    weights = {
        "w0": random.normal(0, 1, (4, 1, 3, 3)),
        "w1": random.normal(0, 1, (6, 4, 1, 1)),
        "w2": random.normal(0, 1, (3, 6)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], group=4, pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w1"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "w2"], ["y"], transB=1),
    ]
    return _quantized(nodes, {name: w.astype(np.float32) for name, w in weights.items()}, (1, 4, 6, 4), seed=1)


def _quantized(nodes: list[object], weights: dict[str, np.ndarray], shape: tuple[int, ...], *, seed: int) -> ir.Model:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    constants = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "net", inputs, outputs, constants)
    model = ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    simplify(model)
    samples = np.random.default_rng(seed).normal(0, 1, (8, *shape[1:])).astype(np.float32)
    return quantize(model, {"x": samples}, QuantizeOptions(reconstruct=False))


def saved(model: ir.Model, folder: Path, name: str) -> Path:
    path = folder / f"{name}.onnx"
    save(model, path)
    return path


def tasks_of(model: ir.Model, core: str = CORE) -> list[KernelTask]:
    """The kernels of a model's layers as a whole."""
    model = model.clone()
    simplify(model)
    target, tuning = load_target(core), Tuning()
    to_layers(to_integers(model, "net"), target, tuning)
    return [
        KernelTask(key, asked.calls, None if asked.anchor is None else asked.calls.index(asked.anchor), target)
        for key, asked in tuning.asked.items()
    ]
