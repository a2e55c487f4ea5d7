#ifndef TC_COPY_H
#define TC_COPY_H

#include <stdint.h>

/* 16 bytes a turn, the last ones under a mask; the assembly keeps compilers from making it a call of memcpy again. */
static inline void tc_copy(void *to, const void *from, int32_t bytes)
{
    int8_t *target = to;
    const int8_t *source = from;
    __asm__ volatile("wlstp.8 lr, %[bytes], 2f\n"
                     "1:\n\t"
                     "vldrb.8 q0, [%[source]], #16\n\t"
                     "vstrb.8 q0, [%[target]], #16\n\t"
                     "letp lr, 1b\n"
                     "2:"
                     : [target] "+r"(target), [source] "+r"(source)
                     : [bytes] "r"(bytes)
                     : "q0", "lr", "memory");
}

static inline void tc_fill(void *to, int32_t byte, int32_t bytes)
{
    int8_t *target = to;
    __asm__ volatile("vdup.8 q0, %[byte]\n\t"
                     "wlstp.8 lr, %[bytes], 2f\n"
                     "1:\n\t"
                     "vstrb.8 q0, [%[target]], #16\n\t"
                     "letp lr, 1b\n"
                     "2:"
                     : [target] "+r"(target)
                     : [byte] "r"(byte), [bytes] "r"(bytes)
                     : "q0", "lr", "memory");
}

#endif
