#ifndef TC_DOT_PLAIN_H
#define TC_DOT_PLAIN_H

#include <stdint.h>

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
