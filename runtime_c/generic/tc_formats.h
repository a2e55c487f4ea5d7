#ifndef TC_FORMATS_H
#define TC_FORMATS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Floats of 16 bits and fewer as bits, to float32 and back, by the rules of ONNX's Cast. A format has a sign bit (which
 * `sign` is, as a number), an exponent with its `bias`, a mantissa, and `largest`, the code of the greatest finite
 * number. What lies above that is infinity (`overflow` is its code) and NaN, or NaN alone. */

static inline float tc_format_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* x rounded to nearest, ties to even; beyond `largest` it becomes that (`saturate`), or `overflow`. Where NaN is the
 * code of minus zero there is no minus zero. */
static inline uint32_t tc_format_encode(float x, bool saturate, int32_t mantissa_bits, int32_t bias, uint32_t sign,
                                        uint32_t largest, uint32_t overflow, uint32_t nan)
{
    uint32_t bits, magnitude, negative, code;
    int32_t exponent, below;
    int32_t shift = 23 - mantissa_bits;
    memcpy(&bits, &x, sizeof bits);
    magnitude = bits & 0x7fffffffU;
    negative = magnitude == bits ? 0U : sign;
    if (magnitude > 0x7f800000U) {
        return nan | negative;
    }
    exponent = magnitude < 0x01000000U ? 1 : (int32_t)(magnitude >> 23);
    below = 128 - bias - exponent; /* above 0: smaller than the format's normal numbers */
    if (below > 0) {
        magnitude = (magnitude & 0x7fffffU) | 0x800000U;
        shift = shift + below < 25 ? shift + below : 25; /* by 25 nothing is left */
    } else {
        magnitude -= (uint32_t)(127 - bias) << 23;
    }
    code = (magnitude + (1U << (shift - 1)) - 1U + ((magnitude >> shift) & 1U)) >> shift;
    if (code > largest) {
        code = saturate ? largest : overflow;
    }
    return code == 0U && nan == sign ? 0U : code | negative;
}

static inline float tc_format_decode(uint32_t code, int32_t mantissa_bits, int32_t bias, uint32_t sign,
                                     uint32_t largest, uint32_t overflow, uint32_t nan)
{
    const uint32_t magnitude = code & (sign - 1U);
    const uint32_t negative = (code & sign) != 0U ? 0x80000000U : 0U;
    if (code == nan && nan == sign) {
        return tc_format_float(0x7fc00000U);
    }
    if (magnitude > largest) {
        return tc_format_float((magnitude == overflow && overflow != nan ? 0x7f800000U : 0x7fc00000U) | negative);
    }
    if (magnitude >> mantissa_bits == 0U) {
        const float unit = tc_format_float((uint32_t)(128 - bias - mantissa_bits) << 23);
        const float value = (float)(int32_t)magnitude * unit;
        return negative != 0U ? -value : value;
    }
    return tc_format_float(((magnitude << (23 - mantissa_bits)) + ((uint32_t)(127 - bias) << 23)) | negative);
}

static inline uint16_t tc_to_float16(float x)
{
    return (uint16_t)tc_format_encode(x, false, 10, 15, 0x8000U, 0x7bffU, 0x7c00U, 0x7e00U);
}

static inline float tc_from_float16(uint16_t code)
{
    return tc_format_decode(code, 10, 15, 0x8000U, 0x7bffU, 0x7c00U, 0x7e00U);
}

static inline uint16_t tc_to_bfloat16(float x)
{
    return (uint16_t)tc_format_encode(x, false, 7, 127, 0x8000U, 0x7f7fU, 0x7f80U, 0x7fc0U);
}

static inline float tc_from_bfloat16(uint16_t code)
{
    return tc_format_float((uint32_t)code << 16);
}

static inline uint8_t tc_to_float8_e4m3fn(float x, bool saturate)
{
    return (uint8_t)tc_format_encode(x, saturate, 3, 7, 0x80U, 0x7eU, 0x7fU, 0x7fU);
}

static inline float tc_from_float8_e4m3fn(uint8_t code)
{
    return tc_format_decode(code, 3, 7, 0x80U, 0x7eU, 0x7fU, 0x7fU);
}

static inline uint8_t tc_to_float8_e4m3fnuz(float x, bool saturate)
{
    return (uint8_t)tc_format_encode(x, saturate, 3, 8, 0x80U, 0x7fU, 0x80U, 0x80U);
}

static inline float tc_from_float8_e4m3fnuz(uint8_t code)
{
    return tc_format_decode(code, 3, 8, 0x80U, 0x7fU, 0x80U, 0x80U);
}

static inline uint8_t tc_to_float8_e5m2(float x, bool saturate)
{
    return (uint8_t)tc_format_encode(x, saturate, 2, 15, 0x80U, 0x7bU, 0x7cU, 0x7eU);
}

static inline float tc_from_float8_e5m2(uint8_t code)
{
    return tc_format_decode(code, 2, 15, 0x80U, 0x7bU, 0x7cU, 0x7eU);
}

static inline uint8_t tc_to_float8_e5m2fnuz(float x, bool saturate)
{
    return (uint8_t)tc_format_encode(x, saturate, 2, 16, 0x80U, 0x7fU, 0x80U, 0x80U);
}

static inline float tc_from_float8_e5m2fnuz(uint8_t code)
{
    return tc_format_decode(code, 2, 16, 0x80U, 0x7fU, 0x80U, 0x80U);
}

/* Four bits without infinity or NaN, which becomes minus zero. */
static inline uint8_t tc_to_float4_e2m1fn(float x)
{
    return x != x ? (uint8_t)8 : (uint8_t)tc_format_encode(x, true, 1, 1, 8U, 7U, 7U, 0U);
}

static inline float tc_from_float4_e2m1fn(uint8_t code)
{
    return tc_format_decode(code & 0xfU, 1, 1, 8U, 7U, 7U, 0U);
}

/* A power of two, 2^(code - 127); 255 is NaN, which negative numbers become. `direction`: 1 up, -1 down, 0 to nearest
 * with ties up. */
static inline uint8_t tc_to_float8_e8m0fnu(float x, bool saturate, int32_t direction)
{
    uint32_t bits, exponent, fraction;
    memcpy(&bits, &x, sizeof bits);
    if (x != x || (bits > 0x80000000U)) {
        return 255U;
    }
    bits &= 0x7fffffffU;
    if (bits < 0x400000U) { /* less than the least power */
        return saturate ? 0U : 255U;
    }
    exponent = bits >> 23;
    fraction = exponent == 0U ? (bits << 1) & 0x7fffffU : bits & 0x7fffffU;
    if ((direction > 0 && fraction > 0U) || (direction == 0 && fraction >= 0x400000U)) {
        ++exponent;
    }
    return (uint8_t)(exponent > 254U && saturate ? 254U : exponent);
}

static inline float tc_from_float8_e8m0fnu(uint8_t code)
{
    const uint32_t bits = code == 0U ? 0x400000U : (uint32_t)code << 23;
    return tc_format_float(code == 255U ? 0x7fc00000U : bits);
}

#endif
