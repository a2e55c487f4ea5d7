#ifndef TC_NORMALIZE_GROUP_H
#define TC_NORMALIZE_GROUP_H

#include <stdint.h>

#include "tc_normalize.h"

/* Channels that are normalized together, each of `length` elements, and how far apart channels and elements lie. */
typedef struct {
    int32_t channels;
    int32_t length;
    int32_t channel_step;
    int32_t element_step;
    int32_t zero_point;
} tc_group;

/* As tc_normalize_row over all elements of the group, with a multiplier and an addend a channel. */
static inline void tc_normalize_group(int8_t *y, const int8_t *x, const int32_t *multiplier, const int32_t *addend,
                                      tc_group group, int64_t epsilon, int32_t shift, int32_t low, int32_t high)
{
    int32_t sum = 0;
    int64_t squares = 0;
    for (int32_t c = 0; c < group.channels; ++c) {
        for (int32_t i = 0; i < group.length; ++i) {
            const int32_t element = x[c * group.channel_step + i * group.element_step] - group.zero_point;
            sum += element;
            squares += element * element;
        }
    }
    const int32_t count = group.channels * group.length;
    const tc_deviation rule = tc_deviation_of(sum, squares, count, epsilon, 20, 16);
    for (int32_t c = 0; c < group.channels; ++c) {
        for (int32_t i = 0; i < group.length; ++i) {
            const int32_t at = c * group.channel_step + i * group.element_step;
            const int32_t normalized = tc_normalized((x[at] - group.zero_point) * count - sum, rule);
            y[at] = (int8_t)tc_clamp(tc_mulhi_add(normalized, multiplier[c], addend[c]) >> shift, low, high);
        }
    }
}

#endif
