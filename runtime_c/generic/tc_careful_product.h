#ifndef TC_CAREFUL_PRODUCT_H
#define TC_CAREFUL_PRODUCT_H

#include <stdint.h>

/* start + the sum of a[i] * b[i], with what the additions round off summed apart (Knuth's exact addition): for sums of
 * large terms that nearly cancel. */
static inline float tc_careful_product(float start, const float *a, const float *b, int32_t length)
{
    float sum = start;
    float rest = 0.0f;
    for (int32_t i = 0; i < length; ++i) {
        const float term = a[i] * b[i];
        const float next = sum + term;
        const float added = next - sum;
        rest += (sum - (next - added)) + (term - added);
        sum = next;
    }
    return sum + rest;
}

#endif
