#ifndef TC_FLOAT_WINOGRAD_H
#define TC_FLOAT_WINOGRAD_H

#include "tc_multiply_add.h"
#include "tc_winograd_parts.h"

/* The generic file says what these compute. */

TC_INLINE void tc_float_winograd_patches(float *patches, const float *rows, int32_t row_length, int32_t tile_rows,
                                         int32_t tile_columns, int32_t channels)
{
    tc_winograd_make_patches((v128_t *)patches, (const int8_t *)rows, row_length * 4, tile_rows, tile_columns,
                             channels / 4, wasm_v128_load, 16, wasm_f32x4_add, wasm_f32x4_sub);
}

TC_CALLED void tc_float_winograd_weights(float *spread, const float *weight, int32_t channels)
{
    tc_winograd_spread((v128_t *)spread, (const int8_t *)weight, channels * 2, wasm_v128_load, 16, wasm_f32x4_add,
                       wasm_f32x4_sub);
}

TC_INLINE v128_t tc_float_winograd_quarter(v128_t x)
{
    return wasm_f32x4_mul(x, wasm_f32x4_splat(0.25f));
}

TC_INLINE void tc_float_winograd_sums(float *sums, const float *patches, const float *weight, float *spread,
                                      float *products, int32_t tiles, int32_t channels)
{
    v128_t *results = (v128_t *)products;
    tc_float_winograd_weights(spread, weight, channels);
    for (int32_t tile = 0; tile < tiles; tile += TC_WINOGRAD_TILES) {
        const int32_t first = tc_winograd_next(tile, tiles);
        for (int32_t place = 0; place < 16; ++place) {
            tc_winograd_multiply(results + place * 2 * TC_WINOGRAD_TILES,
                                 (const int32_t *)patches + (place * tiles + first) * channels,
                                 (const v128_t *)spread + place * channels * 2, channels, tc_multiply_add);
        }
        tc_winograd_add_up((int32_t *)sums + first * 32, results, wasm_f32x4_add, wasm_f32x4_sub,
                           tc_float_winograd_quarter);
    }
}

#endif
