#ifndef TC_TAPS_H
#define TC_TAPS_H

#include <stdint.h>

/* The generic file says what these compute. A word has two neighbours, a and b: the window that starts at a takes both
 * by SMLAD and one of the next word, the window that starts at b takes b and both of the next word. So each takes two
 * instructions a row, and no word is put together. LDM loads in the order of the registers' numbers. */
#ifndef __OPTIMIZE__
#include "tc_taps_plain.h" /* gcc -O0 has too few registers for the code below */
#else

#define TC_TAPS_EVEN(sum, word, next)                                                                                  \
    "smlad %[" sum "],%[p],%[" word "],%[" sum "]\n\t"                                                                 \
    "smlatb %[" sum "],%[q],%[" next "],%[" sum "]\n\t"
#define TC_TAPS_ODD(sum, word, next)                                                                                   \
    "smlabt %[" sum "],%[p],%[" word "],%[" sum "]\n\t"                                                                \
    "smlad %[" sum "],%[q],%[" next "],%[" sum "]\n\t"

#define TC_TAPS_1 TC_TAPS_EVEN("i", "a", "b")
#define TC_TAPS_2 TC_TAPS_1 TC_TAPS_ODD("j", "a", "b")
#define TC_TAPS_3 TC_TAPS_2 TC_TAPS_EVEN("k", "b", "c")
#define TC_TAPS_4 TC_TAPS_3 TC_TAPS_ODD("l", "b", "c")
#define TC_TAPS_5 TC_TAPS_4 TC_TAPS_EVEN("m", "c", "d")
/* The fourth word takes the place of the first: there is no register left. */
#define TC_TAPS_6 TC_TAPS_4 "ldr %[a], [%[x]], #4\n\t" TC_TAPS_EVEN("m", "c", "a") TC_TAPS_ODD("n", "c", "a")
#define TC_TAPS_SUM_1 [i] "+r"(sum0)
#define TC_TAPS_SUM_2 TC_TAPS_SUM_1, [j] "+r"(sum1)
#define TC_TAPS_SUM_3 TC_TAPS_SUM_2, [k] "+r"(sum2)
#define TC_TAPS_SUM_4 TC_TAPS_SUM_3, [l] "+r"(sum3)
#define TC_TAPS_SUM_5 TC_TAPS_SUM_4, [m] "+r"(sum4)
#define TC_TAPS_SUM_6 TC_TAPS_SUM_5, [n] "+r"(sum5)
#define TC_TAPS_WORDS_2 [a] "=&r"(a), [b] "=&r"(b)
#define TC_TAPS_WORDS_3 TC_TAPS_WORDS_2, [c] "=&r"(c)
#define TC_TAPS_WORDS_4 TC_TAPS_WORDS_3, [d] "=&r"(d)

/* A row of `positions` windows, which reads `words` words into `registers` registers; then `x` goes on to the next row. */
#define TC_TAPS_ROW(list, positions, words, registers)                                                                 \
    do {                                                                                                               \
        __asm__("ldm %[x]!, " list "\n\t"                                                                              \
                "ldrd %[p], %[q], [%[w]], #8\n\t" TC_TAPS_##positions                                                  \
                : TC_TAPS_SUM_##positions,                                                                             \
                  TC_TAPS_WORDS_##registers, [p] "=&r"(p), [q] "=&r"(q), [x] "+&r"(x), [w] "+&r"(weight)               \
                :                                                                                                      \
                : "memory");                                                                                           \
        x += row_stride - (words)*2;                                                                                   \
    } while (0)

#define TC_TAPS_ROWS(list, positions, words, registers)                                                                \
    do {                                                                                                               \
        if (rows == 3) {                                                                                               \
            TC_TAPS_ROW(list, positions, words, registers);                                                            \
            TC_TAPS_ROW(list, positions, words, registers);                                                            \
            TC_TAPS_ROW(list, positions, words, registers);                                                            \
        } else {                                                                                                       \
            for (int32_t row = 0; row < rows; ++row)                                                                   \
                TC_TAPS_ROW(list, positions, words, registers);                                                        \
        }                                                                                                              \
    } while (0)

static inline __attribute__((always_inline)) void tc_taps(int32_t *sums, const int16_t *x, const int32_t *weight,
                                                          int32_t positions, int32_t rows, int32_t row_stride)
{
    int32_t sum0 = sums[0];
    int32_t sum1 = positions > 1 ? sums[1] : 0;
    int32_t sum2 = positions > 2 ? sums[2] : 0;
    int32_t sum3 = positions > 3 ? sums[3] : 0;
    int32_t sum4 = positions > 4 ? sums[4] : 0;
    int32_t sum5 = positions > 5 ? sums[5] : 0;
    register int32_t a __asm__("r4");
    register int32_t b __asm__("r5");
    register int32_t c __asm__("r8");
    register int32_t d __asm__("r10");
    int32_t p, q;

    if (positions == 1)
        TC_TAPS_ROWS("{%[a], %[b]}", 1, 2, 2);
    else if (positions == 2)
        TC_TAPS_ROWS("{%[a], %[b]}", 2, 2, 2);
    else if (positions == 3)
        TC_TAPS_ROWS("{%[a], %[b], %[c]}", 3, 3, 3);
    else if (positions == 4)
        TC_TAPS_ROWS("{%[a], %[b], %[c]}", 4, 3, 3);
    else if (positions == 5)
        TC_TAPS_ROWS("{%[a], %[b], %[c], %[d]}", 5, 4, 4);
    else
        TC_TAPS_ROWS("{%[a], %[b], %[c]}", 6, 4, 3);
    sums[0] = sum0;
    if (positions > 1)
        sums[1] = sum1;
    if (positions > 2)
        sums[2] = sum2;
    if (positions > 3)
        sums[3] = sum3;
    if (positions > 4)
        sums[4] = sum4;
    if (positions > 5)
        sums[5] = sum5;
}

#endif
#endif
