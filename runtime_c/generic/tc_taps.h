#ifndef TC_TAPS_H
#define TC_TAPS_H

/* A depthwise layer whose windows have three taps in each of `rows` rows, `row_stride` elements apart: the sums of up
 * to six `positions`, which are neighbours in a row of one channel's plane. Weights lie row by row, two to a word: taps
 * 0 and 1, taps 1 and 2. Cores that add two products at once have their own version of this file, and load words: the
 * plane and its rows begin at multiples of four bytes, and tiles at even positions. */
#include "tc_taps_plain.h"

#endif
