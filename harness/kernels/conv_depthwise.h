/* conv_depthwise.h — what the passes of the depthwise convolution share. */
#ifndef CONV_DEPTHWISE_H
#define CONV_DEPTHWISE_H

#include "kernels/conv_patch.h"
#include "kernels/each.h"

/* Loops over sums in registers, to be unrolled whole. Not for speed alone: without it GCC 12.2 at -O3
 * gives wrong sums for one tap in five of conv_depthwise_grad_f32.c's 5x5 with stride 1 (seen for
 * scalar and avx512; right at -O2, and with clang 14 for scalar). Why is not known; t_group_conv
 * shows it. */
#if defined __GNUC__ && !defined __clang__
#define UNROLL _Pragma("GCC unroll 24")
#else
#define UNROLL _Pragma("unroll")
#endif

enum {
    DEPTHWISE_TAPS = 5,  /* in a row, at most, of kernels that are unrolled; others take loops */
    DEPTHWISE_STRIDE = 4 /* at most */
};

/* finish_vector() for the first n channels of a vector. */
static inline vf finish_part(const struct finish *f, vf v, size_t at, size_t n)
{
    float residual[VF], y[VF];
    if (n == VF)
        return finish_vector(f, v, at);
    struct finish part = *f;
    if (f->e.residual) {
        vf_store(residual, vf_load_n(f->e.residual + at, n, 0));
        part.e.residual = residual;
    }
    if (f->e.grad) {
        vf_store(y, vf_load_n(f->e.y + at, n, 0));
        part.e.y = y;
    }
    return finish_vector(&part, v, 0);
}

#endif
