#ifndef TC_COPY_H
#define TC_COPY_H

#include <stdint.h>
#include <string.h>

/* Copies bytes that do not overlap. */
static inline void tc_copy(void *to, const void *from, int32_t bytes)
{
    memcpy(to, from, (size_t)bytes);
}

static inline void tc_fill(void *to, int32_t byte, int32_t bytes)
{
    memset(to, (int)byte, (size_t)bytes);
}

#endif
