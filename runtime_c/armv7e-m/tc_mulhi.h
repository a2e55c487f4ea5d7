#ifndef TC_MULHI_H
#define TC_MULHI_H

#include <stdint.h>

/* Inline assembly because gcc 12 forms neither SMMUL with a scheduled add nor SMMLA from C. */
static inline int32_t tc_mulhi(int32_t a, int32_t b)
{
    int32_t result;
    __asm__("smmul %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

static inline int32_t tc_mulhi_add(int32_t a, int32_t b, int32_t c)
{
    int32_t result;
    __asm__("smmla %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(c));
    return result;
}

#endif
