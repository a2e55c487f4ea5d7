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
    for (; length >= 4; length -= 4) {
        sum_0 += a[0] * b[0];
        sum_1 += a[1] * b[1];
        sum_2 += a[2] * b[2];
        sum_3 += a[3] * b[3];
        a += 4;
        b += 4;
    }
    for (; length > 0; --length) {
        sum_0 += *a++ * *b++;
    }
    return (sum_0 + sum_1) + (sum_2 + sum_3);
}

/* Of a and `count` others, at most four, `distance` elements apart. */
static inline void tc_inner_products(float *sums, const float *a, const float *b, int32_t distance, int32_t count,
                                     int32_t length)
{
    for (int32_t i = 0; i < count; ++i) {
        sums[i] = tc_inner_product(a, b + i * distance, length);
    }
}

#endif
