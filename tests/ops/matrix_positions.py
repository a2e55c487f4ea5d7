# ruff: noqa: E501 - a table: one row a line
"""Rows of the test matrix: elements at positions that are computed, positions of elements, constants made of shapes."""

from __future__ import annotations

import numpy as np
from host_batch import Row, floats, ints
from matrix_sizes import SIZES

INDEXED = "float[4,5] x, int64[2,3] i"
UPDATED = "float[4,5] x, int64[2,3] i, float[2,3] u"

POSITIONS = (
    *(Row(f"gather_at_run_time_{axis}", INDEXED, f"y = Gather<axis={axis}>(x, i)", low=-4, high=4) for axis in (0, 1)),
    Row("gather_embedding", "int32[1,6] i", "y = Gather(t, i)", {"t": (9, 4)}, low=0, high=9),
    Row("gather_elements", INDEXED, "y = GatherElements<axis=1>(x, i)", low=-5, high=5),
    Row("gather_nd", "float[4,5] x, int64[3,2] i", "y = GatherND(x, i)", low=-4, high=4),
    Row("gather_nd_batch", "float[2,4,5] x, int64[2,3,1] i", "y = GatherND<batch_dims=1>(x, i)", low=-4, high=4),
    Row("scatter_elements", "float[4,5] x, float[2,3] u", "y = ScatterElements<axis=1>(x, i, u)", {"i": np.asarray([[0, 2, -1], [4, 1, 3]])}),
    Row("scatter_elements_vector", "float[5] x, float[3] u", "y = ScatterElements(x, i, u)", {"i": ints(0, 3, -1)}),
    *(Row(f"scatter_elements_{how}", UPDATED, f'y = ScatterElements<axis=1, reduction="{how}">(x, i, u)', low=-4, high=4) for how in ("add", "mul", "min", "max")),
    Row("scatter_opset_10", "float[4,5] x, float[2,3] u", "y = Scatter<axis=1>(x, i, u)", {"i": np.asarray([[0, 2, 1], [4, 1, 3]])}, opset=10),
    Row("scatter_nd", "float[4,5] x, float[2,5] u", "y = ScatterND(x, i, u)", {"i": np.asarray([[3], [-3]])}),
    Row("scatter_nd_add", "float[4,5] x, int64[3,2] i, float[3] u", 'y = ScatterND<reduction="add">(x, i, u)', low=-4, high=4),
    Row("reverse_sequence", "float[5,3,2] x, int64[3] l", "y = ReverseSequence<time_axis=0, batch_axis=1>(x, l)", low=1, high=6),
    *(Row(f"arg_{kind.lower()}{'_last' if last else ''}", "float[3,4,5] x", f"a = Round(x) y = Arg{kind}<axis=1, select_last_index={last}>(a)", output_type="int64") for kind in ("Max", "Min") for last in (0, 1)),
    Row("arg_max_dropped", "float[3,4] x", "y = ArgMax<axis=-1, keepdims=0>(x)", output_type="int64"),
    Row("arg_max_int8", "int8[3,4] x", "y = ArgMax<axis=-1, keepdims=0>(x)", output_type="int64", low=-99, high=99),
    Row("top_k", "float[3,7] x", "y, z = TopK(x, k)", {"k": ints(4)}, outputs="y z", output_type="float int64"),
    Row("top_k_smallest", "float[7,3] x", "a = Round(x) y, z = TopK<axis=0, largest=0>(a, k)", {"k": ints(3)}, outputs="y z", output_type="float int64"),
    Row("top_k_read", "float[7] x, float[7,3] z", "a, i = TopK(x, k) b = Gather(z, i) c = Unsqueeze(a, o) y = Mul(b, c)", {"k": ints(4), "o": ints(1)}),
    Row("cum_sum", "float[3,4] x", "y = CumSum(x, a)", {"a": np.asarray(1, np.int32)}),
    Row("cum_sum_backwards", "float[3,4] x", "y = CumSum<exclusive=1, reverse=1>(x, a)", {"a": np.asarray(0, np.int32)}),
    Row("cum_prod", "float[3,4] x", "y = CumProd(x, a)", {"a": np.asarray(1)}, opset=26),
    Row("trilu", "float[4,5] x", "y = Trilu(x)"),
    Row("trilu_lower", "float[2,4,5] x", "y = Trilu<upper=0>(x, k)", {"k": np.asarray(-1)}),
    Row("one_hot", "int64[2,3] i", "y = OneHot<axis=1>(i, d, v)", {"d": np.asarray(5), "v": floats(-1, 2)}, low=-5, high=5),
    Row("eye_like", "float[3,4] x", "y = EyeLike<k=1>(x)"),
    Row("range", "float[4] x", "r = Range(a, b, c) y = Add(x, r)", {"a": np.float32(1), "b": np.float32(3), "c": np.float32(0.5)}),
    Row("constant_of_shape", "float[2,3] x", "c = ConstantOfShape(s) y = Add(x, c)", {"s": ints(2, 3)}),
    Row("constant", "float[2,3] x", "c = Constant<value_float=1.5>() y = Add(x, c)"),
    Row("shape", "float[2,3] x", "y = Shape(x) z = Size(x)", outputs="y z", output_type="int64"),
    Row("shape_arithmetic", "float[2,3,4] x", "s = Shape(x) a = Gather(s, i) b = Concat<axis=0>(a, m) y = Reshape(x, b)", {"i": ints(0), "m": ints(-1)}),
    *SIZES,
)  # fmt: skip
