/* conv_f32.c — the convolution's entries in the kernel table: which way to convolve. */
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
enum { WAY_LANES, WAY_NHWC, WAY_GROUP };
static const struct way ways[] = {WAY(lanes), WAY(nhwc), WAY(group)};

static int way_of(const struct kn_conv *c)
{
    return c->lanes ? WAY_LANES : conv_groups(c) > 1 ? WAY_GROUP : WAY_NHWC;
}

size_t KN(conv_work_f32)(const struct kn_conv *c, int pass, int threads)
{
    const struct way *way = &ways[way_of(c)];
    return pass == CONV_GRAD_WEIGHT ? way->grad_work(c, threads) : way->work(c, pass, threads);
}

void KN(conv_f32)(const struct kn_conv *c, const struct kn_epilogue *e, const struct crew *crew,
                  const float *x, const float *w, float *y, void *work)
{
    ways[way_of(c)].run(c, CONV_FORWARD, e, crew, x, w, y, work);
}

void KN(conv_grad_data_f32)(const struct kn_conv *c, const struct kn_epilogue *e,
                            const struct crew *crew, const float *dy, const float *w, float *dx,
                            void *work)
{
    ways[way_of(c)].run(c, CONV_GRAD_DATA, e, crew, dy, w, dx, work);
}

void KN(conv_grad_weight_f32)(const struct kn_conv *c, const struct crew *crew, const float *x,
                              const float *dy, float *dw, void *work)
{
    ways[way_of(c)].grad_weight(c, crew, x, dy, dw, work);
}

void KN(conv_how)(const struct kn_conv *c, int pass, char how[KN_HOW])
{
    const int way = way_of(c);
    if (way == WAY_GROUP) {
        snprintf(how, KN_HOW, "%d groups", c->groups);
        return;
    }
    const bool lines = way == WAY_NHWC && pass != CONV_GRAD_WEIGHT && KN(conv_by_lines)(c, pass);
    snprintf(how, KN_HOW, "%s", way == WAY_LANES ? "direct" : lines ? "lines" : "implicit gemm");
}
