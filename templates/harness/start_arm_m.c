/* Start-up of a Cortex-M: vector table, coprocessors, .data and .bss, main. */
#include <stdint.h>

extern uint32_t tc_data_load[], tc_data_start[], tc_data_end[], tc_bss_start[], tc_bss_end[], tc_stack_top[];

int main(void);
void tc_reset(void);
void tc_fault(void);

/* The harness has one that reports. */
__attribute__((weak)) void tc_fault(void)
{
    for (;;) {
    }
}

__attribute__((noreturn)) void tc_reset(void)
{
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: full access to FPU and MVE */
#endif
#if defined(__ARM_FEATURE_MVE)
    *(volatile uint32_t *)0xE000ED14u |= 1u << 19; /* CCR.LOB: low-overhead loops */
#endif
    __asm__ volatile("dsb\n\tisb" ::: "memory");
    const uint32_t *from = tc_data_load;
    for (volatile uint32_t *to = tc_data_start; to < tc_data_end;) {
        *to++ = *from++;
    }
    for (volatile uint32_t *to = tc_bss_start; to < tc_bss_end;) {
        *to++ = 0;
    }
    (void)main();
    for (;;) {
    }
}

typedef void (*handler)(void);

/* Stack pointer, reset, then the system exceptions; no interrupt is ever enabled. */
__attribute__((section(".vectors"), used)) static const handler vectors[16] = {
    (handler)(uintptr_t)tc_stack_top,
    tc_reset,
    tc_fault,
    tc_fault,
    tc_fault,
    tc_fault,
    tc_fault,
    tc_fault,
    0,
    0,
    0,
    tc_fault,
    tc_fault,
    0,
    tc_fault,
    tc_fault,
};
