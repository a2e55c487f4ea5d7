#ifndef TC_MATH_H
#define TC_MATH_H

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
    r = 1.0f + tc_expm1_near_zero(tc_reduce_exp(x, &n));
    /* Two factors, since 2^n alone may leave the normal numbers. */
    first = tc_from_bits((uint32_t)((n >> 1) + 127) << 23);
    return r * first * tc_from_bits((uint32_t)(n - (n >> 1) + 127) << 23);
}

static inline float tc_expm1(float x)
{
    return x > -0.34657359f && x < 0.34657359f ? tc_expm1_near_zero(x) : tc_exp(x) - 1.0f;
}

static inline float tc_sigmoid(float x)
{
    return 1.0f / (1.0f + tc_exp(-x));
}

static inline float tc_tanh(float x)
{
    float magnitude = x < 0.0f ? -x : x;
    float y;
    if (magnitude > 9.1f) {
        y = 1.0f;
    } else {
        float e = tc_expm1(2.0f * magnitude);
        y = e / (e + 2.0f);
    }
    return x < 0.0f ? -y : y;
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

/* The error function: a series near zero, else 1 - a rational times e^-x^2 (Abramowitz and Stegun 7.1.26 is
 * too coarse for float32; this is the series of 7.1.6, whose terms are all positive). */
static inline float tc_erf(float x)
{
    float magnitude = x < 0.0f ? -x : x;
    float square = magnitude * magnitude;
    float term = magnitude;
    float sum = magnitude;
    int32_t n;
    if (magnitude > 3.95f) {
        return x < 0.0f ? -1.0f : 1.0f;
    }
    for (n = 1; n < 60; ++n) {
        term *= 2.0f * square / (float)(2 * n + 1);
        sum += term;
        if (term < sum * 1e-8f) {
            break;
        }
    }
    sum *= 1.12837917f * tc_exp(-square);
    return x < 0.0f ? -sum : sum;
}

#endif
