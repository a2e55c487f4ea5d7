#ifndef TC_TAPS_PLAIN_H
#define TC_TAPS_PLAIN_H

#include <stdint.h>

/* The plain form of what tc_taps.h describes. */
static inline void tc_taps(int32_t *sums, const int16_t *x, const int32_t *weight, int32_t positions, int32_t rows,
                           int32_t row_stride)
{
    for (int32_t row = 0; row < rows; ++row) {
        for (int32_t i = 0; i < positions; ++i) {
            sums[i] += x[i] * (int16_t)weight[0] + x[i + 1] * (weight[0] >> 16) + x[i + 2] * (weight[1] >> 16);
        }
        x += row_stride;
        weight += 2;
    }
}

#endif
