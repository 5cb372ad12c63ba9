/* pool_3x3.h — maxima over windows of 3 x 3, one or two pixels apart, for pool_f32.c only.
 *
 * Both passes walk along an output row, a vector of channels at a time, and keep in registers
 * what the next window shares with this one: forward the maxima of its columns, backward the
 * gradients of its pixels. A pixel's gradient so goes to memory once for each output row that
 * sees it, not once for each window: of the window's rows the first 3 - stride were written by
 * the output row before and are added to, the others are written for the first time. */
#ifndef POOL_3X3_H
#define POOL_3X3_H

#include "kernels/gemm_unroll.h"

static inline bool is_3x3(const struct kn_pool *p)
{
    return p->kernel_h == 3 && p->kernel_w == 3 && (p->stride == 1 || p->stride == 2);
}

/* Walking along a row for 16 channels leaves out the others, which hardware does not foresee: each
 * walk asks for its part of the rows that come next, in the order of memory. (28x28x192, from
 * L3: twice as fast.) Behind the last image nothing is read, only asked for. */
static inline void ask_for(const float *next, size_t floats, size_t part, size_t parts)
{
    for (size_t i = floats * part / parts; i < floats * (part + 1) / parts; i += 16)
        __builtin_prefetch(next + i, 0, 2);
}

/* ---- forward ---- */

/* The maximum of a column of `rows` pixels. */
INLINE vf column_max(const float *x, size_t down, int rows, size_t n)
{
    vf top = vf_get(x, n);
    for (int u = 1; u < rows; u++)
        top = vf_max_nan(top, vf_get(x + (size_t)u * down, n));
    return top;
}

/* Of column v, where there is one. */
INLINE vf column_at(const struct kn_pool *p, const float *x, int v, int rows, size_t n)
{
    const size_t C = (size_t)p->C, down = (size_t)p->W * C;
    if (v < 0 || v >= p->W)
        return vf_set(-INFINITY);
    x += (size_t)v * C;
    return rows == 3 ? column_max(x, down, 3, n) : column_max(x, down, rows, n);
}

enum { ABREAST = 4 }; /* vectors: whole lines of memory, and enough to do at once */

/* `vectors` vectors of n <= VF channels of an output row; `stride` is p->stride, a constant. */
INLINE void max_along_row(const struct kn_pool *p, int stride, int rows, int vectors, size_t n,
                          const float *x, float *y)
{
    vf a[ABREAST], b[ABREAST];
    UNROLL for (int k = 0; k < vectors; k++)
    {
        a[k] = column_at(p, x + k * VF, -p->pad, rows, n);
        b[k] = column_at(p, x + k * VF, 1 - p->pad, rows, n);
    }
    for (int j = 0; j < p->OW; j++, y += p->C) {
        const int v = j * stride - p->pad;
        UNROLL for (int k = 0; k < vectors; k++)
        {
            if (stride == 2 && j > 0)
                b[k] = column_at(p, x + k * VF, v + 1, rows, n);
            const vf c = column_at(p, x + k * VF, v + 2, rows, n);
            vf_put(y + k * VF, vf_max_nan(vf_max_nan(a[k], b[k]), c), n);
            if (stride == 2)
                a[k] = c;
            else
                a[k] = b[k];
            b[k] = c;
        }
    }
}

INLINE void max_row_3x3(const struct kn_pool *p, int stride, int i, const float *x, float *y)
{
    const size_t C = (size_t)p->C, down = (size_t)p->W * C, wide = (size_t)ABREAST * VF;
    const struct window w = window_at(p, i, 0);
    const int rows = w.bottom - w.top;
    const float *const next = x + (size_t)w.bottom * down;
    size_t c = 0;
    x += (size_t)w.top * down;
    for (; c + wide <= C; c += wide) {
        ask_for(next, (size_t)stride * down, c / wide, C / wide);
        max_along_row(p, stride, rows, ABREAST, VF, x + c, y + c);
    }
    for (; c + VF <= C; c += VF)
        max_along_row(p, stride, rows, 1, VF, x + c, y + c);
    if (c < C)
        max_along_row(p, stride, rows, 1, C - c, x + c, y + c);
}

static void max_row_3x3_1(const struct kn_pool *p, float scale, int i, const float *x, float *y)
{
    (void)scale;
    max_row_3x3(p, 1, i, x, y);
}

static void max_row_3x3_2(const struct kn_pool *p, float scale, int i, const float *x, float *y)
{
    (void)scale;
    max_row_3x3(p, 2, i, x, y);
}

/* ---- backward ---- */

/* What a walk along an output row sees: three rows of pixels from `row` on (which may be -1), of
 * which [in.top, in.bottom) are in the image, and those above `fresh` were written before. */
struct walk {
    const struct kn_pool *p;
    int row, fresh;
    size_t n; /* channels, at most VF */
    const float *x;
    float *dx; /* of the image, from the first of these channels on */
};

/* Where the pixel `u` rows down and at column v is. */
static inline ptrdiff_t pixel_at(const struct walk *k, int u, int v)
{
    return ((ptrdiff_t)(k->row + u) * k->p->W + v) * k->p->C;
}

/* Gradients of the nine pixels under a window. */
struct under {
    vf d[3][3];
};

/* dy to the first that is not below the maximum, as in pool_f32.c. `in` is what of the window
 * at column `column` is in the image, counted from its corner. */
INLINE void share_out(const struct walk *k, struct window in, int column, vf top, vf left,
                      struct under *g)
{
    const vf zero = vf_set(0.0f);
    UNROLL for (int u = 0; u < 3; u++)
    {
        UNROLL for (int v = 0; v < 3; v++)
        {
            if (u < in.top || u >= in.bottom || v < in.left || v >= in.right)
                continue;
            const vm below = vf_less(vf_get(k->x + pixel_at(k, u, column + v), k->n), top);
            g->d[u][v] += vf_select(below, zero, left);
            left = vf_select(below, left, zero);
        }
    }
}

/* Column v of the window is complete, and at `column` of the image. */
INLINE void flush(const struct walk *k, struct window in, int column, int v, const struct under *g)
{
    if (column < 0 || column >= k->p->W)
        return;
    UNROLL for (int u = 0; u < 3; u++)
    {
        if (u < in.top || u >= in.bottom)
            continue;
        float *const to = k->dx + pixel_at(k, u, column);
        vf sum = g->d[u][v];
        if (u < k->fresh)
            sum += vf_get(to, k->n);
        vf_put(to, sum, k->n);
    }
}

/* The next window's nine pixels: those it shares with this one move, the others begin at 0. */
INLINE void move_on(int stride, struct under *g)
{
    UNROLL for (int u = 0; u < 3; u++)
    {
        UNROLL for (int v = 0; v < 3 - stride; v++) g->d[u][v] = g->d[u][v + stride];
        UNROLL for (int v = 3 - stride; v < 3; v++) g->d[u][v] = vf_set(0.0f);
    }
}

/* Walks along output row i; `stride` is p->stride, a constant. */
INLINE void grad_along_row(const struct walk *k, int stride, const float *y, const float *dy)
{
    static const struct window whole = {0, 3, 0, 3};
    const struct kn_pool *const p = k->p;
    struct window in = {at_least_0(-k->row), at_most(3, p->H - k->row), 0, 3};
    const bool all_rows = in.top == 0 && in.bottom == 3;
    struct under g;
    int column = -p->pad;
    UNROLL for (int u = 0; u < 9; u++) g.d[u / 3][u % 3] = vf_set(0.0f);
    for (int j = 0; j < p->OW; j++, column += stride, y += p->C, dy += p->C) {
        const vf top = vf_get(y, k->n), left = vf_get(dy, k->n);
        in.left = at_least_0(-column);
        in.right = at_most(3, p->W - column);
        if (all_rows && in.left == 0 && in.right == 3)
            share_out(k, whole, column, top, left, &g);
        else
            share_out(k, in, column, top, left, &g);
        UNROLL for (int v = 0; v < stride; v++) flush(k, in, column + v, v, &g);
        move_on(stride, &g);
    }
    for (; column < p->W; column++) { /* what the last window left, then what none saw */
        flush(k, in, column, 0, &g);
        move_on(1, &g);
    }
}

INLINE void max_grad_3x3(const struct kn_pool *p, int stride, const float *x, const float *y,
                         const float *dy, float *dx)
{
    const size_t C = (size_t)p->C, down = (size_t)p->W * C, line = (size_t)p->OW * C;
    int seen = 0; /* rows */
    for (int i = 0; i < p->OH; i++) {
        const int row = i * stride - p->pad;
        struct walk k = {p, row, i ? 3 - stride : 0, VF, x, dx};
        const float *const yi = y + (size_t)i * line, *const dyi = dy + (size_t)i * line;
        const size_t next = (size_t)at_most(row + 3, p->H) * down;
        size_t c = 0;
        for (; c + VF <= C; c += VF, k.x += VF, k.dx += VF) {
            ask_for(x + next, (size_t)stride * down, c / VF, C / VF);
            ask_for(dx + next, (size_t)stride * down, c / VF, C / VF);
            ask_for(yi + line, line, c / VF, C / VF);
            ask_for(dyi + line, line, c / VF, C / VF);
            grad_along_row(&k, stride, yi + c, dyi + c);
        }
        k.n = C - c;
        if (c < C)
            grad_along_row(&k, stride, yi + c, dyi + c);
        seen = at_most(row + 3, p->H);
    }
    memset(dx + (size_t)seen * down, 0, (size_t)(p->H - seen) * down * sizeof *dx);
}

static void max_grad_3x3_1(const struct kn_pool *p, float scale, const float *x, const float *y,
                           const float *dy, float *dx)
{
    (void)scale;
    max_grad_3x3(p, 1, x, y, dy, dx);
}

static void max_grad_3x3_2(const struct kn_pool *p, float scale, const float *x, const float *y,
                           const float *dy, float *dx)
{
    (void)scale;
    max_grad_3x3(p, 2, x, y, dy, dx);
}

#endif
