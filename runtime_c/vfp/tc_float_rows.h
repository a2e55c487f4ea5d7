#ifndef TC_FLOAT_ROWS_H
#define TC_FLOAT_ROWS_H

#include <stdint.h>

/* The generic file says what these compute. Here the 32 single registers hold the sums of two positions (s0 to s15),
 * eight weights, which one VLDM loads, two or four elements and the products. A multiplication and an addition take
 * the two cycles of which VFMA takes three on Cortex-M4. The loops are assembly, because compilers do not form
 * VLDM and spill the sums. */

#define TC_MULTIPLY(a, b, c, d, weight0, weight1, weight2, weight3, element)                                           \
    "vmul.f32 " a "," weight0 "," element "\n\t"                                                                       \
    "vmul.f32 " b "," weight1 "," element "\n\t"                                                                       \
    "vmul.f32 " c "," weight2 "," element "\n\t"                                                                       \
    "vmul.f32 " d "," weight3 "," element "\n\t"
#define TC_ADD(sum0, sum1, sum2, sum3, a, b, c, d)                                                                     \
    "vadd.f32 " sum0 "," sum0 "," a "\n\t"                                                                             \
    "vadd.f32 " sum1 "," sum1 "," b "\n\t"                                                                             \
    "vadd.f32 " sum2 "," sum2 "," c "\n\t"                                                                             \
    "vadd.f32 " sum3 "," sum3 "," d "\n\t"

/* Eight products of one element, the weights kept. */
#define TC_EIGHT_PRODUCTS(element)                                                                                     \
    TC_MULTIPLY("s28", "s29", "s30", "s31", "s16", "s17", "s18", "s19", element)                                       \
    TC_ADD("s0", "s1", "s2", "s3", "s28", "s29", "s30", "s31")                                                         \
    TC_MULTIPLY("s28", "s29", "s30", "s31", "s20", "s21", "s22", "s23", element)                                       \
    TC_ADD("s4", "s5", "s6", "s7", "s28", "s29", "s30", "s31")

/* The same for the second position, in place of the weights. */
#define TC_EIGHT_MORE(element)                                                                                         \
    TC_MULTIPLY("s16", "s17", "s18", "s19", "s16", "s17", "s18", "s19", element)                                       \
    TC_ADD("s8", "s9", "s10", "s11", "s16", "s17", "s18", "s19")                                                       \
    TC_MULTIPLY("s20", "s21", "s22", "s23", "s20", "s21", "s22", "s23", element)                                       \
    TC_ADD("s12", "s13", "s14", "s15", "s20", "s21", "s22", "s23")

#define TC_WEIGHTS "vldmia %[weight]!, {s16-s23}\n\t"
#define TC_TWO_POSITIONS_ONCE                                                                                          \
    "vldmia %[x]!, {s24}\n\t"                                                                                          \
    "vldmia %[y]!, {s26}\n\t" TC_WEIGHTS TC_EIGHT_PRODUCTS("s24") TC_EIGHT_MORE("s26")
#define TC_TWO_POSITIONS_TWICE                                                                                         \
    "vldmia %[x]!, {s24-s25}\n\t"                                                                                      \
    "vldmia %[y]!, {s26-s27}\n\t" TC_WEIGHTS TC_EIGHT_PRODUCTS("s24") TC_EIGHT_MORE("s26")                             \
        TC_WEIGHTS TC_EIGHT_PRODUCTS("s25") TC_EIGHT_MORE("s27")
#define TC_ONE_POSITION_ONCE "vldmia %[x]!, {s24}\n\t" TC_WEIGHTS TC_EIGHT_PRODUCTS("s24")
#define TC_ONE_POSITION_TWICE                                                                                          \
    "vldmia %[x]!, {s24-s25}\n\t" TC_WEIGHTS TC_EIGHT_PRODUCTS("s24") TC_WEIGHTS TC_EIGHT_PRODUCTS("s25")

#define TC_LOOP(step)                                                                                                  \
    "mov %[n], %[turns]\n"                                                                                             \
    "2:\n\t" step "subs %[n], %[n], #1\n\t"                                                                            \
    "bne 2b\n\t"

/* `rows` times `code`, which leaves `x` and `y` at the end of a row; the sums are registers `list`. */
#define TC_RUN(list, code)                                                                                             \
    __asm__ volatile("vldmia %[sums], " list "\n"                                                                      \
                     "1:\n\t" code "add %[x], %[x], %[skip]\n\t"                                                       \
                     "add %[y], %[y], %[skip]\n\t"                                                                     \
                     "subs %[rows], %[rows], #1\n\t"                                                                   \
                     "bne 1b\n\t"                                                                                      \
                     "vstmia %[sums], " list                                                                           \
                     : [x] "+r"(x), [y] "+r"(y), [weight] "+r"(weight), [rows] "+r"(rows), [n] "=&r"(n)                \
                     : [sums] "r"(sums), [skip] "r"(skip), [turns] "r"(turns)                                          \
                     : "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",       \
                       "s12", "s13", "s14", "s15", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24",      \
                       "s25", "s26", "s27", "s28", "s29", "s30", "s31")

/* A row's elements by four or two; the last one of an odd number is left to `once`. */
#define TC_ROWS(list, once, twice)                                                                                     \
    do {                                                                                                               \
        if (turns == 0)                                                                                                \
            TC_RUN(list, once);                                                                                        \
        else if (length == 4)                                                                                          \
            TC_RUN(list, twice twice);                                                                                 \
        else if (length % 4 == 0)                                                                                      \
            TC_RUN(list, TC_LOOP(twice twice));                                                                        \
        else if (length % 2 == 1)                                                                                      \
            TC_RUN(list, TC_LOOP(twice) once);                                                                         \
        else                                                                                                           \
            TC_RUN(list, TC_LOOP(twice));                                                                              \
    } while (0)

static inline __attribute__((always_inline)) void tc_dot_floats(float *sums, const float *x, const float *weight,
                                                                int32_t positions, int32_t step, int32_t rows,
                                                                int32_t row_stride, int32_t length)
{
    const float *y = x + step;
    const int32_t turns = length / (length % 4 == 0 ? 4 : 2), skip = (row_stride - length) * 4;
    int32_t n;

    if (positions == 2)
        TC_ROWS("{s0-s15}", TC_TWO_POSITIONS_ONCE, TC_TWO_POSITIONS_TWICE);
    else
        TC_ROWS("{s0-s7}", TC_ONE_POSITION_ONCE, TC_ONE_POSITION_TWICE);
}

#endif
