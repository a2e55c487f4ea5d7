# ruff: noqa: E501 - a table: one row a line
"""Small float nets whose every operator has an integer form, and the ways to quantize them."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
from host_batch import Array, Row, loaded
from matrix import IMAGE, ints, scalar
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from tinycast.compress.quantize import ActivationType, QuantizeOptions, quantize

NETS = (
    Row("residual_net", "float[1,3,8,8] x", """
        a = Conv<pads=[1,1,1,1]>(x, w1, b1) r = Relu(a) c = Conv<pads=[1,1,1,1]>(r, w2, b2) s = Add(c, r) t = Relu(s)
        p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(t) g = GlobalAveragePool(p) f = Flatten(g)
        z = Gemm<transB=1>(f, w3, b3) y = Softmax(z)""",
        {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 8, 3, 3), "b2": (8,), "w3": (5, 8), "b3": (5,)}),
    Row("mobile_net", "float[1,3,9,7] x", """
        a = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w1, b1) c = Clip(a, zero, six) d = Conv<group=6, pads=[0,1,2,1]>(c, w2, b2)
        e = Clip(d, zero, six) h = Conv(e, w3, b3) i = Conv(h, w4) j = LeakyRelu<alpha=0.1>(i)
        k = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(j) f = Flatten(k) y = Gemm(f, w5)""",
        {"w1": (6, 3, 3, 3), "b1": (6,), "w2": (6, 1, 3, 3), "b2": (6,), "w3": (7, 6, 1, 1), "b3": (7,), "w4": (5, 7, 1, 1),
         "w5": (100, 3), "zero": scalar(0), "six": scalar(0.75)}),
    Row("branches", "float[1,4,6,6] x", """
        a = Conv(x, w1) r = Relu(a) b = Conv<pads=[1,1,1,1]>(x, w2, b2) s = Sigmoid(b) m = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x)
        c = Concat<axis=1>(r, s, m) d = Conv<group=4, dilations=[2,2]>(c, w3) y = Tanh(d)""",
        {"w1": (3, 4, 1, 1), "w2": (5, 4, 3, 3), "b2": (5,), "w3": (8, 3, 2, 2)}),
    Row("attention", "float[1,6,5,5] x", """
        a = Conv(x, w1) g = GlobalAveragePool(a) h = Conv(g, w2, b2) i = Relu(h) j = Conv(i, w3, b3) k = Sigmoid(j)
        m = Mul(a, k) n = Sub(m, x) o = Pad(n, p) y = ReduceMean<keepdims=0>(o, q)""",
        {"w1": (6, 6, 1, 1), "w2": (2, 6, 1, 1), "b2": (2,), "w3": (6, 2, 1, 1), "b3": (6,), "p": ints(0, 0, 1, 0, 0, 0, 0, 2),
         "q": ints(2, 3)}),
    Row("mlp_net", "float[1,13] x", """
        a = MatMul(x, w1) b = Add(a, b1) c = Relu(b) d = Gemm<transB=1>(c, w2, b2) e = Elu(d) f = MatMul(e, w3) y = Softmax(f)""",
        {"w1": (13, 11), "b1": (11,), "w2": (7, 11), "b2": (7,), "w3": (7, 40)}),
    Row("audio_net", "float[1,2,40] x", """
        a = Conv<strides=[2], pads=[2,2]>(x, w1, b1) r = Relu(a) c = Conv<group=4>(r, w2) d = HardSwish(c)
        m = MaxPool<kernel_shape=[2], strides=[2]>(d) t = Transpose<perm=[0,2,1]>(m) e = MatMul(t, w3)
        s = Slice(e, s0, s1, s2) f = Reshape(s, n) y = Gemm(f, w4, b4)""",
        {"w1": (4, 2, 5), "b1": (4,), "w2": (4, 1, 3), "w3": (4, 6), "s0": ints(1), "s1": ints(5), "s2": ints(1), "n": ints(1, -1),
         "w4": (24, 3), "b4": (3,)}),
    Row("wide_net", IMAGE, """
        a = Conv<pads=[1,1,1,1]>(x, w1, b1) r = Relu(a) c = Conv<pads=[1,1,1,1], auto_pad="NOTSET">(r, w2) d = HardSigmoid(c)
        e = Mul(c, d) p = AveragePool<kernel_shape=[2,2], strides=[2,2]>(e) f = Reshape(p, n) g = Gemm(f, w3, b3) y = Softmax(g)""",
        {"w1": (24, 3, 3, 3), "b1": (24,), "w2": (16, 24, 3, 3), "n": ints(1, 256), "w3": (256, 10), "b3": (10,)}),
    Row("generator_net", "float[1,6,3,4] x", """
        i = Conv(x, w0) j = Relu(i) k = Conv(j, w0) l = Conv(k, w0) n1 = Conv(l, w0) m = Conv(n1, w0)
        a = ConvTranspose<strides=[2,1], pads=[1,0,0,1]>(m, w1, b1) r = Relu(a) b = ConvTranspose<pads=[1,1,1,1]>(r, w2)
        s = Reshape(b, n) c = ConvTranspose<strides=[3], dilations=[2]>(s, w3) y = Tanh(c)""",
        {"w0": (6, 6, 1, 1), "w1": (6, 5, 3, 3), "b1": (5,), "w2": (5, 4, 3, 3), "n": ints(1, 4, -1), "w3": (4, 3, 4)}),
    Row("encoder_net", "float[1,6,16] x", """
        a = LayerNormalization(x, s1, c1) q = MatMul(a, w1) k = MatMul(a, w2) v = MatMul(a, w3) t = Transpose<perm=[0,2,1]>(k)
        e = MatMul(q, t) f = Mul(e, d) p = Softmax(f) o = MatMul(p, v) r = Add(o, x) b = LayerNormalization(r, s2, c2)
        g = MatMul(b, w4) h = Gelu(g) i = MatMul(h, w5) y = Add(i, r)""",
        {"s1": (16,), "c1": (16,), "s2": (16,), "c2": (16,), "w1": (16, 16), "w2": (16, 16), "w3": (16, 16), "d": scalar(0.25),
         "w4": (16, 24), "w5": (24, 16)}),
)  # fmt: skip

# Operators that have no integer form, or that the tools leave in float, between others.
MIXED = (
    Row("mixed_net", "float[1,3,8,8] x", """
        a = Conv<pads=[1,1,1,1]>(x, w1, b1) b = Softplus(a) c = Conv<group=4>(b, w2) d = Tanh(c) e = Add(d, k)
        f = Flatten(e) h = LogSoftmax<axis=1>(f) y = Gemm(h, w3, b3)""",
        {"w1": (4, 3, 3, 3), "b1": (4,), "w2": (4, 1, 3, 3), "k": (1, 4, 1, 1), "w3": (144, 3), "b3": (3,)}),
    Row("mixed_audio_net", "float[1,3,20] x", """
        a = Conv<pads=[1,1]>(x, w1) b = Exp(a) c = Add(b, a) d = Conv(c, w2) e = LogSoftmax<axis=1>(d) y = Flatten(e)""",
        {"w1": (4, 3, 3), "w2": (5, 4, 2)}),
)  # fmt: skip

SAMPLES = 6


class _Samples(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, samples: dict[str, Array]) -> None:
        self._samples: Iterator[dict[str, Array]] = iter(
            [{k: v[i] for k, v in samples.items()} for i in range(len(next(iter(samples.values()))))]
        )

    def get_next(self) -> dict[str, Array] | None:
        return next(self._samples, None)


def with_onnx_runtime(row: Row, **options: Any) -> onnx_ir.Model:
    """Quantized by ONNX Runtime's static quantization, as the compiler takes it."""
    proto = row.proto()
    logging.disable(logging.WARNING)  # it advises preprocessing
    try:
        with tempfile.TemporaryDirectory() as folder:
            source, result = Path(folder) / "float.onnx", Path(folder) / "quantized.onnx"
            source.write_bytes(proto.SerializeToString())
            quantize_static(source, result, _Samples(row.samples(proto, SAMPLES)), **options)
            return loaded(onnx.load(result))
    finally:
        logging.disable(logging.NOTSET)


def with_tinycast(row: Row, activations: ActivationType) -> onnx_ir.Model:
    proto = row.proto()
    samples = {k: v.reshape(-1, *v.shape[2:]) for k, v in row.samples(proto, SAMPLES).items()}
    return quantize(loaded(proto), samples, QuantizeOptions(activations=activations))


def with_channel_scales(row: Row) -> onnx_ir.Model:
    """As NNCF quantizes: what only depthwise convolutions read has one scale a channel (axis 1)."""
    model = with_tinycast(row, ActivationType.INT8)
    random = np.random.default_rng(8)
    for quantize_node in model.graph:
        if quantize_node.op_type != "QuantizeLinear":
            continue
        (dequantize_node,) = (use.node for use in quantize_node.outputs[0].uses())
        readers = [use.node for use in dequantize_node.outputs[0].uses()]
        if not readers or not all(n.op_type == "Conv" and n.inputs[1].shape[1] == 1 for n in readers):
            continue
        scale = quantize_node.inputs[1].const_value.numpy()
        channels = readers[0].inputs[1].shape[0]
        tensor = onnx_ir.tensor((scale * random.uniform(0.5, 1, channels)).astype(np.float32))
        zero = onnx_ir.tensor(np.repeat(quantize_node.inputs[2].const_value.numpy(), channels))
        for node in (quantize_node, dequantize_node):
            for i, new in ((1, tensor), (2, zero)):
                name = f"{node.name}.{i}"
                node.replace_input_with(i, onnx_ir.Value(name=name, const_value=new, shape=new.shape))
                model.graph.register_initializer(node.inputs[i])
    return model


def _onnx_runtime(
    quant_format: QuantFormat, activations: str, weights: str, **more: Any
) -> Callable[[Row], onnx_ir.Model]:
    types = {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8}
    return lambda row: with_onnx_runtime(
        row, quant_format=quant_format, activation_type=types[activations], weight_type=types[weights], **more
    )


METHODS: dict[str, Callable[[Row], onnx_ir.Model]] = {
    "qdq_int8": _onnx_runtime(QuantFormat.QDQ, "int8", "int8"),
    "qdq_int8_channels": _onnx_runtime(QuantFormat.QDQ, "int8", "int8", per_channel=True),
    "qdq_int8_symmetric": _onnx_runtime(QuantFormat.QDQ, "int8", "int8", per_channel=True, extra_options={"ActivationSymmetric": True}),
    "qdq_uint8_asymmetric_weights": _onnx_runtime(QuantFormat.QDQ, "uint8", "uint8", extra_options={"WeightSymmetric": False}),
    "qdq_uint8_int8_channels": _onnx_runtime(QuantFormat.QDQ, "uint8", "int8", per_channel=True),
    "qdq_int8_asymmetric_weights": _onnx_runtime(QuantFormat.QDQ, "int8", "int8", extra_options={"WeightSymmetric": False}),
    "qoperator_uint8": _onnx_runtime(QuantFormat.QOperator, "uint8", "uint8"),
    "qoperator_uint8_channels": _onnx_runtime(QuantFormat.QOperator, "uint8", "int8", per_channel=True),
    "qoperator_int8": _onnx_runtime(QuantFormat.QOperator, "int8", "int8"),
    "tinycast_int8": lambda row: with_tinycast(row, ActivationType.INT8),
    "channel_scales": with_channel_scales,
    "tinycast_uint8": lambda row: with_tinycast(row, ActivationType.UINT8),
}  # fmt: skip
