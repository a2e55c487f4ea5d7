#ifndef TC_LANES_MATH_H
#define TC_LANES_MATH_H

#include "tc_lanes.h"

/* What tc_math.h computes, of four floats and to the same bits: both sides of each of its branches, and a choice. */

static inline tc_float_lanes tc_lanes_choose(v128_t condition, tc_float_lanes yes, tc_float_lanes no)
{
    return (tc_float_lanes)wasm_v128_bitselect((v128_t)yes, (v128_t)no, condition);
}

/* The magnitude of one number with the sign of another. */
static inline tc_float_lanes tc_lanes_copy_sign(tc_float_lanes magnitude, tc_float_lanes sign)
{
    return tc_lanes_choose(wasm_i32x4_const_splat(INT32_MIN), sign, magnitude);
}

static inline tc_float_lanes tc_lanes_expm1_near_zero(tc_float_lanes x)
{
    tc_float_lanes sum = tc_lanes_all_f32(1.0f / 40320.0f);
    sum = sum * x + 1.0f / 5040.0f;
    sum = sum * x + 1.0f / 720.0f;
    sum = sum * x + 1.0f / 120.0f;
    sum = sum * x + 1.0f / 24.0f;
    sum = sum * x + 1.0f / 6.0f;
    sum = sum * x + 0.5f;
    return x + x * x * sum;
}

/* 2^n, for what is the exponent of a normal number. */
static inline tc_float_lanes tc_lanes_power(v128_t n)
{
    return (tc_float_lanes)wasm_i32x4_shl(wasm_i32x4_add(n, wasm_i32x4_const_splat(127)), 23);
}

static inline tc_float_lanes tc_lanes_exp_f32(tc_float_lanes x)
{
    v128_t too_large = wasm_f32x4_gt((v128_t)x, wasm_f32x4_const_splat(88.722839f));
    v128_t too_small = wasm_f32x4_lt((v128_t)x, wasm_f32x4_const_splat(-103.972077f));
    v128_t is_nan = wasm_f32x4_ne((v128_t)x, (v128_t)x);
    tc_float_lanes zero = tc_lanes_all_f32(0.0f);
    tc_float_lanes y = tc_lanes_choose(wasm_v128_or(wasm_v128_or(too_large, too_small), is_nan), zero, x);
    tc_float_lanes scaled = y * 1.44269504f;
    tc_float_lanes half = tc_lanes_all_f32(0.5f);
    half = tc_lanes_choose(wasm_f32x4_lt((v128_t)scaled, (v128_t)zero), -half, half);
    v128_t n = wasm_i32x4_trunc_sat_f32x4((v128_t)(scaled + half));
    tc_float_lanes whole = (tc_float_lanes)wasm_f32x4_convert_i32x4(n);
    y = (y - whole * 0.693359375f) - whole * -2.12194440e-4f;
    y = 1.0f + tc_lanes_expm1_near_zero(y);
    v128_t first = wasm_i32x4_shr(n, 1);
    y = y * tc_lanes_power(first) * tc_lanes_power(wasm_i32x4_sub(n, first));
    y = tc_lanes_choose(too_small, zero, y);
    y = tc_lanes_choose(too_large, tc_lanes_all_f32(1e38f * 10.0f), y);
    return tc_lanes_choose(is_nan, x, y);
}

static inline tc_float_lanes tc_lanes_expm1_f32(tc_float_lanes x)
{
    v128_t is_small = wasm_f32x4_lt(wasm_f32x4_abs((v128_t)x), wasm_f32x4_const_splat(0.34657359f));
    tc_float_lanes small = tc_lanes_copy_sign(tc_lanes_expm1_near_zero(x), x);
    return tc_lanes_choose(is_small, small, tc_lanes_exp_f32(x) - 1.0f);
}

static inline tc_float_lanes tc_lanes_sigmoid_f32(tc_float_lanes x)
{
    tc_float_lanes e = tc_lanes_exp_f32((tc_float_lanes)wasm_f32x4_neg(wasm_f32x4_abs((v128_t)x)));
    v128_t is_positive = wasm_f32x4_ge((v128_t)x, wasm_f32x4_const_splat(0.0f));
    return tc_lanes_choose(is_positive, tc_lanes_all_f32(1.0f), e) / (1.0f + e);
}

static inline tc_float_lanes tc_lanes_tanh_f32(tc_float_lanes x)
{
    tc_float_lanes magnitude = (tc_float_lanes)wasm_f32x4_abs((v128_t)x);
    tc_float_lanes e = tc_lanes_expm1_f32(2.0f * magnitude);
    v128_t is_large = wasm_f32x4_gt((v128_t)magnitude, wasm_f32x4_const_splat(9.1f));
    return tc_lanes_copy_sign(tc_lanes_choose(is_large, tc_lanes_all_f32(1.0f), e / (e + 2.0f)), x);
}

#endif
