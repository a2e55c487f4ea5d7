#ifndef TC_ACTIVATE_H
#define TC_ACTIVATE_H

#include <stdint.h>

#include "tc_math.h"

/* Functions of each of `count` values, in their place. */
static inline void tc_sigmoid_all(float *values, int32_t count)
{
    for (int32_t i = 0; i < count; ++i) {
        values[i] = tc_sigmoid(values[i]);
    }
}

static inline void tc_tanh_all(float *values, int32_t count)
{
    for (int32_t i = 0; i < count; ++i) {
        values[i] = tc_tanh(values[i]);
    }
}

#endif
