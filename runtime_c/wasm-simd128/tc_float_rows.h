#ifndef TC_FLOAT_ROWS_H
#define TC_FLOAT_ROWS_H

#include <stdint.h>
#include <wasm_simd128.h>

#include "tc_multiply_add.h"
#include "tc_tile.h"

/* The generic file says what these compute. Here a vector holds four sums of a position, so that no sums run across a
 * vector. */

/* One position: four sums of each channel, so that none waits for the one before. */
TC_INLINE void tc_dot_floats_1(float *sums, const float *x, const float *weight, int32_t rows, int32_t row_stride,
                               int32_t length)
{
    v128_t part[8];
    TC_EACH(8, i)
    {
        part[i] = wasm_f32x4_splat(0);
    }
    for (int32_t row = 0; row < rows; ++row) {
        int32_t i = 0;
        for (; i + 4 <= length; i += 4) {
            TC_EACH(8, k)
            {
                v128_t factor = wasm_v128_load32_splat(x + i + k / 2);
                part[k] = tc_multiply_add(factor, wasm_v128_load(weight + k * 4), part[k]);
            }
            weight += 32;
        }
        for (; i < length; ++i) {
            v128_t factor = wasm_v128_load32_splat(x + i);
            part[0] = tc_multiply_add(factor, wasm_v128_load(weight), part[0]);
            part[1] = tc_multiply_add(factor, wasm_v128_load(weight + 4), part[1]);
            weight += 8;
        }
        x += row_stride;
    }
    TC_EACH(2, i)
    {
        v128_t sum = wasm_f32x4_add(wasm_f32x4_add(part[i], part[i + 2]), wasm_f32x4_add(part[i + 4], part[i + 6]));
        wasm_v128_store(sums + i * 4, wasm_f32x4_add(wasm_v128_load(sums + i * 4), sum));
    }
}

#define TC_DOT_FLOAT                                                                                                   \
    {                                                                                                                  \
        v128_t weight_low = wasm_v128_load(weight);                                                                    \
        v128_t weight_high = wasm_v128_load(weight + 4);                                                               \
        TC_EACH_POSITION                                                                                               \
        {                                                                                                              \
            v128_t factor = wasm_v128_load32_splat(element + p * step);                                                \
            low[p] = tc_multiply_add(weight_low, factor, low[p]);                                                      \
            high[p] = tc_multiply_add(weight_high, factor, high[p]);                                                   \
            TC_IN_ORDER(low[p], high[p]);                                                                              \
        }                                                                                                              \
        ++element;                                                                                                     \
        weight += 8;                                                                                                   \
    }

TC_INLINE void tc_dot_floats(float *sums, const float *x, const float *weight, int32_t positions, int32_t step,
                             int32_t rows, int32_t row_stride, int32_t length)
{
    if (positions == 1) {
        tc_dot_floats_1(sums, x, weight, rows, row_stride, length);
        return;
    }
    TC_LOAD_SUMS
    for (int32_t row = 0; row < rows; ++row) {
        const float *element = x;
        TC_STEPS(length, TC_DOT_FLOAT)
        x += row_stride;
    }
    TC_STORE_SUMS
}

TC_INLINE void tc_depthwise_floats(float *sums, const float *x, const float *weight, int32_t positions, int32_t step,
                                   int32_t rows, int32_t row_stride, int32_t taps, int32_t tap_step)
{
    TC_LOAD_SUMS
    for (int32_t row = 0; row < rows; ++row) {
        const float *tap = x;
        for (int32_t i = 0; i < taps; ++i) {
            v128_t weight_low = wasm_v128_load(weight);
            v128_t weight_high = wasm_v128_load(weight + 4);
            TC_EACH_POSITION
            {
                low[p] = tc_multiply_add(wasm_v128_load(tap + p * step), weight_low, low[p]);
                high[p] = tc_multiply_add(wasm_v128_load(tap + p * step + 4), weight_high, high[p]);
            }
            tap += tap_step;
            weight += 8;
        }
        x += row_stride;
    }
    TC_STORE_SUMS
}

#endif
