/* Input and output through a C library. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

static FILE *inputs;
static FILE *outputs;

void tc_open(void)
{
    inputs = fopen("inputs.bin", "rb");
    outputs = fopen("outputs.bin", "wb");
    if (inputs == NULL || outputs == NULL) {
        tc_exit("cannot open inputs.bin and outputs.bin");
    }
}

void tc_read(void *destination, size_t bytes)
{
    if (fread(destination, 1, bytes, inputs) != bytes) {
        tc_exit("cannot read inputs.bin");
    }
}

void tc_write(const void *source, size_t bytes)
{
    if (fwrite(source, 1, bytes, outputs) != bytes) {
        tc_exit("cannot write outputs.bin");
    }
}

void tc_exit(const char *error)
{
    if (error != NULL) {
        fprintf(stderr, "%s\n", error);
        exit(EXIT_FAILURE);
    }
    exit(fclose(outputs) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}
