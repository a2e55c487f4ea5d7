#ifndef TC_DISTANCE_H
#define TC_DISTANCE_H

#include <stdint.h>

/* The sum of (a[i] - b[i])^2, in four partial sums. */
static inline float tc_squared_distance(const float *a, const float *b, int32_t length)
{
    float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (; length >= 4; length -= 4) {
        for (int32_t i = 0; i < 4; ++i) {
            const float difference = a[i] - b[i];
            sums[i] += difference * difference;
        }
        a += 4;
        b += 4;
    }
    for (int32_t i = 0; i < length; ++i) {
        const float difference = a[i] - b[i];
        sums[i] += difference * difference;
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

#endif
