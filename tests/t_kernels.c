/* t_kernels — the kernels that are arithmetic, sums and layout: each on every instruction
 * set here, at every length around its vectors, against double within the bound its
 * file states, in place, with NaN, and not one float beyond. Functions with a
 * curve to them are in t_math, windows in t_pool, random numbers in t_random. */
#include "perf/reference.h"
#include "tests/kernel_test.h"

static const double eps = REF_EPS;

enum { A, B, Y, W, V, M };

/* ---- elementwise: y[i] = f(a[i], b[i]) ---- */

typedef void map_kernel(size_t n, const float *a, const float *b, float *y);
typedef double map_formula(double a, double b);

static void check_nan(map_kernel *f, int operand)
{
    const size_t n = 2 * (size_t)kn->lanes + 1;
    for (size_t at = 0; at < n; at++) {
        float *const in[2] = {edge_noise(A, n, 0.5f, 1), edge_noise(B, n, 0.5f, 1)};
        in[operand != 0][at] = NAN;
        float *const y = edge(Y, n);
        f(n, in[0], in[1], y);
        for (size_t i = 0; i < n; i++)
            expect_true(isnan(y[i]) == (i == at), "NaN stays, and stays where it is");
    }
}

/* `units` of 2^-24 of relative error; 0 for exact. */
static void check_map(map_kernel *f, map_formula *want, int operands, double units)
{
    EACH_LENGTH(n, 0)
    {
        const float *const a = edge_noise(A, n, -3, 3), *const b = edge_noise(B, n, -2, 2);
        float *const y = edge(Y, n);
        f(n, a, b, y);
        for (size_t i = 0; i < n; i++) {
            const double w = want((double)a[i], (double)b[i]);
            expect((double)y[i], w, fabs(w) * eps * fmax(units, 1e-9), n, i);
        }
        float *const in_place = edge_copy(W, n, a);
        f(n, in_place, b, in_place);
        expect_true(n == 0 || memcmp(in_place, y, n * sizeof *y) == 0, "the same in place");
        seen.guarded &= edges_intact();
    }
    for (int i = 0; i < operands; i++)
        check_nan(f, i);
}

#define MAP(name, operands, arguments, formula, units)                         \
    static void map_##name(size_t n, const float *a, const float *b, float *y) \
    {                                                                          \
        (void)a, (void)b;                                                      \
        kn->name arguments;                                                    \
    }                                                                          \
    static double want_##name(double a, double b)                              \
    {                                                                          \
        (void)a, (void)b;                                                      \
        return formula;                                                        \
    }                                                                          \
    static void test_##name(void) { check_map(map_##name, want_##name, operands, units); }

#include "perf/elementwise.def"

static void
test_peak_f32(void) /* counts what it did, and did it: the limit of z <- 0.999 z + 0.001 is 1 */
{
    float sink = 3;
    const double operations = kn->peak_f32(20000, &sink),
                 chains = operations / 2 / kn->lanes / 20000;
    expect(chains, 12, 1e-9, 0, 0);
    expect((double)sink, chains * kn->lanes, 0.01 * chains * kn->lanes, 0, 0);
}

static void test_axpy_f32(void) /* the one that reads what it writes */
{
    EACH_LENGTH(n, 0)
    {
        const float *const x = edge_noise(A, n, -3, 3), *const before = edge_noise(B, n, -3, 3);
        float *const y = edge_copy(Y, n, before);
        kn->axpy_f32(n, -0.75f, x, y);
        for (size_t i = 0; i < n; i++)
            expect((double)y[i], ref_round((double)before[i] - 0.75 * (double)x[i]), 1e-40, n, i);
        seen.guarded &= edges_intact();
    }
    float x[2] = {NAN, 1}, y[2] = {1, NAN};
    kn->axpy_f32(2, 1, x, y);
    expect_true(isnan(y[0]) && isnan(y[1]), "NaN stays");
}

/* ---- channels ---- */

static const struct channels {
    size_t rows, C, lanes;
} channel_shapes[] = {
    {0, 5, 1},  {1, 1, 1},    {7, 1, 1},   {129, 3, 1},   {33, 6, 1},   {50, 10, 1}, {5, 16, 1},
    {9, 63, 1}, {300, 64, 1}, {3, 65, 1},  {515, 100, 1}, {9, 1100, 1}, {4, 130, 1}, {13, 1, 16},
    {9, 2, 16}, {11, 3, 16},  {28, 6, 16}, {130, 4, 16},  {10, 16, 16}, {3, 17, 16}, {6, 40, 16}};
enum { CHANNEL_SHAPES = sizeof channel_shapes / sizeof *channel_shapes };

static void check_affine(bool with_a)
{
    for (size_t s = 0; s < CHANNEL_SHAPES; s++) {
        const size_t rows = channel_shapes[s].rows, C = channel_shapes[s].C,
                     lanes = channel_shapes[s].lanes, n = rows * C * lanes;
        const float *const x = edge_noise(A, n, -2, 2), *const a = edge_noise(B, C, -2, 2),
                           *const b = edge_noise(V, C, -2, 2);
        float *const y = edge(Y, n), *const in_place = edge_copy(W, n, x);
        if (with_a) {
            kn->affine_channel_f32(rows, C, lanes, x, a, b, y);
            kn->affine_channel_f32(rows, C, lanes, in_place, a, b, in_place);
        } else {
            kn->add_channel_f32(rows, C, lanes, x, b, y);
            kn->add_channel_f32(rows, C, lanes, in_place, b, in_place);
        }
        for (size_t i = 0; i < n; i++) {
            const size_t c = i / lanes % C;
            const double factor = with_a ? (double)a[c] : 1;
            expect((double)y[i], ref_round(factor * (double)x[i] + (double)b[c]), 1e-40, s, i);
        }
        expect_true(n == 0 || memcmp(y, in_place, n * sizeof *y) == 0, "the same in place");
        seen.guarded &= edges_intact();
    }
}

static void check_without_b(void)
{
    float x[6] = {1, 2, 3, 4, 5, 6}, a[3] = {2, 3, 4};
    kn->affine_channel_f32(2, 3, 1, x, a, NULL, x);
    for (size_t i = 0; i < 6; i++)
        expect((double)x[i], (double)((float)(i + 1) * a[i % 3]), 1e-40, 6, i);
}

static void test_add_channel_f32(void) { check_affine(false); }
static void test_affine_channel_f32(void)
{
    check_affine(true);
    check_without_b();
}

static void check_channel_sum(struct channels s, const float *x, const float *dy)
{
    float *const out = edge(Y, s.C);
    if (dy)
        kn->dot_channel_f32(s.rows, s.C, s.lanes, x, dy, out);
    else
        kn->sum_channel_f32(s.rows, s.C, s.lanes, x, out);
    for (size_t c = 0; c < s.C; c++) {
        double sum = 0, size = 0;
        for (size_t r = 0; r < s.rows; r++)
            for (size_t l = 0; l < s.lanes; l++) {
                const size_t i = (r * s.C + c) * s.lanes + l;
                const double t = (double)x[i] * (dy ? (double)dy[i] : 1);
                sum += t;
                size += fabs(t);
            }
        expect((double)out[c], sum, (256.0 / 4 + 8 + 2) * eps * size + 1e-40, s.rows, c);
    }
    seen.guarded &= edges_intact();
}

static void check_channel_sums(bool with_dy)
{
    for (size_t i = 0; i < CHANNEL_SHAPES; i++) {
        const struct channels s = channel_shapes[i];
        const size_t n = s.rows * s.C * s.lanes;
        float *const x = edge_noise(A, n, -1, 3), *const dy = edge_noise(B, n, -1, 3);
        check_channel_sum(s, x, with_dy ? dy : NULL);
        if (n)
            x[n - 1] = NAN;
        check_channel_sum(s, x, with_dy ? dy : NULL);
    }
}

static void test_sum_channel_f32(void) { check_channel_sums(false); }
static void test_dot_channel_f32(void) { check_channel_sums(true); }

/* ---- reductions ---- */

static double term_sum(double a, double b) { return a + 0 * b; }
static double term_square(double a, double b) { return a * a + 0 * b; }
static double term_distance(double a, double b) { return (a - b) * (a - b); }
static double term_dot(double a, double b) { return a * b; }
static double call_sum(size_t n, const float *a, const float *b)
{
    return (void)b, (double)kn->sum_f32(n, a);
}
static double call_square(size_t n, const float *a, const float *b)
{
    return (void)b, kn->sum_squares_f32(n, a);
}
static double call_distance(size_t n, const float *a, const float *b)
{
    return (double)kn->sq_dist_f32(n, a, b);
}
static double call_dot(size_t n, const float *a, const float *b)
{
    return (double)kn->dot_f32(n, a, b);
}

static void check_sum(double (*call)(size_t, const float *, const float *), map_formula *term)
{
    EACH_LENGTH(n, 0)
    {
        float *const a = edge_noise(A, n, -1, 3);
        const float *const b = edge_noise(B, n, -1, 3);
        double sum = 0, size = 0;
        for (size_t i = 0; i < n; i++) {
            sum += term((double)a[i], (double)b[i]);
            size += fabs(term((double)a[i], (double)b[i]));
        }
        expect(call(n, a, b), sum, (1024.0 / 4 / kn->lanes + 8) * eps * size + 1e-40, n, 0);
        if (n) {
            a[n - 1] = NAN;
            expect_true(isnan(call(n, a, b)), "NaN stays");
        }
    }
}

static void test_sum_f32(void) { check_sum(call_sum, term_sum); }
static void test_sq_dist_f32(void) { check_sum(call_distance, term_distance); }
static void test_dot_f32(void) { check_sum(call_dot, term_dot); }

static void test_sum_squares_f32(void)
{
    check_sum(call_square, term_square);
    const float large[3] = {3e30f, -4e30f, 0}, small[2] = {3e-30f, 4e-30f};
    expect(kn->sum_squares_f32(3, large), 25e60, 25e60 * 4 * eps, 3, 0);
    expect(kn->sum_squares_f32(2, small), 25e-60, 25e-60 * 4 * eps, 2, 0);
    expect_true(isinf(kn->sum_squares_f32(1, (const float[]){-INFINITY})), "infinity stays");
}

static void test_max_f32(void)
{
    expect((double)kn->max_f32(0, NULL), -INFINITY, 1, 0, 0);
    EACH_LENGTH(n, 1)
    {
        float *const x = edge_noise(A, n, -9, -1);
        for (size_t at = 0; at<n; at += n> 100 ? 97 : 1) {
            const float before = x[at];
            x[at] = -0.5f;
            expect((double)kn->max_f32(n, x), -0.5, 1e-40, n, at);
            x[at] = NAN;
            expect_true(isnan(kn->max_f32(n, x)), "NaN stays");
            x[at] = before;
        }
    }
}

static void test_argmax_f32(void)
{
    EACH_LENGTH(n, 1)
    {
        float *const x = edge_noise(A, n, -9, -1);
        for (size_t at = 0; at<n; at += n> 100 ? 97 : 1) {
            const float before = x[at], last = x[n - 1];
            x[n - 1] = x[at] = -0.5f;
            expect((double)kn->argmax_f32(n, x), (double)at, 1e-9, n, at);
            if (at > 0)
                x[0] = NAN;
            expect((double)kn->argmax_f32(n, x), (double)at, 1e-9, n, at);
            x[0] = -5;
            x[n - 1] = last;
            x[at] = before;
        }
    }
    const float nans[3] = {NAN, NAN, NAN}, lowest[3] = {NAN, -INFINITY, NAN};
    expect((double)kn->argmax_f32(3, nans), 0, 1e-9, 3, 0);
    expect((double)kn->argmax_f32(3, lowest), 1, 1e-9, 3, 1);
}

/* ---- rows of scores ---- */

static void test_softmax_f32(void)
{
    EACH_LENGTH(n, 1)
    {
        float *const x = edge_noise(A, n, -10, 10), *const y = edge(Y, n);
        kn->softmax_f32(n, x, y);
        double top;
        const double all = ref_log_sum_exp(n, x, &top), terms = 12 + (double)n / kn->lanes;
        for (size_t i = 0; i < n; i++) {
            const double want = exp((double)x[i] - all);
            expect((double)y[i], want, want * (terms + top - (double)x[i]) * eps, n, i);
        }
        float *const in_place = edge_copy(W, n, x);
        kn->softmax_f32(n, in_place, in_place);
        expect_true(memcmp(y, in_place, n * sizeof *y) == 0, "the same in place");
        x[n / 2] = NAN;
        kn->softmax_f32(n, x, y);
        for (size_t i = 0; i < n; i++)
            expect_true(isnan(y[i]), "NaN in the row is NaN everywhere");
        seen.guarded &= edges_intact();
    }
    float x[2] = {1e30f, -1e30f};
    kn->softmax_f32(2, x, x);
    expect_true(x[0] == 1 && x[1] == 0, "huge scores do not overflow");
}

static void test_softmax_grad_f32(void)
{
    EACH_LENGTH(n, 1)
    {
        const float *const y = edge_noise(A, n, 0, 2 / (float)n);
        float *const dy = edge_noise(B, n, -1, 1), *const dx = edge(Y, n);
        kn->softmax_grad_f32(n, y, dy, dx);
        double mean = 0;
        for (size_t i = 0; i < n; i++)
            mean += (double)y[i] * (double)dy[i];
        for (size_t i = 0; i < n; i++)
            expect((double)dx[i], (double)y[i] * ((double)dy[i] - mean),
                   (double)y[i] * ((double)n / kn->lanes + 8) * 2 * eps, n, i);
        kn->softmax_grad_f32(n, y, dy, dy);
        expect_true(memcmp(dx, dy, n * sizeof *dx) == 0, "the same in place");
        seen.guarded &= edges_intact();
    }
    float y[2] = {0.5f, 0.5f}, dy[2] = {NAN, 1};
    kn->softmax_grad_f32(2, y, dy, dy);
    expect_true(isnan(dy[0]) && isnan(dy[1]), "NaN stays");
}

/* A row of several blocks, in which one or more hold nothing. */
static void check_cross_entropy_of_blocks(void)
{
    enum { LONG = 3000 };
    float *const x = edge(A, LONG);
    for (size_t i = 0; i < LONG; i++)
        x[i] = -INFINITY;
    expect_true(isnan(kn->cross_entropy_f32(LONG, x, 0)), "-inf alone gives NaN");
    x[2000] = 5;
    expect_true(kn->cross_entropy_f32(LONG, x, 2000) == 0, "one score among -inf is sure");
    x[7] = NAN;
    expect_true(isnan(kn->cross_entropy_f32(LONG, x, 2000)), "NaN among -inf stays");
    x[7] = INFINITY;
    expect_true(isnan(kn->cross_entropy_f32(LONG, x, 2000)), "+inf gives NaN");
    for (size_t i = 0; i < LONG; i++)
        x[i] = -3e38f + 1e35f * (float)i;
    expect_true(kn->cross_entropy_f32(LONG, x, LONG - 1) == 0,
                "blocks far below the last one vanish");
}

static void test_cross_entropy_f32(void)
{
    EACH_LENGTH(n, 1)
    {
        float *const x = edge_noise(A, n, -10, 10);
        for (size_t label = 0; label<n; label += n> 100 ? 97 : 1) {
            double top;
            const double all = ref_log_sum_exp(n, x, &top), l = (double)x[label];
            expect((double)kn->cross_entropy_f32(n, x, label), all - l,
                   (4 + (double)n / kn->lanes + top - l) * 2 * eps, n, label);
        }
        x[n - 1] = NAN;
        expect_true(isnan(kn->cross_entropy_f32(n, x, 0)), "NaN stays");
    }
    const float huge[3] = {3e38f, 0, -3e38f};
    expect_true(kn->cross_entropy_f32(3, huge, 0) == 0, "huge scores do not overflow");
    check_cross_entropy_of_blocks();
}

static void test_cross_entropy_grad_f32(void)
{
    EACH_LENGTH(n, 1)
    {
        float *const x = edge_noise(A, n, -10, 10), *const dx = edge(Y, n);
        for (size_t label = 0; label<n; label += n> 100 ? 997 : 1) {
            const float loss = kn->cross_entropy_grad_f32(n, x, label, 0.25f, dx);
            double top;
            const double all = ref_log_sum_exp(n, x, &top), l = (double)x[label];
            expect((double)loss, all - l, (4 + (double)n / kn->lanes + top - l) * 2 * eps, n,
                   label);
            for (size_t i = 0; i < n; i++)
                expect((double)dx[i], 0.25 * (exp((double)x[i] - all) - (i == label)),
                       0.25 * 0x1p-20, n, i);
        }
        seen.guarded &= edges_intact();
        float *const in_place = edge_copy(W, n, x);
        (void)kn->cross_entropy_grad_f32(n, x, n - 1, 0.25f, dx);
        (void)kn->cross_entropy_grad_f32(n, in_place, n - 1, 0.25f, in_place);
        expect_true(memcmp(dx, in_place, n * sizeof *dx) == 0, "the same in place");
        x[0] = NAN;
        expect_true(isnan(kn->cross_entropy_grad_f32(n, x, n - 1, 1, x)), "NaN stays");
        for (size_t i = 0; i < n; i++)
            expect_true(isnan(x[i]), "NaN in the row is NaN everywhere");
    }
}

/* ---- local response normalisation ---- */

/* Even and odd windows, also wider than the row; channels around vectors and tiles. */
static const struct kn_lrn lrns[] = {{96, 5, 5e-4f, 0.75f, 2},   {1, 5, 1, 0.75f, 1},
                                     {3, 9, 0.5f, 0.75f, 1},     {17, 1, 2, 0.5f, 0.1f},
                                     {33, 4, 3, 1.25f, 0.01f},   {64, 32, 1, 0.75f, 1},
                                     {511, 5, 2, 0.75f, 1},      {513, 31, 2, 1, 0.5f},
                                     {1100, 5, 1, 0.75f, 1e-3f}, {2, 2, 1e4f, 0.75f, 1}};

static void check_lrn(const struct kn_lrn *o, bool backward)
{
    enum { ROWS = 3 };
    const size_t C = (size_t)o->C, n = ROWS * C;
    float *const x = edge_noise(A, n, -2, 2);
    const float *const dy = edge_noise(B, n, -1, 1);
    for (int nan = 0; nan < 2; nan++) {
        float *const y = edge(Y, n);
        x[n / 2] = nan ? NAN : x[n / 2];
        if (backward)
            kn->lrn_grad_f32(o, ROWS, x, dy, y);
        else
            kn->lrn_f32(o, ROWS, x, y);
        for (size_t i = 0; i < n; i++) {
            const size_t row = i / C * C;
            double bound = 0, want = backward
                                         ? ref_lrn_grad(o, x + row, dy + row, (int)(i % C), &bound)
                                         : ref_lrn(o, x + row, (int)(i % C), &bound);
            expect((double)y[i], want, bound, C, i);
        }
        seen.guarded &= edges_intact();
    }
}

static void test_lrn_f32(void)
{
    for (size_t i = 0; i < sizeof lrns / sizeof *lrns; i++)
        check_lrn(&lrns[i], false);
}

static void test_lrn_grad_f32(void)
{
    for (size_t i = 0; i < sizeof lrns / sizeof *lrns; i++)
        check_lrn(&lrns[i], true);
}

/* ---- layout and input ---- */

static void check_transpose(size_t rows, size_t cols, size_t ldx, size_t ldy)
{
    const size_t nx = rows ? (rows - 1) * ldx + cols : 0, ny = cols ? (cols - 1) * ldy + rows : 0;
    const float *const x = edge_noise(A, nx, -1, 1);
    float *const y = edge(Y, ny);
    kn->transpose_f32(rows, cols, x, ldx, y, ldy);
    for (size_t j = 0; j < cols; j++)
        for (size_t i = 0; i < ldy && j * ldy + i < ny; i++)
            expect((double)y[j * ldy + i], i < rows ? (double)x[i * ldx + j] : NAN, 1e-40,
                   rows * 1000 + cols, j * ldy + i);
    seen.guarded &= edges_intact();
}

static void test_transpose_f32(void)
{
    const size_t around = 2 * (size_t)kn->lanes + 1;
    for (size_t rows = 1; rows <= around; rows++)
        for (size_t cols = 1; cols <= around; cols++)
            check_transpose(rows, cols, cols + rows % 3, rows + cols % 2);
    check_transpose(16, 784, 784, 16);
    check_transpose(784, 16, 16, 784);
    check_transpose(100, 75, 80, 101);
}

static void test_u8_to_f32(void)
{
    EACH_LENGTH(n, 0)
    {
        uint8_t *const x = edge_bytes(A, n);
        float *const y = edge(Y, n);
        for (size_t i = 0; i < n; i++)
            x[i] = (uint8_t)(i * 89 + n);
        kn->u8_to_f32(n, 1.0f / 255, -0.5f, x, y);
        for (size_t i = 0; i < n; i++)
            expect((double)y[i], ref_round(x[i] * (double)(1.0f / 255) - 0.5), 1e-40, n, i);
        seen.guarded &= edges_intact();
    }
}

/* ---- optimizers ---- */

static void check_sgd(const struct kn_sgd *o, size_t n)
{
    const float *const g = edge_noise(A, n, -2, 2), *const w0 = edge_noise(B, n, -2, 2),
                       *const v0 = edge_noise(M, n, -2, 2);
    float *const w = edge_copy(W, n, w0), *const v = o->momentum > 0 ? edge_copy(V, n, v0) : NULL;
    expect((double)kn->sgd_f32(n, o, g, w, v), 0, 1e-40, n, 0);
    for (size_t i = 0; i < n; i++) {
        const double m = (double)o->momentum;
        const double d = (double)o->clip * (double)g[i] + (double)o->weight_decay * (double)w0[i];
        const double speed = m * (v ? (double)v0[i] : 0) + d;
        const double step = (double)o->rate * (o->nesterov ? d + m * speed : speed);
        expect((double)w[i], (double)w0[i] - step, 16 * eps, n, i);
        if (v)
            expect((double)v[i], speed, 16 * eps, n, i);
    }
    seen.guarded &= edges_intact();
}

static void test_sgd_f32(void)
{
    static const struct kn_sgd kinds[] = {{.rate = 0.1f, .clip = 1},
                                          {.rate = 0.1f, .clip = 0.5f, .weight_decay = 0.01f},
                                          {0.1f, 0.9f, 0.01f, 0.5f, false},
                                          {0.1f, 0.9f, 0.01f, 0.5f, true}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        EACH_LENGTH(n, 0)
    check_sgd(&kinds[k], n);
    float w[3] = {1, 1, 1}, v[3] = {0}, g[3] = {0, 0, 0};
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (int i = 0; i < 3; i++) {
            g[2] = bad[i];
            expect_true(isnan(kn->sgd_f32(3, &kinds[k], g, w, v)), "a bad gradient is told");
        }
    expect_true(!isfinite(w[2]) && isfinite(w[0]), "and seen where it was");
}

static void check_adam(const struct kn_adam *o, size_t n)
{
    const float *const g = edge_noise(A, n, -2, 2), *const w0 = edge_noise(B, n, -2, 2);
    const float *const m0 = edge_noise(5, n, -1, 1), *const v0 = edge_noise(6, n, 0, 1);
    float *const w = edge_copy(W, n, w0), *const m = edge_copy(V, n, m0),
                 *const v = edge_copy(Y, n, v0);
    expect((double)kn->adam_f32(n, o, g, w, m, v), 0, 1e-40, n, 0);
    const double rate = (double)o->rate, decay = (double)o->weight_decay, b1 = (double)o->beta1,
                 b2 = (double)o->beta2;
    for (size_t i = 0; i < n; i++) {
        const double old = (double)w0[i] * (o->decoupled ? 1 - rate * decay : 1);
        const double d =
            (double)o->clip * (double)g[i] + (o->decoupled ? 0 : decay * (double)w0[i]);
        const double mean = b1 * (double)m0[i] + (1 - b1) * d;
        const double square = b2 * (double)v0[i] + (1 - b2) * d * d;
        const double size = sqrt(square / (double)o->correction2) + (double)o->epsilon;
        expect((double)w[i], old - rate * mean / (double)o->correction1 / size, 16 * eps, n, i);
        expect((double)m[i], mean, 16 * eps, n, i);
        expect((double)v[i], square, 16 * eps, n, i);
    }
    seen.guarded &= edges_intact();
}

static void test_adam_f32(void)
{
    struct kn_adam o = {.rate = 0.01f, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-3f};
    o.weight_decay = 0.1f;
    o.clip = 0.5f;
    o.correction1 = 0.19f;
    o.correction2 = 0.002f;
    EACH_LENGTH(n, 0)
    check_adam(&o, n);
    o.decoupled = true;
    EACH_LENGTH(n, 0)
    check_adam(&o, n);
    float w[2] = {1, 1}, m[2] = {0}, v[2] = {0}, g[2] = {1, INFINITY};
    expect_true(isnan(kn->adam_f32(2, &o, g, w, m, v)), "a bad gradient is told");
    g[1] = NAN;
    expect_true(isnan(kn->adam_f32(2, &o, g, w, m, v)) && isnan(w[1]), "and seen where it was");
    expect_true(isfinite(w[0]), "and only there");
}

/* ---- all of them ---- */

static const struct kernel_test tests[] = {
#define IN_T_KERNELS(name) {#name, test_##name},
#include "tests/kernel_tests.def"
};

static const char *const covered[] = {
#define NAME(name)         #name,
#define IN_T_KERNELS(name) NAME(name)
#define IN_T_MATH(name)    NAME(name)
#define IN_T_POOL(name)    NAME(name)
#define IN_T_RANDOM(name)  NAME(name)
#define IN_T_NORM(name)    NAME(name)
#define ELSEWHERE(name)    NAME(name)
#include "tests/kernel_tests.def"
};

static const char *const kernels[] = {
#define KERNEL(type, name, params) #name,
#include "kernels/kernels.def"
#undef KERNEL
};

static void check_coverage(void)
{
    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
        int times = 0;
        for (size_t i = 0; i < sizeof covered / sizeof *covered; i++)
            times += strcmp(covered[i], kernels[k]) == 0;
        if (times != 1)
            ok(false, "%s is tested in %d places", kernels[k], times);
    }
    ok(sizeof covered == sizeof kernels, "every kernel has a test");
}

int main(void)
{
    check_coverage();
    run_kernel_tests(tests, sizeof tests / sizeof *tests);
    return done();
}
