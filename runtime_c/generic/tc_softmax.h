#ifndef TC_SOFTMAX_H
#define TC_SOFTMAX_H

#include <stdint.h>

/* round(power / total * factor / 2^fraction) + zero_point, half up: one output of an integer softmax. */
static inline int32_t tc_softmax(uint32_t power, uint32_t total, uint32_t factor, uint32_t fraction, int32_t zero_point)
{
    uint32_t denominator = total << fraction;
    return (int32_t)((power * factor + denominator / 2U) / denominator) + zero_point;
}

#endif
