#ifndef TC_SOFTMAX_WIDE_H
#define TC_SOFTMAX_WIDE_H

#include <stdint.h>

/* A softmax of int16: exponentials in Q31, their sum in 64 bits, one division a row. */

/* exp(-(coarse + fine)), from the two exponentials. */
static inline uint32_t tc_softmax_power(uint32_t coarse, uint32_t fine)
{
    return (uint32_t)(((uint64_t)coarse * fine) >> 31);
}

/* 2^62 / total, in units of 2^bits; `total` is from 2^31 to 2^(31 + bits). */
static inline uint32_t tc_softmax_reciprocal(uint64_t total, int32_t bits)
{
    const uint64_t rounded = (total + (((uint64_t)1 << bits) >> 1)) >> bits;
    return (uint32_t)(((uint64_t)1 << (62 - bits)) / rounded);
}

/* power / total, in Q30. */
static inline int32_t tc_softmax_share(uint32_t power, uint32_t reciprocal)
{
    return (int32_t)(((uint64_t)power * reciprocal) >> 32);
}

#endif
