/* kernel_calls.c — how each kernel is called, what it should give, and what it costs; one line of
 * kernel_calls[] per line of kernels.def; kernel_products.c has the large ones. The truths and
 * their bounds are those of the tests (reference.h, elementwise.def). */
#include <math.h>
#include <string.h>

#include "perf/kernel_products.h"
#include "perf/reference.h"

/* Exact up to what doubles cannot say. */
static const double exact = 1e-40;

#define UNUSED_JOB (void)j, (void)k, (void)i

/* ---- elementwise: n numbers each ------------------------------------------------------ */

static void floats_1(const int *d, size_t n[]) { n[0] = (size_t)d[0]; }
static void floats_2(const int *d, size_t n[]) { n[0] = n[1] = (size_t)d[0]; }
static void floats_3(const int *d, size_t n[]) { n[0] = n[1] = n[2] = (size_t)d[0]; }
static void floats_4(const int *d, size_t n[]) { n[0] = n[1] = n[2] = n[3] = (size_t)d[0]; }

/* operands 0: y; 1: a, y; 2: a, b, y */
#define MAP(name, operands, arguments, formula, units)                                    \
    static void run_##name(const struct kernel_job *j, const struct crew *crew)           \
    {                                                                                     \
        const size_t n = (size_t)j->c->d[0];                                              \
        const float *const a = j->x[0], *const b = j->x[1];                               \
        float *const y = j->x[operands];                                                  \
        (void)crew, (void)a, (void)b;                                                     \
        kn->name arguments;                                                               \
    }                                                                                     \
    static double want_##name(const struct kernel_job *j, int k, size_t i, double *bound) \
    {                                                                                     \
        const double a = (double)j->x[0][i], b = operands == 2 ? (double)j->x[1][i] : 0;  \
        const double want = (formula);                                                    \
        (void)a, (void)b, (void)k;                                                        \
        *bound = fmax(fabs(want) * REF_EPS * (units), exact);                             \
        return want;                                                                      \
    }
#include "perf/elementwise.def"
#undef MAP

/* y = f(a), or dy f'(a) with a slope: the second operand. */
#define CURVE(name, arguments, formula, limit)                                            \
    static void run_##name(const struct kernel_job *j, const struct crew *crew)           \
    {                                                                                     \
        const size_t n = (size_t)j->c->d[0];                                              \
        const float *const a = j->x[0];                                                   \
        (void)crew;                                                                       \
        kn->name arguments;                                                               \
    }                                                                                     \
    static double want_##name(const struct kernel_job *j, int k, size_t i, double *bound) \
    {                                                                                     \
        const double a = (double)j->x[0][i], b = (double)j->x[1][i], want = (formula);    \
        (void)b, (void)k;                                                                 \
        *bound = (limit);                                                                 \
        return want;                                                                      \
    }
/* clang-format off */
CURVE(exp_f32,            (n, a, j->x[1]),          exp(a),                   ref_bound_exp(a, want))
CURVE(log_f32,            (n, a, j->x[1]),          log(a),                   ref_bound_exp(a, want))
CURVE(tanh_f32, (n, 0.5f, 1.7159f, a, j->x[1]), (double)1.7159f * tanh(0.5 * a), 6 * ref_ulp(want))
CURVE(sigmoid_f32,        (n, a, j->x[1]),          ref_sigmoid(a),           ref_bound_sigmoid(a, want))
CURVE(gelu_f32,           (n, a, j->x[1]),          ref_gelu(a),              ref_bound_gelu(a, want))
CURVE(gelu_grad_f32,      (n, a, j->x[1], j->x[2]), b * ref_gelu_slope(a),    2 * fabs(b) * ref_bound_gelu_slope(a, want))
CURVE(gelu_tanh_f32,      (n, a, j->x[1]),          ref_gelu_tanh(a),         ref_bound_gelu_tanh(a, want))
CURVE(gelu_tanh_grad_f32, (n, a, j->x[1], j->x[2]), b * ref_gelu_tanh_slope(a), 2 * fabs(b) * ref_bound_gelu_tanh_slope(a, want))
CURVE(silu_f32,           (n, a, j->x[1]),          ref_silu(a),              ref_bound_silu(a, want))
CURVE(silu_grad_f32,      (n, a, j->x[1], j->x[2]), b * ref_silu_slope(a),    2 * fabs(b) * ref_bound_silu_slope(a, want))
CURVE(axpy_f32,           (n, -0.75f, a, j->x[1]),  ref_round(b - 0.75 * a),  exact)
/* clang-format on */
#undef CURVE

/* ---- rows of channels -------------------------------------------------------------------- */

static size_t channel_floats(const int *d) { return (size_t)d[0] * (size_t)d[1] * (size_t)d[2]; }
static size_t channel_of(const struct kernel_job *j, size_t i)
{
    return i / (size_t)j->c->d[2] % (size_t)j->c->d[1];
}

static void floats_affine(const int *d, size_t n[]) /* x a b y, or x b y */
{
    n[0] = n[3] = channel_floats(d);
    n[1] = n[2] = (size_t)d[1];
}

static void floats_add_channel(const int *d, size_t n[])
{
    n[0] = n[2] = channel_floats(d);
    n[1] = (size_t)d[1];
}

static void floats_channel_sum(const int *d, size_t n[])
{
    n[0] = channel_floats(d);
    n[1] = (size_t)d[1];
}

static void floats_channel_dot(const int *d, size_t n[])
{
    n[0] = n[1] = channel_floats(d);
    n[2] = (size_t)d[1];
}

#define CHANNELS (size_t) j->c->d[0], (size_t)j->c->d[1], (size_t)j->c->d[2]
RUN(add_channel_f32, kn->add_channel_f32(CHANNELS, j->x[0], j->x[1], j->x[2]))
RUN(affine_channel_f32, kn->affine_channel_f32(CHANNELS, j->x[0], j->x[1], j->x[2], j->x[3]))
RUN(sum_channel_f32, kn->sum_channel_f32(CHANNELS, j->x[0], j->x[1]))
RUN(dot_channel_f32, kn->dot_channel_f32(CHANNELS, j->x[0], j->x[1], j->x[2]))

static double want_add_channel(const struct kernel_job *j, int k, size_t i, double *bound)
{
    (void)k;
    *bound = exact;
    return ref_round((double)j->x[0][i] + (double)j->x[1][channel_of(j, i)]);
}

static double want_affine(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const size_t c = channel_of(j, i);
    (void)k;
    *bound = exact;
    return ref_round((double)j->x[1][c] * (double)j->x[0][i] + (double)j->x[2][c]);
}

static double channel_sum(const struct kernel_job *j, size_t c, const float *dy, double *bound)
{
    const size_t rows = (size_t)j->c->d[0], C = (size_t)j->c->d[1], lanes = (size_t)j->c->d[2];
    struct ref_sum s = {0};
    for (size_t r = 0; r < rows; r++)
        for (size_t l = 0; l < lanes; l++)
            ref_add(&s, j->x[0][(r * C + c) * lanes + l], dy ? dy[(r * C + c) * lanes + l] : 1);
    *bound = (256.0 / 4 + 8 + 2) * REF_EPS * s.size + exact;
    return s.sum;
}

static double want_sum_channel(const struct kernel_job *j, int k, size_t i, double *bound)
{
    (void)k;
    return channel_sum(j, i, NULL, bound);
}

static double want_dot_channel(const struct kernel_job *j, int k, size_t i, double *bound)
{
    (void)k;
    return channel_sum(j, i, j->x[1], bound);
}

/* ---- rows of n numbers, one result each ------------------------------------------------------ */

static void floats_rows_1(const int *d, size_t n[])
{
    n[0] = (size_t)d[0] * (size_t)d[1];
    n[1] = (size_t)d[0];
}

static void floats_rows_2(const int *d, size_t n[])
{
    n[0] = n[1] = (size_t)d[0] * (size_t)d[1];
    n[2] = (size_t)d[0];
}

static size_t label_of(const struct kernel_job *j, size_t row)
{
    return row * 7 % (size_t)j->c->d[1];
}

#define ROWS(name, statement)                                                   \
    static void run_##name(const struct kernel_job *j, const struct crew *crew) \
    {                                                                           \
        const size_t rows = (size_t)j->c->d[0], n = (size_t)j->c->d[1];         \
        (void)crew;                                                             \
        for (size_t r = 0; r < rows; r++)                                       \
            statement;                                                          \
    }
ROWS(sum_f32, j->x[1][r] = kn->sum_f32(n, j->x[0] + r * n))
ROWS(max_f32, j->x[1][r] = kn->max_f32(n, j->x[0] + r * n))
ROWS(argmax_f32, j->x[1][r] = (float)kn->argmax_f32(n, j->x[0] + r * n))
ROWS(sum_squares_f32, j->x[1][r] = (float)kn->sum_squares_f32(n, j->x[0] + r * n))
ROWS(sq_dist_f32, j->x[2][r] = kn->sq_dist_f32(n, j->x[0] + r * n, j->x[1] + r * n))
ROWS(dot_f32, j->x[2][r] = kn->dot_f32(n, j->x[0] + r * n, j->x[1] + r * n))
ROWS(softmax_f32, kn->softmax_f32(n, j->x[0] + r * n, j->x[1] + r * n))
ROWS(softmax_grad_f32, kn->softmax_grad_f32(n, j->x[0] + r * n, j->x[1] + r * n, j->x[2] + r * n))
ROWS(cross_entropy_f32, j->x[1][r] = kn->cross_entropy_f32(n, j->x[0] + r * n, label_of(j, r)))
ROWS(cross_entropy_grad_f32,
     j->x[1][r] = kn->cross_entropy_grad_f32(n, j->x[0] + r * n, label_of(j, r), 0.25f,
                                             j->x[2] + r * n))

static double sum_bound(const struct kernel_job *j, const struct ref_sum *s)
{
    (void)j; /* the blocks of reduce_f32.c, and one rounding to float */
    return (1024.0 / 4 / kn->lanes + 9) * REF_EPS * s->size + exact;
}

#define SUM(name, term_a, term_b)                                                         \
    static double want_##name(const struct kernel_job *j, int k, size_t i, double *bound) \
    {                                                                                     \
        const size_t n = (size_t)j->c->d[1];                                              \
        struct ref_sum s = {0};                                                           \
        (void)k;                                                                          \
        for (size_t e = i * n; e < i * n + n; e++) {                                      \
            const double t = (term_a) * (term_b);                                         \
            s.sum += t;                                                                   \
            s.size += fabs(t);                                                            \
        }                                                                                 \
        *bound = sum_bound(j, &s);                                                        \
        return s.sum;                                                                     \
    }
SUM(sum_f32, (double)j->x[0][e], 1.0)
SUM(sum_squares_f32, (double)j->x[0][e], (double)j->x[0][e])
SUM(sq_dist_f32, (double)j->x[0][e] - (double)j->x[1][e], (double)j->x[0][e] - (double)j->x[1][e])
SUM(dot_f32, (double)j->x[0][e], (double)j->x[1][e])

static double want_argmax(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const size_t n = (size_t)j->c->d[1];
    const float *const x = j->x[0] + i * n;
    size_t best = 0;
    for (size_t e = 1; e < n; e++)
        best = x[e] > x[best] ? e : best;
    (void)k;
    *bound = exact;
    return (double)(float)best;
}

static double want_max(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const size_t at = (size_t)want_argmax(j, k, i, bound);
    return (double)j->x[0][i * (size_t)j->c->d[1] + at];
}

/* ---- softmax and cross entropy ------------------------------------------------------------------
 */

static void floats_softmax(const int *d, size_t n[]) { n[0] = n[1] = (size_t)d[0] * (size_t)d[1]; }
static void floats_cross_entropy_grad(const int *d, size_t n[])
{
    n[0] = n[2] = (size_t)d[0] * (size_t)d[1];
    n[1] = (size_t)d[0];
}
static void floats_softmax_grad(const int *d, size_t n[])
{
    n[0] = n[1] = n[2] = (size_t)d[0] * (size_t)d[1];
}

static double want_softmax(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const size_t n = (size_t)j->c->d[1];
    double top;
    const double all = ref_log_sum_exp(n, j->x[0] + i / n * n, &top), x = (double)j->x[0][i];
    const double want = exp(x - all);
    (void)k;
    *bound = want * (12 + (double)n / kn->lanes + top - x) * REF_EPS;
    return want;
}

static double want_softmax_grad(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const size_t n = (size_t)j->c->d[1], row = i / n * n;
    const double y = (double)j->x[0][i], dy = (double)j->x[1][i];
    struct ref_sum s = {0};
    for (size_t e = row; e < row + n; e++)
        ref_add(&s, j->x[0][e], j->x[1][e]);
    (void)k;
    *bound = fabs(y) * ((double)n / kn->lanes + 8) * 2 * REF_EPS * (fabs(dy) + s.size);
    return y * (dy - s.sum);
}

static double want_cross_entropy(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const size_t n = (size_t)j->c->d[1];
    const float *const x = j->x[0] + i * n;
    double top;
    const double all = ref_log_sum_exp(n, x, &top), l = (double)x[label_of(j, i)];
    (void)k;
    *bound = (4 + (double)n / kn->lanes + top - l) * 2 * REF_EPS;
    return all - l;
}

static double want_cross_entropy_grad(const struct kernel_job *j, int k, size_t i, double *bound)
{
    if (k == 1)
        return want_cross_entropy(j, k, i, bound);
    const size_t n = (size_t)j->c->d[1], row = i / n;
    double top;
    const double all = ref_log_sum_exp(n, j->x[0] + row * n, &top), x = (double)j->x[0][i],
                 e = 0.25 * exp(x - all);
    *bound = (e * (12 + (double)n / kn->lanes + top - x) + 0.25) * REF_EPS;
    return e - 0.25 * (i % n == label_of(j, row));
}

/* ---- pooling: N H W C kernel stride pad; C counts lanes too -------------------------------------
 */

static struct kn_pool pool_of(const int *d)
{
    return (struct kn_pool){.N = d[0],
                            .H = d[1],
                            .W = d[2],
                            .C = d[3],
                            .kernel_h = d[4],
                            .kernel_w = d[4],
                            .stride = d[5],
                            .pad = d[6],
                            .OH = (d[1] + 2 * d[6] - d[4]) / d[5] + 1,
                            .OW = (d[2] + 2 * d[6] - d[4]) / d[5] + 1};
}

static size_t pool_rows(const struct kn_pool *p) { return (size_t)p->N * (size_t)p->OH; }
static size_t pool_in(const int *d) { return (size_t)d[0] * d[1] * d[2] * d[3]; }
static size_t pool_out(const int *d)
{
    const struct kn_pool p = pool_of(d);
    return pool_rows(&p) * (size_t)p.OW * (size_t)p.C;
}

static void floats_pool(const int *d, size_t n[])
{
    n[0] = pool_in(d);
    n[1] = pool_out(d);
}

static void floats_max_pool_grad(const int *d, size_t n[]) /* x y dy dx */
{
    n[0] = n[3] = pool_in(d);
    n[1] = n[2] = pool_out(d);
}

static void floats_sum_pool_grad(const int *d, size_t n[]) /* dy dx */
{
    n[0] = pool_out(d);
    n[1] = pool_in(d);
}

static const float pool_scale = 0.25f;

#define POOL(name, call)                                                        \
    static void run_##name(const struct kernel_job *j, const struct crew *crew) \
    {                                                                           \
        const struct kn_pool p = pool_of(j->c->d);                              \
        const size_t rows = pool_rows(&p), images = (size_t)p.N;                \
        (void)crew, (void)rows, (void)images;                                   \
        call;                                                                   \
    }
POOL(max_pool_f32, kn->max_pool_f32(&p, 0, rows, j->x[0], j->x[1]))
POOL(max_pool_grad_f32, kn->max_pool_grad_f32(&p, 0, images, j->x[0], j->x[1], j->x[2], j->x[3]))
POOL(sum_pool_f32, kn->sum_pool_f32(&p, pool_scale, 0, rows, j->x[0], j->x[1]))
POOL(sum_pool_grad_f32, kn->sum_pool_grad_f32(&p, pool_scale, 0, images, j->x[0], j->x[1]))

/* The backward pass looks for the maximum, so y must be one. */
static void prepare_max_pool_grad(const struct kernel_job *j) { run_max_pool_f32(j, CREW_ALONE); }

static double want_max_pool(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const struct kn_pool p = pool_of(j->c->d);
    (void)k;
    *bound = exact;
    return ref_window(&p, j->x[0], i).top;
}

static double want_sum_pool(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const struct kn_pool p = pool_of(j->c->d);
    const struct ref_window w = ref_window(&p, j->x[0], i);
    (void)k;
    *bound = (double)pool_scale * p.kernel_h * p.kernel_w * REF_EPS * w.size + exact;
    return (double)pool_scale * w.sum;
}

static double pool_grad(const struct kernel_job *j, size_t i, const float *x, const float *dy,
                        double scale, double *bound)
{
    const struct kn_pool p = pool_of(j->c->d);
    const struct ref_sum s = ref_pool_grad(&p, (long)i, x, dy);
    *bound = scale * p.kernel_h * p.kernel_w * REF_EPS * s.size + exact;
    return scale * s.sum;
}

static double want_max_pool_grad(const struct kernel_job *j, int k, size_t i, double *bound)
{
    (void)k;
    return pool_grad(j, i, j->x[0], j->x[2], 1, bound);
}

static double want_sum_pool_grad(const struct kernel_job *j, int k, size_t i, double *bound)
{
    (void)k;
    return pool_grad(j, i, NULL, j->x[0], (double)pool_scale, bound);
}

/* ---- local response normalisation: rows C size, AlexNet's other constants ---------------- */

static struct kn_lrn lrn_of(const int *d)
{
    return (struct kn_lrn){.C = d[1], .size = d[2], .alpha = 5e-4f, .beta = 0.75f, .k = 2};
}

static void floats_lrn(const int *d, size_t n[]) { n[0] = n[1] = (size_t)d[0] * (size_t)d[1]; }
static void floats_lrn_grad(const int *d, size_t n[])
{
    n[0] = n[1] = n[2] = (size_t)d[0] * (size_t)d[1];
}

static void run_lrn_f32(const struct kernel_job *j, const struct crew *crew)
{
    const struct kn_lrn o = lrn_of(j->c->d);
    (void)crew;
    kn->lrn_f32(&o, (size_t)j->c->d[0], j->x[0], j->x[1]);
}

static void run_lrn_grad_f32(const struct kernel_job *j, const struct crew *crew)
{
    const struct kn_lrn o = lrn_of(j->c->d);
    (void)crew;
    kn->lrn_grad_f32(&o, (size_t)j->c->d[0], j->x[0], j->x[1], j->x[2]);
}

static double want_lrn(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const struct kn_lrn o = lrn_of(j->c->d);
    const size_t C = (size_t)o.C;
    (void)k;
    return ref_lrn(&o, j->x[0] + i / C * C, (int)(i % C), bound);
}

static double want_lrn_grad(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const struct kn_lrn o = lrn_of(j->c->d);
    const size_t C = (size_t)o.C, row = i / C * C;
    (void)k;
    return ref_lrn_grad(&o, j->x[0] + row, j->x[1] + row, (int)(i % C), bound);
}

/* ---- layout and input ------------------------------------------------------- */

static void floats_transpose(const int *d, size_t n[])
{
    n[0] = n[1] = (size_t)d[0] * (size_t)d[1] * (size_t)d[2];
}

static void run_transpose_f32(const struct kernel_job *j, const struct crew *crew)
{
    const size_t groups = (size_t)j->c->d[0], rows = (size_t)j->c->d[1], cols = (size_t)j->c->d[2];
    (void)crew;
    for (size_t g = 0; g < groups; g++)
        kn->transpose_f32(rows, cols, j->x[0] + g * rows * cols, cols, j->x[1] + g * rows * cols,
                          rows);
}

static double want_transpose(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const size_t rows = (size_t)j->c->d[1], cols = (size_t)j->c->d[2], at = i % (rows * cols);
    (void)k;
    *bound = exact;
    return (double)j->x[0][i - at + at % rows * cols + at / rows];
}

static void floats_bytes(const int *d, size_t n[])
{
    n[0] = ((size_t)d[0] + 3) / 4;
    n[1] = (size_t)d[0];
}

RUN(u8_to_f32,
    kn->u8_to_f32((size_t)j->c->d[0], 1.0f / 255, -0.5f, (const uint8_t *)j->x[0], j->x[1]))

static double want_u8(const struct kernel_job *j, int k, size_t i, double *bound)
{
    (void)k;
    *bound = exact;
    return ref_round(((const uint8_t *)j->x[0])[i] * (double)(1.0f / 255) - 0.5);
}

/* ---- random numbers ----------------------------------------------------------------------------
 */

enum { SEED = 17, STREAM = 23 };
static const float drop = 0.3f;

RUN(uniform_f32, kn->uniform_f32((size_t)j->c->d[0], 0, SEED, STREAM, -0.3f, 0.7f, j->x[0]))
RUN(normal_f32, kn->normal_f32((size_t)j->c->d[0], 0, SEED, STREAM, 2, 0.5f, j->x[0]))
RUN(dropout_f32, kn->dropout_f32((size_t)j->c->d[0], 0, SEED, STREAM, drop, j->x[0], j->x[1]))

static double want_uniform(const struct kernel_job *j, int k, size_t i, double *bound)
{
    UNUSED_JOB;
    *bound = exact;
    return (double)fmaf(ref_unit(SEED, STREAM, i), 0.7f - -0.3f, -0.3f);
}

static double want_normal(const struct kernel_job *j, int k, size_t i, double *bound)
{
    UNUSED_JOB;
    *bound = 0x1p-20;
    return 2 + 0.5 * ref_normal(SEED, STREAM, i);
}

static double want_dropout(const struct kernel_job *j, int k, size_t i, double *bound)
{
    (void)k;
    *bound = exact;
    return (double)(ref_unit(SEED, STREAM, i) < drop ? 0 * j->x[0][i]
                                                     : 1.0f / (1.0f - drop) * j->x[0][i]);
}

/* ---- optimizers ------------------------------------------------------------- */

static const struct kn_sgd sgd = {1e-3f, 0.9f, 5e-4f, 1, false};
static const struct kn_adam adam = {1e-3f, 0.9f, 0.999f, 1e-8f, 0.01f, 1, 0.19f, 0.002f, false};

RUN(sgd_f32, (void)kn->sgd_f32((size_t)j->c->d[0], &sgd, j->x[0], j->x[1], j->x[2]))
RUN(adam_f32, (void)kn->adam_f32((size_t)j->c->d[0], &adam, j->x[0], j->x[1], j->x[2], j->x[3]))

static double want_sgd(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const double g = (double)j->x[0][i], w = (double)j->x[1][i], v = (double)j->x[2][i];
    const double speed =
        (double)sgd.momentum * v + (double)sgd.clip * g + (double)sgd.weight_decay * w;
    *bound = 16 * REF_EPS;
    return k == 2 ? speed : w - (double)sgd.rate * speed;
}

static double want_adam(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const double w = (double)j->x[1][i], b1 = (double)adam.beta1, b2 = (double)adam.beta2;
    const double d = (double)adam.clip * (double)j->x[0][i] + (double)adam.weight_decay * w;
    const double mean = b1 * (double)j->x[2][i] + (1 - b1) * d;
    const double square = b2 * (double)j->x[3][i] + (1 - b2) * d * d;
    const double size = sqrt(square / (double)adam.correction2) + (double)adam.epsilon;
    *bound = 16 * REF_EPS;
    return k == 1   ? w - (double)adam.rate * mean / (double)adam.correction1 / size
           : k == 2 ? mean
                    : square;
}

/* ---- ceilings --------------------------------------------------------------- */

RUN(peak_f32, (void)kn->peak_f32((size_t)j->c->d[0], j->x[0]))

static const double peak_chains = 12;
static double flops_peak(const struct kernel_case *c)
{
    return 2 * peak_chains * kn->lanes * c->d[0];
}

static double want_peak(const struct kernel_job *j, int k, size_t i, double *bound)
{
    UNUSED_JOB; /* the limit of z <- 0.999 z + 0.001 is 1 in every lane of every chain */
    *bound = 0.01 * peak_chains * kn->lanes;
    return peak_chains * kn->lanes;
}

/* ---- the table -------------------------------------------------------------- */

#define ID(name)        [KERNEL_##name]
#define CALL(...)       (&(const struct kernel_call){__VA_ARGS__})
#define ONE(name)       CALL("n", "%d", "w", 0, floats_1, 0, run_##name, 0, want_##name, 0, 0)
#define TWO(name, role) CALL("n", "%d", role "w", 0, floats_2, 0, run_##name, 0, want_##name, 0, 0)
#define THREE(name, roles) \
    CALL("n", "%d", roles "w", 0, floats_3, 0, run_##name, 0, want_##name, 0, 0)
#define CHANNEL_DIMS "rows C lanes", "%dx%dx%d"
#define POOL_DIMS    "N H W C kernel stride pad", "%dx%dx%dx%d-k%d-s%d-p%d"
#define ROW_DIMS     "rows n", "%dx%d"

/* clang-format off */
const struct kernel_call *const kernel_calls[KERNELS] = {
    ID(fill_f32)            = ONE(fill_f32),
    ID(add_f32)             = THREE(add_f32, "rr"),
    ID(sub_f32)             = THREE(sub_f32, "rr"),
    ID(mul_f32)             = THREE(mul_f32, "rr"),
    ID(scale_f32)           = TWO(scale_f32, "r"),
    ID(offset_f32)          = TWO(offset_f32, "r"),
    ID(axpy_f32)            = CALL("n", "%d", "ru", 0, floats_2, 0, run_axpy_f32, 0, want_axpy_f32, 0, 0),
    ID(relu_f32)            = TWO(relu_f32, "r"),
    ID(relu_grad_f32)       = THREE(relu_grad_f32, "rr"),
    ID(step_f32)            = TWO(step_f32, "r"),
    ID(abs_f32)             = TWO(abs_f32, "r"),
    ID(abs_grad_f32)        = THREE(abs_grad_f32, "rr"),
    ID(sqrt_f32)            = TWO(sqrt_f32, "p"),
    ID(sqrt_grad_f32)       = THREE(sqrt_grad_f32, "pr"),
    ID(exp_f32)             = TWO(exp_f32, "r"),
    ID(log_f32)             = TWO(log_f32, "p"),
    ID(log_grad_f32)        = THREE(log_grad_f32, "pr"),
    ID(tanh_f32)            = TWO(tanh_f32, "r"),
    ID(tanh_grad_f32)       = THREE(tanh_grad_f32, "rr"),
    ID(sigmoid_f32)         = TWO(sigmoid_f32, "r"),
    ID(sigmoid_grad_f32)    = THREE(sigmoid_grad_f32, "rr"),
    ID(gelu_f32)            = TWO(gelu_f32, "r"),
    ID(gelu_grad_f32)       = THREE(gelu_grad_f32, "rr"),
    ID(gelu_tanh_f32)       = TWO(gelu_tanh_f32, "r"),
    ID(gelu_tanh_grad_f32)  = THREE(gelu_tanh_grad_f32, "rr"),
    ID(silu_f32)            = TWO(silu_f32, "r"),
    ID(silu_grad_f32)       = THREE(silu_grad_f32, "rr"),

    ID(add_channel_f32)     = CALL(CHANNEL_DIMS, "rrw",  0, floats_add_channel, 0, run_add_channel_f32,    0, want_add_channel, 0, 0),
    ID(affine_channel_f32)  = CALL(CHANNEL_DIMS, "rrrw", 0, floats_affine,      0, run_affine_channel_f32, 0, want_affine,      0, 0),
    ID(sum_channel_f32)     = CALL(CHANNEL_DIMS, "rw",   0, floats_channel_sum, 0, run_sum_channel_f32,    0, want_sum_channel, 0, 0),
    ID(dot_channel_f32)     = CALL(CHANNEL_DIMS, "rrw",  0, floats_channel_dot, 0, run_dot_channel_f32,    0, want_dot_channel, 0, 0),

    ID(norm_moments_f32)    = &call_norm_moments_f32,
    ID(norm_f32)            = &call_norm_f32,
    ID(norm_sums_f32)       = &call_norm_sums_f32,
    ID(norm_grad_f32)       = &call_norm_grad_f32,

    ID(sum_f32)             = CALL(ROW_DIMS, "rw",  0, floats_rows_1, 0, run_sum_f32,         0, want_sum_f32,         0, 0),
    ID(max_f32)             = CALL(ROW_DIMS, "rw",  0, floats_rows_1, 0, run_max_f32,         0, want_max,             0, 0),
    ID(sum_squares_f32)     = CALL(ROW_DIMS, "rw",  0, floats_rows_1, 0, run_sum_squares_f32, 0, want_sum_squares_f32, 0, 0),
    ID(sq_dist_f32)         = CALL(ROW_DIMS, "rrw", 0, floats_rows_2, 0, run_sq_dist_f32,     0, want_sq_dist_f32,     0, 0),
    ID(dot_f32)             = CALL(ROW_DIMS, "rrw", 0, floats_rows_2, 0, run_dot_f32,         0, want_dot_f32,         0, 0),
    ID(argmax_f32)          = CALL(ROW_DIMS, "rw",  0, floats_rows_1, 0, run_argmax_f32,      0, want_argmax,          0, 0),

    ID(softmax_f32)            = CALL(ROW_DIMS, "rw",  0, floats_softmax,      0, run_softmax_f32,            0, want_softmax,            0, 0),
    ID(softmax_grad_f32)       = CALL(ROW_DIMS, "prw", 0, floats_softmax_grad, 0, run_softmax_grad_f32,       0, want_softmax_grad,       0, 0),
    ID(cross_entropy_f32)      = CALL(ROW_DIMS, "rw",  0, floats_rows_1,       0, run_cross_entropy_f32,      0, want_cross_entropy,      0, 0),
    ID(cross_entropy_grad_f32) = CALL(ROW_DIMS, "rww", 0, floats_cross_entropy_grad, 0, run_cross_entropy_grad_f32, 0, want_cross_entropy_grad, 0, 0),

    ID(max_pool_f32)        = CALL(POOL_DIMS, "rw",   0, floats_pool,          0, run_max_pool_f32,      0, want_max_pool,      0, 0),
    ID(max_pool_grad_f32)   = CALL(POOL_DIMS, "rrrw", 0, floats_max_pool_grad, prepare_max_pool_grad,
                               run_max_pool_grad_f32, 0, want_max_pool_grad, 0, 0),
    ID(sum_pool_f32)        = CALL(POOL_DIMS, "rw",   0, floats_pool,          0, run_sum_pool_f32,      0, want_sum_pool,      0, 0),
    ID(sum_pool_grad_f32)   = CALL(POOL_DIMS, "rw",   0, floats_sum_pool_grad, 0, run_sum_pool_grad_f32, 0, want_sum_pool_grad, 0, 0),

    ID(lrn_f32)             = CALL("rows C size", "%dx%d-n%d", "rw",  0, floats_lrn,      0, run_lrn_f32,      0, want_lrn,      0, 0),
    ID(lrn_grad_f32)        = CALL("rows C size", "%dx%d-n%d", "rrw", 0, floats_lrn_grad, 0, run_lrn_grad_f32, 0, want_lrn_grad, 0, 0),

    ID(transpose_f32)       = CALL("groups rows cols", "%dx%dx%d", "rw", 0, floats_transpose, 0, run_transpose_f32, 0, want_transpose, 0, 0),
    ID(u8_to_f32)           = CALL("n", "%d", "rw", 0, floats_bytes, 0, run_u8_to_f32,   0, want_u8,      0, 0),
    ID(uniform_f32)         = CALL("n", "%d", "w",  0, floats_1,     0, run_uniform_f32, 0, want_uniform, 0, 0),
    ID(normal_f32)          = CALL("n", "%d", "w",  0, floats_1,     0, run_normal_f32,  0, want_normal,  0, 0),
    ID(dropout_f32)         = CALL("n", "%d", "rw", 0, floats_2,     0, run_dropout_f32, 0, want_dropout, 0, 0),
    ID(sgd_f32)             = CALL("n", "%d", "ruu",  0, floats_3,   0, run_sgd_f32,     0, want_sgd,     0, 0),
    ID(adam_f32)            = CALL("n", "%d", "ruuq", 0, floats_4,   0, run_adam_f32,    0, want_adam,    0, 0),

    ID(gemm_work_f32)        = &call_gemm_work_f32,
    ID(gemm_f32)             = &call_gemm_f32,
    ID(gemm_packed_f32)      = &call_gemm_packed_f32,
    ID(gemm_pack_f32)        = &call_gemm_pack_f32,

    ID(conv_work_f32)        = &call_conv_work_f32,
    ID(conv_f32)             = &call_conv_f32,
    ID(conv_grad_data_f32)   = &call_conv_grad_data_f32,
    ID(conv_grad_weight_f32) = &call_conv_grad_weight_f32,

    ID(recurrent_work_f32)   = &call_recurrent_work_f32,
    ID(recurrent_f32)        = &call_recurrent_f32,
    ID(recurrent_grad_f32)   = &call_recurrent_grad_f32,

    ID(attend_work_f32)      = &call_attend_work_f32,
    ID(attend_f32)           = &call_attend_f32,
    ID(attend_grad_f32)      = &call_attend_grad_f32,

    ID(peak_f32)            = CALL("rounds", "%d", "u", 0, floats_sink, 0, run_peak_f32, 0, want_peak, flops_peak, 0),
    ID(triad_f32)           = THREE(triad_f32, "rr"),
};

const char *const kernel_names[KERNELS] = {
#define KERNEL(type, name, params) #name,
#include "kernels/kernels.def"
#undef KERNEL
};
/* clang-format on */
