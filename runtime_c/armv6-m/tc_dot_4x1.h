#ifndef TC_DOT_4X1_H
#define TC_DOT_4X1_H

#include <stdint.h>

/* The generic file says what this computes. MULS writes over an operand, so that four loaded positions are used up
 * by one weight; one LDM loads them, because the copy holds them as words. The sums live in the high registers,
 * which ADD reaches and compilers do not use: 11 instructions for 4 products. */
#define TC_DOT_4X1_STEP(k)                                                                                             \
    "ldmia %[wide]!, {r2, r3, r4, r5}\n\t"                                                                             \
    "ldrb %[t], [%[weight], #" #k "]\n\t"                                                                              \
    "sxtb %[t], %[t]\n\t"                                                                                              \
    "muls r2, %[t], r2\n\t"                                                                                            \
    "muls r3, %[t], r3\n\t"                                                                                            \
    "muls r4, %[t], r4\n\t"                                                                                            \
    "muls r5, %[t], r5\n\t"                                                                                            \
    "add %[sum0], r2\n\t"                                                                                              \
    "add %[sum1], r3\n\t"                                                                                              \
    "add %[sum2], r4\n\t"                                                                                              \
    "add %[sum3], r5\n\t"

static inline __attribute__((always_inline)) void tc_dot_4x1(int32_t *sums, const int32_t *wide, const int8_t *weight,
                                                             int32_t length)
{
    int32_t sum0 = sums[0];
    int32_t sum1 = sums[1];
    int32_t sum2 = sums[2];
    int32_t sum3 = sums[3];
    int32_t t;
    const int8_t *end = weight + length / 8 * 8;
    if (length >= 8) {
        __asm__ volatile(".syntax unified\n"
                         "1:\n\t" TC_DOT_4X1_STEP(0) TC_DOT_4X1_STEP(1) TC_DOT_4X1_STEP(2) TC_DOT_4X1_STEP(3)
                             TC_DOT_4X1_STEP(4) TC_DOT_4X1_STEP(5) TC_DOT_4X1_STEP(6)
                                 TC_DOT_4X1_STEP(7) "adds %[weight], #8\n\t"
                                                    "cmp %[weight], %[end]\n\t"
                                                    "bne 1b"
                         : [sum0] "+h"(sum0), [sum1] "+h"(sum1), [sum2] "+h"(sum2), [sum3] "+h"(sum3),
                           [weight] "+l"(weight), [wide] "+l"(wide), [t] "=&l"(t)
                         : [end] "h"(end)
                         : "r2", "r3", "r4", "r5", "cc", "memory");
    }
    for (int32_t i = 0; i < length % 8; ++i) {
        __asm__ volatile(".syntax unified\n\t" TC_DOT_4X1_STEP(0) "adds %[weight], #1"
                         : [sum0] "+h"(sum0), [sum1] "+h"(sum1), [sum2] "+h"(sum2), [sum3] "+h"(sum3),
                           [weight] "+l"(weight), [wide] "+l"(wide), [t] "=&l"(t)
                         :
                         : "r2", "r3", "r4", "r5", "cc", "memory");
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
}

#endif
