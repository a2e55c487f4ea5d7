#ifndef TC_QUADS_H
#define TC_QUADS_H

#include <stdint.h>

/* Sums of products for cores that add up four products of bytes at once: tiles as in tc_rows.h, of positions times
 * eight channels.
 *
 * Operands are flipped when their rows are copied: into what the core's instruction takes for int8. That may be the
 * element plus 128, without a sign; then sums are too large by 128 times the sum of the weights, which lies behind the
 * weights of each tile, an int16 a channel. No weight is -128. */

static inline int8_t tc_flip(int8_t element)
{
    return element;
}

static inline void tc_copy_flipped(int8_t *to, const int8_t *from, int32_t bytes)
{
    for (int32_t i = 0; i < bytes; ++i) {
        to[i] = tc_flip(from[i]);
    }
}

/* tc_weave of flipped bytes. */
static inline void tc_weave_flipped(int8_t *to, const int8_t *from, int32_t count, int32_t planes, int32_t distance)
{
    for (int32_t i = 0; i < count; ++i) {
        for (int32_t plane = 0; plane < planes; ++plane) {
            to[i * planes + plane] = tc_flip(from[plane * distance + i]);
        }
    }
}

/* Each position's window is `quads` quads of neighbours in each of `rows` rows, `row_stride` elements apart.
 * Weights: [row][quad][channel][4]. */
static inline void tc_dot_quads(int32_t *sums, const int8_t *x, const int8_t *weight, int32_t positions, int32_t step,
                                int32_t rows, int32_t row_stride, int32_t quads)
{
    for (int32_t row = 0; row < rows; ++row) {
        for (int32_t i = 0; i < quads * 4; ++i) {
            for (int32_t position = 0; position < positions; ++position) {
                int32_t element = x[row * row_stride + position * step + i];
                for (int32_t channel = 0; channel < 8; ++channel) {
                    sums[position * 8 + channel] += element * weight[(i / 4 * 8 + channel) * 4 + i % 4];
                }
            }
        }
        weight += quads * 32;
    }
}

/* A window of its own for each channel: `taps` taps, `tap_step` elements apart, in each of `rows` rows. Weights:
 * [four rows][tap][channel][4], zeros where there is no fourth row; positions are a multiple of `tap_step` apart. */
static inline void tc_depthwise_quads(int32_t *sums, const int8_t *x, const int8_t *weight, int32_t positions,
                                      int32_t step, int32_t rows, int32_t row_stride, int32_t taps, int32_t tap_step)
{
    for (int32_t row = 0; row < rows; ++row) {
        for (int32_t tap = 0; tap < taps; ++tap) {
            for (int32_t position = 0; position < positions; ++position) {
                const int8_t *element = x + row * row_stride + position * step + tap * tap_step;
                for (int32_t channel = 0; channel < 8; ++channel) {
                    sums[position * 8 + channel] +=
                        element[channel] * weight[((row / 4 * taps + tap) * 8 + channel) * 4 + row % 4];
                }
            }
        }
    }
}

#endif
