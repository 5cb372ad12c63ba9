/* reference.h — what kernels should compute, written out plainly in double: the oracle of
 * tests/t_*.c and of the residuals that `bench kernels` prints. One element at a time, by the
 * formulas of the kernels' headers; speed is no concern. Bounds stand where the kernels' files
 * promise them. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "kernels/kernels.h"

#define REF_EPS 0x1p-24

static inline double ref_round(double a) { return (double)(float)a; }

/* The distance between floats around `want`. */
static inline double ref_ulp(double want)
{
    const int e = want == 0 || isinf(want) ? -126 : ilogb(want);
    return ldexp(1, (e < -126 ? -126 : e) - 23);
}

/* ---- curves; limits where the formulas say infinity times zero -------------------- */

static inline double ref_pi(void) { return acos(-1); }
static inline double ref_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static inline double ref_gelu(double x) { return x < -40 ? 0 : 0.5 * x * erfc(-x / sqrt(2)); }

static inline double ref_gelu_slope(double x)
{
    const double bell = fabs(x) > 40 ? 0 : x * exp(-x * x / 2) / sqrt(2 * ref_pi());
    return 0.5 * erfc(-x / sqrt(2)) + bell;
}

static inline double ref_gelu_u(double x)
{
    return sqrt(2 / ref_pi()) * (x + 0.044715 * x * x * x);
}

static inline double ref_gelu_tanh(double x)
{
    return x < -40 ? 0 : x > 40 ? x : x / (1 + exp(-2 * ref_gelu_u(x)));
}

static inline double ref_gelu_tanh_slope(double x)
{
    if (fabs(x) > 40)
        return x > 0;
    const double e = exp(-2 * fabs(ref_gelu_u(x))), s = (x > 0 ? 1 : e) / (1 + e);
    return s + x * e / (1 + e) / (1 + e) * 2 * sqrt(2 / ref_pi()) * (1 + 3 * 0.044715 * x * x);
}

static inline double ref_silu(double x) { return x < -800 ? 0 : x / (1 + exp(-x)); }

static inline double ref_silu_slope(double x)
{
    if (fabs(x) > 700)
        return x > 0;
    const double s = ref_sigmoid(x);
    return s * (1 + x / (1 + exp(x)));
}

/* Their bounds, of vec_math.h, gelu_f32.c and silu_f32.c. */
static inline double ref_bound_exp(double x, double want) { return (void)x, 1.5 * ref_ulp(want); }
static inline double ref_bound_tanh(double x, double want)
{
    return (fabs(x) < 0.5 ? 3 : 5) * ref_ulp(want);
}
static inline double ref_bound_sigmoid(double x, double want)
{
    return x < -87 ? 0x1p-126 : 3 * ref_ulp(want);
}
static inline double ref_bound_gelu(double x, double want)
{
    return x < -13 ? 0x1p-122 : 8 * ref_ulp(want);
}
static inline double ref_bound_gelu_slope(double x, double want)
{
    return (void)x, (void)want, 0x1p-22;
}
static inline double ref_bound_gelu_tanh(double x, double want)
{
    return (void)x, 0x1p-22 * fmax(1, isinf(want) ? 1 : fabs(want));
}
static inline double ref_bound_gelu_tanh_slope(double x, double want)
{
    return (void)x, (void)want, 0x1p-21;
}

static inline double ref_bound_silu(double x, double want)
{
    return x < -87 ? 0x1p-119 : 4 * ref_ulp(want);
}
static inline double ref_bound_silu_slope(double x, double want)
{
    return (void)x, (void)want, 0x1p-21;
}

/* log sum e^x over a row; *top gets its largest. */
static inline double ref_log_sum_exp(size_t n, const float *x, double *top)
{
    double others = -1; /* one of them is the top itself */
    *top = -INFINITY;
    for (size_t i = 0; i < n; i++)
        *top = fmax(*top, (double)x[i]);
    for (size_t i = 0; i < n; i++)
        others += exp((double)x[i] - *top);
    return log1p(others) + *top;
}

/* ---- epilogues, gemm.h -------------------------------------------------------------- */

static inline double ref_act(int kind, double inner, double outer, double v)
{
    return kind == KN_ACT_RELU      ? v > 0 || v != v ? v : 0
           : kind == KN_ACT_TANH    ? outer * tanh(inner * v)
           : kind == KN_ACT_SIGMOID ? 1 / (1 + exp(-v))
                                    : v;
}

/* The derivative where the activation's OUTPUT was y. */
static inline double ref_act_grad(int kind, double inner, double outer, double y)
{
    return kind == KN_ACT_RELU      ? y > 0
           : kind == KN_ACT_TANH    ? inner * (outer - y * y / outer)
           : kind == KN_ACT_SIGMOID ? y * (1 - y)
                                    : 1;
}

/* ---- matrix products ------------------------------------------------------------------ */

static inline double ref_entry(const float *m, size_t ld, bool turned, int i, int j)
{
    return turned ? (double)m[(size_t)j * ld + (size_t)i] : (double)m[(size_t)i * ld + (size_t)j];
}

/* Element (i, j) of product n as gemm.h defines it, c0 being C before; *size is one and the
 * sum of the terms' magnitudes, for the bound. */
static inline double ref_gemm(const struct kn_gemm *g, const float *c0, int n, int i, int j,
                              double *size)
{
    const struct kn_epilogue *e = &g->epilogue;
    const float *a = g->a + (size_t)n * g->stride_a, *b = g->b + (size_t)n * g->stride_b;
    const size_t row = (size_t)n * g->stride_c, ldr = e->ld_residual ? e->ld_residual : g->ldc,
                 ldy = e->ld_y ? e->ld_y : g->ldc;
    const double inner = e->inner != 0 ? (double)e->inner : 1,
                 outer = e->outer != 0 ? (double)e->outer : 1;
    double v = 0;
    assert((c0 || !e->accumulate) && (e->y || !e->grad));
    *size = 1;
    for (int k = 0; k < g->K; k++) {
        const double t = ref_entry(a, g->lda, g->ta, i, k) * ref_entry(b, g->ldb, g->tb, k, j);
        v += t;
        *size += fabs(t);
    }
    if (e->accumulate)
        v += (double)c0[row + (size_t)i * g->ldc + (size_t)j];
    if (e->bias)
        v += (double)e->bias[j];
    if (e->residual)
        v += (double)e->residual[row + (size_t)i * ldr + (size_t)j];
    v = ref_act(e->act, inner, outer, v);
    if (e->grad)
        v *= ref_act_grad(e->grad, inner, outer, (double)e->y[row + (size_t)i * ldy + (size_t)j]);
    return v;
}

/* ---- convolution ------------------------------------------------------------------------ */

/* Where element (n, h, w, c) of an [N,H,W,C] tensor lies in the layout of `p`. */
static inline size_t ref_place(const struct kn_conv *p, int n, int h, int w, int c, int H, int W,
                               int C)
{
    const int lanes = p->lanes ? KN_LANES : 1;
    return ((((size_t)(n / lanes) * (size_t)H + (size_t)h) * (size_t)W + (size_t)w) * (size_t)C +
            (size_t)c) *
               (size_t)lanes +
           (size_t)(n % lanes);
}

/* The sum that makes one element of the output of a pass, and what its bound needs. */
struct ref_sum {
    double sum, size; /* of products, and of their magnitudes */
    int terms;
};

static inline void ref_add(struct ref_sum *s, float a, float b)
{
    s->sum += (double)a * (double)b;
    s->size += fabs((double)a * (double)b);
    s->terms++;
}

/* Inputs of one group, and where the weight of output o and input c is. */
static inline int ref_inputs(const struct kn_conv *p) { return p->C / conv_groups(p); }
static inline size_t ref_weight(const struct kn_conv *p, int o, int u, int v, int c)
{
    const int n = ref_inputs(p);
    return (((size_t)o * (size_t)p->KH + (size_t)u) * (size_t)p->KW + (size_t)v) * (size_t)n +
           (size_t)(c % n);
}

static inline bool ref_wired(const struct kn_conv *p, int o, int c)
{
    return !p->mask || p->mask[o * p->C + c];
}

/* y[n,o,i,j] */
static inline struct ref_sum ref_conv_y(const struct kn_conv *p, int n, int i, int j, int o,
                                        const float *x, const float *w)
{
    struct ref_sum s = {0};
    const int inputs = ref_inputs(p), first = o / (p->O / conv_groups(p)) * inputs;
    for (int q = 0; q < p->KH * p->KW * inputs; q++) {
        const int c = first + q % inputs, v = q / inputs % p->KW, u = q / inputs / p->KW;
        const int h = i * p->stride + u - p->pad, k = j * p->stride + v - p->pad;
        if (h >= 0 && h < p->H && k >= 0 && k < p->W && ref_wired(p, o, c))
            ref_add(&s, x[ref_place(p, n, h, k, c, p->H, p->W, p->C)],
                    w[ref_weight(p, o, u, v, c)]);
    }
    return s;
}

/* dx[n,c,h,k]: over all outputs that looked there. */
static inline struct ref_sum ref_conv_dx(const struct kn_conv *p, int n, int h, int k, int c,
                                         const float *dy, const float *w)
{
    struct ref_sum s = {0};
    const int outputs = p->O / conv_groups(p), first = c / ref_inputs(p) * outputs;
    for (int q = 0; q < p->KH * p->KW * outputs; q++) {
        const int o = first + q % outputs, v = q / outputs % p->KW, u = q / outputs / p->KW;
        const int a = h + p->pad - u, b = k + p->pad - v, i = a / p->stride, j = b / p->stride;
        const bool seen = a >= 0 && b >= 0 && a % p->stride == 0 && b % p->stride == 0;
        if (seen && i < p->OH && j < p->OW && ref_wired(p, o, c))
            ref_add(&s, dy[ref_place(p, n, i, j, o, p->OH, p->OW, p->O)],
                    w[ref_weight(p, o, u, v, c)]);
    }
    return s;
}

/* dw[o,u,v,c]: over all images and pixels. */
static inline struct ref_sum ref_conv_dw(const struct kn_conv *p, int o, int u, int v, int c,
                                         const float *x, const float *dy)
{
    struct ref_sum s = {0};
    for (int q = 0; ref_wired(p, o, c) && q < p->N * p->OH * p->OW; q++) {
        const int j = q % p->OW, i = q / p->OW % p->OH, n = q / p->OW / p->OH;
        const int h = i * p->stride + u - p->pad, k = j * p->stride + v - p->pad;
        if (h >= 0 && h < p->H && k >= 0 && k < p->W)
            ref_add(&s, x[ref_place(p, n, h, k, c, p->H, p->W, p->C)],
                    dy[ref_place(p, n, i, j, o, p->OH, p->OW, p->O)]);
    }
    return s;
}

/* Element `at`, in memory order, of the output of a pass; a and b are its operands in the order
 * of conv.h: x and w, dy and w, or x and dy. */
static inline struct ref_sum ref_conv(const struct kn_conv *p, int pass, size_t at, const float *a,
                                      const float *b)
{
    if (pass == CONV_GRAD_WEIGHT) {
        const int n = ref_inputs(p), i = (int)at, v = i / n % p->KW, u = i / n / p->KW % p->KH;
        const int o = i / n / p->KW / p->KH, group = o / (p->O / conv_groups(p));
        return ref_conv_dw(p, o, u, v, group * n + i % n, a, b);
    }
    const bool back = pass == CONV_GRAD_DATA;
    const size_t lanes = p->lanes ? KN_LANES : 1, lane = at % lanes, i = at / lanes;
    const size_t C = (size_t)(back ? p->C : p->O), W = (size_t)(back ? p->W : p->OW),
                 H = (size_t)(back ? p->H : p->OH);
    const int n = (int)(i / C / W / H * lanes + lane), row = (int)(i / C / W % H),
              column = (int)(i / C % W), c = (int)(i % C);
    return back ? ref_conv_dx(p, n, row, column, c, a, b) : ref_conv_y(p, n, row, column, c, a, b);
}

static inline double ref_conv_bound(struct ref_sum s)
{
    return 1.5e-7 * (8 + sqrt(s.terms)) * (1 + s.size);
}

/* ---- pooling ------------------------------------------------------------------------------ */

/* Where element (u, v) of the window of output o is, or -1 outside of the image. */
static inline long ref_pool_at(const struct kn_pool *p, size_t o, int u, int v)
{
    const long C = p->C, c = (long)o % C, j = (long)o / C % p->OW, i = (long)o / C / p->OW % p->OH,
               n = (long)o / C / p->OW / p->OH;
    const long h = i * p->stride + u - p->pad, w = j * p->stride + v - p->pad;
    return h < 0 || h >= p->H || w < 0 || w >= p->W ? -1 : ((n * p->H + h) * p->W + w) * C + c;
}

/* A window as the definitions see it. */
struct ref_window {
    double top, sum, size;
    long first; /* maximum, in row-major order */
};

static inline struct ref_window ref_window(const struct kn_pool *p, const float *x, size_t o)
{
    struct ref_window w = {.first = -1};
    for (int q = 0; q < p->kernel_h * p->kernel_w; q++) {
        const long at = ref_pool_at(p, o, q / p->kernel_w, q % p->kernel_w);
        if (at < 0)
            continue;
        const double v = (double)x[at];
        if (w.first < 0 || v > w.top || (isnan(v) && !isnan(w.top))) {
            w.top = v;
            w.first = at;
        }
        w.sum += v;
        w.size += fabs(v);
    }
    return w;
}

/* What input `at` gets back from the windows that hold it; x: only from those whose first
 * maximum it is (NULL: from all). */
static inline struct ref_sum ref_pool_grad(const struct kn_pool *p, long at, const float *x,
                                           const float *dy)
{
    struct ref_sum s = {0};
    const long C = p->C, c = at % C, w = at / C % p->W, h = at / C / p->W % p->H,
               n = at / C / p->W / p->H;
    for (int q = 0; q < p->kernel_h * p->kernel_w; q++) {
        const long a = h + p->pad - q / p->kernel_w, b = w + p->pad - q % p->kernel_w;
        const long i = a / p->stride, j = b / p->stride;
        if (a < 0 || b < 0 || a % p->stride || b % p->stride || i >= p->OH || j >= p->OW)
            continue;
        const size_t o = (size_t)(((n * p->OH + i) * p->OW + j) * C + c);
        if (!x || ref_window(p, x, o).first == at)
            ref_add(&s, dy[o], 1);
    }
    return s;
}

/* ---- local response normalisation, lrn_f32.c --------------------------------------------- */

/* s[c] of a row. */
static inline double ref_lrn_scale(const struct kn_lrn *o, const float *row, int c)
{
    double sum = 0;
    for (int j = c - o->size / 2; j <= c + (o->size - 1) / 2; j++)
        sum += j >= 0 && j < o->C ? (double)row[j] * (double)row[j] : 0;
    return (double)o->k + (double)o->alpha / o->size * sum;
}

static inline double ref_lrn_error(const struct kn_lrn *o, double s)
{
    return 0x1p-23 * (o->size + 4 + fabs((double)o->beta) * (o->size + 2 * fabs(log(s))));
}

static inline double ref_lrn(const struct kn_lrn *o, const float *row, int c, double *bound)
{
    const double s = ref_lrn_scale(o, row, c), y = (double)row[c] * pow(s, -(double)o->beta);
    *bound = ref_lrn_error(o, s) * fabs(y) + 0x1p-140;
    return y;
}

static inline double ref_lrn_grad(const struct kn_lrn *o, const float *row, const float *dy, int c,
                                  double *bound)
{
    const double beta = (double)o->beta, bend = 2 * beta * (double)o->alpha / o->size;
    double s = ref_lrn_scale(o, row, c), dx = (double)dy[c] * pow(s, -beta);
    *bound = ref_lrn_error(o, s) * fabs(dx) + 0x1p-140;
    for (int i = c - (o->size - 1) / 2; i <= c + o->size / 2; i++) { /* those that c is around */
        if (i < 0 || i >= o->C)
            continue;
        s = ref_lrn_scale(o, row, i);
        const double t = bend * (double)row[c] * (double)dy[i] * (double)row[i] * pow(s, -beta - 1);
        dx -= t;
        *bound += 2 * ref_lrn_error(o, s) * fabs(t);
    }
    return dx;
}

/* ---- random numbers -------------------------------------------------------------------------- */

static inline uint32_t ref_word(uint64_t seed, uint64_t stream, uint64_t i)
{
    const uint64_t block = i / 4;
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream,
                                 (uint32_t)(stream >> 32)};
    uint32_t out[4];
    philox(counter, seed, out);
    return out[i % 4];
}

static inline float ref_unit(uint64_t seed, uint64_t stream, uint64_t i)
{
    return (float)(ref_word(seed, stream, i) >> 8) * 0x1p-24f;
}

/* Box & Muller 1958, from words 2k and 2k + 1. */
static inline double ref_normal(uint64_t seed, uint64_t stream, uint64_t i)
{
    const double u = ((ref_word(seed, stream, i & ~UINT64_C(1)) >> 8) + 1) * 0x1p-24,
                 v = (ref_word(seed, stream, i | 1) >> 8) * 0x1p-24, angle = 2 * ref_pi() * v;
    return sqrt(-2 * log(u)) * (i & 1 ? sin(angle) : cos(angle));
}

#endif
