#ifndef TC_GATE_DOT_H
#define TC_GATE_DOT_H

#include <stdint.h>
#include <wasm_simd128.h>

/* The generic file says what this computes. Here the rows lie across a vector. */
static inline void tc_gate_dot(int32_t *sums, const int16_t *x, const int8_t *weight, int32_t pairs)
{
    v128_t sum = wasm_v128_load(sums);
    for (int32_t i = 0; i < pairs; ++i) {
        const v128_t weights = wasm_i16x8_load8x8(weight);
        const v128_t rows = wasm_i16x8_shuffle(weights, weights, 0, 2, 1, 3, 4, 6, 5, 7);
        sum = wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(rows, wasm_v128_load32_splat(x)));
        x += 2;
        weight += 8;
    }
    wasm_v128_store(sums, sum);
}

#endif
