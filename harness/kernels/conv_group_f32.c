/* conv_group_f32.c — grouped convolution: Krizhevsky et al. 2012, whose net was two
 * towers on two cards; Xie et al. 2017 made the groups many.
 *
 * Group k is a convolution of its own, of channels [k C/G, (k+1) C/G) to [k O/G, (k+1) O/G).
 * Its channels are copied into dense images, the kernels for whole images run on them,
 * by whatever algorithm they choose, and the results go to their channels through the
 * epilogue. That is one more pass over the images, small beside KH KW O/G products for
 * each of their elements: AlexNet's layers ran at 0.71 to 1.04 of the speed of the same
 * work without groups (tests/b_depthwise.c). Weights are dense: [k O/G, (k+1) O/G) of
 * their first axis. */
#include <assert.h>

#include "kernels/conv_patch.h"

static struct kn_conv one_group(const struct kn_conv *c)
{
    struct kn_conv one = *c;
    assert(!c->lanes && !c->mask && c->C % c->groups == 0 && c->O % c->groups == 0);
    one.groups = 1;
    one.C = c->C / c->groups;
    one.O = c->O / c->groups;
    return one;
}

/* Images of which a group is a slice. */
struct images {
    size_t pixels, C;
};
static struct images inputs_of(const struct kn_conv *c)
{
    return (struct images){(size_t)c->N * (size_t)c->H * (size_t)c->W, (size_t)c->C};
}

static struct images outputs_of(const struct kn_conv *c)
{
    return (struct images){(size_t)c->N * (size_t)c->OH * (size_t)c->OW, (size_t)c->O};
}

static size_t up16(size_t floats) { return (floats + 15) / 16 * 16; }
static size_t slice_floats(struct images i, int groups)
{
    return up16(i.pixels * (i.C / (size_t)groups));
}

/* The channels of group k, dense. */
static void take_slice(const struct kn_conv *c, const struct crew *crew, struct images i, int k,
                       const float *from, float *slice)
{
    const size_t n = i.C / (size_t)c->groups;
    size_t first, end;
    crew_share(crew, i.pixels, 1, &first, &end);
    for (size_t p = first; p < end; p++)
        copy_floats(slice + p * n, from + p * i.C + (size_t)k * n, (int)n);
}

/* Dense results of group k to their channels. */
static void put_slice(const struct kn_conv *c, const struct kn_epilogue *e, const struct crew *crew,
                      struct images i, int k, const float *slice, float *to)
{
    static const struct kn_epilogue none;
    const size_t n = i.C / (size_t)c->groups;
    size_t first, end;
    crew_share(crew, i.pixels, 1, &first, &end);
    KN(gemm_finish)
    (e ? e : &none, (int)first, (int)(end - first), k * (int)n, (int)n, slice + first * n, n, to,
     i.C);
}

size_t KN(conv_group_work)(const struct kn_conv *c, int pass, int threads)
{
    const struct kn_conv one = one_group(c);
    const size_t slices =
        slice_floats(inputs_of(c), c->groups) + slice_floats(outputs_of(c), c->groups);
    return slices * sizeof(float) + KN(conv_work_f32)(&one, pass, threads);
}

size_t KN(conv_group_grad_work)(const struct kn_conv *c, int threads)
{
    return KN(conv_group_work)(c, CONV_GRAD_WEIGHT, threads);
}

void KN(conv_group)(const struct kn_conv *c, int pass, const struct kn_epilogue *e,
                    const struct crew *crew, const float *source, const float *w, float *target,
                    void *work)
{
    const struct kn_conv one = one_group(c);
    const bool back = pass == CONV_GRAD_DATA;
    const struct images from = back ? outputs_of(c) : inputs_of(c),
                        to = back ? inputs_of(c) : outputs_of(c);
    const size_t weights = (size_t)one.O * (size_t)(c->KH * c->KW) * (size_t)one.C;
    float *const slice = work, *const result = slice + slice_floats(from, c->groups),
                 *const rest = result + slice_floats(to, c->groups);
    for (int k = 0; k < c->groups; k++) {
        take_slice(c, crew, from, k, source, slice);
        crew_wait(crew);
        if (back)
            KN(conv_grad_data_f32)(&one, NULL, crew, slice, w + (size_t)k * weights, result, rest);
        else
            KN(conv_f32)(&one, NULL, crew, slice, w + (size_t)k * weights, result, rest);
        crew_wait(crew);
        put_slice(c, e, crew, to, k, result, target);
    }
}

void KN(conv_group_grad_weight)(const struct kn_conv *c, const struct crew *crew, const float *x,
                                const float *dy, float *dw, void *work)
{
    const struct kn_conv one = one_group(c);
    const struct images in = inputs_of(c), out = outputs_of(c);
    const size_t weights = (size_t)one.O * (size_t)(c->KH * c->KW) * (size_t)one.C;
    float *const x_slice = work, *const dy_slice = x_slice + slice_floats(in, c->groups),
                 *const rest = dy_slice + slice_floats(out, c->groups);
    for (int k = 0; k < c->groups; k++) {
        take_slice(c, crew, in, k, x, x_slice);
        take_slice(c, crew, out, k, dy, dy_slice);
        crew_wait(crew);
        KN(conv_grad_weight_f32)(&one, crew, x_slice, dy_slice, dw + (size_t)k * weights, rest);
        crew_wait(crew);
    }
}
