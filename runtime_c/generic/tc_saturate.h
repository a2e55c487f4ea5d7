#ifndef TC_SATURATE_H
#define TC_SATURATE_H

/* tc_requantize to the whole range of int8 with a constant shift. */
#define TC_REQUANTIZE_S8(shift)                                                                                        \
    static inline int8_t tc_requantize_s8_##shift(int32_t accumulator, int32_t multiplier, int32_t addend)             \
    {                                                                                                                  \
        return tc_requantize(accumulator, multiplier, addend, shift, -128, 127);                                       \
    }

#endif
