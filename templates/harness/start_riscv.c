/* Start-up of a RISC-V machine that begins to run at the first byte of flash. */
#include <stdint.h>

extern uint32_t tc_data_load[], tc_data_start[], tc_data_end[], tc_bss_start[], tc_bss_end[];

int main(void);
void tc_fault(void);
void tc_start(void);

/* Linker relaxation needs gp before gp is set, hence off. No global pointer is used: RAM starts far from it. */
__asm__(".section .vectors,\"ax\"\n"
        ".globl tc_reset\n"
        "tc_reset:\n"
        ".option push\n"
        ".option norelax\n"
        ".option arch, +zicsr\n"
        "la sp, tc_stack_top\n"
        "la t0, tc_fault\n"
        "csrw mtvec, t0\n"
        ".option pop\n"
        "j tc_start\n"
        ".text\n");

/* The harness has one that reports. mtvec holds multiples of 4. */
__attribute__((weak, aligned(4))) void tc_fault(void)
{
    for (;;) {
    }
}

__attribute__((noreturn, used)) void tc_start(void)
{
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
