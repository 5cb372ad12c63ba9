/* conv_depthwise.h — what the passes of the depthwise convolution share. */
#ifndef CONV_DEPTHWISE_H
#define CONV_DEPTHWISE_H

#include <assert.h>

#include "kernels/conv_patch.h"
#include "kernels/each.h"

/* Loops over sums in registers, to be unrolled whole. Not for speed alone: left as loops, an
 * earlier form of conv_depthwise_grad_f32.c's 5x5 with stride 1 came out of gcc 12.2 at -O3 with
 * one tap in five wrong (seen with scalars and AVX-512; right with -fno-thread-jumps, at -O2 and
 * with clang, and the sanitizers find nothing). t_group_conv compares every width from 1 to 24. */
#if defined __GNUC__ && !defined __clang__
#define UNROLL _Pragma("GCC unroll 24")
#else
#define UNROLL _Pragma("unroll")
#endif

/* The place of the next pixel, made of this one's: left alone, gcc keeps more places than there are
 * registers. */
static inline __attribute__((always_inline)) void next_pixel(const float **at, size_t C)
{
    *at += C;
    __asm__("" : "+r"(*at));
}

enum {
    DEPTHWISE_TAPS = 5,  /* in a row, at most, of kernels that are unrolled; others take loops */
    DEPTHWISE_STRIDE = 4 /* at most */
};

/* Memory that is asked for a few lines at a time while other work is done. The prefetchers, who
 * see pieces of pixels a row of channels apart, would not guess it. */
struct stream {
    const char *at, *end;
    size_t step; /* bytes at a time */
};
enum { LINE = 64, STREAM_BYTES = 4 * LINE /* asked for without a loop */ };

/* [from, to), and perhaps a few lines behind it, in so many steps. */
static inline void stream_set(struct stream *s, const float *from, const float *to, size_t steps)
{
    s->at = (const char *)from;
    s->end = (const char *)to;
    const size_t bytes = (size_t)(s->end - s->at);
    assert(steps > 0);
    s->step = ((bytes + steps - 1) / steps + STREAM_BYTES - 1) / STREAM_BYTES * STREAM_BYTES;
}

static inline void stream_on(struct stream *s)
{
    const char *at = s->at;
    if (at >= s->end)
        return;
    for (size_t i = 0; i < s->step; i += STREAM_BYTES, at += STREAM_BYTES) {
        __builtin_prefetch(at, 0, 2);
        __builtin_prefetch(at + LINE, 0, 2);
        __builtin_prefetch(at + 2 * LINE, 0, 2);
        __builtin_prefetch(at + 3 * LINE, 0, 2);
    }
    s->at = at;
}

/* Rows go in groups within an image: where the one that begins at `row` of all images ends. */
static inline int group_end(int row, int rows, int height, int to)
{
    return least(least(to, row + rows), (row / height + 1) * height);
}

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
