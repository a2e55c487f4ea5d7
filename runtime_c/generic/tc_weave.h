#ifndef TC_WEAVE_H
#define TC_WEAVE_H

#include <stdint.h>

/* `count` bytes of each of `planes` planes, which begin `distance` apart, by turns. */
static inline void tc_weave(int8_t *to, const int8_t *from, int32_t count, int32_t planes, int32_t distance)
{
    for (int32_t i = 0; i < count; ++i) {
        for (int32_t plane = 0; plane < planes; ++plane) {
            to[i * planes + plane] = from[plane * distance + i];
        }
    }
}

/* The same to int16. */
static inline void tc_weave_wide(int16_t *to, const int8_t *from, int32_t count, int32_t planes, int32_t distance)
{
    for (int32_t i = 0; i < count; ++i) {
        for (int32_t plane = 0; plane < planes; ++plane) {
            to[i * planes + plane] = from[plane * distance + i];
        }
    }
}

#endif
