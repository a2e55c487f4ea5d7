# ruff: noqa: E501 - a table: one row a line
"""Rows of several nodes: what fusion and layout have to get right."""

from __future__ import annotations

import numpy as np
from host_batch import Row, ints, scalar

IMAGE = "float[1,3,8,8] x"

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
    Row("rotary", "float[1,4,3,8] x, float[1,3,1,4] c, float[1,3,1,4] s", "t = Transpose<perm=[0,2,1,3]>(x) a, b = Split<axis=3, num_outputs=2>(t) ac = Mul(c, a) bs = Mul(s, b) d = Sub(ac, bs) as = Mul(s, a) bc = Mul(c, b) e = Add(as, bc) f = Concat<axis=3>(d, e) y = Transpose<perm=[0,2,1,3]>(f)"),
    Row("diamond", "float[2,5] x", "a = Sigmoid(x) b = Tanh(a) c = Neg(a) y = Mul(b, c)"),
    Row("residual", "float[1,4,6,6] x", "a = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(a) c = Conv<pads=[1,1,1,1]>(r, v) s = Add(c, x) y = Relu(s)", {"w": (4, 4, 3, 3), "b": (4,), "v": (4, 4, 3, 3)}),
    Row("residual_projection", "float[1,4,6,6] x", "a = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w) p = Conv<strides=[2,2]>(x, v) s = Add(a, p) y = Relu(s)", {"w": (6, 4, 3, 3), "v": (6, 4, 1, 1)}),
    Row("inception", "float[1,4,6,6] x", "a = Conv(x, w1) b = Conv<pads=[1,1,1,1]>(x, w3) c = Conv<pads=[2,2,2,2]>(x, w5) m = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x) d = Conv(m, w1) y = Concat<axis=1>(a, b, c, d)", {"w1": (3, 4, 1, 1), "w3": (5, 4, 3, 3), "w5": (2, 4, 5, 5)}),
    Row("swish", IMAGE, "a = Conv(x, w) s = Sigmoid(a) y = Mul(a, s)", {"w": (4, 3, 3, 3)}),
    Row("hard_swish_decomposed", IMAGE, "a = Conv(x, w) b = Add(a, three) c = Clip(b, zero, six) d = Mul(a, c) y = Div(d, six)", {"w": (4, 3, 3, 3), "three": scalar(3), "zero": scalar(0), "six": scalar(6)}, low=-6, high=6),
    Row("clip_of_sigmoid", "float[2,15] x", "a = Sigmoid(x) y = Clip(a, l, h)", {"l": scalar(0.25), "h": scalar(0.75)}, low=-4, high=4),
    Row("clip_of_product", "int32[2,15] x", "a = Mul(x, x) y = Clip(a, l, h)", {"l": np.int32(5), "h": np.int32(300)}, output_type="int32", low=-30, high=30),
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
