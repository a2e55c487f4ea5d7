#ifndef TC_ROUND_H
#define TC_ROUND_H

#include <stdint.h>

/* x rounded to the nearest integer, ties to even, within low..high (which stay below 2^22). Adding and
 * subtracting 1.5 * 2^23 makes the FPU's own rounding do the work. */
static inline int32_t tc_round_clamp(float x, int32_t low, int32_t high)
{
    volatile float shifted;
    float bounded = x > (float)high ? (float)high : x;
    if (!(bounded > (float)low)) {
        return low; /* also for a NaN */
    }
    shifted = bounded + 12582912.0f;
    return (int32_t)(shifted - 12582912.0f);
}

#endif
