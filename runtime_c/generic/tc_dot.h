#ifndef TC_DOT_H
#define TC_DOT_H

#include <stdint.h>

/* Dot products of int8 over groups of four. Cores with SIMD have their own version of this file; the order
 * of the elements below is the one that suits them: a widened group holds its elements 0, 2, 1, 3. */

/* `groups` groups of four int8 become int16, one group every `stride` elements of `wide`. */
static inline void tc_widen(int16_t *wide, const int8_t *narrow, int32_t groups, int32_t stride)
{
    for (int32_t i = 0; i < groups; ++i) {
        wide[0] = narrow[0];
        wide[1] = narrow[2];
        wide[2] = narrow[1];
        wide[3] = narrow[3];
        narrow += 4;
        wide += stride;
    }
}

/* Two positions (widened, group by group in turn) times two channels: sums[position * 2 + channel]. */
static inline void tc_dot_2x2(int32_t *sums, const int16_t *wide, const int8_t *weight, int32_t groups)
{
    for (int32_t i = 0; i < groups; ++i) {
        for (int32_t position = 0; position < 2; ++position) {
            for (int32_t channel = 0; channel < 2; ++channel) {
                const int16_t *x = wide + position * 4;
                const int8_t *w = weight + channel * 4;
                sums[position * 2 + channel] += x[0] * w[0] + x[1] * w[2] + x[2] * w[1] + x[3] * w[3];
            }
        }
        wide += 8;
        weight += 8;
    }
}

/* One position (as it is) times four channels. */
static inline void tc_dot_1x4(int32_t *sums, const int8_t *x, const int8_t *weight, int32_t groups)
{
    for (int32_t i = 0; i < groups; ++i) {
        for (int32_t channel = 0; channel < 4; ++channel) {
            const int8_t *w = weight + channel * 4;
            sums[channel] += x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3];
        }
        x += 4;
        weight += 16;
    }
}

#endif
