#ifndef TC_DEPTHWISE_BYTES_H
#define TC_DEPTHWISE_BYTES_H

#include <arm_mve.h>
#include <stdint.h>

/* The generic file says what this computes. VMULLB and VMULLT multiply the even and the odd ones of 16 channels. Two
 * such products fit 16 bits, as no weight is -128, and are added before they are widened. So the sums are
 * those of every fourth channel, which VST4 brings into order. */

#define TC_INLINE static inline __attribute__((always_inline))

/* The sums of two taps: channels 0, 4, ...; 1, 5, ...; 2, 6, ...; 3, 7, ... . Assembly, because there is no register
 * for the products of the second tap: its weights are loaded twice. */
TC_INLINE const int8_t *tc_depthwise_pair(int32x4_t *sums, const int8_t *x, const int8_t *y, const int8_t *weight)
{
    int16x8_t even, odd;
    int32x4_t first, second;
    __asm__("vldrb.8 %q2, [%5]\n\t"
            "vldrb.8 %q3, [%4], #16\n\t"
            "vmullb.s8 %q0, %q2, %q3\n\t"
            "vmullt.s8 %q1, %q2, %q3\n\t"
            "vldrb.8 %q2, [%6]\n\t"
            "vldrb.8 %q3, [%4]\n\t"
            "vmullb.s8 %q3, %q2, %q3\n\t"
            "vadd.i16 %q0, %q0, %q3\n\t"
            "vldrb.8 %q3, [%4], #16\n\t"
            "vmullt.s8 %q2, %q2, %q3\n\t"
            "vadd.i16 %q1, %q1, %q2\n\t"
            "vmovlb.s16 %q2, %q0\n\t"
            "vmovlb.s16 %q3, %q1\n\t"
            "vmovlt.s16 %q0, %q0\n\t"
            "vmovlt.s16 %q1, %q1"
            : "=&w"(even), "=&w"(odd), "=&w"(first), "=&w"(second), "+r"(weight)
            : "r"(x), "r"(y)
            : "memory");
    sums[0] = first;
    sums[1] = second;
    sums[2] = (int32x4_t)even;
    sums[3] = (int32x4_t)odd;
    return weight;
}

TC_INLINE void tc_depthwise_single(int32x4_t *sums, const int8_t *x, const int8_t *weight)
{
    int8x16_t elements = vldrbq_s8(x);
    int8x16_t factors = vldrbq_s8(weight);
    int16x8_t even = vmullbq_int_s8(elements, factors);
    int16x8_t odd = vmulltq_int_s8(elements, factors);
    sums[0] = vmovlbq_s16(even);
    sums[1] = vmovlbq_s16(odd);
    sums[2] = vmovltq_s16(even);
    sums[3] = vmovltq_s16(odd);
}

TC_INLINE void tc_depthwise_bytes(int32_t *sums, const int8_t *x, const int8_t *weight, int32_t channels, int32_t rows,
                                  int32_t row_stride, int32_t taps, int32_t tap_step)
{
    int32_t count = rows * taps;
    for (int32_t channel = 0; channel < channels; channel += 16) {
        register int32x4_t sum0 __asm__("q0");
        register int32x4_t sum1 __asm__("q1");
        register int32x4_t sum2 __asm__("q2");
        register int32x4_t sum3 __asm__("q3");
        int32x4_t more[4];
        weight = tc_depthwise_pair(more, x, x + (taps > 1 ? tap_step : row_stride), weight);
        sum0 = more[0];
        sum1 = more[1];
        sum2 = more[2];
        sum3 = more[3];
#pragma GCC unroll 16
        for (int32_t tap = 2; tap < count; tap += 2) {
            const int8_t *first = x + (tap / taps * row_stride + tap % taps * tap_step);
            const int8_t *second = x + ((tap + 1) / taps * row_stride + (tap + 1) % taps * tap_step);
            if (tap + 1 < count) {
                weight = tc_depthwise_pair(more, first, second, weight);
            } else {
                tc_depthwise_single(more, first, weight);
                weight += 16;
            }
            sum0 += more[0];
            sum1 += more[1];
            sum2 += more[2];
            sum3 += more[3];
        }
        __asm__ volatile("vst40.32 {q0, q1, q2, q3}, [%0]\n\t"
                         "vst41.32 {q0, q1, q2, q3}, [%0]\n\t"
                         "vst42.32 {q0, q1, q2, q3}, [%0]\n\t"
                         "vst43.32 {q0, q1, q2, q3}, [%0]!"
                         : "+r"(sums)
                         : "w"(sum0), "w"(sum1), "w"(sum2), "w"(sum3)
                         : "memory");
        x += 16;
    }
}

#endif
