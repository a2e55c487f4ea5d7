#ifndef TC_DYNAMIC_GATES_H
#define TC_DYNAMIC_GATES_H

#include <stddef.h>
#include <stdint.h>

#include "tc_gate_dot.h"
#include "tc_round.h"

/* Gates of recurrent layers whose operands are rounded to 8 bits as the model runs, as ONNX's DynamicQuantizeLinear has
 * it: real = scale * (byte - zero_point), bytes of 0 to 255 over the range of the elements and zero. */
typedef struct {
    float scale;
    int32_t zero_point;
} tc_dynamic_rule;

static inline tc_dynamic_rule tc_dynamic_rule_of(const float *x, int32_t length)
{
    tc_dynamic_rule rule = {1.0f, 0};
    float low = 0.0f;
    float high = 0.0f;
    for (int32_t i = 0; i < length; ++i) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    if (low < high) {
        rule.scale = (high - low) / 255.0f;
        rule.zero_point = tc_round_clamp(-low / rule.scale, 0, 255);
    }
    return rule;
}

/* The bytes less their zero point; a last pair is filled up with a zero. Returns their sum. */
static inline int32_t tc_dynamic_widen(int16_t *wide, const float *x, int32_t length, tc_dynamic_rule rule)
{
    int32_t total = 0;
    for (int32_t i = 0; i < length; ++i) {
        const int32_t value = tc_round_clamp(x[i] / rule.scale, -rule.zero_point, 255 - rule.zero_point);
        wide[i] = (int16_t)value;
        total += value;
    }
    if (length % 2 == 1) {
        wide[length] = 0;
    }
    return total;
}

/* gates[row] += the real product of the row's weights with `pairs` pairs of elements, of scale `x_scale`. The weights
 * lie as tc_gate_dot reads them; they have a scale a row and, unless `zero` is NULL, a zero point, for which `total` is
 * the sum of the elements. `rows` is a multiple of 4. */
static inline void tc_dynamic_gates(float *gates, const int16_t *x, const int8_t *weight, const float *scale,
                                    const int32_t *zero, float x_scale, int32_t total, int32_t rows, int32_t pairs)
{
    for (int32_t row = 0; row < rows; row += 4) {
        int32_t sums[4] = {0, 0, 0, 0};
        tc_gate_dot(sums, x, weight, pairs);
        weight += 8 * pairs;
        for (int32_t i = 0; i < 4; ++i) {
            const int32_t sum = zero == NULL ? sums[i] : sums[i] - zero[row + i] * total;
            gates[row + i] += (float)sum * (x_scale * scale[row + i]);
        }
    }
}

#endif
