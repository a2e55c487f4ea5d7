#ifndef TC_INNER_PRODUCT_H
#define TC_INNER_PRODUCT_H

#include <stdint.h>

/* The sum of a[i] * b[i]. Four partial sums: they do not wait for each other, and long sums lose less. */
static inline float tc_inner_product(const float *a, const float *b, int32_t length)
{
    float sum_0 = 0.0f;
    float sum_1 = 0.0f;
    float sum_2 = 0.0f;
    float sum_3 = 0.0f;
    int32_t i = 0;
    for (; i + 4 <= length; i += 4) {
        sum_0 += a[i] * b[i];
        sum_1 += a[i + 1] * b[i + 1];
        sum_2 += a[i + 2] * b[i + 2];
        sum_3 += a[i + 3] * b[i + 3];
    }
    for (; i < length; ++i) {
        sum_0 += a[i] * b[i];
    }
    return (sum_0 + sum_1) + (sum_2 + sum_3);
}

#endif
