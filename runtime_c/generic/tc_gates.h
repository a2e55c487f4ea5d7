#ifndef TC_GATES_H
#define TC_GATES_H

#include <stddef.h>
#include <stdint.h>

#include "tc_clamp.h"
#include "tc_gate_dot.h"
#include "tc_mulhi.h"
#include "tc_requantize.h"

/* Recurrent layers on integers. Inputs of gates are Q12 (4096 stands for 1) beside int8, Q16 beside int16; gates and hidden
 * states are Q15, the cells of an LSTM Q20. */

/* int8 elements as int16 with their zero point taken off; a last pair is filled up with a zero. */
static inline void tc_gate_widen(int16_t *wide, const int8_t *narrow, int32_t length, int32_t zero_point)
{
    for (int32_t i = 0; i < length; ++i) {
        wide[i] = (int16_t)(narrow[i] - zero_point);
    }
    if (length % 2 == 1) {
        wide[length] = 0;
    }
}

/* int16 elements with a last pair filled up. */
static inline void tc_gate_copy(int16_t *wide, const int16_t *elements, int32_t length)
{
    for (int32_t i = 0; i < length; ++i) {
        wide[i] = elements[i];
    }
    if (length % 2 == 1) {
        wide[length] = 0;
    }
}

/* How a sum of products becomes the input of a gate: (hi32((sum << pre_shift) * multiplier) + half) >> shift. There is a
 * multiplier a row, or one for all. */
typedef struct {
    const int32_t *multiplier;
    int32_t is_per_row;
    int32_t pre_shift;
    int32_t shift;
} tc_gate_scale;

/* gates[row] = (`add`: +=) the scaled sum of start[row] (0 where `start` is NULL) and the products of `pairs` pairs of
 * elements with the row's weights, which lie as tc_gate_dot reads them. `rows` is a multiple of 4. */
static inline void tc_gates(int32_t *gates, const int16_t *x, const int8_t *weight, const int32_t *start,
                            tc_gate_scale scale, int32_t rows, int32_t pairs, int32_t add)
{
    const int32_t half = (int32_t)1 << (scale.shift - 1);
    for (int32_t row = 0; row < rows; row += 4) {
        int32_t sums[4] = {0, 0, 0, 0};
        for (int32_t i = 0; i < 4 && start != NULL; ++i) {
            sums[i] = start[row + i];
        }
        tc_gate_dot(sums, x, weight, pairs);
        weight += 8 * pairs;
        for (int32_t i = 0; i < 4; ++i) {
            const int32_t multiplier = scale.multiplier[scale.is_per_row ? row + i : 0];
            const int32_t sum = sums[i] * ((int32_t)1 << scale.pre_shift);
            const int32_t gate = tc_mulhi_add(sum, multiplier, half) >> scale.shift;
            gates[row + i] = add ? gates[row + i] + gate : gate;
        }
    }
}

/* The hyperbolic tangent from 0 to 8 in Q15, in lines of 2^bits steps between its entries. A step is half a step of the
 * inputs of gates, and 8 lies after `limit` of them. */
typedef struct {
    const int16_t *table;
    int32_t bits;
    int32_t limit;
} tc_gate_lines;

/* tanh of x steps, x >= 0 */
static inline int32_t tc_gate_table(tc_gate_lines lines, int32_t x)
{
    const int32_t limited = x > lines.limit ? lines.limit : x;
    const int32_t low = lines.table[limited >> lines.bits];
    const int32_t high = lines.table[(limited >> lines.bits) + 1];
    const int32_t rest = limited & (((int32_t)1 << lines.bits) - 1);
    return low + (((high - low) * rest + ((int32_t)1 << (lines.bits - 1))) >> lines.bits);
}

static inline int32_t tc_gate_tanh(tc_gate_lines lines, int32_t x)
{
    const int32_t end = lines.limit / 2 + 1;
    const int32_t limited = tc_clamp(x, -end, end);
    return limited < 0 ? -tc_gate_table(lines, -2 * limited) : tc_gate_table(lines, 2 * limited);
}

/* sigmoid(x) = (1 + tanh(x / 2)) / 2, 0 to 32767 */
static inline int32_t tc_gate_sigmoid(tc_gate_lines lines, int32_t x)
{
    const int32_t y = x < 0 ? -tc_gate_table(lines, -x) : tc_gate_table(lines, x);
    return (32768 + y) >> 1;
}

/* gate * x, for a gate in Q15 */
static inline int32_t tc_gate_scaled(int32_t gate, int32_t x)
{
    return 2 * tc_mulhi(gate * 65536, x);
}

/* (a * b) / 2^15, rounded half up */
static inline int32_t tc_gate_product(int32_t a, int32_t b)
{
    return (a * b + 16384) >> 15;
}

#endif
