/* kernel_attend.c — attention for kernel_calls[]: N T S A E; form "tanh" has v, "dot" has none. */
#include <float.h>
#include <string.h>

#include "perf/kernel_products.h"
#include "perf/reference_attend.h"

/* forward: v-and-query keys values y alpha; backward: v-query-keys-values y-and-alpha dy dquery,
 * and dkeys-dvalues-dv */
enum { QUERY, KEYS, VALUES, Y, ALPHA };
enum { IN, OUT, DY, DQUERY, SUMS };

static struct kn_attend sizes_of(const struct kernel_case *c)
{
    return (struct kn_attend){
        .N = c->d[0], .T = c->d[1], .S = c->d[2], .A = c->d[3], .E = c->d[4], .scale = 0.125f};
}

static size_t queries(const int *d) { return (size_t)d[0] * (size_t)d[1]; }
static size_t keys(const int *d) { return (size_t)d[0] * (size_t)d[2]; }

static void floats_forward(const int *d, size_t n[])
{
    const size_t A = (size_t)d[3], E = (size_t)d[4];
    n[QUERY] = (queries(d) + 1) * A;
    n[KEYS] = keys(d) * A;
    n[VALUES] = keys(d) * E;
    n[Y] = queries(d) * E;
    n[ALPHA] = queries(d) * (size_t)d[2];
}

static void floats_backward(const int *d, size_t n[])
{
    size_t forward[5];
    const size_t A = (size_t)d[3];
    floats_forward(d, forward);
    n[IN] = forward[QUERY] + forward[KEYS] + forward[VALUES];
    n[OUT] = forward[Y] + forward[ALPHA];
    n[DY] = forward[Y];
    n[DQUERY] = queries(d) * A;
    n[SUMS] = forward[KEYS] + forward[VALUES] + A;
}

static struct kn_attend attend_of(const struct kernel_job *j)
{
    struct kn_attend a = sizes_of(j->c);
    a.v = strcmp(j->c->form, "tanh") == 0 ? j->x[QUERY] : NULL;
    a.query = j->x[QUERY] + a.A;
    a.keys = j->x[KEYS];
    a.values = j->x[VALUES];
    a.y = j->x[Y];
    a.alpha = j->x[ALPHA];
    return a;
}

static struct kn_attend backward_of(const struct kernel_job *j)
{
    const int *const d = j->c->d;
    struct kn_attend a = sizes_of(j->c);
    const size_t A = (size_t)a.A, E = (size_t)a.E;
    a.v = strcmp(j->c->form, "tanh") == 0 ? j->x[IN] : NULL;
    a.query = j->x[IN] + A;
    a.keys = a.query + queries(d) * A;
    a.values = a.keys + keys(d) * A;
    a.y = j->x[OUT];
    a.alpha = a.y + queries(d) * E;
    a.dy = j->x[DY];
    a.dquery = j->x[DQUERY];
    a.dkeys = j->x[SUMS];
    a.dvalues = a.dkeys + keys(d) * A;
    a.dv = a.v ? a.dvalues + keys(d) * E : NULL;
    return a;
}

static size_t work(const struct kernel_case *c, int threads)
{
    static const float v;
    struct kn_attend a = sizes_of(c);
    a.v = strcmp(c->form, "tanh") == 0 ? &v : NULL;
    return kn->attend_work_f32(&a, threads);
}

static double flops_forward(const struct kernel_case *c)
{
    const bool additive = strcmp(c->form, "tanh") == 0;
    return (double)queries(c->d) * c->d[2] * ((additive ? 4.0 : 2.0) * c->d[3] + 5 + 2.0 * c->d[4]);
}

static double flops_backward(const struct kernel_case *c)
{
    const bool additive = strcmp(c->form, "tanh") == 0;
    return (double)queries(c->d) * c->d[2] *
           ((additive ? 10.0 : 4.0) * c->d[3] + 4 + 4.0 * c->d[4]);
}

static void run_forward(const struct kernel_job *j, const struct crew *crew)
{
    const struct kn_attend a = attend_of(j);
    kn->attend_f32(&a, crew);
}

static void prepare_backward(const struct kernel_job *j)
{
    const struct kn_attend a = backward_of(j);
    kn->attend_f32(&a, CREW_ALONE);
}

static void run_backward(const struct kernel_job *j, const struct crew *crew)
{
    const struct kn_attend a = backward_of(j);
    kn->attend_grad_f32(&a, crew, j->work);
}

/* ---- truths ----------------------------------------------------------------- */

static double want_forward(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const struct kn_attend a = attend_of(j);
    const size_t width = (size_t)(k == Y ? a.E : a.S), row = i / width, T = (size_t)a.T;
    struct ref_attend r;
    ref_attend_weights(&a, row / T, row % T, &r);
    if (k == Y)
        return ref_attend_y(&a, &r, row / T, i % width, bound);
    *bound = r.unit * r.alpha[i % width] + (double)FLT_MIN; /* below which floats lose digits */
    return r.alpha[i % width];
}

static double want_backward(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const struct kn_attend a = backward_of(j);
    const size_t A = (size_t)a.A, row = i / A, n = row / (size_t)a.T, t = row % (size_t)a.T;
    struct ref_attend r;
    double want = 0, all = 0, size;
    (void)k;
    ref_attend_weights(&a, n, t, &r);
    ref_attend_slopes(&a, n, t, &r);
    for (size_t key = 0; key < r.count; key++) {
        want += ref_attend_dq(&a, &r, n, t, key, i % A, &size);
        all += size;
    }
    *bound = 2 * r.unit * all;
    return want;
}

/* ---- the table's lines ------------------------------------------------------ */

RUN(attend_work_f32, j->x[0][0] = (float)work(j->c, 1))

#define DIMS "N T S A E", "%dx%dx%dx%dx%d"
const struct kernel_call call_attend_work_f32 = {
    DIMS, "w", 0, floats_sink, 0, run_attend_work_f32, 0, 0, 0, 0};
const struct kernel_call call_attend_f32 = {DIMS,        "rrrww", true,         floats_forward, 0,
                                            run_forward, 0,       want_forward, flops_forward,  0};
const struct kernel_call call_attend_grad_f32 = {
    DIMS,         "rrrws", true,          floats_backward, prepare_backward,
    run_backward, 0,       want_backward, flops_backward,  work};
