"""Small float models, written as ONNX text, and what the quantization tests measure on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.parser
import onnx_ir as ir
from tinycast.model import Session
from tinycast.model.names import name_nodes
from tinycast.model.shapes import infer_shapes

Array = npt.NDArray[Any]


def model_of(signature: str, nodes: str, seed: int = 0, **weights: tuple[int, ...] | Array) -> ir.Model:
    """A model from text: `signature` as in "float[1,3,8,8] x => float[1,4] y"; weights are shapes or arrays."""
    random = np.random.default_rng(seed)
    given, result = (side.strip() for side in signature.split("=>"))
    text = f'<ir_version: 10, opset_import: ["" : 21]> g ({given}) => ({result}) {{ {nodes} }}'
    proto = onnx.parser.parse_model(text)
    for name, weight in weights.items():
        if isinstance(weight, tuple):
            fan_in = max(1.0, float(np.prod(weight[1:])))
            weight = (random.standard_normal(weight) / np.sqrt(fan_in)).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, name))
    model = ir.from_proto(proto)
    name_nodes(model)
    infer_shapes(model)
    return model


def samples_of(model: ir.Model, count: int = 40, seed: int = 1) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    shapes = {value.name: value.shape.numpy() for value in model.graph.inputs}
    return {name: random.standard_normal((count, *shape[1:])).astype(np.float32) for name, shape in shapes.items()}


def convolutional() -> ir.Model:
    """Conv + Relu, depthwise + Clip, residual Add + Relu, MaxPool, pooling, Gemm, Softmax."""
    return model_of(
        "float[1,3,12,12] x => float[1,5] y",
        """
        a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w1, b1)
        a_relu = Relu (a)
        d = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], group = 8> (a_relu, w2, b2)
        d_clip = Clip (d, zero, six)
        p = Conv <kernel_shape = [1, 1]> (d_clip, w3)
        s = Add (p, a_relu)
        s_relu = Relu (s)
        m = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (s_relu)
        g = GlobalAveragePool (m)
        f = Flatten (g)
        z = Gemm <transB = 1> (f, w4, b4)
        y = Softmax (z)
        """,
        w1=(8, 3, 3, 3),
        b1=(8,),
        w2=(8, 1, 3, 3),
        b2=(8,),
        w3=(8, 8, 1, 1),
        w4=(5, 8),
        b4=(5,),
        zero=np.asarray(0, np.float32),
        six=np.asarray(6, np.float32),
    )


def outputs(model: ir.Model, samples: dict[str, Array], *names: str) -> list[Array]:
    """Outputs over all samples with every ONNX Runtime optimization off."""
    return list(Session(model, list(names) or None).run_samples(samples).values())


def sqnr_db(expected: Array, actual: Array) -> float:
    expected, actual = expected.astype(np.float64), actual.astype(np.float64)
    noise = float(((expected - actual) ** 2).sum())
    return float("inf") if noise == 0 else float(10 * np.log10((expected**2).sum() / noise))


def constant(model: ir.Model, value: ir.Value | None) -> Array:
    assert value is not None
    assert value.const_value is not None
    return value.const_value.numpy()


def node_named(model: ir.Model, name: str) -> ir.Node:
    return next(node for node in model.graph if node.name == name)


def producers(model: ir.Model, op_type: str) -> list[ir.Node]:
    return [node for node in model.graph if node.op_type == op_type]
