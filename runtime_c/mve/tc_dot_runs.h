#ifndef TC_DOT_RUNS_H
#define TC_DOT_RUNS_H

#include <stdint.h>

#include "tc_copy.h"

/* The generic file says what these compute. VMLADAV adds 16 products to a core register, which has to be an even one.
 * Two positions by two channels take four loads and four of them. Loops over channels are assembly, because compilers
 * move sums and pointers about between the parts. What is left of a run after whole vectors is loaded under a mask, so
 * that nothing is read past its end. */

#define TC_INLINE static inline __attribute__((always_inline))

TC_INLINE void tc_copy_rows(int8_t *to, const int8_t *from, int32_t rows, int32_t distance, int32_t length)
{
    if (length <= 16) {
        __asm__ volatile("vctp.8 %[length]\n\t"
                         "dls lr, %[rows]\n"
                         "1:\n\t"
                         "vpstt\n\t"
                         "vldrbt.u8 q0, [%[from]]\n\t"
                         "vstrbt.8 q0, [%[to]]\n\t"
                         "add %[from], %[from], %[distance]\n\t"
                         "add %[to], %[to], %[length]\n\t"
                         "le lr, 1b"
                         : [to] "+r"(to), [from] "+r"(from)
                         : [length] "r"(length), [distance] "r"(distance), [rows] "r"(rows)
                         : "q0", "lr", "memory");
        return;
    }
    for (int32_t row = 0; row < rows; ++row) {
        tc_copy(to + row * length, from + row * distance, length);
    }
}

/* The first products of a run set the sums, the next ones are added. */
#define TC_SET "vmladav.s8"
#define TC_ADD "vmladava.s8"

/* 16 elements of each run, with the loads of positions done by `load` from the addresses x and y. */
#define TC_STEP_2X2(mac, load, x, y)                                                                                   \
    load " q0, " x "\n\t"                                                                                              \
         "vldrb.8 q1, [%[weight]], #16\n\t" mac " %[s0], q0, q1\n\t"                                                   \
         "vldrb.8 q2, [%[weight]], #16\n\t" mac " %[s1], q0, q2\n\t" load " q3, " y "\n\t" mac                         \
         " %[s2], q3, q1\n\t" mac " %[s3], q3, q2\n\t"
#define TC_STEP_1X2(mac, load, x, y)                                                                                   \
    load " q0, " x "\n\t"                                                                                              \
         "vldrb.8 q1, [%[weight]], #16\n\t" mac " %[s0], q0, q1\n\t"                                                   \
         "vldrb.8 q2, [%[weight]], #16\n\t" mac " %[s1], q0, q2\n\t"
#define TC_STEP_1X4(mac, load, x, y)                                                                                   \
    load " q0, " x "\n\t"                                                                                              \
         "vldrb.8 q1, [%[weight]], #16\n\t" mac " %[s0], q0, q1\n\t"                                                   \
         "vldrb.8 q2, [%[weight]], #16\n\t" mac " %[s1], q0, q2\n\t"                                                   \
         "vldrb.8 q3, [%[weight]], #16\n\t" mac " %[s2], q0, q3\n\t"                                                   \
         "vldrb.8 q1, [%[weight]], #16\n\t" mac " %[s3], q0, q1\n\t"

/* The masked loads come first, both under one VPST; VMLADAV of zeros adds nothing. */
#define TC_REST_2X2(mac, x, y)                                                                                         \
    "vpstt\n\t"                                                                                                        \
    "vldrbt.u8 q0, " x "\n\t"                                                                                          \
    "vldrbt.u8 q3, " y "\n\t"                                                                                          \
    "vldrb.8 q1, [%[weight]], #16\n\t" mac " %[s0], q0, q1\n\t"                                                        \
    "vldrb.8 q2, [%[weight]], #16\n\t" mac " %[s1], q0, q2\n\t" mac " %[s2], q3, q1\n\t" mac " %[s3], q3, q2\n\t"
#define TC_REST_1X2(mac, x, y) "vpst\n\t" TC_STEP_1X2(mac, "vldrbt.u8", x, y)
#define TC_REST_1X4(mac, x, y) "vpst\n\t" TC_STEP_1X4(mac, "vldrbt.u8", x, y)

#define TC_STORE_2X2                                                                                                   \
    "strd %[s0], %[s1], [%[to]], #8\n\t"                                                                               \
    "strd %[s2], %[s3], [%[to1]], #8\n\t"
#define TC_STORE_1X2 "strd %[s0], %[s1], [%[to]], #8\n\t"
#define TC_STORE_1X4                                                                                                   \
    "strd %[s0], %[s1], [%[to]], #8\n\t"                                                                               \
    "strd %[s2], %[s3], [%[to]], #8\n\t"

#define TC_BACK_1X2 "sub %[x], %[x], lr\n\t"
#define TC_BACK_2X2 TC_BACK_1X2 "sub %[y], %[y], lr\n\t"
#define TC_BACK_1X4 TC_BACK_1X2

#define TC_AT(tile, mac, at) TC_STEP_##tile(mac, "vldrb.8", "[%[x], #" #at "]", "[%[y], #" #at "]")
#define TC_REST_AT(tile, mac, at) TC_REST_##tile(mac, "[%[x], #" #at "]", "[%[y], #" #at "]")
#define TC_ON(tile, mac) TC_STEP_##tile(mac, "vldrb.8", "[%[x]], #16", "[%[y]], #16")
#define TC_REST_ON(tile) TC_REST_##tile(TC_ADD, "[%[x]]", "[%[y]]")

/* What is read once a turn stays in memory, because registers are scarce. */
typedef struct {
    int32_t rest;
    int32_t turns;
    int32_t loops;
    int32_t back;
    const int32_t *end;
} tc_dot_sizes;

#define TC_ASSEMBLY(code)                                                                                              \
    __asm__ volatile("ldr lr, [%[sizes]]\n\t"                                                                          \
                     "vctp.8 lr\n\t" code                                                                              \
                     : [s0] "=&Te"(s0), [s1] "=&Te"(s1), [s2] "=&Te"(s2), [s3] "=&Te"(s3), [x] "+r"(x), [y] "+r"(y),   \
                       [weight] "+r"(weight), [to] "+r"(to), [to1] "+r"(to1)                                           \
                     : [sizes] "r"(&sizes)                                                                             \
                     : "q0", "q1", "q2", "q3", "lr", "cc", "memory")

/* Runs of up to nine vectors and a rest: the loop over channels is a low-overhead one. */
#define TC_SHORT(tile, steps)                                                                                          \
    TC_ASSEMBLY("ldr lr, [%[sizes], #4]\n\t"                                                                           \
                "dls lr, lr\n"                                                                                         \
                "1:\n\t" steps TC_STORE_##tile "le lr, 1b")

/* Longer ones: the loop over four vectors is. One to four steps come before it. */
#define TC_LONG(tile, steps, rest_step)                                                                                \
    TC_ASSEMBLY("1:\n\t"                                                                                               \
                "ldr lr, [%[sizes], #8]\n\t" steps "dls lr, lr\n"                                                      \
                "2:\n\t" TC_ON(tile, TC_ADD) TC_ON(tile, TC_ADD) TC_ON(tile, TC_ADD)                                   \
                    TC_ON(tile, TC_ADD) "le lr, 2b\n\t" rest_step TC_STORE_##tile                                      \
                "ldr lr, [%[sizes], #12]\n\t" TC_BACK_##tile "ldr lr, [%[sizes], #16]\n\t"                             \
                                                             "cmp %[to], lr\n\t"                                       \
                                                             "bne 1b")

/* The addresses of positions are 64 on in them, as offsets reach 127 both ways. */
#define TC_FIRST_1(tile) TC_AT(tile, TC_SET, -64)
#define TC_FIRST_2(tile) TC_FIRST_1(tile) TC_AT(tile, TC_ADD, -48)
#define TC_FIRST_3(tile) TC_FIRST_2(tile) TC_AT(tile, TC_ADD, -32)
#define TC_FIRST_4(tile) TC_FIRST_3(tile) TC_AT(tile, TC_ADD, -16)
#define TC_FIRST_5(tile) TC_FIRST_4(tile) TC_AT(tile, TC_ADD, 0)
#define TC_FIRST_6(tile) TC_FIRST_5(tile) TC_AT(tile, TC_ADD, 16)
#define TC_FIRST_7(tile) TC_FIRST_6(tile) TC_AT(tile, TC_ADD, 32)
#define TC_FIRST_8(tile) TC_FIRST_7(tile) TC_AT(tile, TC_ADD, 48)
#define TC_FIRST_9(tile) TC_FIRST_8(tile) TC_AT(tile, TC_ADD, 64)
#define TC_SHORT_CASES(tile, count, rest_at)                                                                           \
    case (count)*2:                                                                                                    \
        TC_SHORT(tile, TC_FIRST_##count(tile));                                                                        \
        break;                                                                                                         \
    case (count)*2 + 1:                                                                                                \
        TC_SHORT(tile, TC_FIRST_##count(tile) TC_REST_AT(tile, TC_ADD, rest_at));                                      \
        break;
#define TC_LONG_CASES(tile, count, steps)                                                                              \
    case 20 + (count)*2:                                                                                               \
        TC_LONG(tile, steps, "");                                                                                      \
        break;                                                                                                         \
    case 20 + (count)*2 + 1:                                                                                           \
        TC_LONG(tile, steps, TC_REST_ON(tile));                                                                        \
        break;

/* One case is left where `length` is a constant, which it is in a kernel. */
#define TC_RUNS(tile)                                                                                                  \
    switch ((vectors > 9 ? 20 + vectors % 4 * 2 : vectors * 2) + (rest > 0)) {                                         \
    case 1:                                                                                                            \
        TC_SHORT(tile, TC_REST_AT(tile, TC_SET, -64));                                                                 \
        break;                                                                                                         \
        TC_SHORT_CASES(tile, 1, -48)                                                                                   \
        TC_SHORT_CASES(tile, 2, -32)                                                                                   \
        TC_SHORT_CASES(tile, 3, -16)                                                                                   \
        TC_SHORT_CASES(tile, 4, 0)                                                                                     \
        TC_SHORT_CASES(tile, 5, 16)                                                                                    \
        TC_SHORT_CASES(tile, 6, 32)                                                                                    \
        TC_SHORT_CASES(tile, 7, 48)                                                                                    \
        TC_SHORT_CASES(tile, 8, 64)                                                                                    \
        TC_SHORT_CASES(tile, 9, 80)                                                                                    \
        TC_LONG_CASES(tile, 0, TC_ON(tile, TC_SET) TC_ON(tile, TC_ADD) TC_ON(tile, TC_ADD) TC_ON(tile, TC_ADD))        \
        TC_LONG_CASES(tile, 1, TC_ON(tile, TC_SET))                                                                    \
        TC_LONG_CASES(tile, 2, TC_ON(tile, TC_SET) TC_ON(tile, TC_ADD))                                                \
        TC_LONG_CASES(tile, 3, TC_ON(tile, TC_SET) TC_ON(tile, TC_ADD) TC_ON(tile, TC_ADD))                            \
    default:                                                                                                           \
        break;                                                                                                         \
    }

/* One tile by all channels, which take `turns` turns. */
#define TC_RUNS_FUNCTION(name, tile, woven)                                                                            \
    TC_INLINE void name(int32_t *to, const int8_t *x, const int8_t *weight, int32_t channels, int32_t length)          \
    {                                                                                                                  \
        const int8_t *y;                                                                                               \
        int32_t *to1 = to + channels;                                                                                  \
        int32_t s0, s1, s2, s3;                                                                                        \
        int32_t vectors = length / 16, rest = length % 16;                                                             \
        int32_t begin = vectors > 9 ? 0 : 64;                                                                          \
        tc_dot_sizes sizes = {rest, channels / (woven), (vectors - 1) / 4, vectors * 16, to1};                         \
        __asm__("" : "+r"(x)); /* what compilers cannot see they do not find beyond its end */                         \
        x += begin;                                                                                                    \
        y = x + length;                                                                                                \
        TC_RUNS(tile)                                                                                                  \
    }
TC_RUNS_FUNCTION(tc_dot_two_positions, 2X2, 2)
TC_RUNS_FUNCTION(tc_dot_last_position, 1X2, 2)
TC_RUNS_FUNCTION(tc_dot_runs_1x4, 1X4, 4)

TC_INLINE void tc_dot_runs_2x2(int32_t *sums, const int8_t *x, const int8_t *weight, int32_t positions,
                               int32_t channels, int32_t length)
{
    int32_t position = 0;
    for (; position < positions - 1; position += 2) {
        tc_dot_two_positions(sums, x, weight, channels, length);
        sums += channels * 2;
        x += length * 2;
    }
    if (position < positions) {
        tc_dot_last_position(sums, x, weight, channels, length);
    }
}

#endif
