#ifndef TC_LANES_H
#define TC_LANES_H

#include <arm_mve.h>
#include <stdint.h>

/* The generic file says what these compute. */
typedef int32x4_t tc_lanes;

/* A plain load of a vector lets compilers count its address up in it, which gcc 12 does not do with VLDRWQ. */
typedef int32_t tc_lanes_in_memory __attribute__((vector_size(16), aligned(4), may_alias));

static inline tc_lanes tc_lanes_all(int32_t value)
{
    return vdupq_n_s32(value);
}

static inline tc_lanes tc_lanes_s8(const int8_t *from)
{
    return vldrbq_s32(from);
}

static inline tc_lanes tc_lanes_s32(const int32_t *from)
{
    return (tc_lanes)(*(const tc_lanes_in_memory *)from);
}

static inline tc_lanes tc_lanes_multipliers(const int32_t *from)
{
    return tc_lanes_s32(from);
}

static inline tc_lanes tc_lanes_multiplier(int32_t value)
{
    return tc_lanes_all(value);
}

static inline tc_lanes tc_lanes_look_up(const int8_t *table, tc_lanes index)
{
    return vldrbq_gather_offset_s32(table, vreinterpretq_u32_s32(index));
}

static inline void tc_lanes_to_s8(int8_t *to, tc_lanes value)
{
    vstrbq_s32(to, value);
}

static inline void tc_lanes_to_s32(int32_t *to, tc_lanes value)
{
    *(tc_lanes_in_memory *)to = (tc_lanes_in_memory)value;
}

static inline tc_lanes tc_lanes_min(tc_lanes a, tc_lanes b)
{
    return vminq_s32(a, b);
}

static inline tc_lanes tc_lanes_max(tc_lanes a, tc_lanes b)
{
    return vmaxq_s32(a, b);
}

static inline tc_lanes tc_lanes_clamp(tc_lanes value, int32_t low, int32_t high)
{
    return vmaxq_s32(vminq_s32(value, vdupq_n_s32(high)), vdupq_n_s32(low));
}

static inline tc_lanes tc_lanes_shift(tc_lanes value, int32_t count)
{
    return value >> count;
}

static inline tc_lanes tc_lanes_requantize(tc_lanes accumulator, tc_lanes multiplier, tc_lanes addend, int32_t shift,
                                           int32_t low, int32_t high)
{
    tc_lanes scaled = vaddq_s32(vmulhq_s32(accumulator, multiplier), addend);
    return tc_lanes_clamp(tc_lanes_shift(scaled, shift), low, high);
}

static inline void tc_lanes_requantize_to_s8(int8_t *to, tc_lanes accumulator, tc_lanes multiplier, tc_lanes addend,
                                             int32_t shift)
{
    tc_lanes_to_s8(to, tc_lanes_requantize(accumulator, multiplier, addend, shift, -128, 127));
}

static inline tc_lanes tc_lanes_requantize_each(tc_lanes accumulator, tc_lanes multiplier, tc_lanes addend,
                                                tc_lanes shift, int32_t low, int32_t high)
{
    tc_lanes scaled = vaddq_s32(vmulhq_s32(accumulator, multiplier), addend);
    return tc_lanes_clamp(vshlq_s32(scaled, vnegq_s32(shift)), low, high);
}

#endif
