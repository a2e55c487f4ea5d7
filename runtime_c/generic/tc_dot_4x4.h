#ifndef TC_DOT_4X4_H
#define TC_DOT_4X4_H

#include <stdint.h>

/* Four positions times four channels, both woven element by element: sums[position * 4 + channel]. For cores with
 * registers for sixteen sums; written out because compilers keep an array that a loop indexes in memory; the
 * empty statements keep them from multiplying early what there are no registers for. */
#define TC_DOT_4X4_POSITION(k, position, sum0, sum1, sum2, sum3)                                                       \
    x = wide[(k)*4 + (position)];                                                                                      \
    sum0 += x * w0;                                                                                                    \
    sum1 += x * w1;                                                                                                    \
    sum2 += x * w2;                                                                                                    \
    sum3 += x * w3;                                                                                                    \
    __asm__ volatile("" ::: "memory");

#define TC_DOT_4X4_STEP(k)                                                                                             \
    w0 = weight[(k)*4];                                                                                                \
    w1 = weight[(k)*4 + 1];                                                                                            \
    w2 = weight[(k)*4 + 2];                                                                                            \
    w3 = weight[(k)*4 + 3];                                                                                            \
    TC_DOT_4X4_POSITION(k, 0, sum0, sum1, sum2, sum3)                                                                  \
    TC_DOT_4X4_POSITION(k, 1, sum4, sum5, sum6, sum7)                                                                  \
    TC_DOT_4X4_POSITION(k, 2, sum8, sum9, sum10, sum11)                                                                \
    TC_DOT_4X4_POSITION(k, 3, sum12, sum13, sum14, sum15)

/* One function for all layers, which does not know their lengths: specialized for the only length there is, it takes
 * more instructions with gcc. */
static __attribute__((noinline)) void tc_dot_4x4(int32_t *sums, const int8_t *wide, const int8_t *weight,
                                                 int32_t length)
{
    int32_t sum0 = sums[0];
    int32_t sum1 = sums[1];
    int32_t sum2 = sums[2];
    int32_t sum3 = sums[3];
    int32_t sum4 = sums[4];
    int32_t sum5 = sums[5];
    int32_t sum6 = sums[6];
    int32_t sum7 = sums[7];
    int32_t sum8 = sums[8];
    int32_t sum9 = sums[9];
    int32_t sum10 = sums[10];
    int32_t sum11 = sums[11];
    int32_t sum12 = sums[12];
    int32_t sum13 = sums[13];
    int32_t sum14 = sums[14];
    int32_t sum15 = sums[15];
    int32_t x, w0, w1, w2, w3;
    __asm__("" : "+r"(length));
    const uint32_t bytes = (uint32_t)length * 4;
    const int8_t *const end = weight + bytes / 16 * 16;
    const int8_t *const last = weight + bytes;
    while (weight != end) {
        TC_DOT_4X4_STEP(0)
        TC_DOT_4X4_STEP(1)
        TC_DOT_4X4_STEP(2)
        TC_DOT_4X4_STEP(3)
        wide += 16;
        weight += 16;
    }
    while (weight != last) {
        TC_DOT_4X4_STEP(0)
        wide += 4;
        weight += 4;
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
    sums[4] = sum4;
    sums[5] = sum5;
    sums[6] = sum6;
    sums[7] = sum7;
    sums[8] = sum8;
    sums[9] = sum9;
    sums[10] = sum10;
    sums[11] = sum11;
    sums[12] = sum12;
    sums[13] = sum13;
    sums[14] = sum14;
    sums[15] = sum15;
}

#endif
