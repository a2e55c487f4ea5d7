#ifndef TC_CLAMP_H
#define TC_CLAMP_H

#include <stdint.h>

static inline int32_t tc_clamp(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

#endif
