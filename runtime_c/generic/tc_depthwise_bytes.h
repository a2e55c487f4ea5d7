#ifndef TC_DEPTHWISE_BYTES_H
#define TC_DEPTHWISE_BYTES_H

#include <stdint.h>

/* Windows of `rows` by `taps` int8, one for each channel, summed for one position: sums[channel]. Channels come by 16,
 * weights are [block of 16][tap][channel] and are not -128. Rows lie `row_stride` elements apart, taps `tap_step`. */
static inline void tc_depthwise_bytes(int32_t *sums, const int8_t *x, const int8_t *weight, int32_t channels,
                                      int32_t rows, int32_t row_stride, int32_t taps, int32_t tap_step)
{
    for (int32_t channel = 0; channel < channels; ++channel) {
        const int8_t *w = weight + channel / 16 * 16 * rows * taps + channel % 16;
        int32_t sum = 0;
        for (int32_t tap = 0; tap < rows * taps; ++tap) {
            sum += x[channel + tap / taps * row_stride + tap % taps * tap_step] * w[tap * 16];
        }
        sums[channel] = sum;
    }
}

#endif
