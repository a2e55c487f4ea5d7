#ifndef TC_MULHI_H
#define TC_MULHI_H

#include <stdint.h>

/* The upper half of the signed 64-bit product from four 16-bit products: ARMv6-M has no long multiply.
 * No partial sum overflows: |high * high| <= 2^30, and mid carries at most one into it. */
static inline int32_t tc_mulhi(int32_t a, int32_t b)
{
    uint32_t a_low = (uint32_t)a & 0xffffU;
    uint32_t b_low = (uint32_t)b & 0xffffU;
    int32_t a_high = a >> 16;
    int32_t b_high = b >> 16;
    int32_t cross = a_high * (int32_t)b_low + (int32_t)((a_low * b_low) >> 16);
    int32_t low = (int32_t)((uint32_t)cross & 0xffffU) + (int32_t)a_low * b_high;
    return a_high * b_high + (cross >> 16) + (low >> 16);
}

static inline int32_t tc_mulhi_add(int32_t a, int32_t b, int32_t c)
{
    return tc_mulhi(a, b) + c;
}

#endif
