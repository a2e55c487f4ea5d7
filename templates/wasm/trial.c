/* What a loader asks of an engine before it takes a build with relaxed dot products: whether they are exact, and how
 * long they take beside those of the usual build. `turns` turns of both multiply the same bytes. */
#include <stdint.h>
#include <wasm_simd128.h>

#include "tc_relaxed_dot.h"

#define EXPORT(name) __attribute__((export_name(name)))
#define EACH_SUM _Pragma("clang loop unroll(full)") for (int32_t i = 0; i < 8; ++i)

static int32_t total(const v128_t *sums)
{
    v128_t sum = sums[0];
    EACH_SUM
    {
        sum = wasm_i32x4_add(sum, sums[i]);
    }
    return wasm_i32x4_extract_lane(sum, 0);
}

EXPORT("exact") int32_t exact(void)
{
    return tc_relaxed_dot_is_exact();
}

EXPORT("relaxed") int32_t relaxed(int32_t turns)
{
    v128_t sums[8] = {0};
    for (; turns > 0; --turns) {
        v128_t elements = wasm_i32x4_splat(turns);
        EACH_SUM
        {
            sums[i] = tc_relaxed_dot(elements, elements, sums[i]);
        }
    }
    return total(sums);
}

EXPORT("pairs") int32_t pairs(int32_t turns)
{
    v128_t sums[8] = {0};
    for (; turns > 0; --turns) {
        v128_t elements = wasm_i32x4_splat(turns);
        EACH_SUM
        {
            sums[i] = wasm_i32x4_add(sums[i], wasm_i32x4_dot_i16x8(elements, elements));
            sums[i] = wasm_i32x4_add(sums[i], wasm_i32x4_dot_i16x8(elements, sums[i]));
        }
    }
    return total(sums);
}
