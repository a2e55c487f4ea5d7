#ifndef TC_GATE_DOT_H
#define TC_GATE_DOT_H

#include <stdint.h>
#include <string.h>

/* The generic file says what this computes. SXTB16 splits a word of four weights into the pairs of two rows, SMLAD adds
 * both products of a pair. Inline assembly because gcc 12 forms neither from C. */

static inline uint32_t tc_gate_word(const void *from)
{
    uint32_t word;
    memcpy(&word, from, 4);
    return word;
}

static inline int32_t tc_gate_even(uint32_t weights, uint32_t pair, int32_t sum)
{
    uint32_t row;
    int32_t result;
    __asm__("sxtb16 %0, %1" : "=r"(row) : "r"(weights));
    __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(row), "r"(pair), "r"(sum));
    return result;
}

static inline int32_t tc_gate_odd(uint32_t weights, uint32_t pair, int32_t sum)
{
    uint32_t row;
    int32_t result;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(row) : "r"(weights));
    __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(row), "r"(pair), "r"(sum));
    return result;
}

static inline void tc_gate_dot(int32_t *sums, const int16_t *x, const int8_t *weight, int32_t pairs)
{
    int32_t sum_0 = sums[0];
    int32_t sum_1 = sums[1];
    int32_t sum_2 = sums[2];
    int32_t sum_3 = sums[3];
    for (int32_t i = pairs / 2; i > 0; --i) {
        const uint32_t first = tc_gate_word(x);
        const uint32_t second = tc_gate_word(x + 2);
        const uint32_t weights_0 = tc_gate_word(weight);
        const uint32_t weights_1 = tc_gate_word(weight + 4);
        const uint32_t weights_2 = tc_gate_word(weight + 8);
        const uint32_t weights_3 = tc_gate_word(weight + 12);
        sum_0 = tc_gate_even(weights_0, first, sum_0);
        sum_1 = tc_gate_odd(weights_0, first, sum_1);
        sum_2 = tc_gate_even(weights_1, first, sum_2);
        sum_3 = tc_gate_odd(weights_1, first, sum_3);
        sum_0 = tc_gate_even(weights_2, second, sum_0);
        sum_1 = tc_gate_odd(weights_2, second, sum_1);
        sum_2 = tc_gate_even(weights_3, second, sum_2);
        sum_3 = tc_gate_odd(weights_3, second, sum_3);
        x += 4;
        weight += 16;
    }
    if (pairs % 2 == 1) {
        const uint32_t pair = tc_gate_word(x);
        const uint32_t weights_0 = tc_gate_word(weight);
        const uint32_t weights_1 = tc_gate_word(weight + 4);
        sum_0 = tc_gate_even(weights_0, pair, sum_0);
        sum_1 = tc_gate_odd(weights_0, pair, sum_1);
        sum_2 = tc_gate_even(weights_1, pair, sum_2);
        sum_3 = tc_gate_odd(weights_1, pair, sum_3);
    }
    sums[0] = sum_0;
    sums[1] = sum_1;
    sums[2] = sum_2;
    sums[3] = sum_3;
}

#endif
