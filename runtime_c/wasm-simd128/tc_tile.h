#ifndef TC_TILE_H
#define TC_TILE_H

#include <wasm_simd128.h>

/* Functions on a tile of positions are always inlined, because `positions` has to be a constant: only then do the sums
 * stay in registers. Engines have 16 of them: five positions need nearly all. */

#define TC_MOST_POSITIONS 5
#define TC_INLINE static inline __attribute__((always_inline))
#define TC_EACH(count, index) _Pragma("clang loop unroll(full)") for (int32_t index = 0; index < (count); ++index)
#define TC_EACH_POSITION TC_EACH(positions, p)

/* How many elements apart the columns of a depthwise tile lie: positions and taps both are a multiple of it apart. */
#define TC_COLUMN_STEP (positions == 1 || step % tap_step == 0 ? tap_step : step)

/* `count` times STEP, the name of a macro. Only a few steps are written out: of many, the compiler would load ahead so
 * much that V8 keeps sums on the stack, at half the speed. */
#define TC_STEPS(count, STEP)                                                                                          \
    if ((count) <= 4) {                                                                                                \
        _Pragma("clang loop unroll_count(2)") for (int32_t i = 0; i < (count); ++i) STEP                               \
    } else {                                                                                                           \
        _Pragma("clang loop unroll(disable)") for (int32_t i = 0; i < (count); ++i) STEP                               \
    }

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
