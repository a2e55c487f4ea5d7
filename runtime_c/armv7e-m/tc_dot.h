#ifndef TC_DOT_H
#define TC_DOT_H

#include <stdint.h>
#include <string.h>

/* The generic file says what these compute. Here SXTB16 splits a word of four int8 into its elements 0, 2
 * and 1, 3, and SMLAD adds two products to a sum. The loops are assembly, because compilers spill the sums, and
 * always inlined, because the sums have to be in registers. They need 13, so that the end stays in memory. */

static inline void tc_widen_group(int16_t *wide, const int8_t *narrow)
{
    uint32_t word;
    uint32_t even;
    uint32_t odd;
    memcpy(&word, narrow, 4);
    __asm__("sxtb16 %0, %1" : "=r"(even) : "r"(word));
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(word));
    memcpy(wide, &even, 4);
    memcpy(wide + 2, &odd, 4);
}

static inline void tc_widen(int16_t *wide, const int8_t *narrow, int32_t groups, int32_t stride)
{
    for (int32_t i = groups / 4; i > 0; --i) {
        tc_widen_group(wide, narrow);
        tc_widen_group(wide + stride, narrow + 4);
        tc_widen_group(wide + 2 * stride, narrow + 8);
        tc_widen_group(wide + 3 * stride, narrow + 12);
        narrow += 16;
        wide += 4 * stride;
    }
    for (int32_t i = groups % 4; i > 0; --i) {
        tc_widen_group(wide, narrow);
        narrow += 4;
        wide += stride;
    }
}

/* 16 products: two positions, two channels, one group. */
#define TC_DOT_2X2_STEP                                                                                                \
    "ldm %[x]!, {%[t0], %[t1], %[t2], %[t3]}\n\t"                                                                      \
    "ldrd %[t4], %[t5], [%[weight]], #8\n\t"                                                                           \
    "sxtb16 %[even], %[t4]\n\t"                                                                                        \
    "sxtb16 %[t4], %[t4], ror #8\n\t"                                                                                  \
    "smlad %[sum0], %[even], %[t0], %[sum0]\n\t"                                                                       \
    "smlad %[sum2], %[even], %[t2], %[sum2]\n\t"                                                                       \
    "smlad %[sum0], %[t4], %[t1], %[sum0]\n\t"                                                                         \
    "smlad %[sum2], %[t4], %[t3], %[sum2]\n\t"                                                                         \
    "sxtb16 %[even], %[t5]\n\t"                                                                                        \
    "sxtb16 %[t5], %[t5], ror #8\n\t"                                                                                  \
    "smlad %[sum1], %[even], %[t0], %[sum1]\n\t"                                                                       \
    "smlad %[sum3], %[even], %[t2], %[sum3]\n\t"                                                                       \
    "smlad %[sum1], %[t5], %[t1], %[sum1]\n\t"                                                                         \
    "smlad %[sum3], %[t5], %[t3], %[sum3]\n\t"

/* 16 products: one position, four channels, one group. */
#define TC_DOT_1X4_STEP                                                                                                \
    "ldr %[t4], [%[x]], #4\n\t"                                                                                        \
    "ldm %[weight]!, {%[t0], %[t1], %[t2], %[t3]}\n\t"                                                                 \
    "sxtb16 %[t5], %[t4]\n\t"                                                                                          \
    "sxtb16 %[t4], %[t4], ror #8\n\t" TC_DOT_1X4_CHANNEL("0") TC_DOT_1X4_CHANNEL("1") TC_DOT_1X4_CHANNEL("2")          \
        TC_DOT_1X4_CHANNEL("3")
#define TC_DOT_1X4_CHANNEL(c)                                                                                          \
    "sxtb16 %[even], %[t" c "]\n\t"                                                                                    \
    "sxtb16 %[t" c "], %[t" c "], ror #8\n\t"                                                                          \
    "smlad %[sum" c "], %[even], %[t5], %[sum" c "]\n\t"                                                               \
    "smlad %[sum" c "], %[t" c "], %[t4], %[sum" c "]\n\t"

/* LDM loads in the order of the registers' numbers, hence these; r7 is left to frame pointers. */
#define TC_DOT_DECLARE(sums)                                                                                           \
    int32_t sum0 = (sums)[0];                                                                                          \
    int32_t sum1 = (sums)[1];                                                                                          \
    int32_t sum2 = (sums)[2];                                                                                          \
    int32_t sum3 = (sums)[3];                                                                                          \
    register int32_t t0 __asm__("r4");                                                                                 \
    register int32_t t1 __asm__("r5");                                                                                 \
    register int32_t t2 __asm__("r8");                                                                                 \
    register int32_t t3 __asm__("r10");                                                                                \
    int32_t t4, t5, even

#define TC_DOT_RUN(code, source, kernel, last)                                                                         \
    __asm__ volatile(code                                                                                              \
                     : [sum0] "+r"(sum0), [sum1] "+r"(sum1), [sum2] "+r"(sum2), [sum3] "+r"(sum3),                     \
                       [weight] "+r"(kernel), [x] "+r"(source), [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2),        \
                       [t3] "=&r"(t3), [t4] "=&r"(t4), [t5] "=&r"(t5), [even] "=&r"(even)                              \
                     : last                                                                                            \
                     : "cc", "memory")

/* `groups` steps, which are a constant once this is inlined: eight a turn, and the rest without a loop. */
#define TC_DOT_STEPS(step, source, kernel, groups, bytes_a_step)                                                       \
    do {                                                                                                               \
        const int8_t *end = (kernel) + (groups) / 8 * 8 * (bytes_a_step);                                              \
        if ((groups) >= 8)                                                                                             \
            TC_DOT_RUN("1:\n\t" step step step step step step step step "ldr %[t4], %[end]\n\t"                        \
                       "cmp %[weight], %[t4]\n\t"                                                                      \
                       "bne 1b",                                                                                       \
                       source, kernel, [end] "m"(end));                                                                \
        if ((groups)&4)                                                                                                \
            TC_DOT_RUN(step step step step, source, kernel, );                                                         \
        if ((groups)&2)                                                                                                \
            TC_DOT_RUN(step step, source, kernel, );                                                                   \
        if ((groups)&1)                                                                                                \
            TC_DOT_RUN(step, source, kernel, );                                                                        \
    } while (0)

#define TC_DOT_STORE(sums)                                                                                             \
    (sums)[0] = sum0;                                                                                                  \
    (sums)[1] = sum1;                                                                                                  \
    (sums)[2] = sum2;                                                                                                  \
    (sums)[3] = sum3

static inline __attribute__((always_inline)) void tc_dot_2x2(int32_t *sums, const int16_t *wide, const int8_t *weight,
                                                             int32_t groups)
{
    TC_DOT_DECLARE(sums);
    TC_DOT_STEPS(TC_DOT_2X2_STEP, wide, weight, groups, 8);
    TC_DOT_STORE(sums);
}

static inline __attribute__((always_inline)) void tc_dot_1x4(int32_t *sums, const int8_t *x, const int8_t *weight,
                                                             int32_t groups)
{
    TC_DOT_DECLARE(sums);
    TC_DOT_STEPS(TC_DOT_1X4_STEP, x, weight, groups, 16);
    TC_DOT_STORE(sums);
}

#endif
