#ifndef TC_REQUANTIZE_H
#define TC_REQUANTIZE_H

#include "tc_clamp.h"
#include "tc_mulhi.h"
#include "tc_saturate.h"

/* clamp((hi32(accumulator * multiplier) + addend) >> shift): round half up of the exact product over
 * 2^(32 + shift), plus the zero point, which the addend holds together with the rounding half. */
static inline int8_t tc_requantize(int32_t accumulator, int32_t multiplier, int32_t addend, int32_t shift, int32_t low,
                                   int32_t high)
{
    return (int8_t)tc_clamp(tc_mulhi_add(accumulator, multiplier, addend) >> shift, low, high);
}

/* The same for results of 16 bits. */
static inline int16_t tc_requantize_s16(int32_t accumulator, int32_t multiplier, int32_t addend, int32_t shift,
                                        int32_t low, int32_t high)
{
    return (int16_t)tc_clamp(tc_mulhi_add(accumulator, multiplier, addend) >> shift, low, high);
}

/* tc_requantize_s8_1 to tc_requantize_s8_23: the whole range of int8, the shift in the name. */
TC_REQUANTIZE_S8(1)
TC_REQUANTIZE_S8(2)
TC_REQUANTIZE_S8(3)
TC_REQUANTIZE_S8(4)
TC_REQUANTIZE_S8(5)
TC_REQUANTIZE_S8(6)
TC_REQUANTIZE_S8(7)
TC_REQUANTIZE_S8(8)
TC_REQUANTIZE_S8(9)
TC_REQUANTIZE_S8(10)
TC_REQUANTIZE_S8(11)
TC_REQUANTIZE_S8(12)
TC_REQUANTIZE_S8(13)
TC_REQUANTIZE_S8(14)
TC_REQUANTIZE_S8(15)
TC_REQUANTIZE_S8(16)
TC_REQUANTIZE_S8(17)
TC_REQUANTIZE_S8(18)
TC_REQUANTIZE_S8(19)
TC_REQUANTIZE_S8(20)
TC_REQUANTIZE_S8(21)
TC_REQUANTIZE_S8(22)
TC_REQUANTIZE_S8(23)

#endif
