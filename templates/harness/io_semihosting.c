/* Input and output through a debugger or emulator (Arm semihosting; RISC-V semihosting has the same calls). */
#include "harness.h"

enum { SYS_OPEN = 0x01, SYS_CLOSE = 0x02, SYS_WRITE0 = 0x04, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT = 0x18 };
enum { MODE_READ_BINARY = 1, MODE_WRITE_BINARY = 5 };
enum { STOPPED_APPLICATION_EXIT = 0x20026, STOPPED_RUN_TIME_ERROR = 0x20023 };

uintptr_t tc_semihosting(uintptr_t operation, uintptr_t argument);
void tc_fault(void);

/* tc_begin and tc_end are one instruction each, so that a counter at either adds no more than the return.
 * Emulators without semihosting stop at tc_semihosting_trap and do the operation themselves. */
#if defined(__arm__)
__asm__(".text\n"
        ".syntax unified\n"
        ".thumb\n"
        ".macro tc_function name\n"
        ".balign 4\n"
        ".globl \\name\n"
        ".thumb_func\n"
        ".type \\name, %function\n"
        "\\name:\n"
        ".endm\n"
        "tc_function tc_begin\n"
        "bx lr\n"
        "tc_function tc_end\n"
        "bx lr\n"
        "tc_function tc_semihosting\n"
        ".globl tc_semihosting_trap\n"
        "tc_semihosting_trap:\n"
        "bkpt 0xab\n"
        "bx lr\n");
#else
__asm__(".text\n"
        ".macro tc_function name\n"
        ".balign 16\n"
        ".globl \\name\n"
        ".type \\name, @function\n"
        "\\name:\n"
        ".endm\n"
        "tc_function tc_begin\n"
        "ret\n"
        "tc_function tc_end\n"
        "ret\n"
        "tc_function tc_semihosting\n"
        ".option push\n"
        ".option norvc\n"
        "slli x0, x0, 0x1f\n"
        "ebreak\n"
        "srai x0, x0, 7\n"
        ".option pop\n"
        "ret\n");
#endif

static uintptr_t inputs;
static uintptr_t outputs;

static uintptr_t open_file(const char *name, uintptr_t mode)
{
    uintptr_t length = 0;
    while (name[length] != '\0') {
        length++;
    }
    const uintptr_t arguments[3] = {(uintptr_t)name, mode, length};
    const uintptr_t handle = tc_semihosting(SYS_OPEN, (uintptr_t)arguments);
    if (handle == UINTPTR_MAX) {
        tc_exit("cannot open inputs.bin and outputs.bin");
    }
    return handle;
}

void tc_open(void)
{
    inputs = open_file("inputs.bin", MODE_READ_BINARY);
    outputs = open_file("outputs.bin", MODE_WRITE_BINARY);
}

/* SYS_READ and SYS_WRITE return the number of bytes NOT transferred. */
void tc_read(void *destination, size_t bytes)
{
    const uintptr_t arguments[3] = {inputs, (uintptr_t)destination, bytes};
    if (bytes != 0 && tc_semihosting(SYS_READ, (uintptr_t)arguments) != 0) {
        tc_exit("cannot read inputs.bin");
    }
}

void tc_write(const void *source, size_t bytes)
{
    const uintptr_t arguments[3] = {outputs, (uintptr_t)source, bytes};
    if (bytes != 0 && tc_semihosting(SYS_WRITE, (uintptr_t)arguments) != 0) {
        tc_exit("cannot write outputs.bin");
    }
}

/* A 32-bit SYS_EXIT carries no status: anything but "application exit" is 1 to the emulator's caller. */
void tc_exit(const char *error)
{
    if (error != NULL) {
        (void)tc_semihosting(SYS_WRITE0, (uintptr_t)error);
        (void)tc_semihosting(SYS_EXIT, STOPPED_RUN_TIME_ERROR);
    }
    const uintptr_t arguments[1] = {outputs};
    (void)tc_semihosting(SYS_CLOSE, (uintptr_t)arguments);
    (void)tc_semihosting(SYS_EXIT, STOPPED_APPLICATION_EXIT);
    for (;;) {
    }
}

static void put_hexadecimal(const char *label, uint32_t value)
{
    char text[12] = "0x";
    for (int digit = 0; digit < 8; digit++) {
        text[2 + digit] = "0123456789abcdef"[(value >> (28 - 4 * digit)) & 15u];
    }
    text[10] = '\n';
    (void)tc_semihosting(SYS_WRITE0, (uintptr_t)label);
    (void)tc_semihosting(SYS_WRITE0, (uintptr_t)text);
}

#if defined(__arm__)
/* Overrides the one of the start-up code. The exception frame holds the faulting address in its seventh word. */
__attribute__((used)) static void report_fault(const uint32_t *frame)
{
    put_hexadecimal("fault at ", frame[6]);
#if __ARM_ARCH_ISA_THUMB >= 2
    put_hexadecimal("CFSR ", *(volatile uint32_t *)0xE000ED28u);
#endif
    tc_exit("the processor faulted\n");
}

__attribute__((naked)) void tc_fault(void)
{
    __asm__ volatile("mov r0, sp\n\tldr r1, =report_fault\n\tbx r1");
}
#else
__attribute__((aligned(4))) void tc_fault(void)
{
    uint32_t cause;
    uint32_t address;
    __asm__ volatile(".option push\n\t.option arch, +zicsr\n\tcsrr %0, mcause\n\tcsrr %1, mepc\n\t.option pop"
                     : "=r"(cause), "=r"(address));
    put_hexadecimal("fault at ", address);
    put_hexadecimal("mcause ", cause);
    tc_exit("the processor faulted\n");
}
#endif
