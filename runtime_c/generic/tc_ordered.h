#ifndef TC_ORDERED_H
#define TC_ORDERED_H

#include <stdint.h>
#include <string.h>

/* An integer that compares with others as the float does: its magnitude's bits with its sign. Both zeros are 0; a NaN
 * is what is given for it. */
static inline int32_t tc_ordered(float x, int32_t of_nan)
{
    int32_t bits;
    int32_t magnitude;
    memcpy(&bits, &x, sizeof bits);
    magnitude = bits & INT32_MAX;
    if (magnitude > 0x7f800000) {
        return of_nan;
    }
    return bits < 0 ? -magnitude : magnitude;
}

#endif
