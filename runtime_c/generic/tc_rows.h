#ifndef TC_ROWS_H
#define TC_ROWS_H

#include <stdint.h>

/* Sums of products for cores with vectors: eight channels lie across the vectors. A tile is `positions`
 * neighbouring outputs, `step` elements of a row apart, times eight channels: sums[position * 8 + channel].
 * All of them add to `sums`. */

/* Each position's window is `pairs` pairs of int16 in each of `rows` rows, `row_stride` elements apart.
 * Weights: [row][pair][channel][2]. */
static inline void tc_dot_pairs(int32_t *sums, const int16_t *x, const int8_t *weight, int32_t positions, int32_t step,
                                int32_t rows, int32_t row_stride, int32_t pairs)
{
    for (int32_t row = 0; row < rows; ++row) {
        for (int32_t i = 0; i < pairs; ++i) {
            for (int32_t position = 0; position < positions; ++position) {
                const int16_t *pair = x + row * row_stride + position * step + i * 2;
                for (int32_t channel = 0; channel < 8; ++channel) {
                    sums[position * 8 + channel] += pair[0] * weight[channel * 2] + pair[1] * weight[channel * 2 + 1];
                }
            }
            weight += 16;
        }
    }
}

/* The same with weights of int16. */
static inline void tc_dot_wide_pairs(int32_t *sums, const int16_t *x, const int16_t *weight, int32_t positions,
                                     int32_t step, int32_t rows, int32_t row_stride, int32_t pairs)
{
    for (int32_t row = 0; row < rows; ++row) {
        for (int32_t i = 0; i < pairs; ++i) {
            for (int32_t position = 0; position < positions; ++position) {
                const int16_t *pair = x + row * row_stride + position * step + i * 2;
                for (int32_t channel = 0; channel < 8; ++channel) {
                    sums[position * 8 + channel] += pair[0] * weight[channel * 2] + pair[1] * weight[channel * 2 + 1];
                }
            }
            weight += 16;
        }
    }
}

/* A window of its own for each channel: `pairs` pairs of taps, `tap_step` elements apart, in each of `rows` rows.
 * Weights: [row][pair][channel][2]. */
static inline void tc_depthwise_pairs(int32_t *sums, const int16_t *x, const int8_t *weight, int32_t positions,
                                      int32_t step, int32_t rows, int32_t row_stride, int32_t pairs, int32_t tap_step)
{
    for (int32_t row = 0; row < rows; ++row) {
        for (int32_t i = 0; i < pairs; ++i) {
            for (int32_t position = 0; position < positions; ++position) {
                const int16_t *tap = x + row * row_stride + position * step + i * 2 * tap_step;
                for (int32_t channel = 0; channel < 8; ++channel) {
                    sums[position * 8 + channel] +=
                        tap[channel] * weight[channel * 2] + tap[tap_step + channel] * weight[channel * 2 + 1];
                }
            }
            weight += 16;
        }
    }
}

#endif
