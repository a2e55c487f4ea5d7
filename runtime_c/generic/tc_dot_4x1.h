#ifndef TC_DOT_4X1_H
#define TC_DOT_4X1_H

#include <stdint.h>

/* Four positions, woven element by element, times one channel: sums[position]. */
static inline void tc_dot_4x1(int32_t *sums, const int32_t *wide, const int8_t *weight, int32_t length)
{
    for (int32_t k = 0; k < length; ++k) {
        for (int32_t position = 0; position < 4; ++position) {
            sums[position] += wide[position] * weight[k];
        }
        wide += 4;
    }
}

#endif
