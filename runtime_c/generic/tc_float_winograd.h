#ifndef TC_FLOAT_WINOGRAD_H
#define TC_FLOAT_WINOGRAD_H

#include <stdint.h>

#include "tc_winograd_patches.h"

/* tc_winograd.h for floats; weights are as in tc_float_rows.h. */

TC_WINOGRAD_PATCHES(tc_float_winograd_patches, float, float)

static inline void tc_float_winograd_sums(float *sums, const float *patches, const float *weight, float *spread,
                                          float *products, int32_t tiles, int32_t channels)
{
    (void)spread;
    (void)products;
    for (int32_t i = 0; i < tiles * 32; ++i) {
        const int32_t tile = i / 32, row = i / 16 % 2, column = i / 8 % 2, lane = i % 8;
        float sum = 0;
        for (int32_t tap = 0; tap < 9; ++tap) {
            const int32_t place = (row + tap / 3) * 4 + column + tap % 3;
            float part = 0;
            for (int32_t channel = 0; channel < channels; ++channel) {
                part += patches[(place * tiles + tile) * channels + channel] *
                        weight[(tap * channels + channel) * 8 + lane];
            }
            sum += part;
        }
        sums[i] = sum;
    }
}

#endif
