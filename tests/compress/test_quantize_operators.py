"""Each operator quantizes to a model that checks, runs without optimizations, and stays close to float."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from quantize_models import Array, constant, model_of, outputs, producers, samples_of, sqnr_db
from tinycast.compress.quantize import ActivationType, QuantizeOptions, quantize

IMAGE = "float[1,4,8,8] x"


def scalar(value: float) -> Array:
    return np.asarray(value, np.float32)


def integers(*values: int) -> Array:
    return np.asarray(values, np.int64)


UNARY = {
    "LeakyRelu": "<alpha = 0.1>",
    "HardSigmoid": "<alpha = 0.1666>",
    "Elu": "<alpha = 0.9>",
    **dict.fromkeys(("Relu", "Sigmoid", "Tanh", "HardSwish", "Gelu", "Selu", "Softplus", "Mish", "Abs", "Neg"), ""),
}

# name: signature, nodes, weights, least SQNR in dB
CASES: dict[str, tuple[str, str, dict[str, tuple[int, ...] | Array], float]] = {
    "conv 1-D": (
        "float[1,4,32] x => float[1,6,16] y",
        "y = Conv <kernel_shape = [3], pads = [1, 1], strides = [2]> (x, w, b)",
        {"w": (6, 4, 3), "b": (6,)},
        32,
    ),
    "conv grouped, dilated": (
        f"{IMAGE} => float[1,6,8,8] y",
        "y = Conv <kernel_shape = [3, 3], pads = [2, 2, 2, 2], dilations = [2, 2], group = 2> (x, w)",
        {"w": (6, 2, 3, 3)},
        32,
    ),
    "conv same padding": (
        f"{IMAGE} => float[1,6,4,4] y",
        'y = Conv <kernel_shape = [3, 3], auto_pad = "SAME_UPPER", strides = [2, 2]> (x, w, b)',
        {"w": (6, 4, 3, 3), "b": (6,)},
        32,
    ),
    "conv transpose, groups": (
        f"{IMAGE} => float[1,6,17,17] y",
        "y = ConvTranspose <kernel_shape = [3, 3], strides = [2, 2], group = 2> (x, w, b)",
        {"w": (4, 3, 3, 3), "b": (6,)},
        32,
    ),
    "gemm, weights not transposed": (
        "float[1,20] x => float[1,7] y",
        "y = Gemm (x, w, b)",
        {"w": (20, 7), "b": (1, 7)},
        32,
    ),
    "matmul with bias and clamp": (
        "float[1,5,20] x => float[1,5,7] y",
        "m = MatMul (x, w) a = Add (b, m) y = Relu (a)",
        {"w": (20, 7), "b": (7,)},
        30,
    ),
    "matmul of two activations": (
        "float[1,5,6] x, float[1,6,5] k => float[1,5,5] y",
        "m = MatMul (x, k) y = Softmax (m)",
        {},
        30,
    ),
    "add, sub, mul": (
        f"{IMAGE}, float[1,4,8,8] z => float[1,4,8,8] y",
        "a = Add (x, z) b = Sub (a, half) c = Mul (b, x) y = Relu (c)",
        {"half": scalar(0.5)},
        30,
    ),
    "constant operand a channel": (
        f"{IMAGE} => float[1,4,8,8] y",
        "a = Mul (x, c) y = Add (a, c)",
        {"c": (1, 4, 1, 1)},
        32,
    ),
    "pooling": (
        f"{IMAGE} => float[1,4] y",
        "a = AveragePool <kernel_shape = [2, 2]> (x) b = MaxPool <kernel_shape = [2, 2]> (a)"
        "y = ReduceMean <keepdims = 0> (b, axes)",
        {"axes": integers(2, 3)},
        24,
    ),
    "concat, pad, resize, slice": (
        f"{IMAGE} => float[1,8,4,20] y",
        'a = Tanh (x) c = Concat <axis = 1> (a, x) p = Pad (c, pads) r = Resize <mode = "nearest"> (p, none, scales)'
        "y = Slice (r, starts, ends, axes)",
        {
            "pads": integers(0, 0, 1, 1, 0, 0, 1, 1),
            "none": np.zeros(0, np.float32),
            "scales": np.asarray([1, 1, 2, 2], np.float32),
            "starts": integers(0),
            "ends": integers(4),
            "axes": integers(2),
        },
        20,
    ),
    "reshape, transpose, squeeze, softmax": (
        f"{IMAGE} => float[64,4] y",
        "a = Sigmoid (x) b = Reshape (a, shape) c = Transpose <perm = [0, 2, 1]> (b) d = Squeeze (c, axes)"
        "y = Softmax <axis = 1> (d)",
        {"shape": integers(1, 4, 64), "axes": integers(0)},
        30,
    ),
    "float operator between integer ones": (
        "float[1,8] x => float[1,8] y",
        "a = Tanh (x) n = LayerNormalization (a, w, b) y = Relu (n)",
        {"w": (8,), "b": (8,)},
        30,
    ),
    **{
        f"unary {op}": (f"{IMAGE} => float[1,4,8,8] y", f"t = Tanh (x) y = {op} {attributes} (t)", {}, 26)
        for op, attributes in UNARY.items()
    },
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("activations", ActivationType, ids=lambda kind: kind.value)
def test_operator(case: str, activations: ActivationType) -> None:
    signature, nodes, weights, least_db = CASES[case]
    model = model_of(signature, nodes, **weights)
    samples = samples_of(model)
    quantized = quantize(model, samples, QuantizeOptions(activations=activations))
    onnx.checker.check_model(ir.to_proto(quantized), full_check=True)
    fresh = samples_of(model, seed=2)
    assert sqnr_db(outputs(model, fresh)[0], outputs(quantized, fresh)[0]) > least_db
    kinds = {constant(quantized, node.inputs[2]).dtype for node in producers(quantized, "QuantizeLinear")}
    assert kinds == {np.dtype(activations.value)}


def test_conv_transpose_scales_follow_the_output_axis() -> None:
    signature, nodes, weights, _ = CASES["conv transpose, groups"]
    model = model_of(signature, nodes, **weights)
    quantized = quantize(model, samples_of(model))
    conv = producers(quantized, "ConvTranspose")[0]
    weight, bias = (value.producer() for value in conv.inputs[1:] if value is not None)
    assert weight is not None
    assert bias is not None
    assert weight.attributes["axis"].as_int() == 1
    assert constant(quantized, weight.inputs[1]).shape == (3,)
    assert constant(quantized, bias.inputs[1]).shape == (6,)


def test_float_operators_stay_float_between_conversions() -> None:
    signature, nodes, weights, _ = CASES["float operator between integer ones"]
    model = model_of(signature, nodes, **weights)
    norm = producers(quantize(model, samples_of(model)), "LayerNormalization")[0]
    before, after = norm.inputs[0], norm.outputs[0].consumers()
    assert before is not None
    assert before.producer() is not None
    assert before.producer().op_type == "DequantizeLinear"  # type: ignore[union-attr]
    assert [node.op_type for node in after] == ["QuantizeLinear"]


def test_values_between_float_operators_are_not_quantized() -> None:
    model = model_of(
        "float[1,8] x => float[1,8] y",
        "a = Tanh (x) b = Exp (a) c = Sqrt (b) d = Reshape (c, s) y = Log (d)",
        s=integers(1, 8),
    )
    quantized = quantize(model, samples_of(model))
    assert [node.name for node in producers(quantized, "QuantizeLinear")] == ["x_quantize", "a_quantize"]
