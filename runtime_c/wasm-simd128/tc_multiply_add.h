#ifndef TC_MULTIPLY_ADD_H
#define TC_MULTIPLY_ADD_H

#include <wasm_simd128.h>

/* a * b + c of four floats. */
static inline v128_t tc_multiply_add(v128_t a, v128_t b, v128_t c)
{
    return wasm_f32x4_add(wasm_f32x4_mul(a, b), c);
}

/* The compiler may reorder what is before and after it. */
#define TC_IN_ORDER(a, b)

#endif
