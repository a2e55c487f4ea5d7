# ruff: noqa: E501 - a table: one row a line
"""The operators' test matrix: one row a model. See `test_matrix.py` for what is done with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from host_batch import Row

Array = npt.NDArray[Any]


def ints(*values: int) -> Array:
    return np.asarray(values, np.int64)


def floats(*values: float) -> Array:
    return np.asarray(values, np.float32)


def scalar(value: float) -> Array:
    return np.asarray(value, np.float32)


IMAGE = "float[1,3,8,8] x"

CONV = (
    Row("conv_1x1", IMAGE, "y = Conv(x, w)", {"w": (5, 3, 1, 1)}),
    Row("conv_bias", IMAGE, "y = Conv(x, w, b)", {"w": (5, 3, 3, 3), "b": (5,)}),
    Row("conv_pads", IMAGE, "y = Conv<pads=[1,1,1,1]>(x, w, b)", {"w": (7, 3, 3, 3), "b": (7,)}),
    Row("conv_asymmetric_pads", IMAGE, "y = Conv<pads=[0,1,2,3]>(x, w)", {"w": (4, 3, 3, 3)}),
    Row("conv_asymmetric_kernel", IMAGE, "y = Conv<pads=[0,2,0,2]>(x, w)", {"w": (4, 3, 1, 5)}),
    Row("conv_strides", IMAGE, "y = Conv<strides=[2,3], pads=[1,1,1,1]>(x, w)", {"w": (4, 3, 3, 3)}),
    Row("conv_dilations", IMAGE, "y = Conv<dilations=[2,3], pads=[2,3,2,3]>(x, w)", {"w": (4, 3, 3, 3)}),
    Row("conv_dilations_stride", IMAGE, "y = Conv<dilations=[1,2], strides=[2,2]>(x, w)", {"w": (4, 3, 3, 3)}),
    Row("conv_same_upper", IMAGE, 'y = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(x, w)', {"w": (4, 3, 4, 3)}),
    Row("conv_same_lower", IMAGE, 'y = Conv<auto_pad="SAME_LOWER", strides=[2,2]>(x, w)', {"w": (4, 3, 4, 3)}),
    Row(
        "conv_same_odd", "float[1,3,7,9] x", 'y = Conv<auto_pad="SAME_UPPER", strides=[3,2]>(x, w)', {"w": (4, 3, 2, 5)}
    ),
    Row("conv_valid", IMAGE, 'y = Conv<auto_pad="VALID">(x, w)', {"w": (4, 3, 3, 3)}),
    Row(
        "conv_groups", "float[1,6,5,5] x", "y = Conv<group=2, pads=[1,1,1,1]>(x, w, b)", {"w": (8, 3, 3, 3), "b": (8,)}
    ),
    Row("conv_groups_prime", "float[1,9,5,5] x", "y = Conv<group=3>(x, w)", {"w": (15, 3, 2, 2)}),
    Row("conv_groups_1x1", "float[1,8,5,5] x", "y = Conv<group=4>(x, w)", {"w": (12, 2, 1, 1)}),
    Row(
        "conv_depthwise",
        "float[1,7,9,9] x",
        "y = Conv<group=7, pads=[1,1,1,1]>(x, w, b)",
        {"w": (7, 1, 3, 3), "b": (7,)},
    ),
    Row(
        "conv_depthwise_stride",
        "float[1,8,9,9] x",
        "y = Conv<group=8, strides=[2,2], pads=[0,0,1,1]>(x, w)",
        {"w": (8, 1, 3, 3)},
    ),
    Row(
        "conv_depthwise_dilated",
        "float[1,4,9,9] x",
        "y = Conv<group=4, dilations=[2,2], pads=[2,2,2,2]>(x, w)",
        {"w": (4, 1, 3, 3)},
    ),
    Row(
        "conv_depthwise_multiplier",
        "float[1,5,8,8] x",
        "y = Conv<group=5, pads=[1,1,1,1]>(x, w, b)",
        {"w": (10, 1, 3, 3), "b": (10,)},
    ),
    Row("conv_depthwise_large", "float[1,3,12,12] x", "y = Conv<group=3, pads=[4,4,4,4]>(x, w)", {"w": (3, 1, 9, 9)}),
    Row(
        "conv_depthwise_prime_width",
        "float[1,4,7,13] x",
        "y = Conv<group=4, pads=[1,1,1,1]>(x, w)",
        {"w": (4, 1, 3, 3)},
    ),
    Row("conv_one_channel", "float[1,1,8,8] x", "y = Conv<pads=[1,1,1,1]>(x, w)", {"w": (1, 1, 3, 3)}),
    Row("conv_prime_channels", "float[1,11,5,5] x", "y = Conv<pads=[1,1,1,1]>(x, w)", {"w": (13, 11, 3, 3)}),
    Row("conv_one_pixel", "float[1,13,1,1] x", "y = Conv(x, w, b)", {"w": (7, 13, 1, 1), "b": (7,)}),
    Row("conv_one_pixel_padded", "float[1,3,1,1] x", "y = Conv<pads=[1,1,1,1]>(x, w)", {"w": (2, 3, 3, 3)}),
    Row("conv_kernel_larger_than_input", "float[1,3,3,3] x", "y = Conv<pads=[2,2,2,2]>(x, w)", {"w": (4, 3, 5, 5)}),
    Row("conv_whole_input", "float[1,3,8,8] x", "y = Conv(x, w, b)", {"w": (6, 3, 8, 8), "b": (6,)}),
    Row("conv_pads_beyond_kernel", "float[1,2,4,4] x", "y = Conv<pads=[3,3,3,3]>(x, w)", {"w": (3, 2, 2, 2)}),
    Row("conv_relu", IMAGE, "a = Conv(x, w, b) y = Relu(a)", {"w": (5, 3, 3, 3), "b": (5,)}),
    Row("conv_long_sum", "float[1,64,5,5] x", "y = Conv<pads=[1,1,1,1]>(x, w)", {"w": (8, 64, 3, 3)}),
    Row("conv_1d", "float[1,3,17] x", "y = Conv<pads=[1,2], strides=[2]>(x, w, b)", {"w": (5, 3, 4), "b": (5,)}),
    Row("conv_1d_dilated", "float[1,3,17] x", "y = Conv<dilations=[3]>(x, w)", {"w": (5, 3, 3)}),
    Row("conv_1d_depthwise", "float[1,6,17] x", "y = Conv<group=6, pads=[1,1]>(x, w)", {"w": (6, 1, 3)}),
    Row("conv_1d_same", "float[1,3,17] x", 'y = Conv<auto_pad="SAME_UPPER", strides=[2]>(x, w)', {"w": (5, 3, 4)}),
    Row(
        "conv_1d_chain",
        "float[1,3,16] x",
        "a = Conv(x, w) b = Relu(a) c = MaxPool<kernel_shape=[2], strides=[2]>(b) y = Conv(c, v)",
        {"w": (4, 3, 3), "v": (6, 4, 3)},
    ),
    Row("conv_opset_7", IMAGE, "y = Conv<pads=[1,1,1,1]>(x, w)", {"w": (4, 3, 3, 3)}, opset=7),
    Row(
        "conv_batch_norm",
        IMAGE,
        "a = Conv(x, w) y = BatchNormalization(a, s, b, m, v)",
        {"w": (4, 3, 3, 3), "s": floats(1, 2, 0.5, -1), "b": (4,), "m": (4,), "v": floats(1, 2, 0.5, 3)},
        opset=15,
    ),
    Row(
        "conv_pad_before", IMAGE, "a = Pad(x, p) y = Conv(a, w)", {"w": (4, 3, 3, 3), "p": ints(0, 0, 1, 2, 0, 0, 2, 1)}
    ),
)

POOL = (
    Row("max_pool", IMAGE, "y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x)"),
    Row("max_pool_overlapping", IMAGE, "y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)"),
    Row("max_pool_default_strides", IMAGE, "y = MaxPool<kernel_shape=[3,2]>(x)"),
    Row("max_pool_asymmetric_pads", IMAGE, "y = MaxPool<kernel_shape=[3,3], pads=[0,1,2,0]>(x)"),
    Row("max_pool_dilations", IMAGE, "y = MaxPool<kernel_shape=[2,3], dilations=[3,2]>(x)"),
    Row("max_pool_ceil", "float[1,3,7,8] x", "y = MaxPool<kernel_shape=[2,3], strides=[2,3], ceil_mode=1>(x)"),
    Row(
        "max_pool_ceil_pads",
        "float[1,3,7,7] x",
        "y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,0,0], ceil_mode=1>(x)",
    ),
    Row(
        "max_pool_same", "float[1,3,7,8] x", 'y = MaxPool<kernel_shape=[3,3], strides=[2,2], auto_pad="SAME_UPPER">(x)'
    ),
    Row(
        "max_pool_same_lower",
        "float[1,3,7,8] x",
        'y = MaxPool<kernel_shape=[2,2], strides=[2,2], auto_pad="SAME_LOWER">(x)',
    ),
    Row("max_pool_prime", "float[1,13,5,5] x", "y = MaxPool<kernel_shape=[5,5]>(x)"),
    Row("max_pool_1d", "float[1,3,17] x", "y = MaxPool<kernel_shape=[3], strides=[2], pads=[1,1]>(x)"),
    Row("max_pool_relu", IMAGE, "a = MaxPool<kernel_shape=[2,2]>(x) y = Relu(a)"),
    Row("average_pool", IMAGE, "y = AveragePool<kernel_shape=[2,2], strides=[2,2]>(x)"),
    Row("average_pool_pads", IMAGE, "y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)"),
    Row(
        "average_pool_count_pads", IMAGE, "y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(x)"
    ),
    Row("average_pool_asymmetric", IMAGE, "y = AveragePool<kernel_shape=[3,2], pads=[0,1,2,0]>(x)"),
    Row("average_pool_ceil", "float[1,3,7,8] x", "y = AveragePool<kernel_shape=[2,3], strides=[2,3], ceil_mode=1>(x)"),
    Row(
        "average_pool_ceil_count",
        "float[1,3,7,7] x",
        "y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,0,0], ceil_mode=1, count_include_pad=1>(x)",
    ),
    Row("average_pool_dilations", IMAGE, "y = AveragePool<kernel_shape=[2,2], dilations=[2,3]>(x)"),
    Row(
        "average_pool_same",
        "float[1,3,7,8] x",
        'y = AveragePool<kernel_shape=[3,3], strides=[2,2], auto_pad="SAME_UPPER">(x)',
    ),
    Row(
        "average_pool_ceil_in_border",
        "float[1,2,2,4] x",
        "a = AveragePool<kernel_shape=[2,2], strides=[3,2], pads=[1,1,1,1], ceil_mode=1>(x) y = Relu(a)",
    ),
    Row("average_pool_1d", "float[1,3,17] x", "y = AveragePool<kernel_shape=[3], strides=[2], pads=[1,1]>(x)"),
    Row("average_pool_large", "float[1,2,16,16] x", "y = AveragePool<kernel_shape=[16,15]>(x)"),
    Row("global_average_pool", "float[1,7,6,5] x", "y = GlobalAveragePool(x)"),
    Row("global_average_pool_large", "float[1,3,24,24] x", "y = GlobalAveragePool(x)"),
    Row("global_average_pool_1d", "float[1,7,16] x", "y = GlobalAveragePool(x)"),
    Row("global_average_pool_one_pixel", "float[1,7,1,1] x", "y = GlobalAveragePool(x)"),
    Row("global_max_pool", "float[1,7,6,5] x", "y = GlobalMaxPool(x)"),
    Row("global_max_pool_1d", "float[1,7,6] x", "y = GlobalMaxPool(x)"),
)

DENSE = (
    Row("gemm", "float[1,7] x", "y = Gemm(x, w, b)", {"w": (7, 5), "b": (5,)}),
    Row("gemm_trans_b", "float[1,7] x", "y = Gemm<transB=1>(x, w, b)", {"w": (5, 7), "b": (5,)}),
    Row("gemm_trans_a", "float[7,3] x", "y = Gemm<transA=1>(x, w, b)", {"w": (7, 5), "b": (5,)}),
    Row("gemm_no_bias", "float[1,7] x", "y = Gemm(x, w)", {"w": (7, 5)}),
    Row("gemm_alpha_beta", "float[1,7] x", "y = Gemm<alpha=0.5, beta=2.0>(x, w, b)", {"w": (7, 5), "b": (5,)}),
    Row("gemm_beta_zero", "float[1,7] x", "y = Gemm<beta=0.0>(x, w, b)", {"w": (7, 5), "b": (5,)}),
    Row("gemm_scalar_bias", "float[3,7] x", "y = Gemm(x, w, b)", {"w": (7, 5), "b": scalar(0.7)}),
    Row("gemm_row_bias", "float[3,7] x", "y = Gemm(x, w, b)", {"w": (7, 5), "b": (1, 5)}),
    Row("gemm_column_bias", "float[3,7] x", "y = Gemm(x, w, b)", {"w": (7, 5), "b": (3, 1)}),
    Row("gemm_full_bias", "float[3,7] x", "y = Gemm(x, w, b)", {"w": (7, 5), "b": (3, 5)}),
    Row("gemm_one_output", "float[1,13] x", "y = Gemm(x, w, b)", {"w": (13, 1), "b": (1,)}),
    Row("gemm_one_input", "float[1,1] x", "y = Gemm(x, w, b)", {"w": (1, 11), "b": (11,)}),
    Row("gemm_long_sum", "float[1,1000] x", "y = Gemm(x, w, b)", {"w": (1000, 10), "b": (10,)}),
    Row("gemm_prime_sum", "float[1,997] x", "y = Gemm(x, w, b)", {"w": (997, 3), "b": (3,)}),
    Row("gemm_relu", "float[2,13] x", "a = Gemm(x, w, b) y = Relu(a)", {"w": (13, 7), "b": (7,)}),
    Row("gemm_bias_at_run_time", "float[1,7] x, float[1,5] c", "y = Gemm(x, w, c)", {"w": (7, 5)}),
    Row("mat_mul_1d", "float[7] x", "y = MatMul(x, w)", {"w": (7, 5)}),
    Row("mat_mul_2d", "float[3,7] x", "y = MatMul(x, w)", {"w": (7, 5)}),
    Row("mat_mul_3d", "float[2,3,7] x", "y = MatMul(x, w)", {"w": (7, 5)}),
    Row("mat_mul_4d", "float[1,2,3,7] x", "y = MatMul(x, w)", {"w": (7, 5)}),
    Row("mat_mul_add", "float[1,7] x", "a = MatMul(x, w) y = Add(a, b)", {"w": (7, 5), "b": (5,)}),
    Row("mat_mul_add_relu", "float[4,7] x", "a = MatMul(x, w) c = Add(b, a) y = Relu(c)", {"w": (7, 5), "b": (5,)}),
    Row("mat_mul_vector", "float[3,7] x", "y = MatMul(x, w)", {"w": (7,)}),
    Row("mat_mul_batched_weights_of_one", "float[1,3,7] x", "y = MatMul(x, w)", {"w": (1, 7, 5)}),
    Row("mat_mul_constant_left", "float[7,3] x", "y = MatMul(w, x)", {"w": (5, 7)}),
    Row(
        "mlp",
        "float[1,12] x",
        "a = Gemm(x, w, b) c = Relu(a) d = Gemm(c, v) e = Tanh(d) y = Softmax(e)",
        {"w": (12, 9), "b": (9,), "v": (9, 4)},
    ),
)

_UNARY = {
    "Abs": "", "Neg": "", "Exp": "", "Sigmoid": "", "Tanh": "", "Erf": "", "Relu": "", "Elu": "", "HardSigmoid": "",
    "HardSwish": "", "LeakyRelu": "",
}  # fmt: skip

UNARY = (
    *(Row(f"{name.lower()}", "float[2,3,5] x", f"y = {name}(x)", low=-6, high=6) for name in _UNARY),
    Row("sqrt", "float[2,3,5] x", "y = Sqrt(x)", low=0, high=9),
    Row("reciprocal", "float[2,3,5] x", "y = Reciprocal(x)", low=0.5, high=9),
    Row("elu_alpha", "float[2,15] x", "y = Elu<alpha=0.3>(x)", low=-6, high=6),
    Row("leaky_relu_alpha", "float[2,15] x", "y = LeakyRelu<alpha=0.3>(x)"),
    Row("leaky_relu_negative_alpha", "float[2,15] x", "y = LeakyRelu<alpha=-0.5>(x)"),
    Row("hard_sigmoid_parameters", "float[2,15] x", "y = HardSigmoid<alpha=0.16666667, beta=0.4>(x)", low=-6, high=6),
    Row("clip", "float[2,15] x", "y = Clip(x, l, h)", {"l": scalar(-0.5), "h": scalar(1.25)}),
    Row("clip_low", "float[2,15] x", "y = Clip(x, l)", {"l": scalar(-0.5)}),
    Row("clip_high", "float[2,15] x", "y = Clip(x, , h)", {"h": scalar(0.5)}),
    Row("clip_none", "float[2,15] x", "y = Clip(x)"),
    Row("clip_opset_6", "float[2,15] x", "y = Clip<min=-1.0, max=0.5>(x)", opset=6),
    Row("relu6", "float[2,15] x", "y = Clip(x, l, h)", {"l": scalar(0), "h": scalar(6)}, low=-8, high=8),
    Row("unary_chain", "float[2,15] x", "a = Sigmoid(x) b = Tanh(a) c = Neg(b) y = Exp(c)"),
    Row("unary_prime_image", "float[1,13,7,1] x", "y = Sigmoid(x)"),
    Row("unary_scalar", "float[1] x", "y = Tanh(x)"),
)  # fmt: skip

BINARY = (
    *(Row(f"{name.lower()}_two_inputs", "float[2,3,5] x, float[2,3,5] z", f"y = {name}(x, z)", low=0.5) for name in ("Add", "Sub", "Mul", "Div", "Min", "Max")),
    *(Row(f"{name.lower()}_scalar", "float[1,3,4,4] x", f"y = {name}(x, s)", {"s": scalar(0.75)}) for name in ("Add", "Sub", "Mul", "Div", "Min", "Max")),
    *(Row(f"scalar_{name.lower()}", "float[1,3,4,4] x", f"y = {name}(s, x)", {"s": scalar(0.75)}, low=0.5) for name in ("Add", "Sub", "Mul", "Div")),
    Row("add_per_channel", "float[1,3,4,4] x", "y = Add(x, c)", {"c": (1, 3, 1, 1)}),
    Row("mul_per_channel", "float[1,3,4,4] x", "y = Mul(c, x)", {"c": (3, 1, 1)}),
    Row("mul_last_axis", "float[1,3,4,5] x", "y = Mul(c, x)", {"c": (5,)}),
    Row("add_whole_constant", "float[1,3,4,5] x", "y = Add(x, c)", {"c": (1, 3, 4, 5)}),
    Row("add_constant_broadcasts_input", "float[1,3,1,1] x", "y = Add(x, c)", {"c": (1, 3, 4, 5)}),
    Row("add_lower_rank_input", "float[5] x", "y = Add(x, c)", {"c": (2, 3, 5)}),
    Row("add_both_broadcast", "float[1,3,1,5] x, float[4,1] z", "y = Add(x, z)"),
    Row("mul_attention", "float[1,3,4,4] x, float[1,3,1,1] z", "y = Mul(x, z)"),
    Row("mul_spatial_attention", "float[1,3,4,4] x, float[1,1,4,4] z", "y = Mul(x, z)"),
    Row("sub_input_scalar", "float[1,3,4,4] x, float[1] z", "y = Sub(z, x)"),
    Row("add_same_twice", "float[2,5] x", "y = Add(x, x)"),
    Row("mul_same_twice", "float[2,5] x", "y = Mul(x, x)"),
    Row("min_three", "float[2,5] x, float[2,5] z", "y = Min(x, z, c)", {"c": (5,)}),
    Row("max_one", "float[2,5] x", "y = Max(x)"),
    Row("conv_add_constant", IMAGE, "a = Conv(x, w) b = Add(a, c) y = Mul(b, d)", {"w": (4, 3, 3, 3), "c": (1, 4, 1, 1), "d": (4, 1, 1)}),
    Row("conv_add_spatial_constant", IMAGE, "a = Conv(x, w) y = Add(a, c)", {"w": (4, 3, 3, 3), "c": (1, 1, 6, 6)}),
    Row("conv_add_full_constant", IMAGE, "a = Conv(x, w) y = Add(a, c)", {"w": (4, 3, 3, 3), "c": (4, 6, 6)}),
    Row("conv_mul_row", IMAGE, "a = Conv(x, w) y = Mul(a, c)", {"w": (4, 3, 3, 3), "c": (6,)}),
)  # fmt: skip

REDUCE = (
    *(Row(f"softmax_axis_{axis}", "float[2,3,4,5] x", f"y = Softmax<axis={axis}>(x)") for axis in (0, 1, 2, 3, -1, -2)),
    Row("softmax_long", "float[1,1000] x", "y = Softmax(x)", low=-8, high=8),
    Row("softmax_one", "float[3,1] x", "y = Softmax(x)"),
    Row("softmax_vector", "float[7] x", "y = Softmax(x)"),
    Row("softmax_large_values", "float[2,9] x", "y = Softmax(x)", low=-500, high=500),
    Row("softmax_opset_11", "float[2,3,4] x", "y = Softmax(x)", opset=11),
    Row("softmax_opset_11_last", "float[2,3,4] x", "y = Softmax<axis=2>(x)", opset=11),
    Row("softmax_channels", IMAGE, "a = Conv(x, w) y = Softmax<axis=1>(a)", {"w": (4, 3, 3, 3)}),
    Row("reduce_mean_spatial", "float[1,3,5,7] x", "y = ReduceMean<keepdims=0>(x, a)", {"a": ints(2, 3)}),
    Row("reduce_mean_kept", "float[1,3,5,7] x", "y = ReduceMean<keepdims=1>(x, a)", {"a": ints(-1, -2)}),
    Row("reduce_mean_all", "float[2,3,5] x", "y = ReduceMean(x)"),
    Row("reduce_mean_all_dropped", "float[2,3,5] x", "y = ReduceMean<keepdims=0>(x)"),
    Row("reduce_mean_channels", "float[1,6,5,7] x", "y = ReduceMean(x, a)", {"a": ints(1)}),
    Row("reduce_mean_first", "float[4,3,5] x", "y = ReduceMean<keepdims=0>(x, a)", {"a": ints(0)}),
    Row("reduce_mean_none", "float[4,3] x", "y = ReduceMean<noop_with_empty_axes=1>(x)"),
    Row("reduce_mean_opset_13", "float[1,3,5,7] x", "y = ReduceMean<axes=[2,3], keepdims=0>(x)", opset=13),
    Row("reduce_mean_long", "float[1,2,40,40] x", "y = ReduceMean<keepdims=0>(x, a)", {"a": ints(2, 3)}),
    Row("reduce_mean_after_conv", IMAGE, "a = Conv(x, w) b = Relu(a) y = ReduceMean<keepdims=0>(b, c)", {"w": (4, 3, 3, 3), "c": ints(2, 3)}),
    Row("reduce_sum", "float[2,3,5] x", "y = ReduceSum(x, a)", {"a": ints(1)}),
    Row("reduce_sum_two", "float[2,3,5] x", "y = ReduceSum<keepdims=0>(x, a)", {"a": ints(0, 2)}),
    Row("reduce_sum_channels", IMAGE, "a = Conv(x, w) y = ReduceSum(a, c)", {"w": (4, 3, 3, 3), "c": ints(1)}),
)  # fmt: skip

SHAPE = (
    Row("reshape", "float[2,3,4] x", "y = Reshape(x, s)", {"s": ints(4, 6)}),
    Row("reshape_minus_one", "float[2,3,4] x", "y = Reshape(x, s)", {"s": ints(0, -1)}),
    Row("reshape_chain", "float[2,3,4] x", "a = Reshape(x, s) b = Relu(a) y = Reshape(b, t)", {"s": ints(24), "t": ints(1, 4, 6)}),
    Row("reshape_flatten_gemm", "float[1,3,4,4] x", "a = Reshape(x, s) y = Gemm(a, w, b)", {"s": ints(1, 48), "w": (48, 5), "b": (5,)}),
    Row("conv_flatten_gemm", IMAGE, "a = Conv(x, w) c = Relu(a) f = Flatten(c) y = Gemm(f, v, b)", {"w": (4, 3, 3, 3), "v": (144, 5), "b": (5,)}),
    Row("conv_reshape_gemm_twice", IMAGE, "a = Conv(x, w) f = Reshape(a, s) c = Gemm(f, v, b) d = Gemm(f, u) y = Add(c, d)", {"w": (4, 3, 3, 3), "s": ints(1, -1), "v": (144, 5), "u": (144, 5), "b": (5,)}),
    Row("conv_flatten_output", IMAGE, "a = Conv(x, w) y = Flatten(a) z = Gemm(y, v)", {"w": (4, 3, 3, 3), "v": (144, 5)}, outputs="y z"),
    Row("flatten_axis", "float[2,3,4,5] x", "y = Flatten<axis=2>(x)"),
    Row("flatten_axis_0", "float[2,3,4] x", "y = Flatten<axis=0>(x)"),
    Row("flatten_negative", "float[2,3,4] x", "y = Flatten<axis=-1>(x)"),
    Row("squeeze", "float[1,3,1,4] x", "a = Relu(x) y = Squeeze(a, s)", {"s": ints(0, -2)}),
    Row("squeeze_all", "float[1,3,1,4] x", "a = Relu(x) y = Squeeze(a)"),
    Row("unsqueeze", "float[3,4] x", "a = Relu(x) y = Unsqueeze(a, s)", {"s": ints(0, -1)}),
    Row("unsqueeze_opset_11", "float[3,4] x", "a = Relu(x) y = Unsqueeze<axes=[1,3]>(a)", opset=11),
    Row("transpose", "float[2,3,4] x", "y = Transpose<perm=[1,2,0]>(x)"),
    Row("transpose_default", "float[2,3,4] x", "y = Transpose(x)"),
    Row("transpose_pair", "float[2,3,4] x", "a = Transpose<perm=[1,2,0]>(x) b = Sigmoid(a) y = Transpose<perm=[2,0,1]>(b)"),
    Row("transpose_chain", "float[2,3,4] x", "a = Transpose<perm=[1,2,0]>(x) y = Transpose<perm=[1,2,0]>(a)"),
    Row("pad", "float[1,3,4,4] x", "y = Pad(x, p)", {"p": ints(0, 0, 1, 2, 0, 0, 2, 1)}),
    Row("pad_value", "float[2,3] x", "y = Pad(x, p, v)", {"p": ints(1, 0, 2, 3), "v": scalar(1.5)}),
    Row("pad_axes", "float[2,3,4] x", "y = Pad(x, p, v, a)", {"p": ints(1, 2), "v": scalar(-1), "a": ints(-2)}, opset=19),
    Row("pad_opset_10", "float[2,3] x", "y = Pad<pads=[1,0,2,3], value=0.5>(x)", opset=10),
    Row("pad_channels", IMAGE, "a = Conv(x, w) y = Pad(a, p)", {"w": (4, 3, 3, 3), "p": ints(0, 2, 0, 0, 0, 2, 0, 0)}),
    Row("pad_none", "float[2,3] x", "a = Relu(x) y = Pad(a, p)", {"p": ints(0, 0, 0, 0)}),
    Row("slice", "float[4,5,6] x", "y = Slice(x, s, e)", {"s": ints(1, 0, 2), "e": ints(3, 5, 6)}),
    Row("slice_axes", "float[4,5,6] x", "y = Slice(x, s, e, a)", {"s": ints(1, -3), "e": ints(1000, -1), "a": ints(0, -1)}),
    Row("slice_steps", "float[4,5,6] x", "y = Slice(x, s, e, a, t)", {"s": ints(0, 1), "e": ints(4, 6), "a": ints(0, 2), "t": ints(2, 3)}),
    Row("slice_backwards", "float[4,5] x", "y = Slice(x, s, e, a, t)", {"s": ints(-1, 3), "e": ints(-1000, 0), "a": ints(0, 1), "t": ints(-1, -2)}),
    Row("slice_opset_9", "float[4,5] x", "y = Slice<starts=[1], ends=[3], axes=[1]>(x)", opset=9),
    Row("slice_channels", IMAGE, "a = Conv(x, w) y = Slice(a, s, e, c)", {"w": (6, 3, 3, 3), "s": ints(1), "e": ints(4), "c": ints(1)}),
    *(Row(f"concat_axis_{axis}", "float[2,3,4] x, float[2,3,4] z", f"y = Concat<axis={axis}>(x, z)") for axis in (0, 1, 2, -1)),
    Row("concat_three", "float[2,1] x, float[2,5] z", "y = Concat<axis=1>(x, z, x)"),
    Row("concat_constant", "float[2,3] x", "y = Concat<axis=1>(x, c)", {"c": (2, 2)}),
    Row("concat_one", "float[2,3] x", "a = Relu(x) y = Concat<axis=1>(a)"),
    Row("concat_computed", "float[2,3] x", "a = Relu(x) b = Neg(x) c = Concat<axis=0>(a, b) y = Sigmoid(c)"),
    Row("identity", "float[2,3] x", "a = Identity(x) b = Relu(a) y = Identity(b)"),
    Row("dropout", "float[2,3] x", "a = Dropout(x) y = Relu(a)", opset=13),
)  # fmt: skip

GRAPH = (
    Row("output_used_inside", "float[2,5] x", "y = Relu(x) z = Neg(y)", outputs="y z"),
    Row("output_of_conv_used_inside", IMAGE, "y = Conv(x, w) z = Relu(y)", {"w": (4, 3, 3, 3)}, outputs="y z"),
    Row("input_as_output", "float[2,5] x", "y = Identity(x)"),
    Row("input_reshaped_as_output", "float[2,5] x", "y = Reshape(x, s)", {"s": ints(10)}),
    Row("two_outputs_of_one_value", "float[2,5] x", "a = Relu(x) y = Identity(a) z = Identity(a)", outputs="y z"),
    Row("three_outputs_reshaped", "float[2,5] x", "y = Relu(x) z = Reshape(y, s) u = Flatten<axis=0>(y)", {"s": ints(5, 2)}, outputs="y z u"),
    Row("constant_output", "float[2,5] x", "y = Relu(x) z = Identity(c)", {"c": (2, 3)}, outputs="y z"),
    Row("computed_constant_output", "float[2,5] x", "y = Relu(x) z = Neg(c)", {"c": (2, 3)}, outputs="y z"),
    Row("unused_input", "float[2,5] x, float[3] q", "y = Relu(x)"),
    Row("keywords_as_names", IMAGE, "double = Conv(x, static, signed) y = Mul(double, int)", {"static": (4, 3, 3, 3), "signed": (4,), "int": (4, 1, 1)}),
    Row("diamond", "float[2,5] x", "a = Sigmoid(x) b = Tanh(a) c = Neg(a) y = Mul(b, c)"),
    Row("residual", "float[1,4,6,6] x", "a = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(a) c = Conv<pads=[1,1,1,1]>(r, v) s = Add(c, x) y = Relu(s)", {"w": (4, 4, 3, 3), "b": (4,), "v": (4, 4, 3, 3)}),
    Row("residual_projection", "float[1,4,6,6] x", "a = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w) p = Conv<strides=[2,2]>(x, v) s = Add(a, p) y = Relu(s)", {"w": (6, 4, 3, 3), "v": (6, 4, 1, 1)}),
    Row("inception", "float[1,4,6,6] x", "a = Conv(x, w1) b = Conv<pads=[1,1,1,1]>(x, w3) c = Conv<pads=[2,2,2,2]>(x, w5) m = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x) d = Conv(m, w1) y = Concat<axis=1>(a, b, c, d)", {"w1": (3, 4, 1, 1), "w3": (5, 4, 3, 3), "w5": (2, 4, 5, 5)}),
    Row("swish", IMAGE, "a = Conv(x, w) s = Sigmoid(a) y = Mul(a, s)", {"w": (4, 3, 3, 3)}),
    Row("hard_swish_decomposed", IMAGE, "a = Conv(x, w) b = Add(a, three) c = Clip(b, zero, six) d = Mul(a, c) y = Div(d, six)", {"w": (4, 3, 3, 3), "three": scalar(3), "zero": scalar(0), "six": scalar(6)}, low=-6, high=6),
    Row("inverted_residual", "float[1,4,6,6] x", "a = Conv(x, w1, b1) b = Clip(a, zero, six) c = Conv<group=12, pads=[1,1,1,1]>(b, w2, b2) d = Clip(c, zero, six) e = Conv(d, w3, b3) y = Add(x, e)", {"w1": (12, 4, 1, 1), "b1": (12,), "w2": (12, 1, 3, 3), "b2": (12,), "w3": (4, 12, 1, 1), "b3": (4,), "zero": scalar(0), "six": scalar(6)}),
    Row("squeeze_and_excite", "float[1,6,5,5] x", "a = Conv(x, w) g = GlobalAveragePool(a) h = Conv(g, w1, b1) i = Relu(h) j = Conv(i, w2, b2) k = Sigmoid(j) y = Mul(a, k)", {"w": (6, 6, 1, 1), "w1": (2, 6, 1, 1), "b1": (2,), "w2": (6, 2, 1, 1), "b2": (6,)}),
    Row("from_tensorflow", "float[1,8,8,3] x", "a = Transpose<perm=[0,3,1,2]>(x) b = Conv<pads=[0,0,1,1], strides=[2,2]>(a, w) c = Relu(b) d = Conv<group=4>(c, v) e = Transpose<perm=[0,2,3,1]>(d) f = Add(e, k) g = Transpose<perm=[0,3,1,2]>(f) m = ReduceMean<keepdims=0>(g, axes) y = MatMul(m, u)", {"w": (4, 3, 3, 3), "v": (4, 1, 2, 2), "k": (4,), "axes": ints(2, 3), "u": (4, 5)}),
    Row("nhwc_output", IMAGE, "a = Conv(x, w) y = Transpose<perm=[0,2,3,1]>(a)", {"w": (4, 3, 3, 3)}),
    Row("concat_of_branches", "float[1,4,8,8] x", "a = Conv<pads=[1,1,1,1]>(x, w) b = Relu(a) c = Conv(x, v) d = Concat<axis=1>(b, c) e = Conv(d, u) y = Concat<axis=1>(e, x)", {"w": (4, 4, 3, 3), "v": (4, 4, 1, 1), "u": (3, 8, 1, 1)}),
    Row("spatial_concat", "float[1,4,8,8] x", "a = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) b = AveragePool<kernel_shape=[2,2], strides=[2,2]>(x) c = Concat<axis=3>(a, b) y = Conv(c, w)", {"w": (3, 4, 3, 3)}),
    Row("two_heads", IMAGE, "a = Conv(x, w) r = Relu(a) g = GlobalAveragePool(r) f = Flatten(g) y = Gemm(f, v) z = Conv(r, u)", {"w": (4, 3, 3, 3), "v": (4, 5), "u": (2, 4, 1, 1)}, outputs="y z"),
    Row("two_inputs", "float[1,3,4,4] x, float[1,5] z", "f = Flatten(x) a = Gemm(f, w) b = Gemm(z, v) c = Concat<axis=1>(a, b) y = Relu(c)", {"w": (48, 4), "v": (5, 3)}),
    Row("transposed_residual", "float[1,4,6,6] x", "a = Conv<pads=[1,1,1,1]>(x, w) b = Transpose<perm=[0,2,3,1]>(a) t = Transpose<perm=[0,2,3,1]>(x) c = Add(b, t) y = Sigmoid(c)", {"w": (4, 4, 3, 3)}),
    Row("channel_shuffle", "float[1,6,4,4] x", "a = Conv<group=2>(x, w) b = Reshape(a, s) c = Transpose<perm=[0,2,1,3,4]>(b) d = Reshape(c, t) y = Conv<group=2>(d, v)", {"w": (6, 3, 1, 1), "s": ints(1, 2, 3, 4, 4), "t": ints(1, 6, 4, 4), "v": (4, 3, 1, 1)}),
    Row("conv_to_sequence", "float[1,3,4,5] x", "a = Conv(x, w) b = Reshape(a, s) c = Transpose<perm=[0,2,1]>(b) y = MatMul(c, v)", {"w": (6, 3, 1, 1), "s": ints(1, 6, 20), "v": (6, 4)}),
    Row("flatten_concat", "float[1,3,4,4] x, float[1,2] z", "a = Conv(x, w) f = Flatten(a) c = Concat<axis=1>(f, z) y = Gemm(c, v)", {"w": (4, 3, 3, 3), "v": (18, 3)}),
)  # fmt: skip

LOGIC = (
    Row("einsum", "float[2,3] x, float[3,4] z", 'y = Einsum<equation="ij,jk->ik">(x, z)'),
    Row("truth", "float[2,3] x", "a = Cast<to=9>(x) b = IsNaN(x) c = Xor(a, b) y = CastLike(c, x)"),
)

ROWS: tuple[Row, ...] = (*LOGIC, *CONV, *POOL, *DENSE, *UNARY, *BINARY, *REDUCE, *SHAPE, *GRAPH)
