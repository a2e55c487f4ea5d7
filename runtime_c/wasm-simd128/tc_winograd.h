#ifndef TC_WINOGRAD_H
#define TC_WINOGRAD_H

#include "tc_winograd_parts.h"

/* The generic file says what these compute. All of it is exact: patches stay within 4 * 128, spread weights within
 * 9 * 128, and sums that wrap around on the way are right in the end, as four times the sum fits 32 bits. */

TC_INLINE void tc_winograd_patches(int16_t *patches, const int8_t *rows, int32_t row_length, int32_t tile_rows,
                                   int32_t tile_columns, int32_t channels)
{
    tc_winograd_make_patches((v128_t *)patches, rows, row_length, tile_rows, tile_columns, channels / 8,
                             wasm_i16x8_load8x8, 8, wasm_i16x8_add, wasm_i16x8_sub);
}

TC_CALLED void tc_winograd_weights(int16_t *spread, const int8_t *weight, int32_t channels)
{
    tc_winograd_spread((v128_t *)spread, weight, channels, wasm_i16x8_load8x8, 8, wasm_i16x8_add, wasm_i16x8_sub);
}

TC_INLINE v128_t tc_winograd_dot(v128_t weight, v128_t element, v128_t sum)
{
    return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(weight, element));
}

TC_INLINE v128_t tc_winograd_quarter(v128_t x)
{
    return wasm_i32x4_shr(x, 2);
}

TC_INLINE void tc_winograd_sums(int32_t *sums, const int16_t *patches, const int8_t *weight, int16_t *spread,
                                int32_t *products, int32_t tiles, int32_t channels)
{
    const int32_t pairs = channels / 2;
    v128_t *results = (v128_t *)products;
    tc_winograd_weights(spread, weight, channels);
    for (int32_t tile = 0; tile < tiles; tile += TC_WINOGRAD_TILES) {
        const int32_t first = tc_winograd_next(tile, tiles);
        for (int32_t place = 0; place < 16; ++place) {
            tc_winograd_multiply(results + place * 2 * TC_WINOGRAD_TILES,
                                 (const int32_t *)patches + (place * tiles + first) * pairs,
                                 (const v128_t *)spread + place * channels, pairs, tc_winograd_dot);
        }
        tc_winograd_add_up(sums + first * 32, results, wasm_i32x4_add, wasm_i32x4_sub, tc_winograd_quarter);
    }
}

#endif
