#ifndef TC_TILE_H
#define TC_TILE_H

#include <wasm_simd128.h>

/* Functions on a tile of positions are always inlined, because `positions` has to be a constant: only then do the sums
 * stay in registers. Engines have 16 of them. Four positions leave enough for what the compiler loads ahead; six, or two
 * steps of a loop written out, made V8 keep sums on the stack (half the speed). */

#define TC_MOST_POSITIONS 4
#define TC_INLINE static inline __attribute__((always_inline))
#define TC_NOT_UNROLLED _Pragma("clang loop unroll(disable)")
#define TC_EACH(count, index) _Pragma("clang loop unroll(full)") for (int32_t index = 0; index < (count); ++index)
#define TC_EACH_POSITION TC_EACH(positions, p)

/* The eight sums of each position, in two vectors. */
#define TC_LOAD_SUMS                                                                                                   \
    v128_t low[TC_MOST_POSITIONS];                                                                                     \
    v128_t high[TC_MOST_POSITIONS];                                                                                    \
    TC_EACH_POSITION                                                                                                   \
    {                                                                                                                  \
        low[p] = wasm_v128_load(sums + p * 8);                                                                         \
        high[p] = wasm_v128_load(sums + p * 8 + 4);                                                                    \
    }
#define TC_STORE_SUMS                                                                                                  \
    TC_EACH_POSITION                                                                                                   \
    {                                                                                                                  \
        wasm_v128_store(sums + p * 8, low[p]);                                                                         \
        wasm_v128_store(sums + p * 8 + 4, high[p]);                                                                    \
    }

#endif
