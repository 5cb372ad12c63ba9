/* conv_f32.c — the convolution's entries in the kernel table: which way to convolve. */
#include <assert.h>
#include <stdio.h>

#include "kernels/conv_parts.h"

struct way {
    size_t (*work)(const struct kn_conv *c, int pass, int threads);
    void (*run)(const struct kn_conv *c, int pass, const struct kn_epilogue *e,
                const struct crew *crew, const float *source, const float *w, float *target,
                void *work);
    size_t (*grad_work)(const struct kn_conv *c, int threads);
    void (*grad_weight)(const struct kn_conv *c, const struct crew *crew, const float *x,
                        const float *dy, float *dw, void *work);
};

#define WAY(name)                                                             \
    {                                                                         \
        KN(conv_##name##_work), KN(conv_##name), KN(conv_##name##_grad_work), \
            KN(conv_##name##_grad_weight)                                     \
    }
enum { WAY_LANES, WAY_NHWC, WAY_GROUP, WAY_DEPTHWISE, WAY_WINOGRAD_2, WAY_WINOGRAD_4 };
static const struct way ways[] = {WAY(lanes),     WAY(nhwc),      WAY(group),
                                  WAY(depthwise), WAY(winograd2), WAY(winograd4)};

static bool winograd_applies(const struct kn_conv *c)
{
    return c->KH == 3 && c->KW == 3 && c->stride == 1 && c->pad <= 2 && !c->mask && c->OH > 0 &&
           c->OW > 0;
}

/* Multiply-adds of a wire by F(m x m, 3 x 3), and what the transforms add to them: those of inputs
 * and outputs less with each channel that shares them, those of weights less with each tile.
 *
 * Measured on Zen 4, one thread, GFLOP/s of direct FLOPs by direct, 2 x 2, 4 x 4 (b_conv --algo):
 * 16 channels 32x32 96 86 115, 512 channels 4x4 b64 105 210 323, 2x2 b64 96 170 83, 7x7 b16
 * 107 155 247; 128 channels 16x16 323, 64 channels 8x8 329 by 4 x 4. The constants reproduce these
 * orders, and leave 3 channels and single small images direct. */
static double winograd_cost(const struct kn_conv *c, int pass, int m)
{
    enum { CHANNEL = 16, WEIGHT = 24 };
    const int H = pass == CONV_GRAD_DATA ? c->H : c->OH, W = pass == CONV_GRAD_DATA ? c->W : c->OW;
    const double tiles = (double)c->N * ((H + m - 1) / m) * ((W + m - 1) / m);
    const double extra = CHANNEL / (double)c->C + CHANNEL / (double)c->O + WEIGHT / tiles;
    return tiles * (m + 2) * (m + 2) * (1 + extra);
}

static int fastest(const struct kn_conv *c, int pass)
{
    const double direct = 9.0 * c->N * c->OH * c->OW, small = winograd_cost(c, pass, 2),
                 large = winograd_cost(c, pass, 4);
    if (small >= direct && large >= direct)
        return CONV_DIRECT;
    return small < large ? CONV_WINOGRAD_2 : CONV_WINOGRAD_4;
}

static int way_of(const struct kn_conv *c, int pass)
{
    if (c->lanes)
        return WAY_LANES;
    if (conv_groups(c) > 1)
        return conv_is_depthwise(c) ? WAY_DEPTHWISE : WAY_GROUP;
    const int algo = c->algo || !winograd_applies(c) ? c->algo : fastest(c, pass);
    if (algo < CONV_WINOGRAD_2 || !winograd_applies(c))
        return WAY_NHWC;
    return algo == CONV_WINOGRAD_2 ? WAY_WINOGRAD_2 : WAY_WINOGRAD_4;
}

size_t KN(conv_pieces)(const struct kn_conv *c)
{
    static size_t (*const pieces[])(const struct kn_conv *) = {
        [WAY_LANES] = KN(conv_lanes_pieces),
        [WAY_NHWC] = KN(conv_nhwc_pieces),
        [WAY_DEPTHWISE] = KN(conv_depthwise_pieces),
        [WAY_WINOGRAD_2] = KN(conv_winograd2_pieces),
        [WAY_WINOGRAD_4] = KN(conv_winograd4_pieces)};
    const int way = way_of(c, CONV_FORWARD);
    return pieces[way] ? pieces[way](c) : 0;
}

size_t KN(conv_work_f32)(const struct kn_conv *c, int pass, int threads)
{
    const struct way *way = &ways[way_of(c, pass)];
    return pass == CONV_GRAD_WEIGHT ? way->grad_work(c, threads) : way->work(c, pass, threads);
}

void KN(conv_f32)(const struct kn_conv *c, const struct kn_epilogue *e, const struct crew *crew,
                  const float *x, const float *w, float *y, void *work)
{
    assert(!c->ld_y || (conv_has_ld_y(c) && !(e && (e->residual || e->y))));
    ways[way_of(c, CONV_FORWARD)].run(c, CONV_FORWARD, e, crew, x, w, y, work);
}

void KN(conv_grad_data_f32)(const struct kn_conv *c, const struct kn_epilogue *e,
                            const struct crew *crew, const float *dy, const float *w, float *dx,
                            void *work)
{
    ways[way_of(c, CONV_GRAD_DATA)].run(c, CONV_GRAD_DATA, e, crew, dy, w, dx, work);
}

void KN(conv_grad_weight_f32)(const struct kn_conv *c, const struct crew *crew, const float *x,
                              const float *dy, float *dw, void *work)
{
    ways[way_of(c, CONV_GRAD_WEIGHT)].grad_weight(c, crew, x, dy, dw, work);
}

void KN(conv_how)(const struct kn_conv *c, int pass, char how[KN_HOW])
{
    static const char *const names[] = {[WAY_LANES] = "direct",
                                        [WAY_NHWC] = "implicit gemm",
                                        [WAY_DEPTHWISE] = "depthwise",
                                        [WAY_WINOGRAD_2] = "winograd 2x2",
                                        [WAY_WINOGRAD_4] = "winograd 4x4"};
    const int way = way_of(c, pass);
    if (way == WAY_GROUP)
        snprintf(how, KN_HOW, "%d groups", c->groups);
    else if (way == WAY_NHWC && KN(conv_by_lines)(c, pass))
        snprintf(how, KN_HOW, "lines");
    else
        snprintf(how, KN_HOW, "%s", names[way]);
}
