#ifndef TC_GRID_H
#define TC_GRID_H

#include "tc_math.h"

/* Samples between the elements of an axis: where they lie, and which elements weigh how much. */

enum { TC_GRID_ZEROS, TC_GRID_BORDER, TC_GRID_REFLECTION };

/* Where -1..1 lies on an axis: `align` lets its ends be the first and last elements, else their outer edges. */
static inline float tc_grid_coordinate(float x, int32_t length, int align)
{
    return align ? (x + 1.0f) / 2.0f * (float)(length - 1) : ((x + 1.0f) * (float)length - 1.0f) / 2.0f;
}

/* The coordinate back and forth between the ends of the axis. */
static inline float tc_grid_reflect(float x, int32_t length, int align)
{
    const float first = align ? 0.0f : -0.5f;
    const float span = (float)(align ? length - 1 : length);
    float distance;
    float turns;
    if (!(span > 0.0f)) {
        return 0.0f;
    }
    distance = x < first ? first - x : x - first;
    turns = tc_floor(distance / span);
    distance -= turns * span;
    return first + (tc_floor(turns * 0.5f) * 2.0f != turns ? span - distance : distance);
}

/* Near the axis, so that it fits an int32_t: what is further off has the same neighbours. NaN is below. */
static inline float tc_grid_near(float x, int32_t length)
{
    return !(x > -4.0f) ? -4.0f : x > (float)(length + 3) ? (float)(length + 3) : x;
}

/* The element that stands for position i; -1 for none. */
static inline int32_t tc_grid_element(int32_t i, int32_t length, int padding, int align)
{
    if (padding == TC_GRID_ZEROS) {
        return i < 0 || i >= length ? -1 : i;
    }
    if (padding == TC_GRID_REFLECTION && length > 1) {
        while (i < 0 || i >= length) {
            i = i < 0 ? (align ? 0 : -1) - i : 2 * length - (align ? 2 : 1) - i;
        }
    }
    return i < 0 ? 0 : i >= length ? length - 1 : i;
}

/* Of an element at a distance below 1. */
static inline float tc_grid_linear(float distance)
{
    return distance < 0.0f ? 1.0f + distance : 1.0f - distance;
}

/* Of an element at a distance up to 2: cubic convolution (R. Keys, 1981) with a = -0.75. */
static inline float tc_grid_cubic(float distance)
{
    const float d = distance < 0.0f ? -distance : distance;
    return d <= 1.0f ? (1.25f * d - 2.25f) * d * d + 1.0f : ((-0.75f * d + 3.75f) * d - 6.0f) * d + 3.0f;
}

#endif
