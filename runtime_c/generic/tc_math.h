#ifndef TC_MATH_H
#define TC_MATH_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Elementary functions in float32 without a C library: the same bits on every target. */

#define TC_INFINITY (1e38f * 10.0f)

static inline float tc_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t tc_to_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The magnitude of one number with the sign of another, of zeros and NaNs too. */
static inline float tc_copy_sign(float magnitude, float sign)
{
    return tc_from_bits((tc_to_bits(magnitude) & 0x7fffffffU) | (tc_to_bits(sign) & 0x80000000U));
}

/* A function, since a compiler of expressions takes x != x for false. */
static inline bool tc_is_nan(float x)
{
    return x != x;
}

/* e^x - 1 for |x| <= ln(2) / 2: the Taylor series up to x^8, Horner's rule. */
static inline float tc_expm1_near_zero(float x)
{
    float sum = 1.0f / 40320.0f;
    sum = sum * x + 1.0f / 5040.0f;
    sum = sum * x + 1.0f / 720.0f;
    sum = sum * x + 1.0f / 120.0f;
    sum = sum * x + 1.0f / 24.0f;
    sum = sum * x + 1.0f / 6.0f;
    sum = sum * x + 0.5f;
    return x + x * x * sum;
}

/* x = n ln(2) + r with |r| <= ln(2) / 2; ln(2) in two parts, the first with 9 trailing zeros (Cody and Waite). */
static inline float tc_reduce_exp(float x, int32_t *power)
{
    float scaled = x * 1.44269504f;
    int32_t n = (int32_t)(scaled < 0.0f ? scaled - 0.5f : scaled + 0.5f);
    *power = n;
    return (x - (float)n * 0.693359375f) - (float)n * -2.12194440e-4f;
}

static inline float tc_exp(float x)
{
    int32_t n;
    float r;
    float first;
    if (x > 88.722839f) {
        return TC_INFINITY;
    }
    if (x < -103.972077f) {
        return 0.0f;
    }
    if (x != x) {
        return x; /* a NaN has no integer part */
    }
    r = 1.0f + tc_expm1_near_zero(tc_reduce_exp(x, &n));
    /* Two factors, since 2^n alone may leave the normal numbers. */
    first = tc_from_bits((uint32_t)((n >> 1) + 127) << 23);
    return r * first * tc_from_bits((uint32_t)(n - (n >> 1) + 127) << 23);
}

static inline float tc_expm1(float x)
{
    if (x > -0.34657359f && x < 0.34657359f) {
        return tc_copy_sign(tc_expm1_near_zero(x), x);
    }
    return tc_exp(x) - 1.0f;
}

/* 2 artanh(s) = ln((1 + s) / (1 - s)) for |s| <= 0.18: the series up to s^9. */
static inline float tc_log_series(float s)
{
    float square = s * s;
    float sum = 1.0f / 9.0f;
    sum = sum * square + 1.0f / 7.0f;
    sum = sum * square + 0.2f;
    sum = sum * square + 1.0f / 3.0f;
    return 2.0f * s * square * sum + 2.0f * s;
}

static inline float tc_log(float x)
{
    int32_t n = -127;
    uint32_t bits;
    float m;
    if (!(x > 0.0f)) {
        return x == 0.0f ? -TC_INFINITY : (x - x) / (x - x);
    }
    if (x > 3.4028234e38f) {
        return x;
    }
    if (x < 1.2e-38f) { /* subnormal */
        x *= 16777216.0f;
        n -= 24;
    }
    bits = tc_to_bits(x);
    n += (int32_t)(bits >> 23);
    m = tc_from_bits((bits & 0x007fffffU) | 0x3f800000U); /* x = m 2^n */
    if (m > 1.41421356f) {
        m *= 0.5f;
        ++n;
    }
    m = tc_log_series((m - 1.0f) / (m + 1.0f));
    return (float)n * 0.693359375f + ((float)n * -2.12194440e-4f + m);
}

/* ln(1 + x) */
static inline float tc_log1p(float x)
{
    return x > -0.29f && x < 0.41f ? tc_copy_sign(tc_log_series(x / (2.0f + x)), x) : tc_log(1.0f + x);
}

/* ln(1 + e^x) */
static inline float tc_softplus(float x)
{
    return (x > 0.0f ? x : 0.0f) + tc_log1p(tc_exp(x > 0.0f ? -x : x));
}

static inline float tc_floor(float x)
{
    float whole;
    if (!(x > -8388608.0f && x < 8388608.0f)) {
        return x; /* there are no fractions beyond 2^23 */
    }
    whole = (float)(int32_t)x;
    return tc_copy_sign(whole > x ? whole - 1.0f : whole, x);
}

/* To the nearest integer, ties to even. */
static inline float tc_rint(float x)
{
    float below = tc_floor(x);
    float rest = x - below;
    if (rest > 0.5f || (rest == 0.5f && tc_floor(below * 0.5f) * 2.0f != below)) {
        below += 1.0f;
    }
    return tc_copy_sign(below, x);
}

static inline float tc_sigmoid(float x)
{
    float e;
    if (x >= 0.0f) {
        return 1.0f / (1.0f + tc_exp(-x));
    }
    e = tc_exp(x); /* does not overflow, and keeps the small results */
    return e / (1.0f + e);
}

static inline float tc_tanh(float x)
{
    float magnitude = x < 0.0f ? -x : x;
    float y = 1.0f;
    if (!(magnitude > 9.1f)) {
        float e = tc_expm1(2.0f * magnitude);
        y = e / (e + 2.0f);
    }
    return tc_copy_sign(y, x);
}

/* Square root by Newton's method on the reciprocal square root, the last step on the root itself. */
static inline float tc_sqrt(float x)
{
    float scale = 1.0f;
    float y;
    float root;
    if (!(x > 0.0f)) {
        return x == 0.0f ? x : (x - x) / (x - x);
    }
    if (x > 3.4028234e38f) {
        return x;
    }
    if (x < 1.2e-38f) { /* subnormal */
        x *= 16777216.0f;
        scale = 1.0f / 4096.0f;
    }
    y = tc_from_bits(0x5f3759dfU - (tc_to_bits(x) >> 1));
    y = y * (1.5f - 0.5f * x * y * y);
    y = y * (1.5f - 0.5f * x * y * y);
    y = y * (1.5f - 0.5f * x * y * y);
    root = x * y;
    return 0.5f * (root + x / root) * scale;
}

/* The error function: x plus x times a polynomial in x^2 near zero, else 1 - e^-q(x), where e^-q fits the
 * complement with the least relative error of the result. */
static inline float tc_erf(float x)
{
    float magnitude = x < 0.0f ? -x : x;
    float y = 1.0f;
    if (magnitude < 0.93f) {
        float square = x * x;
        y = 8.327487e-05f;
        y = y * square - 0.0008133215f;
        y = y * square + 0.005200261f;
        y = y * square - 0.02685912f;
        y = y * square + 0.11283691f;
        y = y * square - 0.37612635f;
        y = y * square + 0.12837917f;
        return x + x * y;
    }
    if (!(magnitude > 3.95f)) {
        y = -0.00019593826f;
        y = y * magnitude + 0.0030432267f;
        y = y * magnitude - 0.022226956f;
        y = y * magnitude + 0.103931665f;
        y = y * magnitude + 0.6371822f;
        y = y * magnitude + 1.1276757f;
        y = y * magnitude + 0.00019566652f;
        y = 1.0f - tc_exp(-y);
    }
    return tc_copy_sign(y, x);
}

#endif
