#ifndef TC_FLOAT_ROWS_H
#define TC_FLOAT_ROWS_H

#include <stdint.h>

/* tc_rows.h for floats. */

/* Each position's window is `length` floats in each of `rows` rows. Weights: [row][element][channel]. */
static inline void tc_dot_floats(float *sums, const float *x, const float *weight, int32_t positions, int32_t step,
                                 int32_t rows, int32_t row_stride, int32_t length)
{
    for (int32_t row = 0; row < rows; ++row) {
        for (int32_t i = 0; i < length; ++i) {
            for (int32_t position = 0; position < positions; ++position) {
                float element = x[row * row_stride + position * step + i];
                for (int32_t channel = 0; channel < 8; ++channel) {
                    sums[position * 8 + channel] += element * weight[channel];
                }
            }
            weight += 8;
        }
    }
}

/* A window of its own for each channel: `taps` taps, `tap_step` elements apart, in each of `rows` rows.
 * Weights: [row][tap][channel]. */
static inline void tc_depthwise_floats(float *sums, const float *x, const float *weight, int32_t positions,
                                       int32_t step, int32_t rows, int32_t row_stride, int32_t taps, int32_t tap_step)
{
    for (int32_t row = 0; row < rows; ++row) {
        for (int32_t i = 0; i < taps; ++i) {
            for (int32_t position = 0; position < positions; ++position) {
                const float *tap = x + row * row_stride + position * step + i * tap_step;
                for (int32_t channel = 0; channel < 8; ++channel) {
                    sums[position * 8 + channel] += tap[channel] * weight[channel];
                }
            }
            weight += 8;
        }
    }
}

#endif
