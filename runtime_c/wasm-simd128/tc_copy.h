#ifndef TC_COPY_H
#define TC_COPY_H

#include <stdint.h>
#include <wasm_simd128.h>

/* The generic file says what these do. Rows are short, and engines call a function for `memory.copy`. */
static inline void tc_copy(void *to, const void *from, int32_t bytes)
{
    int8_t *target = (int8_t *)to;
    const int8_t *source = (const int8_t *)from;
    int32_t i = 0;
    for (; i + 16 <= bytes; i += 16) {
        wasm_v128_store(target + i, wasm_v128_load(source + i));
    }
    for (; i < bytes; ++i) {
        target[i] = source[i];
    }
}

static inline void tc_fill(void *to, int32_t byte, int32_t bytes)
{
    int8_t *target = (int8_t *)to;
    int32_t i = 0;
    for (; i + 16 <= bytes; i += 16) {
        wasm_v128_store(target + i, wasm_i8x16_splat((int8_t)byte));
    }
    for (; i < bytes; ++i) {
        target[i] = (int8_t)byte;
    }
}

#endif
