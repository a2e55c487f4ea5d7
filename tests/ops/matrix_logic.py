# ruff: noqa: E501 - a table: one row a line
"""Rows of the test matrix: comparisons, truth values, bits, element types, integers."""

from __future__ import annotations

import numpy as np
from host_batch import Row, scalar

PAIR = "int32[2,3] x, int32[3] z"
TRUTHS = "bool[2,3] x, bool[3] z"

LOGIC = (
    *(Row(f"{name.lower()}_floats", "float[2,3] x, float[3] z", f"a = Round(x) b = Round(z) y = {name}(a, b)", output_type="bool") for name in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")),
    *(Row(f"{name.lower()}_integers", PAIR, f"y = {name}(x, z)", output_type="bool") for name in ("Equal", "Greater", "Less")),
    *(Row(f"{name.lower()}_truths", TRUTHS, f"y = {name}(x, z)", output_type="bool") for name in ("And", "Or", "Xor", "Equal")),
    Row("not", "bool[2,3] x", "y = Not(x)", output_type="bool"),
    *(Row(f"{name.lower()}", PAIR, f"y = Bitwise{name}(x, z)", output_type="int32", low=-99, high=99) for name in ("And", "Or", "Xor")),
    Row("bitwise_not", "int32[2,3] x", "y = BitwiseNot(x)", output_type="int32", low=-99, high=99),
    Row("bitwise_not_uint8", "uint8[2,3] x", "y = BitwiseNot(x)", output_type="uint8", low=0, high=255),
    Row("shift_left", "uint32[2,3] x, uint32[3] z", 'y = BitShift<direction="LEFT">(x, z)', output_type="uint32", low=0, high=20),
    Row("shift_right", "uint8[2,3] x, uint8[3] z", 'y = BitShift<direction="RIGHT">(x, z)', output_type="uint8", low=0, high=7),
    Row("is_nan", "float[2,3] x", "a = Sqrt(x) y = IsNaN(a)", output_type="bool"),
    Row("is_inf", "float[2,9] x", "a = Round(x) b = Div(x, a) y = IsInf(b)", output_type="bool"),
    Row("is_inf_negative", "float[2,9] x", "a = Round(x) b = Div(x, a) y = IsInf<detect_positive=0>(b)", output_type="bool"),
    Row("where", "bool[3] c, float[2,1] x, float[2,3] z", "y = Where(c, x, z)"),
    Row("where_integers", "bool[2,3] c, int64[3] x, int64[1] z", "y = Where(c, x, z)", output_type="int64", low=-9, high=9),
    Row("truth", "float[2,3] x", "a = Cast<to=9>(x) b = IsNaN(x) c = Xor(a, b) y = CastLike(c, x)"),
    *(Row(f"cast_to_{name}", "float[2,9] x", f"y = Cast<to={number}>(x)", output_type=name, low=0, high=100) for name, number in (("int8", 3), ("uint8", 2), ("int32", 6), ("int64", 7), ("bool", 9))),
    Row("cast_int8_to_int64", "int8[2,9] x", "y = Cast<to=7>(x)", output_type="int64", low=-99, high=99),
    Row("cast_int64_to_float", "int64[2,9] x", "y = Cast<to=1>(x)", low=-99, high=99),
    Row("bit_cast", "float[2,3] x", "y = BitCast<to=6>(x)", output_type="int32", opset=26),
    Row("quantize_at_run_time", "float[2,9] x, float s", "y = QuantizeLinear(x, s, p)", {"p": np.asarray(3, np.int8)}, output_type="int8", low=0.1),
    Row("quantize_int16", "float[2,9] x, float s", "y = QuantizeLinear(x, s, p)", {"p": np.asarray(3, np.int16)}, output_type="int16", low=0.1),
    Row("quantize_zeros_dynamically", "float[2,9] x", "n = Abs(x) m = Neg(n) r = Relu(m) a, s, c = DynamicQuantizeLinear(r) y = DequantizeLinear(a, s, c)", outputs="y s"),
    Row("quantize_dynamically", "float[2,9] x", "a, b, c = DynamicQuantizeLinear(x) y = DequantizeLinear(a, b, c)"),
    Row("dequantize_at_run_time", "int8[2,9] x, float[2] s", "y = DequantizeLinear<axis=0>(x, s)", low=1, high=9),
    Row("dequantize_blocks", "float[3,8] x", "w = DequantizeLinear<axis=1, block_size=4>(q, s, p) y = Add(x, w)", {"q": np.arange(24, dtype=np.int8).reshape(3, 8), "s": (3, 2), "p": np.arange(6, dtype=np.int8).reshape(3, 2)}),
    *(Row(f"{name.lower()}_int32", PAIR, f"y = {name}(x, z)", output_type="int32", low=1, high=99) for name in ("Add", "Sub", "Mul", "Div", "Min", "Max", "Mod")),
    Row("div_negative", PAIR, "a = Neg(x) y = Div(a, z)", output_type="int32", low=1, high=99),
    Row("mod_negative", PAIR, "a = Neg(x) y = Mod(a, z)", output_type="int32", low=1, high=9),
    Row("mod_of_negative", PAIR, "a = Neg(z) y = Mod(x, a)", output_type="int32", low=1, high=9),
    Row("mod_as_c", "float[2,9] x, float[9] z", "a = Neg(x) y = Mod<fmod=1>(a, z)", low=0.5, high=9),
    Row("add_int64", "int64[2,3] x, int64[3] z", "y = Add(x, z)", output_type="int64", low=-99, high=99),
    Row("abs_int32", "int32[2,3] x", "a = Abs(x) b = Neg(a) y = Sign(b)", output_type="int32", low=-9, high=9),
    Row("pow_int32", "int32[2,3] x, int32[3] z", "y = Pow(x, z)", output_type="int32", low=1, high=6),
    Row("clip_at_run_time", "float[2,9] x, float l", "y = Clip(x, l, h)", {"h": scalar(1.5)}, low=-2, high=0.5),
    Row("mat_mul_int32", "int32[2,3] x, int32[3,4] z", "y = MatMul(x, z)", output_type="int32", low=-9, high=9),
    Row("mat_mul_integer", "uint8[2,3] x, uint8[3,4] z", "y = MatMulInteger(x, z, p, q)", {"p": np.asarray(12, np.uint8), "q": np.asarray([3, 0, 200, 9], np.uint8)}, output_type="int32", low=0, high=255),
    Row("conv_integer", "uint8[1,2,4,5] x, uint8[3,2,2,3] w", "y = ConvInteger<pads=[1,0,0,1]>(x, w, p)", {"p": np.asarray(12, np.uint8)}, output_type="int32", low=0, high=255),
    Row("reduce_sum_int32", "int32[2,3] x", "y = ReduceSum(x)", output_type="int32", low=-9, high=9),
    Row("reduce_max_int8", "int8[2,3] x", "y = ReduceMax(x)", output_type="int8", low=-99, high=99),
)  # fmt: skip
