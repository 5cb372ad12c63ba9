/* kernel_norms.c — batch normalisation's passes for kernel_calls[]: rows C lanes, the activation is
 * the form. Numbers a channel lie in one operand behind each other: a, b, mean, q, s. */
#include <math.h>
#include <string.h>

#include "perf/kernel_products.h"
#include "perf/reference.h"

enum { COEFFICIENTS = 5 };
static const double exact = 1e-37; /* beside rounding: denormals */

static size_t floats_of(const int *d) { return (size_t)d[0] * (size_t)d[1] * (size_t)d[2]; }

static struct kn_norm norm_of(const struct kernel_job *j, const float *numbers)
{
    const char *form = j->c->form;
    const size_t C = (size_t)j->c->d[1];
    return (struct kn_norm){
        .rows = (size_t)j->c->d[0],
        .C = C,
        .lanes = (size_t)j->c->d[2],
        .act = strcmp(form, "relu") == 0   ? KN_ACT_RELU
               : strcmp(form, "silu") == 0 ? KN_ACT_SILU
                                           : KN_ACT_NONE,
        .a = numbers,
        .b = numbers + C,
        .mean = numbers + 2 * C,
        .q = numbers + 3 * C,
        .s = numbers + 4 * C,
    };
}

static void floats_moments(const int *d, size_t n[]) /* x numbers sums */
{
    n[0] = floats_of(d);
    n[1] = COEFFICIENTS * (size_t)d[1];
    n[2] = 2 * (size_t)d[1];
}

static void floats_norm(const int *d, size_t n[]) /* x r numbers y, x dy numbers dx */
{
    n[0] = n[1] = n[3] = floats_of(d);
    n[2] = COEFFICIENTS * (size_t)d[1];
}

static void floats_sums(const int *d, size_t n[]) /* x dy numbers sums */
{
    floats_norm(d, n);
    n[3] = 2 * (size_t)d[1];
}

/* ---- calls ------------------------------------------------------------------ */

static void run_moments(const struct kernel_job *j, const struct crew *crew)
{
    const struct kn_norm k = norm_of(j, j->x[1]);
    (void)crew;
    kn->norm_moments_f32(&k, j->x[0], j->x[2], j->x[2] + k.C);
}

static void run_norm(const struct kernel_job *j, const struct crew *crew)
{
    const struct kn_norm k = norm_of(j, j->x[2]);
    (void)crew;
    kn->norm_f32(&k, j->x[0], j->x[1], j->x[3]);
}

static void run_sums(const struct kernel_job *j, const struct crew *crew)
{
    const struct kn_norm k = norm_of(j, j->x[2]);
    (void)crew;
    kn->norm_sums_f32(&k, j->x[0], j->x[1], j->x[3], j->x[3] + k.C);
}

static void run_grad(const struct kernel_job *j, const struct crew *crew)
{
    const struct kn_norm k = norm_of(j, j->x[2]);
    (void)crew;
    kn->norm_grad_f32(&k, j->x[0], j->x[1], j->x[3]);
}

/* ---- truths ----------------------------------------------------------------- */

static size_t channel_of(const struct kn_norm *k, size_t i) { return i / k->lanes % k->C; }

/* dy act'(a x + b), in double; a z that float may round across 0 gives no truth for relu. */
static double gradient(const struct kn_norm *k, size_t c, double x, double dy, bool *unsure)
{
    const double z = (double)k->a[c] * x + (double)k->b[c];
    *unsure = k->act == KN_ACT_RELU &&
              fabs(z) < 8 * REF_EPS * (fabs(z - (double)k->b[c]) + fabs((double)k->b[c]));
    if (k->act == KN_ACT_RELU)
        return z > 0 ? dy : 0;
    if (k->act != KN_ACT_SILU)
        return dy;
    const double s = ref_sigmoid(z);
    return dy * s * (1 + z * (1 - s));
}

static double want_norm(const struct kernel_job *j, int i_operand, size_t i, double *bound)
{
    const struct kn_norm k = norm_of(j, j->x[2]);
    const size_t c = channel_of(&k, i);
    const double ax = (double)k.a[c] * (double)j->x[0][i];
    const double z = ax + (double)k.b[c] + (double)j->x[1][i];
    (void)i_operand;
    *bound = 16 * REF_EPS * (fabs(ax) + fabs((double)k.b[c]) + fabs((double)j->x[1][i])) + exact;
    return k.act == KN_ACT_RELU ? fmax(z, 0) : k.act == KN_ACT_SILU ? z * ref_sigmoid(z) : z;
}

static double want_grad(const struct kernel_job *j, int i_operand, size_t i, double *bound)
{
    const struct kn_norm k = norm_of(j, j->x[2]);
    const size_t c = channel_of(&k, i);
    const double x = (double)j->x[0][i], dy = (double)j->x[1][i], far = x - (double)k.mean[c];
    bool unsure;
    const double g = gradient(&k, c, x, dy, &unsure), a = (double)k.a[c];
    const double rest = (double)k.q[c] * far + (double)k.s[c];
    (void)i_operand;
    *bound = 16 * REF_EPS * (fabs(a * dy) + fabs((double)k.q[c] * far) + fabs((double)k.s[c])) +
             (unsure ? fabs(a * dy) : 0) + exact;
    return a * g + rest;
}

/* Sum i of [2][C]: plain, then times (x - mean). dy NULL: of x - mean. */
static double channel_sum(const struct kernel_job *j, const struct kn_norm *k, const float *dy,
                          size_t i, double *bound)
{
    const size_t c = i % k->C;
    struct ref_sum s = {0};
    double doubt = 0;
    for (size_t r = 0; r < k->rows; r++)
        for (size_t l = 0; l < k->lanes; l++) {
            const size_t at = (r * k->C + c) * k->lanes + l;
            const double x = (double)j->x[0][at], far = x - (double)k->mean[c];
            bool unsure = false;
            const double g = dy ? gradient(k, c, x, (double)dy[at], &unsure) : far;
            const double factor = i < k->C ? 1 : far;
            s.sum += g * factor;
            s.size += fabs((dy ? (double)dy[at] : far) * factor);
            doubt += dy && unsure ? fabs((double)dy[at] * factor) : 0;
        }
    *bound = (48 + (double)k->rows / 256) * REF_EPS * s.size + doubt + exact;
    return s.sum;
}

static double want_moments(const struct kernel_job *j, int i_operand, size_t i, double *bound)
{
    const struct kn_norm k = norm_of(j, j->x[1]);
    (void)i_operand;
    return channel_sum(j, &k, NULL, i, bound);
}

static double want_sums(const struct kernel_job *j, int i_operand, size_t i, double *bound)
{
    const struct kn_norm k = norm_of(j, j->x[2]);
    (void)i_operand;
    return channel_sum(j, &k, j->x[1], i, bound);
}

#define CHANNEL_DIMS "rows C lanes", "%dx%dx%d"

/* clang-format off */
const struct kernel_call
    call_norm_moments_f32 = {CHANNEL_DIMS, "rrw",  0, floats_moments, 0, run_moments, 0, want_moments, 0, 0},
    call_norm_f32         = {CHANNEL_DIMS, "rrrw", 0, floats_norm,    0, run_norm,    0, want_norm,    0, 0},
    call_norm_sums_f32    = {CHANNEL_DIMS, "rrrw", 0, floats_sums,    0, run_sums,    0, want_sums,    0, 0},
    call_norm_grad_f32    = {CHANNEL_DIMS, "rrrw", 0, floats_norm,    0, run_grad,    0, want_grad,    0, 0};
/* clang-format on */
