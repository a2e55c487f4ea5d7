#ifndef TC_WINOGRAD_H
#define TC_WINOGRAD_H

#include <stdint.h>

#include "tc_winograd_patches.h"

/* Convolutions of 3 x 3 taps with stride 1, in tiles of 2 x 2 outputs, each of which reads a patch of 4 x 4 inputs.
 * Patches are [row][column][tile][channel], sums [tile][row][column][8 output channels], weights [tap][...][8] as in
 * tc_rows.h and tc_float_rows.h, for these eight output channels.
 *
 * Cores with vectors hold in `patches` what Winograd's F(2 x 2, 3 x 3) makes of a patch (Lavin and Gray 2016,
 * arXiv:1509.09308), and use `spread` (16 elements a channel and output channel) and `products` (4 tiles * 16 * 8).
 * There are at least four tiles, and the number of channels is a multiple of eight. Four times the sum has to fit 32
 * bits. Sums are written, not added to. */

TC_WINOGRAD_PATCHES(tc_winograd_patches, int16_t, int8_t)

static inline void tc_winograd_sums(int32_t *sums, const int16_t *patches, const int8_t *weight, int16_t *spread,
                                    int32_t *products, int32_t tiles, int32_t channels)
{
    (void)spread;
    (void)products;
    for (int32_t i = 0; i < tiles * 32; ++i) {
        const int32_t tile = i / 32, row = i / 16 % 2, column = i / 8 % 2, lane = i % 8;
        int32_t sum = 0;
        for (int32_t tap = 0; tap < 9; ++tap) {
            const int32_t place = (row + tap / 3) * 4 + column + tap % 3;
            for (int32_t channel = 0; channel < channels; ++channel) {
                const int32_t at = (tap * channels + channel / 2 * 2) * 8 + lane * 2 + channel % 2;
                sum += patches[(place * tiles + tile) * channels + channel] * weight[at];
            }
        }
        sums[i] = sum;
    }
}

#endif
