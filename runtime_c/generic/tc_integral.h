#ifndef TC_INTEGRAL_H
#define TC_INTEGRAL_H

#include "tc_math.h"

/* Rounding to whole numbers, remainders and integer powers. */

/* From 2^23 on every float is whole; NaN stays. */
static inline int tc_is_whole(float x)
{
    return !(x > -8388608.0f && x < 8388608.0f);
}

static inline float tc_trunc(float x)
{
    return tc_is_whole(x) ? x : tc_copy_sign((float)(int32_t)x, x);
}

static inline float tc_ceil(float x)
{
    return -tc_floor(-x);
}

/* a - b * trunc(a / b), exactly: by long division. */
static inline float tc_fmod(float a, float b)
{
    float rest = a < 0.0f ? -a : a;
    float divisor = b < 0.0f ? -b : b;
    if (!(divisor > 0.0f) || !(rest - rest <= 0.0f)) {
        return (a - a) / (b - b);
    }
    if (!(divisor <= 3.4028235e38f)) {
        return a;
    }
    while (rest >= divisor) {
        float step = divisor;
        while (step <= 0.5f * rest) {
            step *= 2.0f;
        }
        rest -= step;
    }
    return a < 0.0f ? -rest : rest;
}

/* base^exponent modulo 2^64; 0 for negative exponents, but of 1 and -1. */
static inline int64_t tc_integer_power(int64_t base, int64_t exponent)
{
    uint64_t result = 1;
    uint64_t factor = (uint64_t)base;
    if (exponent < 0) {
        return base == 1 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
    }
    while (exponent > 0) {
        if (exponent % 2 == 1) {
            result *= factor;
        }
        factor *= factor;
        exponent /= 2;
    }
    return (int64_t)result;
}

#endif
