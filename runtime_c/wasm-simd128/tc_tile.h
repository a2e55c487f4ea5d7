#ifndef TC_TILE_H
#define TC_TILE_H

/* Functions on a tile of positions are always inlined, because `positions` has to be a constant: only then do the sums
 * stay in registers. Engines have 16 of them, which is what six positions need. */

#define TC_MOST_POSITIONS 6
#define TC_INLINE static inline __attribute__((always_inline))
#define TC_BY_TWO _Pragma("clang loop unroll_count(2)")
#define TC_EACH(count, index) _Pragma("clang loop unroll(full)") for (int32_t index = 0; index < (count); ++index)
#define TC_EACH_POSITION TC_EACH(positions, p)

#endif
