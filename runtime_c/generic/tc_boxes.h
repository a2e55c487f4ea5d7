#ifndef TC_BOXES_H
#define TC_BOXES_H

#include <stdbool.h>

/* Whether the intersection of two boxes is more than `most` of their union; an empty box meets none. The first two
 * numbers of a box are its lower corner, the next two its upper one. */
static inline bool tc_corners_overlap(const float *a, const float *b, float most)
{
    const float height = (a[2] < b[2] ? a[2] : b[2]) - (a[0] > b[0] ? a[0] : b[0]);
    const float width = (a[3] < b[3] ? a[3] : b[3]) - (a[1] > b[1] ? a[1] : b[1]);
    const float common = height * width;
    const float area_a = (a[2] - a[0]) * (a[3] - a[1]);
    const float area_b = (b[2] - b[0]) * (b[3] - b[1]);
    const float whole = area_a + area_b - common;
    if (!(height > 0.0f && width > 0.0f && common > 0.0f)) {
        return false;
    }
    return area_a > 0.0f && area_b > 0.0f && whole > 0.0f && common / whole > most;
}

/* The same for boxes given by two corners in any order. */
static inline bool tc_boxes_overlap(const float *a, const float *b, float most)
{
    float corners[2][4];
    for (int i = 0; i < 2; ++i) {
        const float p = a[i];
        const float q = a[i + 2];
        const float r = b[i];
        const float s = b[i + 2];
        corners[0][i] = p < q ? p : q;
        corners[0][i + 2] = p < q ? q : p;
        corners[1][i] = r < s ? r : s;
        corners[1][i + 2] = r < s ? s : r;
    }
    return tc_corners_overlap(corners[0], corners[1], most);
}

/* The same for boxes given by centre and lengths of the sides. */
static inline bool tc_boxes_overlap_center(const float *a, const float *b, float most)
{
    float corners[2][4];
    for (int i = 0; i < 2; ++i) {
        corners[0][i] = a[i] - a[i + 2] / 2.0f;
        corners[0][i + 2] = a[i] + a[i + 2] / 2.0f;
        corners[1][i] = b[i] - b[i + 2] / 2.0f;
        corners[1][i + 2] = b[i] + b[i + 2] / 2.0f;
    }
    return tc_corners_overlap(corners[0], corners[1], most);
}

#endif
