#ifndef TC_GATE_DOT_H
#define TC_GATE_DOT_H

#include <stdint.h>

/* Adds the sums of products of `pairs` pairs of elements with four rows of weights to sums[row]. The weights of a pair
 * are the bytes: elements 0 of rows 0 and 1, elements 1 of rows 0 and 1, then the same of rows 2 and 3. That order suits
 * cores with SIMD, which have their own version of this file. */
static inline void tc_gate_dot(int32_t *sums, const int16_t *x, const int8_t *weight, int32_t pairs)
{
    int32_t sum_0 = sums[0];
    int32_t sum_1 = sums[1];
    int32_t sum_2 = sums[2];
    int32_t sum_3 = sums[3];
    for (int32_t i = 0; i < pairs; ++i) {
        const int32_t first = x[0];
        const int32_t second = x[1];
        sum_0 += first * weight[0] + second * weight[2];
        sum_1 += first * weight[1] + second * weight[3];
        sum_2 += first * weight[4] + second * weight[6];
        sum_3 += first * weight[5] + second * weight[7];
        x += 2;
        weight += 8;
    }
    sums[0] = sum_0;
    sums[1] = sum_1;
    sums[2] = sum_2;
    sums[3] = sum_3;
}

#endif
