# ruff: noqa: E501 - a table: one row a line
"""Rows of the test matrix: samples between elements, windows put back, pools with positions, determinants."""

from __future__ import annotations

from host_batch import Row, floats, ints, scalar

GRID = "float[2,3,4,5] x, float[2,3,2,2] g"

SAMPLING = (
    *(
        Row(f"grid_{mode}_{padding}_{align}", GRID, f'y = GridSample<mode="{mode}", padding_mode="{padding}", align_corners={align}>(x, g)')
        for mode in ("linear", "nearest", "cubic") for padding in ("zeros", "border", "reflection") for align in (0, 1)
    ),
    Row("grid_opset_16", GRID, 'y = GridSample<mode="bicubic">(x, g)', opset=16),
    Row("grid_far_away", GRID, 'a = Mul(g, s) y = GridSample<padding_mode="reflection">(x, a)', {"s": scalar(9)}),
    Row("grid_one_element", "float[1,2,1,1] x, float[1,3,2,2] g", 'y = GridSample<mode="cubic", padding_mode="reflection", align_corners=1>(x, g)'),
    *(Row(f"grid_3d_{mode}", "float[1,2,3,4,5] x, float[1,2,3,2,3] g", f'y = GridSample<mode="{mode}", padding_mode="border">(x, g)') for mode in ("linear", "nearest")),
    Row("reduce_max_of_infinities", "float[3,4] x", "a = Sub(x, x) b = Log(a) c = ReduceMax<keepdims=0>(b, k) y = IsInf(c)", {"k": ints(1)}, output_type="bool"),
    Row("conv_transpose_output_shape", "float[1,2,3,3] x", "y = ConvTranspose<output_shape=[8,6], strides=[3,2]>(x, w)", {"w": (2, 2, 3, 3)}),
    *(Row(f"max_pool_positions_{order}", "float[2,3,6,7] x", f"y, z = MaxPool<kernel_shape=[3,2], strides=[2,2], pads=[1,0,1,1], storage_order={order}>(x)", outputs="y z", output_type="float int64") for order in (0, 1)),
    Row("max_pool_positions_1d", "float[1,2,9] x", "a = Round(x) y, z = MaxPool<kernel_shape=[3], dilations=[2], ceil_mode=1, strides=[2]>(a)", outputs="y z", output_type="float int64"),
    Row("max_unpool", "float[1,2,6,6] x", "a, i = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) y = MaxUnpool<kernel_shape=[2,2], strides=[2,2]>(a, i)"),
    *(Row(f"affine_grid_{align}", "float[1,2,3] t", f"y = AffineGrid<align_corners={align}>(t, s)", {"s": ints(1, 3, 2, 5)}) for align in (0, 1)),
    Row("affine_grid_3d", "float[2,3,4] t", "y = AffineGrid(t, s)", {"s": ints(2, 3, 2, 5, 1)}),
    Row("upsample_linear", "float[1,2,3,4] x", 'y = Upsample<mode="linear">(x, s)', {"s": floats(1, 1, 2, 3)}, opset=9),
    Row("upsample_by_half", "float[1,2,4,4] x", "y = Upsample(x, s)", {"s": floats(1, 1, 1.5, 1.5)}, opset=9),
    Row("resize_opset_10", "float[1,2,3,4] x", 'y = Resize<mode="linear">(x, s)', {"s": floats(1, 1, 2, 1.5)}, opset=10),
    *(Row(f"hardmax_opset_11_{axis}", "float[2,3,4] x", f"y = Hardmax<axis={axis}>(x)", opset=11) for axis in (0, 1, 2)),
    Row("hardmax_opset_11", "float[2,3,4] x", "y = Hardmax(x)", opset=11),
    Row("weights_of_runs", "int64[9] x", 'y = TfIdfVectorizer<mode="TFIDF", min_gram_length=1, max_gram_length=1, max_skip_count=0, ngram_counts=[0], ngram_indexes=[1,0], pool_int64s=[5,2], weights=[0.5,2.0]>(x)', low=2, high=9),
    Row("col2im", "float[2,12,20] x", "y = Col2Im<pads=[1,0,0,1]>(x, s, b)", {"s": ints(5, 5), "b": ints(3, 2)}),
    Row("col2im_strides", "float[1,6,4] x", "y = Col2Im<strides=[2,2], dilations=[2,1]>(x, s, b)", {"s": ints(7, 5), "b": ints(3, 2)}),
    Row("deform_conv", "float[2,2,4,5] x, float[2,12,3,5] o", "y = DeformConv<kernel_shape=[2,3], pads=[0,1,0,1]>(x, w, o)", {"w": (3, 2, 2, 3)}),
    Row("deform_conv_groups", "float[1,4,5,6] x, float[1,16,4,3] o, float[1,8,4,3] m", "y = DeformConv<group=2, offset_group=2, strides=[1,2], dilations=[1,2], pads=[0,0,0,1]>(x, w, o, b, m)", {"w": (6, 2, 2, 2), "b": (6,)}),
    *(Row(f"resize_region_{mode}_{size}", "float[1,2,5,6] x, float[4] r", f'y = Resize<mode="{mode}", axes=[3,2], coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=3.0>(x, r, , s)', {"s": ints(size, 3)}, low=0, high=1.1) for mode in ("linear", "nearest") for size in (1, 4)),
    Row("det", "float[2,3,4,4] x", "y = Det(x)"),
    Row("det_singular", "float[3,3] x", "a = Mul(x, z) y = Det(a) w = Add(x, y)", {"z": floats(1, 0, 1)}, outputs="y w"),
    *(Row(f"group_norm_{groups}", "float[2,6,3,4] x", f"y = GroupNormalization<num_groups={groups}, epsilon=0.01>(x, s, b)", {"s": (6,), "b": (6,)}) for groups in (1, 3)),
    Row("rotary_at_run_time", "float[1,2,5,8] x, float[9,3] a, float[9,3] b", "y = RotaryEmbedding<interleaved=1, rotary_embedding_dim=6>(x, a, b, p)", {"p": ints(1, 8, 3, 4, 0).reshape(1, 5)}, opset=23),
    Row("rotary_flat", "float[1,5,16] x, float[1,5,4] a, float[1,5,4] b", "y = RotaryEmbedding<num_heads=2>(x, a, b)", opset=23),
)  # fmt: skip
