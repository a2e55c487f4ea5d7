#ifndef TC_QUADS_H
#define TC_QUADS_H

#include <stdint.h>
#include <wasm_simd128.h>

#include "tc_relaxed_dot.h"
#include "tc_tile.h"
#include "tc_weave.h"

/* The generic file says what these compute, tc_relaxed_dot.h what engines make of flipped bytes. */

static inline int8_t tc_flip(int8_t element)
{
    return (int8_t)(element ^ wasm_i8x16_extract_lane(tc_flipped_bits(), 0));
}

static inline void tc_copy_flipped(int8_t *to, const int8_t *from, int32_t bytes)
{
    v128_t bits = tc_flipped_bits();
    int32_t i = 0;
    for (; i + 16 <= bytes; i += 16) {
        wasm_v128_store(to + i, wasm_v128_xor(wasm_v128_load(from + i), bits));
    }
    for (; i < bytes; ++i) {
        to[i] = tc_flip(from[i]);
    }
}

TC_INLINE void tc_weave_flipped(int8_t *to, const int8_t *from, int32_t count, int32_t planes, int32_t distance)
{
    int32_t done = tc_weave_most(to, from, count, planes, distance, tc_flipped_bits());
    TC_WEAVE_REST(done, tc_flip)
}

/* Takes off what flipped elements add too much. It is the same for all positions: compilers subtract it once. */
#define TC_CORRECT_SUMS(weight_sums)                                                                                   \
    TC_EACH_POSITION                                                                                                   \
    {                                                                                                                  \
        v128_t sums_of_weights = wasm_v128_load(weight_sums);                                                          \
        low[p] = wasm_i32x4_sub(low[p], tc_excess(wasm_i32x4_extend_low_i16x8(sums_of_weights)));                      \
        high[p] = wasm_i32x4_sub(high[p], tc_excess(wasm_i32x4_extend_high_i16x8(sums_of_weights)));                   \
    }

#define TC_DOT_QUAD                                                                                                    \
    {                                                                                                                  \
        v128_t weight_low = wasm_v128_load(weight);                                                                    \
        v128_t weight_high = wasm_v128_load(weight + 16);                                                              \
        TC_EACH_POSITION                                                                                               \
        {                                                                                                              \
            v128_t element = wasm_v128_load32_splat(quad + p * step);                                                  \
            low[p] = tc_relaxed_dot(weight_low, element, low[p]);                                                      \
            high[p] = tc_relaxed_dot(weight_high, element, high[p]);                                                   \
        }                                                                                                              \
        quad += 4;                                                                                                     \
        weight += 32;                                                                                                  \
    }

/* One position alone would wait for each of its products: four sums of it are made side by side. */
#define TC_FOUR_QUADS                                                                                                  \
    {                                                                                                                  \
        TC_EACH(4, k)                                                                                                  \
        {                                                                                                              \
            v128_t element = wasm_v128_load32_splat(quad + k * 4);                                                     \
            part_low[k] = tc_relaxed_dot(wasm_v128_load(weight + k * 32), element, part_low[k]);                       \
            part_high[k] = tc_relaxed_dot(wasm_v128_load(weight + k * 32 + 16), element, part_high[k]);                \
        }                                                                                                              \
        quad += 16;                                                                                                    \
        weight += 128;                                                                                                 \
    }

TC_INLINE void tc_dot_quads(int32_t *sums, const int8_t *x, const int8_t *weight, int32_t positions, int32_t step,
                            int32_t rows, int32_t row_stride, int32_t quads)
{
    const int32_t fours = positions == 1 ? quads / 4 : 0;
    TC_LOAD_SUMS
    TC_CORRECT_SUMS(weight + rows * quads * 32)
    v128_t part_low[4] = {0};
    v128_t part_high[4] = {0};
    for (int32_t row = 0; row < rows; ++row) {
        const int8_t *quad = x;
        TC_STEPS(fours, TC_FOUR_QUADS)
        TC_STEPS(quads - fours * 4, TC_DOT_QUAD)
        x += row_stride;
    }
    if (positions == 1) {
        TC_EACH(4, k)
        {
            low[0] = wasm_i32x4_add(low[0], part_low[k]);
            high[0] = wasm_i32x4_add(high[0], part_high[k]);
        }
    }
    TC_STORE_SUMS
}

/* Eight channels of up to four rows, the rows of a channel side by side: four channels in each of two vectors. */
TC_INLINE void tc_weave_rows(const int8_t *x, int32_t row_stride, int32_t rows, v128_t *low, v128_t *high)
{
    v128_t row[4] = {0};
    TC_EACH(4, k)
    {
        if (k < rows) {
            row[k] = wasm_v128_load64_zero(x + k * row_stride);
        }
    }
    v128_t upper = wasm_i8x16_shuffle(row[0], row[1], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    v128_t lower = wasm_i8x16_shuffle(row[2], row[3], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    *low = wasm_i16x8_shuffle(upper, lower, 0, 8, 1, 9, 2, 10, 3, 11);
    *high = wasm_i16x8_shuffle(upper, lower, 4, 12, 5, 13, 6, 14, 7, 15);
}

TC_INLINE void tc_depthwise_quads(int32_t *sums, const int8_t *x, const int8_t *weight, int32_t positions, int32_t step,
                                  int32_t rows, int32_t row_stride, int32_t taps, int32_t tap_step)
{
    const int32_t unit = TC_COLUMN_STEP;
    TC_LOAD_SUMS
    TC_CORRECT_SUMS(weight + (rows + 3) / 4 * taps * 32)
    TC_EACH((rows + 3) / 4, block)
    {
        TC_EACH(((positions - 1) * step + (taps - 1) * tap_step) / unit + 1, column)
        {
            v128_t woven_low;
            v128_t woven_high;
            tc_weave_rows(x + column * unit, row_stride, rows - block * 4, &woven_low, &woven_high);
            TC_EACH_POSITION
            {
                const int32_t offset = column * unit - p * step;
                const int32_t tap = offset / tap_step;
                if (offset >= 0 && offset % tap_step == 0 && tap < taps) {
                    low[p] = tc_relaxed_dot(wasm_v128_load(weight + tap * 32), woven_low, low[p]);
                    high[p] = tc_relaxed_dot(wasm_v128_load(weight + tap * 32 + 16), woven_high, high[p]);
                }
            }
        }
        x += 4 * row_stride;
        weight += taps * 32;
    }
    TC_STORE_SUMS
}

#endif
