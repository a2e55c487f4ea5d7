#ifndef TC_RELAXED_DOT_H
#define TC_RELAXED_DOT_H

#include <stdint.h>
#include <wasm_simd128.h>

/* Of `i32x4.relaxed_dot_i8x16_i7x16_add_s` WebAssembly says what it computes where the second operand is in 0..127. For
 * other bytes engines take it as int8, or as uint8, or saturate the sum of two products, as the processor has it
 * (https://github.com/WebAssembly/relaxed-simd, "integer dot product"). On engines of the first two kinds eight bits
 * of each operand are exact once those of the second kind get the element plus 128. Weights of -128 are not exact
 * everywhere: the sum of two products may wrap at 16 bits. */

/* sum[i] + the four products of bytes 4i..4i+3. */
static inline v128_t tc_relaxed_dot(v128_t weights, v128_t elements, v128_t sum)
{
    return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(weights, elements, sum);
}

static inline int32_t tc_dot_of_bytes(int32_t weight, int32_t element)
{
    v128_t weights = wasm_i8x16_splat((int8_t)weight);
    return wasm_i32x4_extract_lane(tc_relaxed_dot(weights, wasm_i8x16_splat((int8_t)element),
                                                  wasm_i32x4_const_splat(0)),
                                   0);
}

/* All bits of each lane where the engine takes elements without a sign, else none. */
static inline v128_t tc_takes_unsigned(void)
{
    v128_t zero = wasm_i32x4_const_splat(0);
    v128_t one = wasm_i8x16_const_splat(1);
    return wasm_i32x4_gt(tc_relaxed_dot(one, wasm_i8x16_const_splat(-128), zero), zero);
}

/* What elements are flipped by. */
static inline v128_t tc_flipped_bits(void)
{
    return wasm_v128_and(tc_takes_unsigned(), wasm_i8x16_const_splat(-128));
}

/* What flipped elements add too much to sums with weights that add up to these. */
static inline v128_t tc_excess(v128_t sums_of_weights)
{
    return wasm_v128_and(wasm_i32x4_shl(sums_of_weights, 7), tc_takes_unsigned());
}

/* Whether the engine is of one of the kinds whose results are exact. */
static inline int32_t tc_relaxed_dot_is_exact(void)
{
    int32_t flipped = wasm_i32x4_extract_lane(tc_takes_unsigned(), 0) & 256;
    int32_t is_exact = 1;
    for (int32_t weight = -127; weight <= 127; weight += 127) {
        for (int32_t element = -128; element < 128; element += 5) {
            int32_t taken = element < 0 ? element + flipped : element;
            is_exact &= tc_dot_of_bytes(weight, element) == 4 * weight * taken;
        }
    }
    return is_exact;
}

#endif
