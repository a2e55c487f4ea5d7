#ifndef TC_COUPLING_H
#define TC_COUPLING_H

#include <stdint.h>

/* The probabilities p that minimize p' Q p and add up to 1, by turns, one at a time: Wu, Lin and Weng's pairwise
 * coupling. `product` is scratch for Q p. */
static inline void tc_coupling(const float *q, float *product, int32_t classes, float *p)
{
    for (int32_t i = 0; i < classes; ++i) {
        p[i] = 1.0f / (float)classes;
    }
    for (int32_t round = 0; round < 100; ++round) {
        float total = 0.0f;
        float largest = 0.0f;
        for (int32_t i = 0; i < classes; ++i) {
            product[i] = 0.0f;
            for (int32_t j = 0; j < classes; ++j) {
                product[i] += q[i * classes + j] * p[j];
            }
            total += p[i] * product[i];
        }
        for (int32_t i = 0; i < classes; ++i) {
            const float error = product[i] > total ? product[i] - total : total - product[i];
            largest = error > largest ? error : largest;
        }
        if (largest < 0.005f / (float)classes) {
            break;
        }
        for (int32_t i = 0; i < classes; ++i) {
            const float own = q[i * classes + i];
            const float change = (total - product[i]) / own;
            const float scale = 1.0f + change;
            p[i] += change;
            total = (total + change * (change * own + 2.0f * product[i])) / scale / scale;
            for (int32_t j = 0; j < classes; ++j) {
                product[j] = (product[j] + change * q[i * classes + j]) / scale;
                p[j] /= scale;
            }
        }
    }
}

#endif
