#ifndef TC_LANES_H
#define TC_LANES_H

#include <stdint.h>

#include "tc_requantize.h"

/* Vectors of four int32, which + - * take as they are. int8 elements are held as int32. */
typedef int32_t tc_lanes __attribute__((vector_size(16)));

typedef float tc_float_lanes __attribute__((vector_size(16)));

#define TC_LANES(expression) TC_VECTOR(tc_lanes, expression)
#define TC_VECTOR(type, expression)                                                                                    \
    type result;                                                                                                       \
    for (int32_t i = 0; i < 4; ++i) {                                                                                  \
        result[i] = (expression);                                                                                      \
    }                                                                                                                  \
    return result;

static inline tc_lanes tc_lanes_all(int32_t value)
{
    TC_LANES(value)
}

static inline tc_lanes tc_lanes_s8(const int8_t *from)
{
    TC_LANES(from[i])
}

static inline tc_lanes tc_lanes_s32(const int32_t *from)
{
    TC_LANES(from[i])
}

/* What tc_lanes_requantize and its kind multiply by: four of them, or one for all. */
static inline tc_lanes tc_lanes_multipliers(const int32_t *from)
{
    return tc_lanes_s32(from);
}

static inline tc_lanes tc_lanes_multiplier(int32_t value)
{
    return tc_lanes_all(value);
}

/* table[index] */
static inline tc_lanes tc_lanes_look_up(const int8_t *table, tc_lanes index)
{
    TC_LANES(table[index[i]])
}

static inline void tc_lanes_to_s8(int8_t *to, tc_lanes value)
{
    for (int32_t i = 0; i < 4; ++i) {
        to[i] = (int8_t)value[i];
    }
}

static inline void tc_lanes_to_s32(int32_t *to, tc_lanes value)
{
    for (int32_t i = 0; i < 4; ++i) {
        to[i] = value[i];
    }
}

static inline tc_lanes tc_lanes_min(tc_lanes a, tc_lanes b)
{
    TC_LANES(a[i] < b[i] ? a[i] : b[i])
}

static inline tc_lanes tc_lanes_max(tc_lanes a, tc_lanes b)
{
    TC_LANES(a[i] > b[i] ? a[i] : b[i])
}

static inline tc_lanes tc_lanes_clamp(tc_lanes value, int32_t low, int32_t high)
{
    TC_LANES(tc_clamp(value[i], low, high))
}

/* value >> count */
static inline tc_lanes tc_lanes_shift(tc_lanes value, int32_t count)
{
    TC_LANES(value[i] >> count)
}

static inline tc_lanes tc_lanes_requantize(tc_lanes accumulator, tc_lanes multiplier, tc_lanes addend, int32_t shift,
                                           int32_t low, int32_t high)
{
    TC_LANES(tc_requantize(accumulator[i], multiplier[i], addend[i], shift, low, high))
}

/* The same to the whole range of int8, stored. */
static inline void tc_lanes_requantize_to_s8(int8_t *to, tc_lanes accumulator, tc_lanes multiplier, tc_lanes addend,
                                             int32_t shift)
{
    tc_lanes_to_s8(to, tc_lanes_requantize(accumulator, multiplier, addend, shift, -128, 127));
}

/* The same before it is stored. */
static inline tc_lanes tc_lanes_scale(tc_lanes accumulator, tc_lanes multiplier, tc_lanes addend, int32_t shift)
{
    TC_LANES(tc_mulhi_add(accumulator[i], multiplier[i], addend[i]) >> shift)
}

/* Eight bytes from two vectors; saturates. */
static inline void tc_lanes_both_to_s8(int8_t *to, tc_lanes first, tc_lanes second)
{
    tc_lanes_to_s8(to, tc_lanes_clamp(first, -128, 127));
    tc_lanes_to_s8(to + 4, tc_lanes_clamp(second, -128, 127));
}

/* tc_lanes_requantize_to_s8 of two vectors; shift <= 7, and the addend is (zero point << shift) + (1 << shift) / 2. */
static inline void tc_lanes_requantize_both_to_s8(int8_t *to, tc_lanes first, tc_lanes first_multiplier,
                                                  tc_lanes second, tc_lanes second_multiplier, int32_t addend,
                                                  int32_t shift)
{
    tc_lanes_requantize_to_s8(to, first, first_multiplier, tc_lanes_all(addend), shift);
    tc_lanes_requantize_to_s8(to + 4, second, second_multiplier, tc_lanes_all(addend), shift);
}

/* tc_lanes_requantize with a shift for each. */
static inline tc_lanes tc_lanes_requantize_each(tc_lanes accumulator, tc_lanes multiplier, tc_lanes addend,
                                                tc_lanes shift, int32_t low, int32_t high)
{
    TC_LANES(tc_requantize(accumulator[i], multiplier[i], addend[i], shift[i], low, high))
}

static inline tc_float_lanes tc_lanes_all_f32(float value)
{
    TC_VECTOR(tc_float_lanes, value)
}

static inline tc_float_lanes tc_lanes_f32(const float *from)
{
    TC_VECTOR(tc_float_lanes, from[i])
}

static inline void tc_lanes_to_f32(float *to, tc_float_lanes value)
{
    for (int32_t i = 0; i < 4; ++i) {
        to[i] = value[i];
    }
}

static inline tc_float_lanes tc_lanes_min_f32(tc_float_lanes a, tc_float_lanes b)
{
    TC_VECTOR(tc_float_lanes, a[i] < b[i] ? a[i] : b[i])
}

static inline tc_float_lanes tc_lanes_max_f32(tc_float_lanes a, tc_float_lanes b)
{
    TC_VECTOR(tc_float_lanes, a[i] > b[i] ? a[i] : b[i])
}

#endif
