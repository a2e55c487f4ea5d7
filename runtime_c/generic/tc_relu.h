#ifndef TC_RELU_H
#define TC_RELU_H

#include <stdint.h>
#include <string.h>

/* max(x, 0) without a comparison, which costs a call where there is no FPU, and a transfer of flags where there is. */
static inline float tc_relu(float x)
{
    int32_t bits;
    memcpy(&bits, &x, 4);
    bits &= ~(bits >> 31);
    memcpy(&x, &bits, 4);
    return x;
}

#endif
