#ifndef TC_DOT_H
#define TC_DOT_H

#include <stdint.h>
#include <string.h>

/* The generic file says what these compute. Here SXTB16 splits a word of four int8 into its elements 0, 2
 * and 1, 3, and SMLAD adds two products to a sum. The loops are assembly, because compilers spill the sums, and
 * always inlined, because the sums have to be in registers: of these they need 13. */

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
    if (groups % 4 >= 2) {
        tc_widen_group(wide, narrow);
        tc_widen_group(wide + stride, narrow + 4);
        narrow += 8;
        wide += 2 * stride;
    }
    if (groups % 2 == 1) {
        tc_widen_group(wide, narrow);
    }
}

#ifndef __OPTIMIZE__
#include "tc_dot_plain.h" /* gcc -O0 has too few registers for the loops below */
#else

/* 16 products: two positions, two channels, one group. */
#define TC_DOT_2X2_STEP                                                                                                \
    "ldm %[x]!, {%[a], %[b], %[c], %[d]}\n\t"                                                                          \
    "ldrd %[p], %[q], [%[w]], #8\n\t"                                                                                  \
    "sxtb16 %[e],%[p]\n\t"                                                                                             \
    "sxtb16 %[p],%[p],ror #8\n\t"                                                                                      \
    "smlad %[i],%[e],%[a],%[i]\n\t"                                                                                    \
    "smlad %[k],%[e],%[c],%[k]\n\t"                                                                                    \
    "smlad %[i],%[p],%[b],%[i]\n\t"                                                                                    \
    "smlad %[k],%[p],%[d],%[k]\n\t"                                                                                    \
    "sxtb16 %[e],%[q]\n\t"                                                                                             \
    "sxtb16 %[q],%[q],ror #8\n\t"                                                                                      \
    "smlad %[j],%[e],%[a],%[j]\n\t"                                                                                    \
    "smlad %[l],%[e],%[c],%[l]\n\t"                                                                                    \
    "smlad %[j],%[q],%[b],%[j]\n\t"                                                                                    \
    "smlad %[l],%[q],%[d],%[l]\n\t"

/* 16 products: one position, four channels, one group. */
#define TC_DOT_1X4_STEP                                                                                                \
    "ldr %[p], [%[x]], #4\n\t"                                                                                         \
    "ldm %[w]!, {%[a], %[b], %[c], %[d]}\n\t"                                                                          \
    "sxtb16 %[q],%[p]\n\t"                                                                                             \
    "sxtb16 %[p],%[p],ror #8\n\t" TC_DOT_1X4_CHANNEL("a", "i") TC_DOT_1X4_CHANNEL("b", "j")                            \
        TC_DOT_1X4_CHANNEL("c", "k") TC_DOT_1X4_CHANNEL("d", "l")
#define TC_DOT_1X4_CHANNEL(weight, sum)                                                                                \
    "sxtb16 %[e],%[" weight "]\n\t"                                                                                    \
    "sxtb16 %[" weight "],%[" weight "],ror #8\n\t"                                                                    \
    "smlad %[" sum "],%[e],%[q],%[" sum "]\n\t"                                                                        \
    "smlad %[" sum "],%[" weight "],%[p],%[" sum "]\n\t"

/* LDM loads in the order of the registers' numbers, hence these; r7 is left to frame pointers. Operands have short
 * names because C99 compilers need not take strings of more than 4,095 characters. */
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

#define TC_DOT_RUN(code, source, kernel)                                                                               \
    __asm__ volatile(code                                                                                              \
                     : [i] "+r"(sum0), [j] "+r"(sum1), [k] "+r"(sum2), [l] "+r"(sum3), [w] "+r"(kernel),               \
                       [x] "+r"(source), [a] "=&r"(t0), [b] "=&r"(t1), [c] "=&r"(t2), [d] "=&r"(t3), [p] "=&r"(t4),    \
                       [q] "=&r"(t5), [e] "=&r"(even)                                                                  \
                     :                                                                                                 \
                     : "memory")

/* `groups` steps, which are a constant once this is inlined: eight a turn, and the rest without a loop. */
#define TC_DOT_STEPS(step, source, kernel, groups)                                                                     \
    do {                                                                                                               \
        for (int32_t n = (groups) / 8; n > 0; --n)                                                                     \
            TC_DOT_RUN(step step step step step step step step, source, kernel);                                       \
        if ((groups) % 8 >= 4)                                                                                         \
            TC_DOT_RUN(step step step step, source, kernel);                                                           \
        if ((groups) % 4 >= 2)                                                                                         \
            TC_DOT_RUN(step step, source, kernel);                                                                     \
        if ((groups) % 2 == 1)                                                                                         \
            TC_DOT_RUN(step, source, kernel);                                                                          \
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
    TC_DOT_STEPS(TC_DOT_2X2_STEP, wide, weight, groups);
    TC_DOT_STORE(sums);
}

/* clang runs out of registers for this one where the rest of a kernel is around it. */
#ifdef __clang__
#define TC_DOT_ALONE static __attribute__((noinline, unused))
#else
#define TC_DOT_ALONE static inline __attribute__((always_inline))
#endif

TC_DOT_ALONE void tc_dot_1x4(int32_t *sums, const int8_t *x, const int8_t *weight, int32_t groups)
{
    TC_DOT_DECLARE(sums);
    TC_DOT_STEPS(TC_DOT_1X4_STEP, x, weight, groups);
    TC_DOT_STORE(sums);
}

#endif
#endif
