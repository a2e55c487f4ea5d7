#ifndef TC_DOT_H
#define TC_DOT_H

#include <stdint.h>
#include <string.h>

/* The generic file says what these compute. Here SXTB16 splits a word of four int8 into its elements 0, 2
 * and 1, 3, and SMLAD adds two products to a sum. The loops are assembly, because compilers spill the sums, and
 * always inlined, because the sums have to be in registers: 12 are
 * needed, so that the end stays in memory. */

static inline void tc_widen(int16_t *wide, const int8_t *narrow, int32_t groups, int32_t stride)
{
    for (int32_t i = 0; i < groups; ++i) {
        uint32_t word;
        uint32_t even;
        uint32_t odd;
        memcpy(&word, narrow, 4);
        __asm__("sxtb16 %0, %1" : "=r"(even) : "r"(word));
        __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(word));
        memcpy(wide, &even, 4);
        memcpy(wide + 2, &odd, 4);
        narrow += 4;
        wide += stride;
    }
}

/* 16 products: two positions, two channels, one group. */
#define TC_DOT_2X2_STEP                                                                                                \
    "ldrd %[t0], %[t1], [%[weight]], #8\n\t"                                                                           \
    "ldrd %[t2], %[t3], [%[wide]], #8\n\t"                                                                             \
    "sxtb16 %[t4], %[t0]\n\t"                                                                                          \
    "sxtb16 %[t0], %[t0], ror #8\n\t"                                                                                  \
    "sxtb16 %[t5], %[t1]\n\t"                                                                                          \
    "sxtb16 %[t1], %[t1], ror #8\n\t"                                                                                  \
    "smlad %[sum0], %[t4], %[t2], %[sum0]\n\t"                                                                         \
    "smlad %[sum1], %[t5], %[t2], %[sum1]\n\t"                                                                         \
    "smlad %[sum0], %[t0], %[t3], %[sum0]\n\t"                                                                         \
    "smlad %[sum1], %[t1], %[t3], %[sum1]\n\t"                                                                         \
    "ldrd %[t2], %[t3], [%[wide]], #8\n\t"                                                                             \
    "smlad %[sum2], %[t4], %[t2], %[sum2]\n\t"                                                                         \
    "smlad %[sum3], %[t5], %[t2], %[sum3]\n\t"                                                                         \
    "smlad %[sum2], %[t0], %[t3], %[sum2]\n\t"                                                                         \
    "smlad %[sum3], %[t1], %[t3], %[sum3]\n\t"

static inline __attribute__((always_inline)) void tc_dot_2x2(int32_t *sums, const int16_t *wide, const int8_t *weight,
                                                             int32_t groups)
{
    int32_t sum0 = sums[0];
    int32_t sum1 = sums[1];
    int32_t sum2 = sums[2];
    int32_t sum3 = sums[3];
    int32_t t0, t1, t2, t3, t4, t5;
    const int8_t *end = weight + (groups / 4) * 32;
    if (groups >= 4) {
        __asm__ volatile("1:\n\t" TC_DOT_2X2_STEP TC_DOT_2X2_STEP TC_DOT_2X2_STEP TC_DOT_2X2_STEP
                         "ldr %[t0], %[end]\n\t"
                         "cmp %[weight], %[t0]\n\t"
                         "bne 1b"
                         : [sum0] "+r"(sum0), [sum1] "+r"(sum1), [sum2] "+r"(sum2), [sum3] "+r"(sum3),
                           [weight] "+r"(weight), [wide] "+r"(wide), [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2),
                           [t3] "=&r"(t3), [t4] "=&r"(t4), [t5] "=&r"(t5)
                         : [end] "m"(end)
                         : "cc", "memory");
    }
    for (int32_t i = 0; i < groups % 4; ++i) {
        __asm__ volatile(TC_DOT_2X2_STEP
                         : [sum0] "+r"(sum0), [sum1] "+r"(sum1), [sum2] "+r"(sum2), [sum3] "+r"(sum3),
                           [weight] "+r"(weight), [wide] "+r"(wide), [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2),
                           [t3] "=&r"(t3), [t4] "=&r"(t4), [t5] "=&r"(t5)
                         :
                         : "memory");
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
}

/* 16 products: one position, four channels, one group. */
#define TC_DOT_1X4_STEP                                                                                                \
    "ldr %[t0], [%[x]], #4\n\t"                                                                                        \
    "ldrd %[t2], %[t3], [%[weight]], #8\n\t"                                                                           \
    "sxtb16 %[t1], %[t0]\n\t"                                                                                          \
    "sxtb16 %[t0], %[t0], ror #8\n\t"                                                                                  \
    "sxtb16 %[t4], %[t2]\n\t"                                                                                          \
    "sxtb16 %[t2], %[t2], ror #8\n\t"                                                                                  \
    "sxtb16 %[t5], %[t3]\n\t"                                                                                          \
    "sxtb16 %[t3], %[t3], ror #8\n\t"                                                                                  \
    "smlad %[sum0], %[t4], %[t1], %[sum0]\n\t"                                                                         \
    "smlad %[sum1], %[t5], %[t1], %[sum1]\n\t"                                                                         \
    "smlad %[sum0], %[t2], %[t0], %[sum0]\n\t"                                                                         \
    "smlad %[sum1], %[t3], %[t0], %[sum1]\n\t"                                                                         \
    "ldrd %[t2], %[t3], [%[weight]], #8\n\t"                                                                           \
    "sxtb16 %[t4], %[t2]\n\t"                                                                                          \
    "sxtb16 %[t2], %[t2], ror #8\n\t"                                                                                  \
    "sxtb16 %[t5], %[t3]\n\t"                                                                                          \
    "sxtb16 %[t3], %[t3], ror #8\n\t"                                                                                  \
    "smlad %[sum2], %[t4], %[t1], %[sum2]\n\t"                                                                         \
    "smlad %[sum3], %[t5], %[t1], %[sum3]\n\t"                                                                         \
    "smlad %[sum2], %[t2], %[t0], %[sum2]\n\t"                                                                         \
    "smlad %[sum3], %[t3], %[t0], %[sum3]\n\t"

static inline __attribute__((always_inline)) void tc_dot_1x4(int32_t *sums, const int8_t *x, const int8_t *weight,
                                                             int32_t groups)
{
    int32_t sum0 = sums[0];
    int32_t sum1 = sums[1];
    int32_t sum2 = sums[2];
    int32_t sum3 = sums[3];
    int32_t t0, t1, t2, t3, t4, t5;
    const int8_t *end = weight + (groups / 4) * 64;
    if (groups >= 4) {
        __asm__ volatile("1:\n\t" TC_DOT_1X4_STEP TC_DOT_1X4_STEP TC_DOT_1X4_STEP TC_DOT_1X4_STEP
                         "ldr %[t0], %[end]\n\t"
                         "cmp %[weight], %[t0]\n\t"
                         "bne 1b"
                         : [sum0] "+r"(sum0), [sum1] "+r"(sum1), [sum2] "+r"(sum2), [sum3] "+r"(sum3),
                           [weight] "+r"(weight), [x] "+r"(x), [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2),
                           [t3] "=&r"(t3), [t4] "=&r"(t4), [t5] "=&r"(t5)
                         : [end] "m"(end)
                         : "cc", "memory");
    }
    for (int32_t i = 0; i < groups % 4; ++i) {
        __asm__ volatile(TC_DOT_1X4_STEP
                         : [sum0] "+r"(sum0), [sum1] "+r"(sum1), [sum2] "+r"(sum2), [sum3] "+r"(sum3),
                           [weight] "+r"(weight), [x] "+r"(x), [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2),
                           [t3] "=&r"(t3), [t4] "=&r"(t4), [t5] "=&r"(t5)
                         :
                         : "memory");
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
}

#endif
