#ifndef TC_WEAVE_H
#define TC_WEAVE_H

#include <arm_mve.h>
#include <stdint.h>

/* The generic file says what this computes. 16 bytes of a plane are stored at once, each in its own place; the last
 * ones under a mask. */
static inline void tc_weave(int8_t *to, const int8_t *from, int32_t count, int32_t planes, int32_t distance)
{
    uint8x16_t places = vmulq_n_u8(vidupq_n_u8(0, 1), (uint8_t)planes);
    for (int32_t plane = 0; plane < planes; ++plane) {
        int8_t *target = to + plane;
        const int8_t *source = from + plane * distance;
        __asm__ volatile("wlstp.8 lr, %[count], 2f\n"
                         "1:\n\t"
                         "vldrb.8 q0, [%[source]], #16\n\t"
                         "vstrb.8 q0, [%[target], %q[places]]\n\t"
                         "add %[target], %[target], %[step]\n\t"
                         "letp lr, 1b\n"
                         "2:"
                         : [target] "+r"(target), [source] "+r"(source)
                         : [count] "r"(count), [step] "r"(planes * 16), [places] "w"(places)
                         : "q0", "lr", "memory");
    }
}

#endif
