#ifndef TC_RANDOM_H
#define TC_RANDOM_H

#include <stdint.h>

#include "tc_math.h"
#include "tc_trig.h"

/* Random number `index` of 0 <= y < 1: a hash of it. */
static inline float tc_random_uniform(uint32_t index)
{
    uint32_t bits = index;
    bits = (bits ^ bits >> 16) * UINT32_C(0x7feb352d);
    bits = (bits ^ bits >> 15) * UINT32_C(0x846ca68b);
    bits ^= bits >> 16;
    return (float)(bits >> 8) * 5.9604645e-8f;
}

/* A normal random number of mean 0 and deviation 1, from the uniform ones `index` and `index` + 1. */
static inline float tc_random_normal(uint32_t index)
{
    const float length = tc_sqrt(-2.0f * tc_log(1.0f - tc_random_uniform(index)));
    return length * tc_cos(6.2831853f * tc_random_uniform(index + 1u));
}

#endif
