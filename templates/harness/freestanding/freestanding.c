/* memcpy and memset for compilers without a C library. The empty asm keeps the compiler from turning each loop
 * back into a call of the function it is in. Weak: a compiler's run-time library may have better ones. */
#include "string.h"

#include <stdint.h>

typedef uint32_t __attribute__((may_alias)) word;

#define KEEP_LOOP() __asm__ volatile("")

__attribute__((weak)) void *memcpy(void *restrict destination, const void *restrict source, size_t bytes)
{
    unsigned char *to = destination;
    const unsigned char *from = source;
    if ((((uintptr_t)to | (uintptr_t)from) % sizeof(word)) == 0) {
        for (; bytes >= sizeof(word); bytes -= sizeof(word)) {
            *(word *)(void *)to = *(const word *)(const void *)from;
            to += sizeof(word);
            from += sizeof(word);
            KEEP_LOOP();
        }
    }
    for (; bytes > 0; bytes--) {
        *to++ = *from++;
        KEEP_LOOP();
    }
    return destination;
}

__attribute__((weak)) void *memset(void *destination, int value, size_t bytes)
{
    unsigned char *to = destination;
    const word pattern = (word)(unsigned char)value * 0x01010101u;
    if ((uintptr_t)to % sizeof(word) == 0) {
        for (; bytes >= sizeof(word); bytes -= sizeof(word)) {
            *(word *)(void *)to = pattern;
            to += sizeof(word);
            KEEP_LOOP();
        }
    }
    for (; bytes > 0; bytes--) {
        *to++ = (unsigned char)value;
        KEEP_LOOP();
    }
    return destination;
}
