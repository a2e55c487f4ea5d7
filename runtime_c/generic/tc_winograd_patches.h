#ifndef TC_WINOGRAD_PATCHES_H
#define TC_WINOGRAD_PATCHES_H

#include <stdint.h>

/* The function called `name` that copies patches of `from` as `to`: see tc_winograd.h. */
#define TC_WINOGRAD_PATCHES(name, to, from)                                                                            \
    static inline void name(to *patches, const from *rows, int32_t row_length, int32_t tile_rows,                      \
                            int32_t tile_columns, int32_t channels)                                                    \
    {                                                                                                                  \
        for (int32_t row = 0; row < 4; ++row) {                                                                        \
            for (int32_t column = 0; column < 4; ++column) {                                                           \
                for (int32_t i = 0; i < tile_rows; ++i) {                                                              \
                    for (int32_t j = 0; j < tile_columns; ++j) {                                                       \
                        for (int32_t channel = 0; channel < channels; ++channel) {                                     \
                            *patches++ = rows[(i * 2 + row) * row_length + (j * 2 + column) * channels + channel];     \
                        }                                                                                              \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

#endif
