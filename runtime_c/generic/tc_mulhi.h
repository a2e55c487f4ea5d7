#ifndef TC_MULHI_H
#define TC_MULHI_H

#include <stdint.h>

/* The upper half of the signed 64-bit product. */
static inline int32_t tc_mulhi(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b) >> 32);
}

/* tc_mulhi(a, b) + c, wrapping as the hardware does. */
static inline int32_t tc_mulhi_add(int32_t a, int32_t b, int32_t c)
{
    return tc_mulhi(a, b) + c;
}

#endif
