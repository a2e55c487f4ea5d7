#ifndef TC_LANES_H
#define TC_LANES_H

#include <stdint.h>
#include <wasm_simd128.h>

/* The generic file says what these compute. */
typedef int32_t tc_lanes __attribute__((vector_size(16)));
typedef float tc_float_lanes __attribute__((vector_size(16)));

static inline tc_lanes tc_lanes_all(int32_t value)
{
    return wasm_i32x4_splat(value);
}

static inline tc_lanes tc_lanes_s8(const int8_t *from)
{
    return wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(from)));
}

static inline tc_lanes tc_lanes_s32(const int32_t *from)
{
    return wasm_v128_load(from);
}

/* Multipliers are loaded for each product. Compilers would widen those that they see twice only once, and then find no
 * `extmul` but a product of 64 by 64 bits, which takes engines nine instructions. */
static inline tc_lanes tc_lanes_multipliers(const int32_t *from)
{
    __asm__ volatile("" : "+r"(from));
    return wasm_v128_load(from);
}

static inline tc_lanes tc_lanes_multiplier(int32_t value)
{
    const tc_lanes all = wasm_i32x4_splat(value);
    const tc_lanes *from = &all;
    __asm__ volatile("" : "+r"(from) : : "memory");
    return *from;
}

static inline tc_lanes tc_lanes_look_up(const int8_t *table, tc_lanes index)
{
    return wasm_i32x4_make(table[index[0]], table[index[1]], table[index[2]], table[index[3]]);
}

/* Saturates, which costs nothing. */
static inline void tc_lanes_to_s8(int8_t *to, tc_lanes value)
{
    v128_t narrow = wasm_i16x8_narrow_i32x4(value, value);
    wasm_v128_store32_lane(to, wasm_i8x16_narrow_i16x8(narrow, narrow), 0);
}

static inline void tc_lanes_to_s32(int32_t *to, tc_lanes value)
{
    wasm_v128_store(to, value);
}

static inline tc_lanes tc_lanes_min(tc_lanes a, tc_lanes b)
{
    return wasm_i32x4_min(a, b);
}

static inline tc_lanes tc_lanes_max(tc_lanes a, tc_lanes b)
{
    return wasm_i32x4_max(a, b);
}

static inline tc_lanes tc_lanes_clamp(tc_lanes value, int32_t low, int32_t high)
{
    return wasm_i32x4_max(wasm_i32x4_min(value, wasm_i32x4_splat(high)), wasm_i32x4_splat(low));
}

static inline tc_lanes tc_lanes_shift(tc_lanes value, int32_t count)
{
    return wasm_i32x4_shr(value, (uint32_t)count);
}

/* The upper half of each product. */
static inline tc_lanes tc_lanes_mulhi(tc_lanes a, tc_lanes b)
{
    v128_t low = wasm_i64x2_extmul_low_i32x4(a, b);
    v128_t high = wasm_i64x2_extmul_high_i32x4(a, b);
    return wasm_i32x4_shuffle(low, high, 1, 3, 5, 7);
}

/* tc_mulhi_add of each. */
static inline tc_lanes tc_lanes_mulhi_add(tc_lanes a, tc_lanes b, tc_lanes c)
{
    return wasm_i32x4_add(tc_lanes_mulhi(a, b), c);
}

static inline tc_lanes tc_lanes_scale(tc_lanes accumulator, tc_lanes multiplier, tc_lanes addend, int32_t shift)
{
    return tc_lanes_shift(tc_lanes_mulhi_add(accumulator, multiplier, addend), shift);
}

static inline void tc_lanes_both_to_s8(int8_t *to, tc_lanes first, tc_lanes second)
{
    v128_t narrow = wasm_i16x8_narrow_i32x4(first, second);
    wasm_v128_store64_lane(to, wasm_i8x16_narrow_i16x8(narrow, narrow), 0);
}

static inline tc_lanes tc_lanes_requantize(tc_lanes accumulator, tc_lanes multiplier, tc_lanes addend, int32_t shift,
                                           int32_t low, int32_t high)
{
    return tc_lanes_clamp(tc_lanes_scale(accumulator, multiplier, addend, shift), low, high);
}

static inline void tc_lanes_requantize_to_s8(int8_t *to, tc_lanes accumulator, tc_lanes multiplier, tc_lanes addend,
                                             int32_t shift)
{
    tc_lanes_to_s8(to, tc_lanes_scale(accumulator, multiplier, addend, shift));
}

/* Saturates to int16 first, which cannot be told from int8 once the addend is added. */
static inline void tc_lanes_requantize_both_to_s8(int8_t *to, tc_lanes first, tc_lanes first_multiplier,
                                                  tc_lanes second, tc_lanes second_multiplier, int32_t addend,
                                                  int32_t shift)
{
    v128_t narrow =
        wasm_i16x8_narrow_i32x4(tc_lanes_mulhi(first, first_multiplier), tc_lanes_mulhi(second, second_multiplier));
    v128_t moved = wasm_i16x8_add_sat(narrow, wasm_i16x8_splat((int16_t)addend));
    v128_t shifted = wasm_i16x8_shr(moved, (uint32_t)shift);
    wasm_v128_store64_lane(to, wasm_i8x16_narrow_i16x8(shifted, shifted), 0);
}

static inline tc_lanes tc_lanes_requantize_each(tc_lanes accumulator, tc_lanes multiplier, tc_lanes addend,
                                                tc_lanes shift, int32_t low, int32_t high)
{
    tc_lanes scaled = tc_lanes_mulhi_add(accumulator, multiplier, addend);
    tc_lanes shifted = {scaled[0] >> shift[0], scaled[1] >> shift[1], scaled[2] >> shift[2], scaled[3] >> shift[3]};
    return tc_lanes_clamp(shifted, low, high);
}

static inline tc_float_lanes tc_lanes_all_f32(float value)
{
    return (tc_float_lanes)wasm_f32x4_splat(value);
}

static inline tc_float_lanes tc_lanes_f32(const float *from)
{
    return (tc_float_lanes)wasm_v128_load(from);
}

static inline void tc_lanes_to_f32(float *to, tc_float_lanes value)
{
    wasm_v128_store(to, (v128_t)value);
}

/* The second where one is not a number, as in the generic file. */
static inline tc_float_lanes tc_lanes_min_f32(tc_float_lanes a, tc_float_lanes b)
{
    return (tc_float_lanes)wasm_f32x4_pmin((v128_t)b, (v128_t)a);
}

static inline tc_float_lanes tc_lanes_max_f32(tc_float_lanes a, tc_float_lanes b)
{
    return (tc_float_lanes)wasm_f32x4_pmax((v128_t)b, (v128_t)a);
}

#endif
