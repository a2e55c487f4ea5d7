#ifndef TC_DOT_H
#define TC_DOT_H

#include <stdint.h>

#include "tc_dot_plain.h"

/* Dot products of int8 over groups of four. Cores with SIMD have their own version of this file; the order
 * of the elements below is the one that suits them: a widened group holds its elements 0, 2, 1, 3. */

/* `groups` groups of four int8 become int16, one group every `stride` elements of `wide`. */
static inline void tc_widen(int16_t *wide, const int8_t *narrow, int32_t groups, int32_t stride)
{
    for (int32_t i = 0; i < groups; ++i) {
        wide[0] = narrow[0];
        wide[1] = narrow[2];
        wide[2] = narrow[1];
        wide[3] = narrow[3];
        narrow += 4;
        wide += stride;
    }
}

#endif
