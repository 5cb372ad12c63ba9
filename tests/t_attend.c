/* t_attend — attention's kernels on every instruction set: against double, at sizes around the
 * vectors, with lengths, additive and dot; the same bits for 1, 2 and 3 threads; NaN; not one float
 * beyond. */
#include "perf/reference_attend.h"
#include "tests/kernel_test.h"

enum { QUERY, KEYS, VALUES, DY, OUT, GRADS, WORK };

static const struct shape {
    int N, T, S, A, E;
    bool lengths, additive, shared; /* shared: the values are the keys */
} shapes[] = {
    {1, 1, 1, 1, 1, false, true, false},     {1, 1, 1, 1, 1, false, false, true},
    {3, 1, 5, 7, 3, false, true, false},     {3, 4, 1, 16, 17, false, true, false},
    {4, 3, 6, 15, 33, true, true, false},    {5, 2, 9, 17, 8, true, false, false},
    {6, 3, 4, 8, 8, true, true, true},       {4, 5, 20, 64, 64, true, false, true},
    {3, 4, 20, 100, 130, true, true, false}, {2, 3, 70, 31, 65, false, false, false},
    {3, 2, 33, 129, 64, false, true, false},
};
enum { SHAPES = sizeof shapes / sizeof *shapes, MOST = 8 };
static int32_t lengths[MOST];

static struct kn_attend attend_of(const struct shape *s)
{
    const size_t N = (size_t)s->N, T = (size_t)s->T, S = (size_t)s->S, A = (size_t)s->A,
                 E = (size_t)s->E;
    struct kn_attend a = {.N = s->N, .T = s->T, .S = s->S, .A = s->A, .E = s->E, .scale = 0.3f};
    const float *const query = edge_noise(QUERY, (N * T + 1) * A, -2, 2);
    float *const out = edge(OUT, N * T * (E + S)),
                 *grads = edge(GRADS, N * (T + S) * A + N * S * E + A);
    for (int n = 0; n < s->N; n++)
        lengths[n] = n * 11 % (s->S + 1); /* 0 first; 11 divides no S + 1 */
    a.query = query + A;
    a.v = s->additive ? query : NULL;
    a.keys = edge_noise(KEYS, N * S * A, -2, 2);
    a.values = s->shared ? a.keys : edge_noise(VALUES, N * S * E, -2, 2);
    a.length = s->lengths ? lengths : NULL;
    a.y = out;
    a.alpha = out + N * T * E;
    a.dy = edge_noise(DY, N * T * E, -2, 2);
    a.dquery = grads;
    a.dkeys = grads + N * T * A;
    a.dvalues = s->shared ? a.dkeys : a.dkeys + N * S * A;
    a.dv = s->additive ? a.dkeys + N * S * (s->shared ? A : A + E) : NULL;
    return a;
}

struct call {
    const struct kn_attend *a;
    void *work;
    bool backward;
};

static void call_on(void *arg, const struct crew *crew)
{
    const struct call *const c = arg;
    if (c->backward)
        kn->attend_grad_f32(c->a, crew, c->work);
    else
        kn->attend_f32(c->a, crew);
}

static void run(const struct kn_attend *a, bool backward, int threads)
{
    struct call c = {a, edge_bytes(WORK, kn->attend_work_f32(a, threads)), backward};
    crew_run(threads, call_on, &c);
}

static void each_shape(void (*check)(const struct shape *s, const struct kn_attend *a))
{
    for (int i = 0; i < SHAPES; i++) {
        const struct kn_attend a = attend_of(&shapes[i]);
        check(&shapes[i], &a);
        seen.guarded &= edges_intact();
    }
}

/* ------------------------------------------------------------------ forward */

static void check_forward(const struct shape *s, const struct kn_attend *a)
{
    const size_t T = (size_t)s->T, S = (size_t)s->S, E = (size_t)s->E;
    run(a, false, 1);
    for (size_t row = 0; row < (size_t)s->N * T; row++) {
        struct ref_attend r;
        ref_attend_weights(a, row / T, row % T, &r);
        for (size_t j = 0; j < S; j++) {
            const double want = j < r.count ? r.alpha[j] : 0;
            expect((double)a->alpha[row * S + j], want, r.unit * want, S, j);
        }
        for (size_t i = 0; i < E; i++) {
            double bound;
            const double want = ref_attend_y(a, &r, row / T, i, &bound);
            expect((double)a->y[row * E + i], want, bound, E, i);
        }
    }
}

static void check_none(void)
{
    const struct kn_attend a = attend_of(&(const struct shape){3, 2, 4, 9, 5, true, true, false});
    lengths[1] = 5;
    lengths[2] = -1;
    run(&a, false, 1);
    for (size_t i = 0; i < 3 * 2 * 5; i++)
        expect_true(i < 2 * 5 ? a.y[i] == 0.0f : isnan(a.y[i]),
                    "no key gives 0, no such length NaN");
    run(&a, true, 1); /* stays inside */
}

static void check_nan(void)
{
    const struct kn_attend a = attend_of(&(const struct shape){2, 1, 4, 9, 5, true, true, false});
    lengths[0] = 2;
    lengths[1] = 4;
    float *const keys = (float *)(uintptr_t)a.keys;
    keys[3 * 9 + 2] = keys[4 * 9] = NAN; /* behind the first sample's end; in the second one */
    run(&a, false, 1);
    for (size_t i = 0; i < 2 * 5; i++)
        expect_true(isnan(a.y[i]) == (i >= 5), "NaN stays, and what is behind the end is not read");
}

static void test_attend_f32(void)
{
    each_shape(check_forward);
    check_none();
    check_nan();
}

/* ------------------------------------------------------------------ backward */

/* Sums over queries of one sample, or of all, and their bounds. */
struct totals {
    double *sum, *bound;
};

static struct totals totals_new(size_t n)
{
    return (struct totals){calloc(n, sizeof(double)), calloc(n, sizeof(double))};
}

static void add(struct totals t, size_t i, double term, double bound)
{
    t.sum[i] += term;
    t.bound[i] += bound;
}

static void expect_totals(struct totals t, size_t n, const float *got)
{
    for (size_t i = 0; i < n; i++)
        expect((double)got[i], t.sum[i], t.bound[i], n, i);
    free(t.sum);
    free(t.bound);
}

/* What query (n, t) adds to everything. */
static void add_query(const struct kn_attend *a, size_t n, size_t t, struct totals dq,
                      struct totals dk, struct totals dx, struct totals dv)
{
    const size_t S = (size_t)a->S, A = (size_t)a->A, E = (size_t)a->E, row = n * (size_t)a->T + t;
    struct ref_attend r;
    ref_attend_weights(a, n, t, &r);
    ref_attend_slopes(a, n, t, &r);
    for (size_t j = 0; j < r.count; j++) {
        for (size_t i = 0; i < A; i++) {
            double size;
            const double g = ref_attend_dq(a, &r, n, t, j, i, &size),
                         q = (double)a->query[row * A + i];
            const double th = ref_attend_tanh(a, n, t, j, i), s = (double)a->scale;
            add(dq, row * A + i, g, 2 * r.unit * size);
            if (a->v)
                add(dk, (n * S + j) * A + i, g, 2 * r.unit * size);
            else
                add(dk, (n * S + j) * A + i, r.de[j] * s * q,
                    2 * r.unit * r.de_size[j] * fabs(s * q));
            add(dv, i, r.de[j] * th, 2 * r.unit * r.de_size[j] * fabs(th));
        }
        for (size_t i = 0; i < E; i++) {
            const double g = r.alpha[j] * (double)a->dy[row * E + i];
            add(dx, (n * S + j) * E + i, g, 2 * r.unit * fabs(g));
        }
    }
}

static void check_backward(const struct shape *s, const struct kn_attend *a)
{
    const size_t N = (size_t)s->N, T = (size_t)s->T, S = (size_t)s->S, A = (size_t)s->A,
                 E = (size_t)s->E;
    const bool shared = s->shared;
    struct totals dq = totals_new(N * T * A), dk = totals_new(N * S * A),
                  dx = shared ? dk : totals_new(N * S * E), dv = totals_new(A);
    run(a, false, 1);
    run(a, true, 1);
    for (size_t row = 0; row < N * T; row++)
        add_query(a, row / T, row % T, dq, dk, dx, dv);
    expect_totals(dq, N * T * A, a->dquery);
    expect_totals(dk, N * S * A, a->dkeys);
    if (!shared)
        expect_totals(dx, N * S * E, a->dvalues);
    if (s->additive)
        expect_totals(dv, A, a->dv);
    else
        free(dv.sum), free(dv.bound);
}

static void check_threads(const struct shape *s, const struct kn_attend *a)
{
    const size_t N = (size_t)s->N, T = (size_t)s->T, S = (size_t)s->S, A = (size_t)s->A,
                 E = (size_t)s->E, outs = N * T * (E + S),
                 grads = N * (T + S) * A + (s->shared ? 0 : N * S * E) + (s->additive ? A : 0);
    float *const first = malloc((outs + grads) * sizeof *first);
    for (int threads = 1; threads <= 3; threads++) {
        run(a, false, threads);
        run(a, true, threads);
        if (threads == 1) {
            memcpy(first, a->y, outs * sizeof *first);
            memcpy(first + outs, a->dquery, grads * sizeof *first);
        }
        expect_true(memcmp(first, a->y, outs * sizeof *first) == 0 &&
                        memcmp(first + outs, a->dquery, grads * sizeof *first) == 0,
                    "the same bits for any number of threads");
    }
    free(first);
}

static void test_attend_grad_f32(void)
{
    each_shape(check_backward);
    each_shape(check_threads);
}

static const struct kernel_test tests[] = {{"attend_f32", test_attend_f32},
                                           {"attend_grad_f32", test_attend_grad_f32}};

int main(void)
{
    run_kernel_tests(tests, sizeof tests / sizeof *tests);
    return done();
}
