/* conv_f32.c — the convolution's entries in the kernel table: which layout it is. */
#include <stdio.h>

#include "kernels/conv_parts.h"

size_t KN(conv_work_f32)(const struct kn_conv *c, int pass, int threads)
{
    if (pass == CONV_GRAD_WEIGHT)
        return (c->lanes ? KN(conv_lanes_grad_work) : KN(conv_nhwc_grad_work))(c, threads);
    return (c->lanes ? KN(conv_lanes_work) : KN(conv_nhwc_work))(c, pass, threads);
}

void KN(conv_f32)(const struct kn_conv *c, const struct kn_epilogue *e, const struct crew *crew,
                  const float *x, const float *w, float *y, void *work)
{
    (c->lanes ? KN(conv_lanes) : KN(conv_nhwc))(c, CONV_FORWARD, e, crew, x, w, y, work);
}

void KN(conv_grad_data_f32)(const struct kn_conv *c, const struct kn_epilogue *e,
                            const struct crew *crew, const float *dy, const float *w, float *dx,
                            void *work)
{
    (c->lanes ? KN(conv_lanes) : KN(conv_nhwc))(c, CONV_GRAD_DATA, e, crew, dy, w, dx, work);
}

void KN(conv_grad_weight_f32)(const struct kn_conv *c, const struct crew *crew, const float *x,
                              const float *dy, float *dw, void *work)
{
    (c->lanes ? KN(conv_lanes_grad_weight) : KN(conv_nhwc_grad_weight))(c, crew, x, dy, dw, work);
}

void KN(conv_how)(const struct kn_conv *c, int pass, char how[KN_HOW])
{
    const bool images = !c->lanes && pass != CONV_GRAD_WEIGHT;
    const bool lines = images && KN(conv_by_lines)(c, pass);
    snprintf(how, KN_HOW, "%s", c->lanes ? "direct" : lines ? "lines" : "implicit gemm");
}
