#ifndef TC_ACTIVATE_H
#define TC_ACTIVATE_H

#include <stdint.h>

#include "tc_lanes.h"
#include "tc_lanes_math.h"
#include "tc_math.h"

/* The generic file says what these compute. */
#define TC_ACTIVATE_ALL(ON_LANES, ON_ONE)                                                                              \
    int32_t i = 0;                                                                                                     \
    for (; i + 4 <= count; i += 4) {                                                                                   \
        tc_lanes_to_f32(values + i, ON_LANES(tc_lanes_f32(values + i)));                                               \
    }                                                                                                                  \
    for (; i < count; ++i) {                                                                                           \
        values[i] = ON_ONE(values[i]);                                                                                 \
    }

static inline void tc_sigmoid_all(float *values, int32_t count)
{
    TC_ACTIVATE_ALL(tc_lanes_sigmoid_f32, tc_sigmoid)
}

static inline void tc_tanh_all(float *values, int32_t count)
{
    TC_ACTIVATE_ALL(tc_lanes_tanh_f32, tc_tanh)
}

#endif
