# ruff: noqa: E501 - a table: one row a line
"""Rows of the test matrix: convolutions and pools of any rank, transposed ones, weights at run time, Fourier transforms."""

from __future__ import annotations

import numpy as np
from host_batch import Row

SPATIAL = (
    Row("conv_3d", "float[1,2,4,5,6] x", "y = Conv<pads=[1,0,1,1,1,0], strides=[1,2,1]>(x, w, b)", {"w": (3, 2, 3, 2, 3), "b": (3,)}),
    Row("conv_3d_groups", "float[1,4,4,3,5] x", "y = Conv<group=2, dilations=[1,1,2]>(x, w)", {"w": (6, 2, 2, 2, 2)}),
    Row("conv_weights_at_run_time", "float[1,3,6,6] x, float[4,3,3,3] w", "y = Conv<pads=[1,1,1,1]>(x, w)"),
    Row("conv_transpose", "float[1,3,4,5] x", "y = ConvTranspose<strides=[2,2], pads=[1,0,1,0], output_padding=[1,0]>(x, w, b)", {"w": (3, 4, 3, 3), "b": (4,)}),
    Row("conv_transpose_groups", "float[1,4,3,3] x", "y = ConvTranspose<group=2, dilations=[2,1]>(x, w)", {"w": (4, 3, 2, 3)}),
    Row("conv_transpose_same", "float[1,2,3,4] x", 'y = ConvTranspose<auto_pad="SAME_UPPER", strides=[2,2]>(x, w)', {"w": (2, 3, 3, 3)}),
    Row("conv_transpose_1d", "float[1,3,7] x", "y = ConvTranspose<strides=[3]>(x, w)", {"w": (3, 2, 4)}),
    Row("conv_transpose_after_conv", "float[1,3,6,6] x", "a = Conv(x, w) b = Relu(a) c = ConvTranspose<strides=[2,2]>(b, v) y = Relu(c)", {"w": (4, 3, 3, 3), "v": (4, 2, 2, 2)}),
    Row("max_pool_3d", "float[1,2,4,5,6] x", "y = MaxPool<kernel_shape=[2,3,2], strides=[2,1,2]>(x)"),
    Row("average_pool_3d", "float[1,2,4,5,6] x", "y = AveragePool<kernel_shape=[2,3,2], pads=[1,1,0,0,1,1]>(x)"),
    Row("global_average_pool_3d", "float[1,2,4,3,2] x", "y = GlobalAveragePool(x)"),
    Row("lp_pool", "float[1,3,8,8] x", "y = LpPool<kernel_shape=[2,3], p=2>(x)"),
    Row("dft", "float[1,2,9,2] x", "y = DFT(x)", opset=20),
    Row("dft_onesided", "float[1,9,1] x", "y = DFT<onesided=1>(x, , a)", {"a": np.asarray(1)}, opset=20),
    Row("dft_inverse_longer", "float[1,5,3,2] x", "y = DFT<inverse=1>(x, n, a)", {"n": np.asarray(8), "a": np.asarray(1)}, opset=20),
    Row("stft", "float[1,32,1] x, float[8] w", "y = STFT<onesided=1>(x, s, w)", {"s": np.asarray(5)}),
    Row("lp_pool_1", "float[1,3,9] x", "y = LpPool<kernel_shape=[2], strides=[2], p=1>(x)"),
)  # fmt: skip
