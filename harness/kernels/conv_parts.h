/* conv_parts.h — what the files of the convolution share.
 *
 * Both layouts walk the same taps. Along one axis an output position q meets
 *
 *     forward         tap v at input  q stride + v - pad
 *     backward, data  tap v at output (q + pad - v) / stride, where that is whole
 *
 * and `count` of them lie inside: one tap every `tap_step`, its source moving by
 * `source_step`. Positions outside are never visited, so borders cost nothing. */
#ifndef CONV_PARTS_H
#define CONV_PARTS_H

#include "kernels/kernel.h"
#include "kernels/vec_math.h"

/* A vector that is to stay in a register: left alone, gcc loads a source again with each product,
 * and the loads, not the products, bound the loop (LeNet's C1, weights: 364 -> 266 us). */
#if defined __x86_64__
#define IN_REGISTER(v) __asm__("" : "+v"(v))
#elif defined __aarch64__
#define IN_REGISTER(v) __asm__("" : "+w"(v))
#else
#define IN_REGISTER(v) ((void)0)
#endif

struct axis {
    int sources, targets; /* extents of what is read and of what is written */
    int taps, stride, pad;
    bool backward;
};

struct span {
    int first, count; /* first tap and how many */
    int source;       /* the first one's source position */
};

static inline int axis_tap_step(const struct axis *a) { return a->backward ? a->stride : 1; }
static inline int axis_source_step(const struct axis *a) { return a->backward ? -1 : 1; }

static inline int least(int a, int b) { return a < b ? a : b; }
static inline int most(int a, int b) { return a > b ? a : b; }

/* The taps that target position q meets. */
static inline struct span axis_span(const struct axis *a, int q)
{
    if (!a->backward) {
        const int first = most(0, a->pad - q * a->stride);
        const int end = least(a->taps, a->sources + a->pad - q * a->stride);
        return (struct span){first, most(0, end - first), q * a->stride + first - a->pad};
    }
    const int z = q + a->pad, low = most(0, z - a->stride * (a->sources - 1));
    const int high = least(a->taps - 1, z);
    const int first = low > z ? low : low + (z - low) % a->stride;
    if (first > high)
        return (struct span){0, 0, 0};
    return (struct span){first, (high - first) / a->stride + 1, (z - first) / a->stride};
}

/* An epilogue with its constants worked out, once a call. */
struct finish {
    struct kn_epilogue e;
    vf inner, outer, slope, bend; /* of tanh and its derivative, slope + bend y^2 */
    bool plain;                   /* nothing to do but to add the bias */
};

static inline struct finish finish_of(const struct kn_epilogue *e)
{
    static const struct kn_epilogue none;
    struct finish f = {.e = e ? *e : none};
    e = &f.e;
    const float inner = e->inner != 0 ? e->inner : 1, outer = e->outer != 0 ? e->outer : 1;
    f.inner = vf_set(inner);
    f.outer = vf_set(outer);
    f.slope = vf_set(inner * outer);
    f.bend = vf_set(-inner / outer);
    f.plain = !(e->accumulate || e->residual || e->act || e->grad);
    return f;
}

/* e(v) for elements that lie at out[at], in residual and y likewise; their bias has
 * been seen to. The expressions are those of tanh_f32.c and elementwise_f32.c, so
 * that a fused layer has the bits of an unfused one. */
static inline vf finish_vector(const struct finish *f, vf v, size_t at)
{
    const vf zero = vf_set(0), one = vf_set(1);
    if (f->e.residual)
        v = v + vf_load(f->e.residual + at);
    if (f->e.act == KN_ACT_RELU)
        v = vf_max(zero, v); /* data second: NaN stays NaN */
    else if (f->e.act == KN_ACT_TANH)
        v = f->outer * vf_tanh(f->inner * v);
    else if (f->e.act == KN_ACT_SIGMOID)
        v = vf_sigmoid(v);
    if (f->e.grad == KN_ACT_NONE)
        return v;
    const vf y = vf_load(f->e.y + at);
    if (f->e.grad == KN_ACT_RELU)
        return v * vf_select(vf_less(zero, y), one, y * zero);
    if (f->e.grad == KN_ACT_TANH)
        return v * vf_fma(y * y, f->bend, f->slope);
    return v * y * (one - y);
}

/* w with zeros where the mask has them, whatever w holds there, made in `work` by all
 * threads; w itself without a mask. */
static inline size_t conv_masked_bytes(const struct kn_conv *c)
{
    const size_t taps = (size_t)c->KH * (size_t)c->KW;
    return c->mask ? (size_t)c->O * taps * (size_t)c->C * sizeof(float) : 0;
}

static inline const float *conv_masked(const struct kn_conv *c, const struct crew *crew,
                                       const float *w, float *work)
{
    if (!c->mask)
        return w;
    const size_t C = (size_t)c->C, taps = (size_t)c->KH * (size_t)c->KW;
    size_t from, to;
    crew_share(crew, (size_t)c->O * taps, 1, &from, &to);
    for (size_t i = from; i < to; i++)
        for (size_t k = 0; k < C; k++)
            work[i * C + k] = c->mask[i / taps * C + k] ? w[i * C + k] : 0;
    crew_wait(crew);
    return work;
}

/* Every way to convolve has these four; the table's entries choose between them. Source and
 * target are x and y forward, dy and dx backward. */
#define CONV_PASSES(layout)                                                                \
    size_t KN(conv_##layout##_work)(const struct kn_conv *c, int pass, int threads);       \
    void KN(conv_##layout)(const struct kn_conv *c, int pass, const struct kn_epilogue *e, \
                           const struct crew *crew, const float *source, const float *w,   \
                           float *target, void *work);                                     \
    size_t KN(conv_##layout##_grad_work)(const struct kn_conv *c, int threads);            \
    void KN(conv_##layout##_grad_weight)(const struct kn_conv *c, const struct crew *crew, \
                                         const float *x, const float *dy, float *dw, void *work);

/* The forward pass's pieces of moments: the ways that make any. */
size_t KN(conv_lanes_pieces)(const struct kn_conv *c);
size_t KN(conv_nhwc_pieces)(const struct kn_conv *c);
size_t KN(conv_depthwise_pieces)(const struct kn_conv *c);
size_t KN(conv_winograd2_pieces)(const struct kn_conv *c);
size_t KN(conv_winograd4_pieces)(const struct kn_conv *c);

CONV_PASSES(lanes)
CONV_PASSES(nhwc)
CONV_PASSES(group)
CONV_PASSES(depthwise)
CONV_PASSES(winograd2)
CONV_PASSES(winograd4)
#undef CONV_PASSES

/* One input, one output a group, and a stride that conv_depthwise_f32.c has room for. */
static inline bool conv_is_depthwise(const struct kn_conv *c)
{
    return conv_groups(c) > 1 && c->groups == c->C && c->C == c->O && c->stride <= 4;
}

/* NHWC: conv_lines_f32.c or conv_lines_grad_f32.c does this pass. */
bool KN(conv_by_lines)(const struct kn_conv *c, int pass);

#endif
