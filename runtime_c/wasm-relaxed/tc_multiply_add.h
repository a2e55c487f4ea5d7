#ifndef TC_MULTIPLY_ADD_H
#define TC_MULTIPLY_ADD_H

#include <wasm_simd128.h>

/* a * b + c of four floats, rounded once or twice, as the engine likes. */
static inline v128_t tc_multiply_add(v128_t a, v128_t b, v128_t c)
{
    return wasm_f32x4_relaxed_madd(a, b, c);
}

/* `a` and `b` are computed before what follows: else compilers would keep more factors than engines have registers. */
#define TC_IN_ORDER(a, b) __asm__ volatile("" : "+r"(a), "+r"(b))

#endif
