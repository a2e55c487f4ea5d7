/* The two functions that generated code may call, for compilers that come without a C library. */
#ifndef TINYCAST_STRING_H
#define TINYCAST_STRING_H

#include <stddef.h>

void *memcpy(void *restrict destination, const void *restrict source, size_t bytes);
void *memset(void *destination, int value, size_t bytes);

#endif
