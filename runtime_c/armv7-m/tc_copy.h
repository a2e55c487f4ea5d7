#ifndef TC_COPY_H
#define TC_COPY_H

#include <stdint.h>

/* The C library's functions are often the small ones, a byte at a time. Here words are moved: several by an instruction
 * between addresses that are multiples of four, else one by one, as ARMv7-M allows. The assembly keeps compilers from
 * making it a call of memcpy again; LDM takes registers in the order of their numbers. STM would
 * take a cycle more than the stores. */
#define TC_COPY_STORE                                                                                                  \
    "str %[a], [%[target]], #4\n\t"                                                                                    \
    "str %[b], [%[target]], #4\n\t"                                                                                    \
    "str %[c], [%[target]], #4\n\t"                                                                                    \
    "str %[d], [%[target]], #4\n\t"
#define TC_COPY_LDM "ldmia %[source]!, {%[a], %[b], %[c], %[d]}\n\t" TC_COPY_STORE
#define TC_COPY_LDR                                                                                                    \
    "ldr %[a], [%[source]], #4\n\t"                                                                                    \
    "ldr %[b], [%[source]], #4\n\t"                                                                                    \
    "ldr %[c], [%[source]], #4\n\t"                                                                                    \
    "ldr %[d], [%[source]], #4\n\t" TC_COPY_STORE
/* Repeats `code`, which copies `step` bytes, as often as they are left. */
#define TC_COPY_LOOP(code, step)                                                                                       \
    do {                                                                                                               \
        int8_t *end = target + rest / (step) * (step);                                                                 \
        __asm__ volatile("1:\n\t" code "cmp %[target], %[end]\n\t"                                                     \
                         "bne 1b"                                                                                      \
                         : [target] "+&r"(target), [source] "+&r"(source), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c),   \
                           [d] "=&r"(d)                                                                                \
                         : [end] "r"(end)                                                                              \
                         : "cc", "memory");                                                                            \
        rest %= (step);                                                                                                \
    } while (0)

static inline void tc_copy(void *to, const void *from, int32_t bytes)
{
    int8_t *target = to;
    const int8_t *source = from;
    register uint32_t a __asm__("r4");
    register uint32_t b __asm__("r5");
    register uint32_t c __asm__("r8");
    register uint32_t d __asm__("r10");
    int32_t rest = bytes;
    if (rest >= 32 && (((uintptr_t)to | (uintptr_t)from) & 3U) == 0U) {
        TC_COPY_LOOP(TC_COPY_LDM TC_COPY_LDM, 32);
    }
    if (rest >= 16) {
        TC_COPY_LOOP(TC_COPY_LDR, 16);
    }
    while (rest >= 4) {
        __asm__ volatile("ldr %[a], [%[source]], #4\n\t"
                         "str %[a], [%[target]], #4"
                         : [target] "+&r"(target), [source] "+&r"(source), [a] "=&r"(a)
                         :
                         : "memory");
        rest -= 4;
    }
    while (rest > 0) {
        __asm__ volatile("ldrb %[a], [%[source]], #1\n\t"
                         "strb %[a], [%[target]], #1"
                         : [target] "+&r"(target), [source] "+&r"(source), [a] "=&r"(a)
                         :
                         : "memory");
        --rest;
    }
}

#define TC_FILL_STORE                                                                                                  \
    "str %[word], [%[target]], #4\n\t"                                                                                 \
    "str %[word], [%[target]], #4\n\t"                                                                                 \
    "str %[word], [%[target]], #4\n\t"                                                                                 \
    "str %[word], [%[target]], #4\n\t"
#define TC_FILL_LOOP(code, step)                                                                                       \
    do {                                                                                                               \
        int8_t *end = target + rest / (step) * (step);                                                                 \
        __asm__ volatile("1:\n\t" code "cmp %[target], %[end]\n\t"                                                     \
                         "bne 1b"                                                                                      \
                         : [target] "+r"(target)                                                                       \
                         : [word] "r"(word), [end] "r"(end)                                                            \
                         : "cc", "memory");                                                                            \
        rest %= (step);                                                                                                \
    } while (0)

static inline void tc_fill(void *to, int32_t byte, int32_t bytes)
{
    int8_t *target = to;
    uint32_t word = ((uint32_t)byte & 0xffU) * 0x01010101U;
    int32_t rest = bytes;
    if (rest >= 32) {
        TC_FILL_LOOP(TC_FILL_STORE TC_FILL_STORE, 32);
    }
    if (rest >= 16) {
        TC_FILL_LOOP(TC_FILL_STORE, 16);
    }
    while (rest >= 4) {
        __asm__ volatile("str %[word], [%[target]], #4" : [target] "+r"(target) : [word] "r"(word) : "memory");
        rest -= 4;
    }
    while (rest > 0) {
        __asm__ volatile("strb %[word], [%[target]], #1" : [target] "+r"(target) : [word] "r"(word) : "memory");
        --rest;
    }
}

#endif
