#ifndef TC_INNER_PRODUCT_H
#define TC_INNER_PRODUCT_H

#include <stdint.h>
#include <wasm_simd128.h>

#include "tc_multiply_add.h"
#include "tc_tile.h"

/* The generic file says what this computes. Here there are sixteen partial sums, in four vectors. */
static inline float tc_inner_product(const float *a, const float *b, int32_t length)
{
    v128_t sums[4] = {0};
    for (; length >= 16; length -= 16) {
        TC_EACH(4, k)
        {
            sums[k] = tc_multiply_add(wasm_v128_load(a + 4 * k), wasm_v128_load(b + 4 * k), sums[k]);
        }
        a += 16;
        b += 16;
    }
    for (; length >= 4; length -= 4) {
        sums[0] = tc_multiply_add(wasm_v128_load(a), wasm_v128_load(b), sums[0]);
        a += 4;
        b += 4;
    }
    v128_t sum = wasm_f32x4_add(wasm_f32x4_add(sums[0], sums[1]), wasm_f32x4_add(sums[2], sums[3]));
    sum = wasm_f32x4_add(sum, wasm_i32x4_shuffle(sum, sum, 2, 3, 0, 1));
    float total = wasm_f32x4_extract_lane(sum, 0) + wasm_f32x4_extract_lane(sum, 1);
    for (; length > 0; --length) {
        total += *a++ * *b++;
    }
    return total;
}

/* Four at once read `a` once. */
static inline void tc_inner_products(float *sums, const float *a, const float *b, int32_t distance, int32_t count,
                                     int32_t length)
{
    int32_t done = 0;
    v128_t parts[4][2] = {0};
    if (count == 4) {
        for (; done + 8 <= length; done += 8) {
            v128_t first = wasm_v128_load(a + done);
            v128_t second = wasm_v128_load(a + done + 4);
            TC_EACH(4, i)
            {
                const float *x = b + i * distance + done;
                parts[i][0] = tc_multiply_add(first, wasm_v128_load(x), parts[i][0]);
                parts[i][1] = tc_multiply_add(second, wasm_v128_load(x + 4), parts[i][1]);
            }
        }
    }
    for (int32_t i = 0; i < count; ++i) {
        sums[i] = tc_inner_product(a + done, b + i * distance + done, length - done);
    }
    if (done > 0) {
        TC_EACH(4, i)
        {
            v128_t sum = wasm_f32x4_add(parts[i][0], parts[i][1]);
            sum = wasm_f32x4_add(sum, wasm_i32x4_shuffle(sum, sum, 2, 3, 0, 1));
            sums[i] += wasm_f32x4_extract_lane(sum, 0) + wasm_f32x4_extract_lane(sum, 1);
        }
    }
}

#endif
