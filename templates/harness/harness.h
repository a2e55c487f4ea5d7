/* What the harness needs of its surroundings: a C library's files (io_stdio.c) or a debugger's (io_semihosting.c). */
#ifndef TINYCAST_HARNESS_H
#define TINYCAST_HARNESS_H

#include <stddef.h>
#include <stdint.h>

void tc_open(void); /* inputs.bin for reading, outputs.bin for writing */
void tc_read(void *destination, size_t bytes);
void tc_write(const void *source, size_t bytes);
__attribute__((noreturn)) void tc_exit(const char *error); /* NULL: all went well */

#if defined(__arm__) || defined(__riscv)

/* One instruction each; the instruction counter starts and stops where they begin. */
void tc_begin(void);
void tc_end(void);

#define TC_STACK_PAINT 0xA5C35A3Cu
extern uint32_t tc_stack_limit[];

static inline __attribute__((always_inline)) uint32_t *tc_stack_pointer(void)
{
    uint32_t *pointer;
#if defined(__riscv)
    __asm__ volatile("mv %0, sp" : "=r"(pointer));
#else
    __asm__ volatile("mov %0, sp" : "=r"(pointer));
#endif
    return pointer;
}

/* Inlined, so that all memory below the stack pointer is free. */
static inline __attribute__((always_inline)) void tc_paint_stack(void)
{
    uint32_t *const end = tc_stack_pointer();
    for (volatile uint32_t *word = tc_stack_limit; word < end; word++) {
        *word = TC_STACK_PAINT;
    }
}

/* Bytes used below the stack pointer since tc_paint_stack(). */
static inline __attribute__((always_inline)) uint32_t tc_stack_used(void)
{
    uint32_t *const end = tc_stack_pointer();
    const volatile uint32_t *word = tc_stack_limit;
    if (*word != TC_STACK_PAINT) {
        tc_exit("the stack overflowed");
    }
    while (word < end && *word == TC_STACK_PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)end - (uintptr_t)word);
}

#elif defined(__AVR__)

/* The simulator watches the stack. */
void tc_begin(void);
void tc_end(void);
uint32_t tc_stack_used(void);

#define tc_paint_stack() ((void)0)

#else

#define tc_begin() ((void)0)
#define tc_end() ((void)0)
#define tc_paint_stack() ((void)0)
#define tc_stack_used() 0u

#endif
#endif
