#ifndef TC_CLAMP_H
#define TC_CLAMP_H

#include <stdint.h>

/* SSAT, which compilers do not form, where the bounds are those of int8. */
static inline int32_t tc_clamp(int32_t value, int32_t low, int32_t high)
{
    if (__builtin_constant_p(low) && __builtin_constant_p(high) && low == -128 && high == 127) {
        int32_t result;
        __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(value));
        return result;
    }
    return value < low ? low : value > high ? high : value;
}

#endif
