#ifndef TC_EXTREMES_H
#define TC_EXTREMES_H

#include <stdint.h>

/* The lesser and the greater of two numbers that take work to compute; b where a is not a number. */
static inline float tc_min_float32(float a, float b)
{
    return a < b ? a : b;
}

static inline float tc_max_float32(float a, float b)
{
    return a > b ? a : b;
}

static inline int32_t tc_min_int32(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static inline int32_t tc_max_int32(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static inline uint32_t tc_min_uint32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint32_t tc_max_uint32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static inline int64_t tc_min_int64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t tc_max_int64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#endif
