#ifndef TC_SATURATE_H
#define TC_SATURATE_H

/* Two instructions: SMMLA, and SSAT with the shift in it. */
#define TC_REQUANTIZE_S8(shift)                                                                                        \
    static inline int8_t tc_requantize_s8_##shift(int32_t accumulator, int32_t multiplier, int32_t addend)             \
    {                                                                                                                  \
        int32_t result;                                                                                                \
        int32_t high = tc_mulhi_add(accumulator, multiplier, addend);                                                  \
        __asm__("ssat %0, #8, %1, asr #" #shift : "=r"(result) : "r"(high));                                           \
        return (int8_t)result;                                                                                         \
    }

#endif
