#ifndef TC_WINOGRAD_PARTS_H
#define TC_WINOGRAD_PARTS_H

#include <stdint.h>
#include <wasm_simd128.h>

#include "tc_tile.h"

/* What tc_winograd.h and tc_float_winograd.h share; the generic files say what those compute.
 *
 * Y = A' ((G g G') * (B' d B)) A, the product element by element: 16 products instead of 36 for 2 x 2 outputs of a
 * channel. G is taken twice, so that it is integers, and Y comes out four times as large. */

#define TC_WINOGRAD_TILES 4 /* computed together: their sums and two vectors of weights fit an engine's registers */
#define TC_CALLED static __attribute__((noinline, unused)) /* by all layers: less code */

typedef v128_t tc_binary(v128_t, v128_t);
typedef v128_t tc_load(const void *);

/* A row of B' d. */
TC_INLINE void tc_winograd_to_patch(v128_t *out, tc_binary add, tc_binary subtract, v128_t a, v128_t b, v128_t c,
                                    v128_t d)
{
    out[0] = subtract(a, c);
    out[1] = add(b, c);
    out[2] = subtract(c, b);
    out[3] = subtract(b, d);
}

/* A row of 2 G g. */
TC_INLINE void tc_winograd_to_weights(v128_t *out, tc_binary add, tc_binary subtract, v128_t a, v128_t b, v128_t c)
{
    const v128_t ends = add(a, c);
    out[0] = add(a, a);
    out[1] = add(ends, b);
    out[2] = subtract(ends, b);
    out[3] = add(c, c);
}

/* A row of A' m. */
TC_INLINE void tc_winograd_to_sums(v128_t *out, tc_binary add, tc_binary subtract, v128_t a, v128_t b, v128_t c,
                                   v128_t d)
{
    out[0] = add(add(a, b), c);
    out[1] = subtract(subtract(b, c), d);
}

/* `load` makes a vector of `bytes` bytes; a pixel of a row is `vectors` of them. */
TC_INLINE void tc_winograd_make_patches(v128_t *patches, const int8_t *rows, int32_t row_bytes, int32_t tile_rows,
                                        int32_t tile_columns, int32_t vectors, tc_load load, int32_t bytes,
                                        tc_binary add, tc_binary subtract)
{
    const int32_t pixel = vectors * bytes;
    const int32_t step = tile_rows * tile_columns * vectors;
    for (int32_t i = 0; i < tile_rows; ++i) {
        for (int32_t j = 0; j < tile_columns; ++j) {
            const int8_t *from = rows + i * 2 * row_bytes + j * 2 * pixel;
            for (int32_t k = 0; k < vectors; ++k) {
                v128_t part[16];
                TC_EACH(4, row)
                {
                    const int8_t *at = from + row * row_bytes;
                    tc_winograd_to_patch(part + row * 4, add, subtract, load(at), load(at + pixel),
                                         load(at + 2 * pixel), load(at + 3 * pixel));
                }
                TC_EACH(4, column)
                {
                    v128_t place[4];
                    tc_winograd_to_patch(place, add, subtract, part[column], part[4 + column], part[8 + column],
                                         part[12 + column]);
                    TC_EACH(4, row)
                    {
                        wasm_v128_store(patches + (row * 4 + column) * step, place[row]);
                    }
                }
                from += bytes;
                ++patches;
            }
        }
    }
}

/* The weights of a tap are `vectors` vectors. */
TC_INLINE void tc_winograd_spread(v128_t *spread, const int8_t *weight, int32_t vectors, tc_load load, int32_t bytes,
                                  tc_binary add, tc_binary subtract)
{
    const int32_t tap = vectors * bytes;
    for (int32_t i = 0; i < vectors; ++i) {
        v128_t part[12];
        TC_EACH(3, row)
        {
            const int8_t *at = weight + row * 3 * tap;
            tc_winograd_to_weights(part + row * 4, add, subtract, load(at), load(at + tap), load(at + 2 * tap));
        }
        TC_EACH(4, column)
        {
            v128_t place[4];
            tc_winograd_to_weights(place, add, subtract, part[column], part[4 + column], part[8 + column]);
            TC_EACH(4, row)
            {
                wasm_v128_store(spread + (row * 4 + column) * vectors, place[row]);
            }
        }
        weight += bytes;
        ++spread;
    }
}

/* From the products of four tiles, [place][tile][two vectors]. */
TC_INLINE void tc_winograd_add_up(int32_t *sums, const v128_t *products, tc_binary add, tc_binary subtract,
                                  v128_t quarter(v128_t))
{
    for (int32_t i = 0; i < TC_WINOGRAD_TILES * 2; ++i) {
        v128_t part[8];
        TC_EACH(4, row)
        {
            const v128_t *place = products + row * 8 * TC_WINOGRAD_TILES;
            tc_winograd_to_sums(part + row * 2, add, subtract, wasm_v128_load(place),
                                wasm_v128_load(place + 2 * TC_WINOGRAD_TILES),
                                wasm_v128_load(place + 4 * TC_WINOGRAD_TILES),
                                wasm_v128_load(place + 6 * TC_WINOGRAD_TILES));
        }
        TC_EACH(2, column)
        {
            v128_t result[2];
            tc_winograd_to_sums(result, add, subtract, part[column], part[2 + column], part[4 + column],
                                part[6 + column]);
            wasm_v128_store(sums + column * 8, quarter(result[0]));
            wasm_v128_store(sums + 16 + column * 8, quarter(result[1]));
        }
        sums += i % 2 ? 28 : 4;
        ++products;
    }
}

/* The first of the next four tiles; the last ones are computed again where there are fewer. */
TC_INLINE int32_t tc_winograd_next(int32_t tile, int32_t tiles)
{
    return tile + TC_WINOGRAD_TILES > tiles ? tiles - TC_WINOGRAD_TILES : tile;
}

/* The products of four tiles, eight output channels and a place: sums over `units` of 32 bits each. */
TC_INLINE void tc_winograd_multiply(v128_t *products, const int32_t *patches, const v128_t *spread, int32_t units,
                                    v128_t multiply_add(v128_t, v128_t, v128_t))
{
    v128_t low[TC_WINOGRAD_TILES];
    v128_t high[TC_WINOGRAD_TILES];
    TC_EACH(TC_WINOGRAD_TILES, t)
    {
        low[t] = high[t] = wasm_i32x4_splat(0);
    }
    _Pragma("clang loop unroll(disable)") for (int32_t i = 0; i < units; ++i)
    {
        const v128_t weight_low = wasm_v128_load(spread);
        const v128_t weight_high = wasm_v128_load(spread + 1);
        TC_EACH(TC_WINOGRAD_TILES, t)
        {
            const v128_t element = wasm_v128_load32_splat(patches + t * units);
            low[t] = multiply_add(weight_low, element, low[t]);
            high[t] = multiply_add(weight_high, element, high[t]);
        }
        ++patches;
        spread += 2;
    }
    TC_EACH(TC_WINOGRAD_TILES, t)
    {
        wasm_v128_store(products + t * 2, low[t]);
        wasm_v128_store(products + t * 2 + 1, high[t]);
    }
}

#endif
