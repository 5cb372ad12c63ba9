/* pool_f32 — maxima and sums over windows of NHWC images, and their gradients.
 *
 *   max_pool       y = max of the window; NaN if there is one in it
 *   max_pool_grad  dy goes to the first maximum of its window in row-major order, or
 *                  to the window's first element where y is NaN
 *   sum_pool       y = scale sum of the window; sum_pool_grad dx = scale sum of dy
 *
 * Channels are vectors, so that a window is the same for all lanes. The last windows may
 * hang over the image on the right and below; what is outside counts as padding. Windows of
 * 2 x 2 that neither overlap nor touch padding, which LeNet-5 and VGG have, take
 * a path of their own: all four elements in registers, each gradient written once
 * instead of zeroed and added to. So do maxima over 3 x 3 windows one or two pixels apart (AlexNet,
 * GoogLeNet, ResNet): pool_3x3.h. Maxima are exact, sums within
 * kernel_h kernel_w 2^-24 sum |x|. */
#include "kernels/kernel.h"

#include "kernels/each.h"

static inline bool is_halving(const struct kn_pool *p)
{
    return p->kernel_h == 2 && p->kernel_w == 2 && p->stride == 2 && p->pad == 0 &&
           2 * p->OH <= p->H && 2 * p->OW <= p->W;
}

/* The part of a window that is inside the image. */
struct window {
    int top, bottom, left, right;
};

static inline int at_least_0(int a) { return a < 0 ? 0 : a; }
static inline int at_most(int a, int end) { return a < end ? a : end; }

static inline struct window window_at(const struct kn_pool *p, int i, int j)
{
    const int top = i * p->stride - p->pad, left = j * p->stride - p->pad;
    return (struct window){at_least_0(top), at_most(top + p->kernel_h, p->H), at_least_0(left),
                           at_most(left + p->kernel_w, p->W)};
}

#include "kernels/pool_3x3.h"

/* ---- forward: row i of the output of one image ---- */

typedef void pool_row(const struct kn_pool *p, float scale, int i, const float *x, float *y);

static void max_row(const struct kn_pool *p, float scale, int i, const float *x, float *y)
{
    const size_t C = (size_t)p->C, down = (size_t)p->W * C;
    (void)scale;
    for (int j = 0; j < p->OW; j++, y += C) {
        const struct window w = window_at(p, i, j);
        for (size_t c = 0; c < C; c += VF) {
            const size_t k = C - c < VF ? C - c : VF;
            vf top = vf_set(-INFINITY);
            for (int u = w.top; u < w.bottom; u++)
                for (int v = w.left; v < w.right; v++)
                    top = vf_max_nan(top, vf_get(x + (size_t)u * down + (size_t)v * C + c, k));
            vf_put(y + c, top, k);
        }
    }
}

static void max_row_2x2(const struct kn_pool *p, float scale, int i, const float *x, float *y)
{
    const size_t C = (size_t)p->C, down = (size_t)p->W * C;
    const float *a = x + (size_t)i * 2 * down;
    (void)scale;
    for (int j = 0; j < p->OW; j++, a += 2 * C, y += C)
        EACH(C, y,
             vf_max_nan(vf_max_nan(AT(a), AT(a + C)), vf_max_nan(AT(a + down), AT(a + down + C))));
}

static void sum_row(const struct kn_pool *p, float scale, int i, const float *x, float *y)
{
    const size_t C = (size_t)p->C, down = (size_t)p->W * C;
    for (int j = 0; j < p->OW; j++, y += C) {
        const struct window w = window_at(p, i, j);
        for (size_t c = 0; c < C; c += VF) {
            const size_t k = C - c < VF ? C - c : VF;
            vf sum = vf_set(0.0f);
            for (int u = w.top; u < w.bottom; u++)
                for (int v = w.left; v < w.right; v++)
                    sum += vf_get(x + (size_t)u * down + (size_t)v * C + c, k);
            vf_put(y + c, vf_set(scale) * sum, k);
        }
    }
}

static void sum_row_2x2(const struct kn_pool *p, float scale, int i, const float *x, float *y)
{
    const size_t C = (size_t)p->C, down = (size_t)p->W * C;
    const float *a = x + (size_t)i * 2 * down;
    for (int j = 0; j < p->OW; j++, a += 2 * C, y += C)
        EACH(C, y, vf_set(scale) * ((AT(a) + AT(a + C)) + (AT(a + down) + AT(a + down + C))));
}

static inline void forward(pool_row *row, const struct kn_pool *p, float scale, size_t from,
                           size_t to, const float *x, float *y)
{
    const size_t OH = (size_t)p->OH, image = (size_t)p->H * (size_t)p->W * (size_t)p->C,
                 line = (size_t)p->OW * (size_t)p->C;
    for (size_t r = from; r < to; r++)
        row(p, scale, (int)(r % OH), x + r / OH * image, y + r * line);
}

/* ---- backward: one image ---- */

typedef void pool_grad(const struct kn_pool *p, float scale, const float *x, const float *y,
                       const float *dy, float *dx);

/* dx += the share of the k channels from c on in one window. `left` is what no
 * element has taken yet; one that is not below the maximum is at it, or y is NaN. */
static inline void max_grad_window(const struct kn_pool *p, struct window w, size_t c, size_t k,
                                   const float *x, vf top, vf left, float *dx)
{
    const vf zero = vf_set(0.0f);
    for (int u = w.top; u < w.bottom; u++)
        for (int v = w.left; v < w.right; v++) {
            const size_t e = ((size_t)u * (size_t)p->W + (size_t)v) * (size_t)p->C + c;
            const vm below = vf_less(vf_get(x + e, k), top);
            vf_put(dx + e, vf_get(dx + e, k) + vf_select(below, zero, left), k);
            left = vf_select(below, left, zero);
        }
}

static void max_grad(const struct kn_pool *p, float scale, const float *x, const float *y,
                     const float *dy, float *dx)
{
    const size_t C = (size_t)p->C;
    (void)scale;
    memset(dx, 0, (size_t)p->H * (size_t)p->W * C * sizeof *dx);
    for (int o = 0; o < p->OH * p->OW; o++, y += C, dy += C) {
        const struct window w = window_at(p, o / p->OW, o % p->OW);
        for (size_t c = 0; c < C; c += VF) {
            const size_t k = C - c < VF ? C - c : VF;
            max_grad_window(p, w, c, k, x, vf_get(y + c, k), vf_get(dy + c, k), dx);
        }
    }
}

static inline void sum_grad_window(const struct kn_pool *p, struct window w, vf scale,
                                   const float *dy, float *dx)
{
    const size_t C = (size_t)p->C;
    for (int u = w.top; u < w.bottom; u++)
        for (int v = w.left; v < w.right; v++) {
            float *const to = dx + ((size_t)u * (size_t)p->W + (size_t)v) * C;
            EACH(C, to, vf_fma(scale, AT(dy), AT(to)));
        }
}

static void sum_grad(const struct kn_pool *p, float scale, const float *x, const float *y,
                     const float *dy, float *dx)
{
    const size_t C = (size_t)p->C;
    (void)x, (void)y;
    memset(dx, 0, (size_t)p->H * (size_t)p->W * C * sizeof *dx);
    for (int o = 0; o < p->OH * p->OW; o++, dy += C)
        sum_grad_window(p, window_at(p, o / p->OW, o % p->OW), vf_set(scale), dy, dx);
}

/* Pixels that no 2 x 2 window covers: the last column and row of odd sizes. */
static void zero_rim(const struct kn_pool *p, float *dx)
{
    const size_t C = (size_t)p->C, down = (size_t)p->W * C, covered = (size_t)p->OW * 2 * C;
    for (int i = 0; i < p->OH * 2; i++)
        memset(dx + (size_t)i * down + covered, 0, (down - covered) * sizeof *dx);
    for (int i = p->OH * 2; i < p->H; i++)
        memset(dx + (size_t)i * down, 0, down * sizeof *dx);
}

/* What is left after each of four elements has had its chance. */
static inline void max_grad_4(size_t k, const float *a[4], const float *y, const float *dy,
                              float *da[4])
{
    const vf zero = vf_set(0.0f), top = vf_get(y, k);
    vf left = vf_get(dy, k);
    for (int e = 0; e < 4; e++) {
        const vm below = vf_less(vf_get(a[e], k), top);
        vf_put(da[e], vf_select(below, zero, left), k);
        left = vf_select(below, left, zero);
    }
}

static void max_grad_2x2(const struct kn_pool *p, float scale, const float *x, const float *y,
                         const float *dy, float *dx)
{
    const size_t C = (size_t)p->C, down = (size_t)p->W * C;
    const size_t offset[4] = {0, C, down, down + C};
    (void)scale;
    zero_rim(p, dx);
    for (int o = 0; o < p->OH * p->OW; o++, y += C, dy += C) {
        const size_t corner = (size_t)(o / p->OW) * 2 * down + (size_t)(o % p->OW) * 2 * C;
        for (size_t c = 0; c < C; c += VF) {
            const size_t k = C - c < VF ? C - c : VF, e = corner + c;
            const float *a[4];
            float *da[4];
            for (int i = 0; i < 4; i++)
                a[i] = x + e + offset[i], da[i] = dx + e + offset[i];
            max_grad_4(k, a, y + c, dy + c, da);
        }
    }
}

static void sum_grad_2x2(const struct kn_pool *p, float scale, const float *x, const float *y,
                         const float *dy, float *dx)
{
    const size_t C = (size_t)p->C, down = (size_t)p->W * C;
    (void)x, (void)y;
    zero_rim(p, dx);
    for (int o = 0; o < p->OH * p->OW; o++, dy += C) {
        float *const to = dx + (size_t)(o / p->OW) * 2 * down + (size_t)(o % p->OW) * 2 * C;
        EACH(C, to, vf_set(scale) * AT(dy));
        EACH(C, to + C, vf_set(scale) * AT(dy));
        EACH(C, to + down, vf_set(scale) * AT(dy));
        EACH(C, to + down + C, vf_set(scale) * AT(dy));
    }
}

static inline void backward(pool_grad *grad, const struct kn_pool *p, float scale, size_t from,
                            size_t to, const float *x, const float *y, const float *dy, float *dx)
{
    const size_t in = (size_t)p->H * (size_t)p->W * (size_t)p->C,
                 out = (size_t)p->OH * (size_t)p->OW * (size_t)p->C;
    for (size_t n = from; n < to; n++)
        grad(p, scale, x ? x + n * in : NULL, y ? y + n * out : NULL, dy + n * out, dx + n * in);
}

/* Which path: by the shape of the problem alone. */
static pool_row *max_row_for(const struct kn_pool *p)
{
    return is_halving(p)    ? max_row_2x2
           : !is_3x3(p)     ? max_row
           : p->stride == 1 ? max_row_3x3_1
                            : max_row_3x3_2;
}

static pool_grad *max_grad_for(const struct kn_pool *p)
{
    return is_halving(p)    ? max_grad_2x2
           : !is_3x3(p)     ? max_grad
           : p->stride == 1 ? max_grad_3x3_1
                            : max_grad_3x3_2;
}

void KN(max_pool_f32)(const struct kn_pool *p, size_t from, size_t to, const float *x, float *y)
{
    forward(max_row_for(p), p, 1.0f, from, to, x, y);
}

void KN(sum_pool_f32)(const struct kn_pool *p, float scale, size_t from, size_t to, const float *x,
                      float *y)
{
    forward(is_halving(p) ? sum_row_2x2 : sum_row, p, scale, from, to, x, y);
}

void KN(max_pool_grad_f32)(const struct kn_pool *p, size_t from, size_t to, const float *x,
                           const float *y, const float *dy, float *dx)
{
    backward(max_grad_for(p), p, 1.0f, from, to, x, y, dy, dx);
}

void KN(sum_pool_grad_f32)(const struct kn_pool *p, float scale, size_t from, size_t to,
                           const float *dy, float *dx)
{
    backward(is_halving(p) ? sum_grad_2x2 : sum_grad, p, scale, from, to, NULL, NULL, dy, dx);
}
