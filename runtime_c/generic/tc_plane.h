#ifndef TC_PLANE_H
#define TC_PLANE_H

#include <stdint.h>

/* One channel of `rows` x `columns` positions as a plane of its own: `row_step` elements from a row to the next one,
 * `from_row` and `from_step` those from a row and a position of the image to the next one. Four elements a turn, whose
 * addresses are offsets; volatile, since compilers put words together that are stored faster apart. */
static inline void tc_plane(int16_t *to, const int8_t *from, int32_t rows, int32_t columns, int32_t row_step,
                            int32_t from_row, int32_t from_step)
{
    for (int32_t row = 0; row < rows; ++row) {
        const int8_t *x = from;
        volatile int16_t *y = to;
        for (int32_t fours = columns / 4; fours > 0; --fours) {
            y[0] = x[0];
            y[1] = x[from_step];
            y[2] = x[2 * from_step];
            y[3] = x[3 * from_step];
            x += 4 * from_step;
            y += 4;
        }
        if (columns % 4 >= 2) {
            y[0] = x[0];
            y[1] = x[from_step];
            x += 2 * from_step;
            y += 2;
        }
        if (columns % 2 == 1) {
            *y = *x;
        }
        from += from_row;
        to += row_step;
    }
}

#endif
