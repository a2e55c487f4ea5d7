#ifndef TC_REQUANTIZE_H
#define TC_REQUANTIZE_H

#include "tc_mulhi.h"

static inline int32_t tc_clamp(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* clamp((hi32(accumulator * multiplier) + addend) >> shift): round half up of the exact product over
 * 2^(32 + shift), plus the zero point, which the addend holds together with the rounding half. */
static inline int8_t tc_requantize(int32_t accumulator, int32_t multiplier, int32_t addend, int32_t shift, int32_t low,
                                   int32_t high)
{
    return (int8_t)tc_clamp(tc_mulhi_add(accumulator, multiplier, addend) >> shift, low, high);
}

#endif
