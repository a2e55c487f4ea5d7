#ifndef TC_REGION_H
#define TC_REGION_H

#include <stdint.h>

/* A point between four pixels of a plane: where they lie, and what each weighs. */
typedef struct {
    int32_t places[4];
    float weights[4];
} tc_region_point;

/* Points of a bin along an axis: one a pixel, rounded up. */
static inline int32_t tc_region_samples(float pixels)
{
    const int32_t whole = pixels > 0.0f ? (int32_t)pixels : 0;
    return (float)whole < pixels ? whole + 1 : whole;
}

/* The point at row y and column x of a plane; outside of it (by more than a pixel before it) all weights are 0. */
static inline tc_region_point tc_region_at(float y, float x, int32_t rows, int32_t columns)
{
    tc_region_point point = {{0, 0, 0, 0}, {0.0f, 0.0f, 0.0f, 0.0f}};
    int32_t row;
    int32_t column;
    if (!(y >= -1.0f && y <= (float)rows && x >= -1.0f && x <= (float)columns)) {
        return point;
    }
    y = y < 0.0f ? 0.0f : y > (float)(rows - 1) ? (float)(rows - 1) : y;
    x = x < 0.0f ? 0.0f : x > (float)(columns - 1) ? (float)(columns - 1) : x;
    row = (int32_t)y;
    column = (int32_t)x;
    y -= (float)row;
    x -= (float)column;
    for (int i = 0; i < 4; ++i) {
        const int32_t below = i / 2 == 1 && row < rows - 1;
        const int32_t right = i % 2 == 1 && column < columns - 1;
        point.places[i] = (row + below) * columns + column + right;
        point.weights[i] = (i / 2 == 1 ? y : 1.0f - y) * (i % 2 == 1 ? x : 1.0f - x);
    }
    return point;
}

/* The plane's value there. */
static inline float tc_region_value(const float *plane, const tc_region_point *point)
{
    float sum = 0.0f;
    for (int i = 0; i < 4; ++i) {
        sum += point->weights[i] * plane[point->places[i]];
    }
    return sum;
}

/* The largest of the four weighted pixels. */
static inline float tc_region_largest(const float *plane, const tc_region_point *point)
{
    float largest = point->weights[0] * plane[point->places[0]];
    for (int i = 1; i < 4; ++i) {
        const float corner = point->weights[i] * plane[point->places[i]];
        largest = corner > largest ? corner : largest;
    }
    return largest;
}

#endif
