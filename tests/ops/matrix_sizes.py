# ruff: noqa: E501 - a table: one row a line
"""Rows of the test matrix: outputs whose size depends on data, operators that read them, regions, random numbers."""

from __future__ import annotations

import numpy as np
from host_batch import Row, floats, ints, scalar

BOXES = "float[1,12,4] b, float[1,2,12] s"
FEW = "above = Relu(x) few = Cast<to=9>(above) p = NonZero(few) "  # about half of the elements
LIMITS = {"m": ints(3), "o": floats(0.2), "t": floats(-0.5)}

LOOP_ENDS = """
y, z, q = Loop<body=g (int64 n, bool c, float[3] h) => (bool d, float[3] m, float[3] o, int64 p) {
    row = Gather(x, n)
    m = Add(h, row)
    o = Neg(m)
    p = Mul(n, n)
    s = ReduceMax<keepdims=0>(m)
    d = Less(s, bound)
}>(trips, go, i)
l = ReduceSum<keepdims=0>(z)
"""
LOOP_READS_SOME = """
y = Loop<body=g (int64 n, bool c, float h) => (bool d, float m) {
    b = Mul(a, h)
    s = ReduceSum<keepdims=0>(b)
    m = Tanh(s)
    d = Identity(c)
}>(trips, , h)
"""
IF_READS_SOME = """
y = If<then_branch=t () => (float u) { u = ReduceSum<keepdims=0>(a) }, else_branch=e () => (float v) {
    b = Mul(a, a) v = ReduceMax<keepdims=0>(b) }>(c)
"""
SCAN_OF_SOME = """
y, z = Scan<num_scan_inputs=1, body=g (float[2] h, float[2] r) => (float[2] n, float[2] o) {
    n = Add(h, r)
    o = Mul(n, r)
}>(i, f)
"""

SIZES = (
    Row("loop_ends_early", "bool go, float[5,3] x, float[3] i", LOOP_ENDS, {"trips": ints(5).reshape(()), "bound": scalar(1)}, outputs="y z q l", output_type="float float int64 float"),
    Row("loop_reads_some", "float[3,4] x, int64 trips, float h", FEW + "t = Transpose(p) a = GatherND(x, t)" + LOOP_READS_SOME),
    Row("if_reads_some", "float[3,4] x, bool c", FEW + "t = Transpose(p) a = GatherND(x, t)" + IF_READS_SOME),
    Row("scan_of_some", "float[3,4] x, float[2] i", FEW + "t = Transpose(p) f = Cast<to=1>(t)" + SCAN_OF_SOME, outputs="y z"),
    Row("non_zero", "float[3,4] x", "a = Relu(x) y = NonZero(a)", output_type="int64"),
    Row("non_zero_bool", "bool[2,3,2] x", "y = NonZero(x)", output_type="int64"),
    Row("non_zero_int32", "int32[7] x", "y = NonZero(x)", output_type="int64"),
    Row("non_zero_transposed", "bool[3,4] x", "a = NonZero(x) y = Transpose(a)", output_type="int64"),
    Row("compress", "float[3,4] x, bool[4] c", "y = Compress<axis=1>(x, c)"),
    Row("compress_short", "float[3,4,2] x, bool[2] c", "y = Compress<axis=-2>(x, c)"),
    Row("compress_flat", "int32[3,4] x, bool[12] c", "y = Compress(x, c)", output_type="int32", low=-50, high=50),
    Row("unique", "float[3,5] x", "a = Round(x) y, i, j, k = Unique(a)", outputs="y i j k", output_type="float int64 int64 int64"),
    Row("unique_unsorted", "int64[13] x", "y, i, j, k = Unique<sorted=0>(x)", outputs="y i j k", output_type="int64 int64 int64 int64"),
    Row("unique_rows", "int8[9,2] x", "y, i, j, k = Unique<axis=0>(x)", outputs="y i j k", output_type="int8 int64 int64 int64", low=0, high=2),
    Row("unique_columns", "int8[2,9,2] x", "y, i, j, k = Unique<axis=1, sorted=0>(x)", outputs="y i j k", output_type="int8 int64 int64 int64", low=0, high=2),
    Row("unique_counts", "int64[9] x", "y, , , k = Unique(x)", outputs="y k", output_type="int64 int64"),
    Row("suppression", BOXES, "y = NonMaxSuppression(b, s, m, o, t)", LIMITS, output_type="int64"),
    Row("suppression_center", BOXES, "a = Abs(b) y = NonMaxSuppression<center_point_box=1>(a, s, m, o)", LIMITS, output_type="int64"),
    Row("suppression_equal_scores", BOXES, "a = Round(s) y = NonMaxSuppression(b, a, m, o)", LIMITS, output_type="int64"),
    Row("suppression_batches", "float[2,6,4] b, float[2,3,6] s", "y = NonMaxSuppression(b, s, m)", LIMITS, output_type="int64"),
    Row("suppression_limits_at_run_time", f"{BOXES}, float[1] o, float[1] t", "y = NonMaxSuppression(b, s, m, o, t)", {"m": ints(5)}, output_type="int64", low=0, high=1),
    Row("best_boxes", "float[1,12,4] b, float[1,1,12] s", "k = NonMaxSuppression(b, s, m, o) i = Gather<axis=1>(k, two) f = Squeeze(b, zero) y = Gather(f, i) a = Squeeze(s, front) z = Gather(a, i)", {**LIMITS, "m": ints(7), "two": np.asarray(2), "zero": ints(0), "front": ints(0, 1)}, outputs="y z"),
    Row("box_table", "float[1,12,4] b, float[1,1,12] s", "k = NonMaxSuppression(b, s, m, o) j = Slice(k, p, e, ax) i = Flatten<axis=0>(j) r = Reshape(i, minus) f = Squeeze(b, zero) g = Gather(f, r) d = Cast<to=1>(k) y = Concat<axis=1>(d, g) z = Shape(y)", {**LIMITS, "m": ints(7), "zero": ints(0), "p": ints(2), "e": ints(3), "ax": ints(1), "minus": ints(-1)}, outputs="y z", output_type="float int64"),
    Row("first_boxes", "float[1,12,4] b, float[1,1,12] s", "k = NonMaxSuppression(b, s, m, o) y = Slice(k, p, e) z = Slice(k, e, q)", {**LIMITS, "m": ints(7), "p": ints(0), "e": ints(2), "q": ints(2**31 - 1)}, outputs="y z", output_type="int64 int64"),
    Row("one_box", "float[1,12,4] b, float[1,1,12] s", "k = NonMaxSuppression(b, s, m, o, t) i = Gather<axis=1>(k, two) f = Squeeze(b, zero) y = Gather(f, i) z = Unsqueeze(i, zero)", {"m": ints(1), "o": floats(0.5), "t": floats(1.5), "two": np.asarray(2), "zero": ints(0)}, outputs="y z", output_type="float int64"),
    Row("masked_elements", "float[3,4] x", FEW + "t = Transpose(p) y = GatherND(x, t)"),
    Row("masked_elements_computed", "float[3,4] x", FEW + "t = Transpose(p) a = GatherND(x, t) b = Exp(a) c = Mul(b, a) y = Add(c, k)", {"k": scalar(2)}),
    Row("places", "float[3,4] x", FEW + "a, b = Split<axis=0, num_outputs=2>(p) r = Squeeze(a, zero) c = Squeeze(b, zero) y = Gather(x, r) z = Add(r, c)", {"zero": ints(0)}, outputs="y z", output_type="float int64"),
    Row("place_rows", "float[3,4] x", FEW + "t = Transpose(p) a = Cast<to=1>(t) b = MatMul(a, w) y = Softmax<axis=1>(b) z = ArgMax<axis=1, keepdims=0>(b) l = ReduceMax<keepdims=0>(b, one)", {"w": (2, 5), "one": ints(1)}, outputs="y z l", output_type="float int64 float"),
    Row("sums_of_some", "float[3,4] x", FEW + "t = Transpose(p) a = GatherND(x, t) y = ReduceSum<keepdims=0>(a) z = ReduceMean<keepdims=0>(a) n = Size(a) b = Neg(a) l = ReduceMax<keepdims=0>(b)", outputs="y z n l", output_type="float float int64 float", low=-1),
    Row("some_of_some", "float[3,4] x", FEW + "t = Transpose(p) a = GatherND(x, t) b = Greater(a, k) y = Compress(a, b) q = NonZero(b) z = Gather<axis=0>(a, q)", {"k": scalar(1)}, outputs="y z"),
    Row("some_boxes", "float[12,4] b, float[12] s", "c = Greater(s, k) p = NonZero(c) i = Squeeze(p, zero) u = Gather(b, i) v = Gather(s, i) a = Unsqueeze(u, zero) d = Unsqueeze(v, front) y = NonMaxSuppression(a, d, m, o) g = Gather<axis=1>(y, two) z = Gather(u, g)", {**LIMITS, "k": scalar(0), "zero": ints(0), "front": ints(0, 1), "two": np.asarray(2), "m": ints(9)}, outputs="y z", output_type="int64 float"),
    Row("integers_divided", "float[3,4] x", FEW + "t = Transpose(p) a = Add(t, one) y = Div(t, a) z = Mod(t, a)", {"one": ints(1)}, outputs="y z", output_type="int64 int64"),
    Row("merged_and_split", "float[3,4] x", FEW + "t = Transpose(p) a = Reshape(t, flat) b = Neg(a) y = Reshape(b, pairs) z = Add(y, t)", {"flat": ints(-1), "pairs": ints(-1, 2)}, outputs="a z", output_type="int64 int64"),
    *(Row(f"roi_align_{how}", "float[2,3,9,7] x, float[4,4] r", f"a = Abs(r) s = CumSum(a, axis) y = RoiAlign<{attributes}>(x, s, b)", {"b": ints(0, 1, 1, 0), "axis": np.asarray(1)}) for how, attributes in (
        ("average", "output_height=3, output_width=2, sampling_ratio=2"),
        ("adaptive", "output_height=2, output_width=2, spatial_scale=1.5"),
        ("maximum", 'mode="max", output_height=3, output_width=2, sampling_ratio=2'),
        ("pixels", 'coordinate_transformation_mode="output_half_pixel", output_height=2, output_width=3'),
    )),
    Row("roi_align_opset_10", "float[1,2,6,6] x, float[2,4] r", "a = Abs(r) s = CumSum(a, axis) y = RoiAlign<output_height=2, output_width=2>(x, s, b)", {"b": ints(0, 0), "axis": np.asarray(1)}, opset=15),
    Row("pooled_boxes", "float[1,5,8,8] x, float[1,12,4] b, float[1,1,12] s", "k = NonMaxSuppression(b, s, m, o) i = Gather<axis=1>(k, two) j = Gather<axis=1>(k, zero) f = Squeeze(b, front) a = Abs(f) c = CumSum(a, axis) g = Gather(c, i) p = RoiAlign<output_height=2, output_width=2, sampling_ratio=2>(x, g, j) q = Flatten(p) y = Gemm(q, w, v)", {**LIMITS, "m": ints(7), "two": np.asarray(2), "zero": np.asarray(0), "front": ints(0), "axis": np.asarray(1), "w": (20, 4), "v": (4,)}),
    Row("last_of_some", "float[3,4] x", FEW + "t = Transpose(p) y = Gather(t, i)", {"i": ints(-1, 0)}, output_type="int64", low=-0.5),
    Row("tensor_scatter", "float[2,3,5,2] x, float[2,3,2,2] u, int64[2] i", "y = TensorScatter(x, u, i)", opset=24, low=0, high=4),
    Row("tensor_scatter_circular", "float[2,5,2] x, float[2,3,2] u, int64[2] i", 'y = TensorScatter<mode="circular">(x, u, i)', opset=24, low=0, high=5),
    Row("mel_weights", "float[1,17] x", "m = MelWeightMatrix(n, l, r, a, b) y = MatMul(x, m)", {"n": np.asarray(8), "l": np.asarray(32), "r": np.asarray(16000), "a": scalar(125), "b": scalar(7500)}),
    Row("mel_weights_at_run_time", "int64 r, float a, float b", "k = Add(r, base) c = Add(b, top) d = Add(a, bottom) y = MelWeightMatrix(n, l, k, d, c)", {"n": np.asarray(8), "l": np.asarray(32), "base": np.asarray(16000), "top": scalar(7321), "bottom": scalar(137)}, low=0),
    *(Row(f"runs_{mode}_{kind}", f"{kind}[2,12] x", f'y = TfIdfVectorizer<mode="{mode}", min_gram_length={least}, max_gram_length=2, max_skip_count={skip}, ngram_counts=[0,4], ngram_indexes=[0,1,2,3,4,5,6], pool_int64s=[2,3,5,4,5,6,7,8,6,7], weights=[1.0,2.0,3.0,4.0,5.0,0.5,0.25]>(x)', low=2, high=9) for mode, kind, least, skip in (("TF", "int64", 1, 0), ("IDF", "int32", 2, 5), ("TFIDF", "int64", 1, 3))),
    Row("runs_of_one_row", "int64[9] x", 'y = TfIdfVectorizer<mode="TF", min_gram_length=1, max_gram_length=1, max_skip_count=0, ngram_counts=[0], ngram_indexes=[1,0], pool_int64s=[5,2]>(x)', low=2, high=9),
    *(Row(f"constant_{name}", "float[2,3] x", f"r = {node} z = Mul(r, none) y = Add(x, z)", {"none": scalar(0)}) for name, node in (
        ("random_uniform", "RandomUniform<shape=[2,3]>()"),
        ("random_uniform_like", "RandomUniformLike<low=-2.0, high=2.0>(x)"),
        ("random_normal", "RandomNormal<shape=[2,3]>()"),
        ("random_normal_like", "RandomNormalLike<seed=3.0>(x)"),
    )),
    Row("bernoulli", "float[2,3] x, float[2,3] p", "r = Bernoulli(p) z = Mul(r, none) y = Add(x, z)", {"none": scalar(0)}, low=0, high=1),
    Row("dropout_mask", "float[2,3] x", "y, z = Dropout(x)", outputs="y z", output_type="float bool"),
    Row("dropout_in_training", "float[2,3] x, float r", "n = Mul(r, none) y, z = Dropout(x, n, t)", {"none": scalar(0), "t": np.asarray(True)}, outputs="y z", output_type="float bool"),
)  # fmt: skip
