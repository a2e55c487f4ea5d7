/* Runs an AVR program in simavr, and counts its instructions and cycles between two addresses.
 *
 * Arguments: CHIP PROGRAM.elf MARKERS COUNTS LOWEST-STACK. MARKERS has a line "HEX-ADDRESS ID" a marker: ID -1 starts
 * counting, -2 stops, 0 and up begin a layer. COUNTS gets "ID INSTRUCTIONS CYCLES" of the last pass for each marker
 * passed: those since the start when it was reached. inputs.bin and outputs.bin are the program's, see io_avr.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <simavr/sim_avr.h>
#include <simavr/sim_core.h>
#include <simavr/sim_elf.h>
#include <simavr/sim_io.h>

/* Data addresses: the general purpose I/O registers 0 to 2, and the stack pointer. */
enum { TRIGGER = 0x3E, LOW = 0x4A, HIGH = 0x4B, STACK_POINTER = 0x5D };
enum { OPERATION_READ = 1, OPERATION_WRITE = 2, OPERATION_EXIT = 3, OPERATION_FAIL = 4, OPERATION_STACK = 5 };
enum { MARKER_BEGIN = -1, MARKER_END = -2 };

struct marker {
    uint32_t address;
    long id;
    uint64_t instructions;
    uint64_t cycles;
    int passed;
};

static struct marker *markers;
static size_t marker_count;
static uint64_t instructions;
static uint64_t start_instructions;
static uint64_t start_cycles;
static unsigned int first_stack;
static unsigned int lowest_stack;
static int is_counting;
static const char *counts;
static FILE *inputs;
static FILE *outputs;

__attribute__((noreturn)) static void fail(const char *why)
{
    fprintf(stderr, "%s\n", why);
    exit(EXIT_FAILURE);
}

static FILE *open_file(const char *name, const char *mode)
{
    FILE *const file = fopen(name, mode);
    if (file == NULL) {
        fail(name);
    }
    return file;
}

static unsigned int word_at(const avr_t *avr, unsigned int address)
{
    return avr->data[address] | (unsigned int)avr->data[address + 1] << 8;
}

static void finish(void)
{
    FILE *const file = open_file(counts, "w");
    for (size_t i = 0; i < marker_count; i++) {
        if (markers[i].passed) {
            fprintf(file, "%ld %" PRIu64 " %" PRIu64 "\n", markers[i].id, markers[i].instructions, markers[i].cycles);
        }
    }
    exit(fclose(file) == 0 && fclose(outputs) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* The program asks for something: a block of its data has the operation, a pointer and a number of bytes. */
static void on_request(avr_t *avr, avr_io_addr_t address, uint8_t value, void *parameter)
{
    const unsigned int block = avr->data[LOW] | (unsigned int)avr->data[HIGH] << 8;
    const unsigned int pointer = word_at(avr, block + 1);
    const unsigned int bytes = word_at(avr, block + 3);
    (void)parameter;
    avr->data[address] = value;
    if (pointer + bytes > avr->ramend + 1u) {
        fail("a request of the program lies outside of its data");
    }
    switch (avr->data[block]) {
    case OPERATION_READ:
        if (fread(&avr->data[pointer], 1, bytes, inputs) != bytes) {
            fail("cannot read inputs.bin");
        }
        return;
    case OPERATION_WRITE:
        if (fwrite(&avr->data[pointer], 1, bytes, outputs) != bytes) {
            fail("cannot write outputs.bin");
        }
        return;
    case OPERATION_STACK:
        avr->data[block + 3] = (uint8_t)(first_stack - lowest_stack);
        avr->data[block + 4] = (uint8_t)((first_stack - lowest_stack) >> 8);
        return;
    case OPERATION_EXIT:
        finish();
        return;
    default:
        fail((const char *)&avr->data[pointer]);
    }
}

static void on_marker(const avr_t *avr, struct marker *marker)
{
    if (marker->id == MARKER_BEGIN) {
        for (size_t i = 0; i < marker_count; i++) {
            markers[i].passed = 0;
        }
        start_instructions = instructions;
        start_cycles = avr->cycle;
        /* In the caller, before the return address. */
        first_stack = lowest_stack = word_at(avr, STACK_POINTER) + avr->address_size;
    }
    is_counting = marker->id != MARKER_END;
    marker->instructions = instructions - start_instructions;
    marker->cycles = avr->cycle - start_cycles;
    marker->passed = 1;
}

static void read_markers(const char *path)
{
    FILE *const file = open_file(path, "r");
    uint32_t address;
    long id;
    while (fscanf(file, "%" SCNx32 " %ld", &address, &id) == 2) {
        markers = realloc(markers, (marker_count + 1) * sizeof *markers);
        if (markers == NULL) {
            fail("out of memory");
        }
        markers[marker_count++] = (struct marker){.address = address, .id = id};
    }
    fclose(file);
}

int main(int argument_count, char **arguments)
{
    elf_firmware_t firmware;
    memset(&firmware, 0, sizeof firmware);
    if (argument_count != 6) {
        fail("needs CHIP PROGRAM.elf MARKERS COUNTS LOWEST-STACK");
    }
    avr_t *const avr = avr_make_mcu_by_name(arguments[1]);
    if (avr == NULL || avr_init(avr) != 0 || elf_read_firmware(arguments[2], &firmware) != 0) {
        fail("simavr does not know the chip, or cannot read the program");
    }
    avr_load_firmware(avr, &firmware);
    read_markers(arguments[3]);
    counts = arguments[4];
    const unsigned int limit = (unsigned int)strtoul(arguments[5], NULL, 16);
    inputs = open_file("inputs.bin", "rb");
    outputs = open_file("outputs.bin", "wb");
    avr_register_io_write(avr, TRIGGER, on_request, NULL);
    unsigned char *const marked = calloc(avr->flashend + 1u, 1);
    if (marked == NULL) {
        fail("out of memory");
    }
    for (size_t i = 0; i < marker_count; i++) {
        marked[markers[i].address] = 1;
    }
    while (avr->state == cpu_Running) {
        if (marked[avr->pc]) {
            for (size_t i = 0; i < marker_count; i++) {
                if (markers[i].address == avr->pc) {
                    on_marker(avr, &markers[i]);
                }
            }
        }
        avr->run_cycle_count = 1; /* one instruction, and back */
        avr->pc = avr_run_one(avr);
        instructions++;
        if (is_counting) {
            const unsigned int stack = word_at(avr, STACK_POINTER);
            if (stack < lowest_stack) {
                lowest_stack = stack;
                if (stack < limit) {
                    fail("the stack overflowed");
                }
            }
        }
    }
    fail("the processor stopped");
}
