/* conv_f32.c — convolution, plain: one output element after the other, in
 * both layouts, so that callers can link. The fast paths replace it. */
#include "kernels/conv_parts.h"

/* Where element (n,h,w,c) of an image tensor [N,H,W,C] lies. */
static size_t at(const struct kn_conv *c, int n, int h, int w, int ch, int H, int W, int C)
{
    const int lanes = c->lanes ? KN_LANES : 1;
    const size_t pixel = ((size_t)(n / lanes) * (size_t)H + (size_t)h) * (size_t)W + (size_t)w;
    return (pixel * (size_t)C + (size_t)ch) * (size_t)lanes + (size_t)(n % lanes);
}

static size_t at_w(const struct kn_conv *c, int o, int u, int v, int ch)
{
    return (((size_t)o * (size_t)c->KH + (size_t)u) * (size_t)c->KW + (size_t)v) * (size_t)c->C +
           (size_t)ch;
}

static float activate(const struct kn_epilogue *e, float v)
{
    const float inner = e->inner != 0 ? e->inner : 1, outer = e->outer != 0 ? e->outer : 1;
    switch (e->act) {
    case KN_ACT_RELU: return v < 0 ? 0 : v;
    case KN_ACT_TANH: return outer * tanhf(inner * v);
    case KN_ACT_SIGMOID: return 1 / (1 + expf(-v));
    default: return v;
    }
}

static float derivative(const struct kn_epilogue *e, float y)
{
    const float inner = e->inner != 0 ? e->inner : 1, outer = e->outer != 0 ? e->outer : 1;
    switch (e->grad) {
    case KN_ACT_RELU: return y > 0 ? 1 : 0;
    case KN_ACT_TANH: return inner * (outer - y * y / outer);
    case KN_ACT_SIGMOID: return y * (1 - y);
    default: return 1;
    }
}

static float finish(const struct kn_epilogue *e, float v, int column, size_t i, const float *out)
{
    if (!e)
        return v;
    if (e->accumulate)
        v += out[i];
    if (e->bias)
        v += e->bias[column];
    if (e->residual)
        v += e->residual[i];
    v = activate(e, v);
    return e->grad ? v * derivative(e, e->y[i]) : v;
}

static bool connected(const struct kn_conv *c, int o, int ch)
{
    return !c->mask || c->mask[(size_t)o * (size_t)c->C + (size_t)ch];
}

size_t KN(conv_work_f32)(const struct kn_conv *c, int pass, int threads)
{
    if (!c->lanes)
        return 0;
    return pass == CONV_GRAD_WEIGHT ? KN(conv_lanes_grad_work)(c, threads) : KN(conv_lanes_work)(c);
}

static float forward(const struct kn_conv *c, const float *x, const float *w, int n, int o, int i,
                     int j)
{
    float sum = 0;
    for (int u = 0; u < c->KH; u++)
        for (int v = 0; v < c->KW; v++) {
            const int h = i * c->stride + u - c->pad, k = j * c->stride + v - c->pad;
            if (h < 0 || h >= c->H || k < 0 || k >= c->W)
                continue;
            for (int ch = 0; ch < c->C; ch++)
                if (connected(c, o, ch))
                    sum += x[at(c, n, h, k, ch, c->H, c->W, c->C)] * w[at_w(c, o, u, v, ch)];
        }
    return sum;
}

void KN(conv_f32)(const struct kn_conv *c, const struct kn_epilogue *e, const struct crew *crew,
                  const float *x, const float *w, float *y, void *work)
{
    if (c->lanes) {
        KN(conv_lanes)(c, CONV_FORWARD, e, crew, x, w, y, work);
        return;
    }
    size_t from, to;
    crew_share(crew, (size_t)c->N, KN_LANES, &from, &to);
    for (int n = (int)from; n < (int)to; n++)
        for (int p = 0; p < c->OH * c->OW * c->O; p++) {
            const int o = p % c->O, j = p / c->O % c->OW, i = p / c->O / c->OW;
            const size_t k = at(c, n, i, j, o, c->OH, c->OW, c->O);
            y[k] = finish(e, forward(c, x, w, n, o, i, j), o, k, y);
        }
}

static float backward(const struct kn_conv *c, const float *dy, const float *w, int n, int ch,
                      int h, int k)
{
    float sum = 0;
    for (int u = 0; u < c->KH; u++)
        for (int v = 0; v < c->KW; v++) {
            const int i = h + c->pad - u, j = k + c->pad - v;
            if (i < 0 || j < 0 || i % c->stride || j % c->stride || i / c->stride >= c->OH ||
                j / c->stride >= c->OW)
                continue;
            for (int o = 0; o < c->O; o++)
                if (connected(c, o, ch))
                    sum += dy[at(c, n, i / c->stride, j / c->stride, o, c->OH, c->OW, c->O)] *
                           w[at_w(c, o, u, v, ch)];
        }
    return sum;
}

void KN(conv_grad_data_f32)(const struct kn_conv *c, const struct kn_epilogue *e,
                            const struct crew *crew, const float *dy, const float *w, float *dx,
                            void *work)
{
    if (c->lanes) {
        KN(conv_lanes)(c, CONV_GRAD_DATA, e, crew, dy, w, dx, work);
        return;
    }
    size_t from, to;
    crew_share(crew, (size_t)c->N, KN_LANES, &from, &to);
    for (int n = (int)from; n < (int)to; n++)
        for (int p = 0; p < c->H * c->W * c->C; p++) {
            const int ch = p % c->C, k = p / c->C % c->W, h = p / c->C / c->W;
            const size_t q = at(c, n, h, k, ch, c->H, c->W, c->C);
            dx[q] = finish(e, backward(c, dy, w, n, ch, h, k), ch, q, dx);
        }
}

static float weight(const struct kn_conv *c, const float *x, const float *dy, int o, int u, int v,
                    int ch)
{
    float sum = 0;
    for (int n = 0; n < c->N; n++)
        for (int p = 0; p < c->OH * c->OW; p++) {
            const int i = p / c->OW, j = p % c->OW;
            const int h = i * c->stride + u - c->pad, k = j * c->stride + v - c->pad;
            if (h >= 0 && h < c->H && k >= 0 && k < c->W)
                sum += dy[at(c, n, i, j, o, c->OH, c->OW, c->O)] *
                       x[at(c, n, h, k, ch, c->H, c->W, c->C)];
        }
    return sum;
}

void KN(conv_grad_weight_f32)(const struct kn_conv *c, const struct crew *crew, const float *x,
                              const float *dy, float *dw, void *work)
{
    if (c->lanes) {
        KN(conv_lanes_grad_weight)(c, crew, x, dy, dw, work);
        return;
    }
    size_t from, to;
    crew_share(crew, (size_t)(c->O * c->KH * c->KW * c->C), 1, &from, &to);
    for (int q = (int)from; q < (int)to; q++) {
        const int ch = q % c->C, v = q / c->C % c->KW, u = q / c->C / c->KW % c->KH,
                  o = q / c->C / c->KW / c->KH;
        dw[q] = connected(c, o, ch) ? weight(c, x, dy, o, u, v, ch) : 0;
    }
}
