#ifndef TC_COPY_H
#define TC_COPY_H

#include <stdint.h>

/* Words may stand for elements of any type here. */
typedef uint32_t __attribute__((may_alias)) tc_word;

/* For cores that read words at multiples of four only, and C libraries whose memcpy moves single bytes. The
 * empty assembly keeps compilers from making the loops calls of memcpy again. */
static inline void tc_copy(void *to, const void *from, int32_t bytes)
{
    uint8_t *target = to;
    const uint8_t *source = from;
    if ((((uintptr_t)to | (uintptr_t)from) & 3U) == 0U) {
        while (bytes >= 4) {
            *(tc_word *)__builtin_assume_aligned(target, 4) = *(const tc_word *)__builtin_assume_aligned(source, 4);
            __asm__ volatile("" ::: "memory");
            target += 4;
            source += 4;
            bytes -= 4;
        }
    }
    while (bytes > 0) {
        *target++ = *source++;
        __asm__ volatile("" ::: "memory");
        --bytes;
    }
}

static inline void tc_fill(void *to, int32_t byte, int32_t bytes)
{
    uint8_t *target = to;
    if (((uintptr_t)to & 3U) == 0U) {
        const uint32_t word = ((uint32_t)byte & 0xffU) * 0x01010101U;
        while (bytes >= 4) {
            *(tc_word *)__builtin_assume_aligned(target, 4) = word;
            __asm__ volatile("" ::: "memory");
            target += 4;
            bytes -= 4;
        }
    }
    while (bytes > 0) {
        *target++ = (uint8_t)byte;
        __asm__ volatile("" ::: "memory");
        --bytes;
    }
}

#endif
