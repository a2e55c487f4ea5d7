#ifndef TC_TRIG_H
#define TC_TRIG_H

#include "tc_math.h"

/* Trigonometric functions in float32 without a C library: the same bits on every target. The polynomials are those
 * of Cephes (S. Moshier). Sine, cosine and tangent lose accuracy slowly beyond
 * |x| = 8192, and are those of 0 beyond 3e9. */

/* x = n pi/2 + r with |r| <= pi/4; pi/2 in three parts (Cody and Waite). */
static inline float tc_reduce_quarter(float x, int32_t *quarter)
{
    float scaled = x * 0.63661977f;
    float n;
    if (!(scaled > -2.0e9f && scaled < 2.0e9f)) {
        *quarter = 0;
        return x - x; /* 0, or NaN of an infinity */
    }
    *quarter = (int32_t)(scaled < 0.0f ? scaled - 0.5f : scaled + 0.5f);
    n = (float)*quarter;
    return ((x - n * 1.5703125f) - n * 4.83751297e-4f) - n * 7.54978995e-8f;
}

static inline float tc_sin_near_zero(float x)
{
    float z = x * x;
    return tc_copy_sign(((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * x + x, x);
}

static inline float tc_cos_near_zero(float x)
{
    float z = x * x;
    return ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z + 1.0f;
}

static inline float tc_sin_of_quarter(float r, int32_t quarter)
{
    float y = quarter % 2 == 0 ? tc_sin_near_zero(r) : tc_cos_near_zero(r);
    return ((uint32_t)quarter & 2U) != 0 ? -y : y;
}

static inline float tc_sin(float x)
{
    int32_t quarter;
    float r = tc_reduce_quarter(x, &quarter);
    return tc_sin_of_quarter(r, quarter);
}

static inline float tc_cos(float x)
{
    int32_t quarter;
    float r = tc_reduce_quarter(x, &quarter);
    return tc_sin_of_quarter(r, quarter + 1);
}

static inline float tc_tan(float x)
{
    int32_t quarter;
    float r = tc_reduce_quarter(x, &quarter);
    return tc_sin_of_quarter(r, quarter) / tc_sin_of_quarter(r, quarter + 1);
}

static inline float tc_atan(float x)
{
    float magnitude = x < 0.0f ? -x : x;
    float start = 0.0f;
    float z;
    if (magnitude > 2.414213562f) {
        start = 1.57079633f;
        magnitude = -1.0f / magnitude;
    } else if (magnitude > 0.4142135623f) {
        start = 0.785398163f;
        magnitude = (magnitude - 1.0f) / (magnitude + 1.0f);
    }
    z = magnitude * magnitude;
    z = (((8.05374449538e-2f * z - 1.38776856032e-1f) * z + 1.99777106478e-1f) * z - 3.33329491539e-1f) * z;
    return tc_copy_sign(start + (z * magnitude + magnitude), x);
}

static inline float tc_asin_near_zero(float x)
{
    float z = x * x;
    float y = (4.2163199048e-2f * z + 2.4181311049e-2f) * z + 4.5470025998e-2f;
    return ((y * z + 7.4953002686e-2f) * z + 1.6666752422e-1f) * z * x + x;
}

static inline float tc_asin(float x)
{
    float magnitude = x < 0.0f ? -x : x;
    float y = magnitude > 0.5f ? 1.57079633f - 2.0f * tc_asin_near_zero(tc_sqrt(0.5f * (1.0f - magnitude)))
                               : tc_asin_near_zero(magnitude);
    return tc_copy_sign(y, x);
}

static inline float tc_acos(float x)
{
    if (x > 0.5f) {
        return 2.0f * tc_asin_near_zero(tc_sqrt(0.5f * (1.0f - x)));
    }
    return 1.57079633f - tc_asin(x);
}

#endif
