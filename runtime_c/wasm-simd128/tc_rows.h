#ifndef TC_ROWS_H
#define TC_ROWS_H

#include <stdint.h>
#include <wasm_simd128.h>

#include "tc_tile.h"

/* The generic file says what these compute. Here a vector holds four sums of a position, so that no sums run across a
 * vector. */

/* LOAD: eight weights as int16. */
#define TC_DOT_PAIRS(LOAD)                                                                                             \
    {                                                                                                                  \
        v128_t weight_low = LOAD(weight);                                                                              \
        v128_t weight_high = LOAD(weight + 8);                                                                         \
        TC_EACH_POSITION                                                                                               \
        {                                                                                                              \
            v128_t element = wasm_v128_load32_splat(pair + p * step);                                                  \
            low[p] = wasm_i32x4_add(low[p], wasm_i32x4_dot_i16x8(weight_low, element));                                \
            high[p] = wasm_i32x4_add(high[p], wasm_i32x4_dot_i16x8(weight_high, element));                             \
        }                                                                                                              \
        pair += 2;                                                                                                     \
        weight += 16;                                                                                                  \
    }

#define TC_DOT_PAIR TC_DOT_PAIRS(wasm_i16x8_load8x8)
#define TC_DOT_WIDE_PAIR TC_DOT_PAIRS(wasm_v128_load)

TC_INLINE void tc_dot_pairs(int32_t *sums, const int16_t *x, const int8_t *weight, int32_t positions, int32_t step,
                            int32_t rows, int32_t row_stride, int32_t pairs)
{
    TC_LOAD_SUMS
    for (int32_t row = 0; row < rows; ++row) {
        const int16_t *pair = x;
        TC_STEPS(pairs, TC_DOT_PAIR)
        x += row_stride;
    }
    TC_STORE_SUMS
}

TC_INLINE void tc_dot_wide_pairs(int32_t *sums, const int16_t *x, const int16_t *weight, int32_t positions,
                                 int32_t step, int32_t rows, int32_t row_stride, int32_t pairs)
{
    TC_LOAD_SUMS
    for (int32_t row = 0; row < rows; ++row) {
        const int16_t *pair = x;
        TC_STEPS(pairs, TC_DOT_WIDE_PAIR)
        x += row_stride;
    }
    TC_STORE_SUMS
}

/* Neighbouring positions share what is woven of two columns, so that it is made once, and kept no longer than needed. */
TC_INLINE void tc_depthwise_pairs(int32_t *sums, const int16_t *x, const int8_t *weight, int32_t positions,
                                  int32_t step, int32_t rows, int32_t row_stride, int32_t pairs, int32_t tap_step)
{
    const int32_t unit = TC_COLUMN_STEP;
    TC_LOAD_SUMS
    for (int32_t row = 0; row < rows; ++row) {
        TC_EACH(((positions - 1) * step + (2 * pairs - 2) * tap_step) / unit + 1, column)
        {
            const int16_t *tap = x + column * unit;
            v128_t first = wasm_v128_load(tap);
            v128_t second = wasm_v128_load(tap + tap_step);
            v128_t pairs_low = wasm_i16x8_shuffle(first, second, 0, 8, 1, 9, 2, 10, 3, 11);
            v128_t pairs_high = wasm_i16x8_shuffle(first, second, 4, 12, 5, 13, 6, 14, 7, 15);
            TC_EACH_POSITION
            {
                const int32_t offset = column * unit - p * step;
                const int32_t pair = offset / (2 * tap_step);
                if (offset >= 0 && offset % (2 * tap_step) == 0 && pair < pairs) {
                    const int8_t *both = weight + pair * 16;
                    low[p] = wasm_i32x4_add(low[p], wasm_i32x4_dot_i16x8(pairs_low, wasm_i16x8_load8x8(both)));
                    high[p] = wasm_i32x4_add(high[p], wasm_i32x4_dot_i16x8(pairs_high, wasm_i16x8_load8x8(both + 8)));
                }
            }
        }
        x += row_stride;
        weight += pairs * 16;
    }
    TC_STORE_SUMS
}

#endif
