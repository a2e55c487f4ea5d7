#ifndef TC_NORMALIZE_H
#define TC_NORMALIZE_H

#include <stdint.h>

#include "tc_clamp.h"
#include "tc_mulhi.h"

/* 2^46 / sqrt(m) for 2^30 <= m < 2^32, by Newton's method from a line that is at most a tenth off. */
static inline uint32_t tc_reciprocal_sqrt(uint32_t m)
{
    uint64_t r = 2362232012u - (((uint64_t)m * 1395864371u) >> 32);
    for (int32_t i = 0; i < 4; ++i) {
        const uint64_t square = (((r * r) >> 30) * m) >> 32;
        r = (r * (3221225472u - square)) >> 31;
    }
    return (uint32_t)r;
}

/* What deviations from the mean, times the number of elements, are divided by: a factor and a shift. */
typedef struct {
    int64_t factor;
    int64_t half;
    int32_t scale;
} tc_deviation;

/* The variance times length^2 is an integer; `epsilon` is what is added to it, in 2^-bits, and at least 1. With b bits
 * after the point of what is normalized, `scale` is 46 - bits / 2 - b. */
static inline tc_deviation tc_deviation_of(int32_t sum, int64_t squares, int32_t length, int64_t epsilon, int32_t bits,
                                           int32_t scale)
{
    uint64_t variance = ((uint64_t)(squares * length - (int64_t)sum * sum) << bits) + (uint64_t)epsilon;
    while (variance >= 4294967296u) {
        variance >>= 2;
        ++scale;
    }
    while (variance < 1073741824u) {
        variance <<= 2;
        --scale;
    }
    const tc_deviation deviation = {tc_reciprocal_sqrt((uint32_t)variance), (int64_t)1 << (scale - 1), scale};
    return deviation;
}

/* With as many bits after the point as `rule` was made for. */
static inline int32_t tc_normalized(int32_t deviation, tc_deviation rule)
{
    return (int32_t)((deviation * rule.factor + rule.half) >> rule.scale);
}

/* The layer normalization of one row of `length` int8. Elements are normalized to Q20; then
 * y = clamp((hi32(normalized * multiplier[i]) + addend[i]) >> shift). Not `centred`: the mean counts as zero. */
static inline void tc_normalize_row(int8_t *y, const int8_t *x, const int32_t *multiplier, const int32_t *addend,
                                    int32_t length, int32_t zero_point, int32_t centred, int64_t epsilon, int32_t shift,
                                    int32_t low, int32_t high)
{
    int32_t sum = 0;
    int64_t squares = 0;
    for (int32_t i = 0; i < length; ++i) {
        const int32_t element = x[i] - zero_point;
        sum += element;
        squares += element * element;
    }
    if (!centred) {
        sum = 0;
    }
    const tc_deviation rule = tc_deviation_of(sum, squares, length, epsilon, 20, 16);
    for (int32_t i = 0; i < length; ++i) {
        const int32_t normalized = tc_normalized((x[i] - zero_point) * length - sum, rule);
        y[i] = (int8_t)tc_clamp(tc_mulhi_add(normalized, multiplier[i], addend[i]) >> shift, low, high);
    }
}

/* The same for int16, normalized to Q23; `bits` and `scale` as for tc_deviation_of. */
static inline void tc_normalize_row_s16(int16_t *y, const int16_t *x, const int32_t *multiplier, const int32_t *addend,
                                        int32_t bits, int32_t scale, int32_t length, int32_t zero_point,
                                        int32_t centred, int64_t epsilon, int32_t shift, int32_t low, int32_t high)
{
    int32_t sum = 0;
    int64_t squares = 0;
    for (int32_t i = 0; i < length; ++i) {
        const int32_t element = x[i] - zero_point;
        sum += element;
        squares += (int64_t)element * element;
    }
    if (!centred) {
        sum = 0;
    }
    const tc_deviation rule = tc_deviation_of(sum, squares, length, epsilon, bits, scale);
    for (int32_t i = 0; i < length; ++i) {
        const int32_t normalized = tc_normalized((x[i] - zero_point) * length - sum, rule);
        y[i] = (int16_t)tc_clamp(tc_mulhi_add(normalized, multiplier[i], addend[i]) >> shift, low, high);
    }
}

#endif
