#ifndef TC_DOT_RUNS_H
#define TC_DOT_RUNS_H

#include <stdint.h>
#include <string.h>

/* Dot products of runs of `length` int8 for cores whose vectors add up along a run. `channels` is a multiple of the
 * number of channels whose weights are woven, 16 elements of each in turn; zeros fill up their last 16. */

/* `rows` runs, `distance` apart, one after the other. */
static inline void tc_copy_rows(int8_t *to, const int8_t *from, int32_t rows, int32_t distance, int32_t length)
{
    for (int32_t row = 0; row < rows; ++row) {
        memcpy(to, from, (size_t)length);
        to += length;
        from += distance;
    }
}

static inline int32_t tc_dot_run(const int8_t *x, const int8_t *weight, int32_t woven, int32_t length)
{
    int32_t sum = 0;
    for (int32_t k = 0; k < length; ++k) {
        sum += x[k] * weight[k / 16 * 16 * woven + k % 16];
    }
    return sum;
}

/* Several positions, one run after the other, times channels of which two are woven: sums[position * channels + channel]. */
static inline void tc_dot_runs_2x2(int32_t *sums, const int8_t *x, const int8_t *weight, int32_t positions,
                                   int32_t channels, int32_t length)
{
    int32_t vectors = (length + 15) / 16;
    for (int32_t position = 0; position < positions; ++position) {
        for (int32_t channel = 0; channel < channels; ++channel) {
            const int8_t *w = weight + channel / 2 * 32 * vectors + channel % 2 * 16;
            sums[position * channels + channel] = tc_dot_run(x + position * length, w, 2, length);
        }
    }
}

/* One position times channels of which four are woven: sums[channel]. */
static inline void tc_dot_runs_1x4(int32_t *sums, const int8_t *x, const int8_t *weight, int32_t channels,
                                   int32_t length)
{
    int32_t vectors = (length + 15) / 16;
    for (int32_t channel = 0; channel < channels; ++channel) {
        sums[channel] = tc_dot_run(x, weight + channel / 4 * 64 * vectors + channel % 4 * 16, 4, length);
    }
}

#endif
