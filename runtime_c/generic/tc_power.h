#ifndef TC_POWER_H
#define TC_POWER_H

#include "tc_integral.h"
#include "tc_math.h"

/* Powers and hyperbolic functions in float32 without a C library: the same bits on every target. */

static inline float tc_pow(float base, float exponent)
{
    float whole = tc_trunc(exponent);
    float magnitude = base < 0.0f ? -base : base;
    int odd = tc_is_whole(whole) ? 0 : (int32_t)whole % 2 != 0;
    float y;
    if (exponent == 0.0f || base == 1.0f) {
        return 1.0f;
    }
    if (whole == exponent && whole >= -64.0f && whole <= 64.0f) {
        int32_t count = (int32_t)(whole < 0.0f ? -whole : whole);
        float factor = base;
        y = 1.0f;
        while (count > 0) {
            if (count % 2 == 1) {
                y *= factor;
            }
            factor *= factor;
            count /= 2;
        }
        return whole < 0.0f ? 1.0f / y : y;
    }
    if (base < 0.0f && whole != exponent) {
        return (base - base) / (base - base);
    }
    y = magnitude == 0.0f ? (exponent > 0.0f ? 0.0f : TC_INFINITY) : tc_exp(exponent * tc_log(magnitude));
    return base < 0.0f && odd ? -y : y;
}

static inline float tc_sinh(float x)
{
    float magnitude = x < 0.0f ? -x : x;
    float e = tc_expm1(magnitude > 80.0f ? 0.5f * magnitude : magnitude);
    return tc_copy_sign(magnitude > 80.0f ? 0.5f * e * e : 0.5f * (e + e / (e + 1.0f)), x);
}

static inline float tc_cosh(float x)
{
    float magnitude = x < 0.0f ? -x : x;
    float e = tc_exp(magnitude > 80.0f ? 0.5f * magnitude : magnitude);
    return magnitude > 80.0f ? 0.5f * e * e : 0.5f * (e + 1.0f / e);
}

static inline float tc_asinh(float x)
{
    float magnitude = x < 0.0f ? -x : x;
    float square = magnitude * magnitude;
    float y = magnitude > 1e10f ? tc_log(magnitude) + 0.69314718f
                                : tc_log1p(magnitude + square / (1.0f + tc_sqrt(square + 1.0f)));
    return tc_copy_sign(y, x);
}

static inline float tc_acosh(float x)
{
    float t = x - 1.0f;
    if (t < 0.0f) {
        return (x - x) / (x - x);
    }
    return x > 1e10f ? tc_log(x) + 0.69314718f : tc_log1p(t + tc_sqrt(t * (x + 1.0f)));
}

static inline float tc_atanh(float x)
{
    float magnitude = x < 0.0f ? -x : x;
    return tc_copy_sign(0.5f * tc_log1p(2.0f * magnitude / (1.0f - magnitude)), x);
}

#endif
