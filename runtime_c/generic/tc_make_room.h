#ifndef TC_MAKE_ROOM_H
#define TC_MAKE_ROOM_H

#include <stdint.h>

#include "tc_copy.h"

static inline int32_t tc_lesser(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* A buffer of `capacity` rows holds the rows `first` to `next` - 1. If it is full, those before `oldest` are dropped
 * and the others moved to its start. Returns the new number of the first row. */
static inline int32_t tc_make_room(int8_t *buffer, int32_t row_bytes, int32_t capacity, int32_t next, int32_t first,
                                   int32_t oldest)
{
    int32_t dropped_bytes, kept_bytes;
    if (next - first < capacity) {
        return first;
    }
    oldest = tc_lesser(oldest, next);
    dropped_bytes = (oldest - first) * row_bytes;
    kept_bytes = (next - oldest) * row_bytes;
    /* In pieces that do not overlap where they go. */
    while (kept_bytes > dropped_bytes) {
        tc_copy(buffer, buffer + dropped_bytes, dropped_bytes);
        buffer += dropped_bytes;
        kept_bytes -= dropped_bytes;
    }
    tc_copy(buffer, buffer + dropped_bytes, kept_bytes);
    return oldest;
}

#endif
