#ifndef TC_WEAVE_H
#define TC_WEAVE_H

#include <stdint.h>
#include <wasm_simd128.h>

#include "tc_tile.h"

/* The generic file says what these compute. Two to four planes are woven 16 bytes of each at a time. */

#define TC_MOST_WOVEN 4

TC_INLINE int32_t tc_weaves(int32_t planes)
{
    return planes >= 2 && planes <= TC_MOST_WOVEN;
}

/* 16 bytes of each plane by turns, in as many vectors. */
TC_INLINE void tc_weave_16(const int8_t *from, int32_t planes, int32_t distance, v128_t *woven)
{
    v128_t a = wasm_v128_load(from);
    v128_t b = wasm_v128_load(from + distance);
    v128_t low = wasm_i8x16_shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    v128_t high = wasm_i8x16_shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    if (planes == 2) {
        woven[0] = low;
        woven[1] = high;
        return;
    }
    v128_t c = wasm_v128_load(from + 2 * distance);
    if (planes == 3) {
        woven[0] = wasm_i8x16_shuffle(low, c, 0, 1, 16, 2, 3, 17, 4, 5, 18, 6, 7, 19, 8, 9, 20, 10);
        v128_t middle = wasm_i8x16_shuffle(low, high, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 0, 0, 0, 0, 0);
        woven[1] = wasm_i8x16_shuffle(middle, c, 0, 21, 1, 2, 22, 3, 4, 23, 5, 6, 24, 7, 8, 25, 9, 10);
        woven[2] = wasm_i8x16_shuffle(high, c, 26, 6, 7, 27, 8, 9, 28, 10, 11, 29, 12, 13, 30, 14, 15, 31);
        return;
    }
    v128_t d = wasm_v128_load(from + 3 * distance);
    v128_t other_low = wasm_i8x16_shuffle(c, d, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    v128_t other_high = wasm_i8x16_shuffle(c, d, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    woven[0] = wasm_i16x8_shuffle(low, other_low, 0, 8, 1, 9, 2, 10, 3, 11);
    woven[1] = wasm_i16x8_shuffle(low, other_low, 4, 12, 5, 13, 6, 14, 7, 15);
    woven[2] = wasm_i16x8_shuffle(high, other_high, 0, 8, 1, 9, 2, 10, 3, 11);
    woven[3] = wasm_i16x8_shuffle(high, other_high, 4, 12, 5, 13, 6, 14, 7, 15);
}

/* Places from `begin` on, one by one. */
#define TC_WEAVE_REST(begin, element)                                                                                  \
    for (int32_t i = begin; i < count; ++i) {                                                                          \
        for (int32_t plane = 0; plane < planes; ++plane) {                                                             \
            to[i * planes + plane] = element(from[plane * distance + i]);                                              \
        }                                                                                                              \
    }

/* `bits`: what all bytes are flipped by. Gives the number of places that are done. */
TC_INLINE int32_t tc_weave_most(int8_t *to, const int8_t *from, int32_t count, int32_t planes, int32_t distance,
                                v128_t bits)
{
    int32_t done = 0;
    for (; tc_weaves(planes) && done + 16 <= count; done += 16) {
        v128_t woven[TC_MOST_WOVEN];
        tc_weave_16(from + done, planes, distance, woven);
        TC_EACH(planes, k)
        {
            wasm_v128_store(to + done * planes + k * 16, wasm_v128_xor(woven[k], bits));
        }
    }
    return done;
}

TC_INLINE void tc_weave(int8_t *to, const int8_t *from, int32_t count, int32_t planes, int32_t distance)
{
    int32_t done = tc_weave_most(to, from, count, planes, distance, wasm_i8x16_const_splat(0));
    TC_WEAVE_REST(done, (int8_t))
}

TC_INLINE void tc_weave_wide(int16_t *to, const int8_t *from, int32_t count, int32_t planes, int32_t distance)
{
    int32_t done = 0;
    for (; tc_weaves(planes) && done + 16 <= count; done += 16) {
        v128_t woven[TC_MOST_WOVEN];
        tc_weave_16(from + done, planes, distance, woven);
        TC_EACH(planes, k)
        {
            wasm_v128_store(to + done * planes + k * 16, wasm_i16x8_extend_low_i8x16(woven[k]));
            wasm_v128_store(to + done * planes + k * 16 + 8, wasm_i16x8_extend_high_i8x16(woven[k]));
        }
    }
    TC_WEAVE_REST(done, (int16_t))
}

#endif
