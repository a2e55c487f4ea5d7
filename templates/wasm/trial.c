/* What a loader asks of an engine before it takes a build with relaxed dot products: whether they are exact, and how
 * long they take beside as many products of the usual build. */
#include <stdint.h>
#include <wasm_simd128.h>

#include "tc_relaxed_dot.h"

#define EXPORT(name) __attribute__((export_name(name)))
#define EACH_SUM _Pragma("clang loop unroll(full)") for (int32_t i = 0; i < 4; ++i)

EXPORT("exact") int32_t exact(void)
{
    return tc_relaxed_dot_is_exact();
}

/* One function for both: engines compile it better after a while, and then both at once. */
EXPORT("multiply") int32_t multiply(int32_t is_relaxed, int32_t turns)
{
    v128_t sums[4] = {0};
    if (is_relaxed) {
        for (; turns > 0; --turns) {
            v128_t elements = wasm_i32x4_splat(turns);
            EACH_SUM
            {
                sums[i] = tc_relaxed_dot(elements, elements, sums[i]);
            }
        }
    } else {
        for (; turns > 0; --turns) {
            v128_t elements = wasm_i32x4_splat(turns);
            EACH_SUM
            {
                sums[i] = wasm_i32x4_add(sums[i], wasm_i32x4_dot_i16x8(elements, elements));
                sums[i] = wasm_i32x4_add(sums[i], wasm_i32x4_dot_i16x8(elements, sums[i]));
            }
        }
    }
    v128_t total = sums[0];
    EACH_SUM
    {
        total = wasm_i32x4_add(total, sums[i]);
    }
    return wasm_i32x4_extract_lane(total, 0);
}
