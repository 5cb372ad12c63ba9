/* The passes of batch normalisation on every instruction set: against double precision, at shapes
 * and edges that matter, with NaN and in place. */
#include "tests/kernel_test.h"

enum { X, DY, R, Y, W, NUMBERS, SUMS, WIDE };
static const double eps = 0x1p-24;

static const struct shape {
    size_t rows, C, lanes;
} shapes[] = {{0, 5, 1},   {1, 1, 1},    {7, 1, 1},     {129, 3, 1},  {33, 6, 1},  {5, 16, 1},
              {9, 63, 1},  {300, 64, 1}, {515, 100, 1}, {9, 1100, 1}, {4, 130, 1}, {13, 1, 16},
              {11, 3, 16}, {28, 6, 16},  {10, 16, 16},  {3, 17, 16},  {6, 40, 16}};
enum { SHAPES = sizeof shapes / sizeof *shapes };
static const int acts[] = {KN_ACT_NONE, KN_ACT_RELU, KN_ACT_SILU};

static struct kn_norm norm_of(const struct shape *s, int act)
{
    const float *v = edge_noise(NUMBERS, 5 * s->C, 0.3f, 1.5f);
    return (struct kn_norm){.rows = s->rows,
                            .C = s->C,
                            .lanes = s->lanes,
                            .act = act,
                            .a = v,
                            .b = v + s->C,
                            .mean = v + 2 * s->C,
                            .q = v + 3 * s->C,
                            .s = v + 4 * s->C};
}

static size_t floats_of(const struct shape *s) { return s->rows * s->C * s->lanes; }
static size_t channel_of(const struct shape *s, size_t i) { return i / s->lanes % s->C; }

static double act_of(int act, double z)
{
    return act == KN_ACT_RELU ? fmax(z, 0) : act == KN_ACT_SILU ? z / (1 + exp(-z)) : z;
}

static double slope_of(int act, double z)
{
    const double s = 1 / (1 + exp(-z));
    return act == KN_ACT_RELU   ? (isnan(z) ? z : z > 0)
           : act == KN_ACT_SILU ? s * (1 + z * (1 - s))
                                : 1;
}

static double line(const struct kn_norm *k, size_t c, float x)
{
    return (double)k->a[c] * (double)x + (double)k->b[c];
}

/* relu's derivative jumps: noise is kept off the kink. */
static void step_aside(const struct shape *s, const struct kn_norm *k, float *x)
{
    for (size_t i = 0; i < floats_of(s); i++)
        if (fabs(line(k, channel_of(s, i), x[i])) < 1e-3)
            x[i] += 0.1f;
}

static void each_case(void (*check)(const struct shape *s, const struct kn_norm *k))
{
    for (size_t i = 0; i < SHAPES; i++)
        for (size_t a = 0; a < sizeof acts / sizeof *acts; a++) {
            const struct kn_norm k = norm_of(&shapes[i], acts[a]);
            check(&shapes[i], &k);
            seen.guarded &= edges_intact();
        }
}

/* ---- rows apart: columns of a wider matrix ---- */

enum { GAP = 5 };

static size_t row_of(const struct shape *s) { return s->C * s->lanes; }

/* The rows of x with a gap behind each. */
static float *spread_rows(const struct shape *s, const float *x)
{
    const size_t row = row_of(s), ld = row + GAP;
    float *wide = edge_noise(WIDE, s->rows * ld, 7, 8);
    for (size_t i = 0; i < s->rows; i++)
        memcpy(wide + i * ld, x + i * row, row * sizeof *x);
    return wide;
}

static void check_norm_apart(const struct shape *s, const struct kn_norm *k, const float *x,
                             const float *r, const float *y)
{
    const size_t row = row_of(s), ld = row + GAP;
    struct kn_norm apart = *k;
    apart.ld_y = ld;
    float *wide = edge_noise(WIDE, s->rows * ld, 7, 8);
    kn->norm_f32(&apart, x, r, wide);
    bool same = true, gaps = true;
    for (size_t i = 0; i < s->rows; i++) {
        same &= memcmp(wide + i * ld, y + i * row, row * sizeof *y) == 0;
        for (size_t g = row; g < ld; g++)
            gaps &= wide[i * ld + g] >= 7;
    }
    expect_true(same, "the same bits with rows apart");
    expect_true(gaps, "and nothing between them");
}

static void check_norm(const struct shape *s, const struct kn_norm *k)
{
    const size_t n = floats_of(s);
    const float *x = edge_noise(X, n, -2, 2), *r = edge_noise(R, n, -2, 2);
    float *y = edge(Y, n), *in_place = edge_copy(W, n, x);
    kn->norm_f32(k, x, r, y);
    for (size_t i = 0; i < n; i++)
        expect((double)y[i], act_of(k->act, line(k, channel_of(s, i), x[i]) + (double)r[i]),
               64 * eps, n, i);
    check_norm_apart(s, k, x, r, y);
    kn->norm_f32(k, x, NULL, y);
    kn->norm_f32(k, in_place, NULL, in_place);
    for (size_t i = 0; i < n; i++)
        expect((double)y[i], act_of(k->act, line(k, channel_of(s, i), x[i])), 64 * eps, n, i);
    expect_true(n == 0 || memcmp(y, in_place, n * sizeof *y) == 0, "the same in place");
    if (n == 0)
        return;
    in_place[n - 1] = NAN;
    kn->norm_f32(k, in_place, NULL, in_place);
    expect_true(isnan(in_place[n - 1]), "NaN passes");
}

static void check_grad(const struct shape *s, const struct kn_norm *k)
{
    const size_t n = floats_of(s);
    float *x = edge_noise(X, n, -2, 2), *dx = edge(Y, n);
    step_aside(s, k, x);
    const float *dy = edge_noise(DY, n, -2, 2);
    float *in_place = edge_copy(W, n, dy);
    kn->norm_grad_f32(k, x, dy, dx);
    kn->norm_grad_f32(k, x, in_place, in_place);
    for (size_t i = 0; i < n; i++) {
        const size_t c = channel_of(s, i);
        const double g = (double)dy[i] * slope_of(k->act, line(k, c, x[i]));
        const double far = (double)x[i] - (double)k->mean[c];
        expect((double)dx[i], (double)k->a[c] * g + (double)k->q[c] * far + (double)k->s[c],
               256 * eps, n, i);
    }
    expect_true(n == 0 || memcmp(dx, in_place, n * sizeof *dx) == 0, "the same in place");
    struct kn_norm apart = *k;
    apart.ld_dy = row_of(s) + GAP;
    kn->norm_grad_f32(&apart, x, spread_rows(s, dy), in_place);
    expect_true(n == 0 || memcmp(dx, in_place, n * sizeof *dx) == 0,
                "the same with dy's rows apart");
    if (n == 0)
        return;
    x[0] = NAN;
    kn->norm_grad_f32(k, x, dy, dx);
    expect_true(isnan(dx[0]), "NaN passes");
}

/* dy NULL: moments. k->ld_dy has come with dy's rows apart. */
static void check_two_sums(const struct shape *s, const struct kn_norm *k, const float *x,
                           const float *dy)
{
    float *out = edge(SUMS, 2 * s->C);
    if (dy)
        kn->norm_sums_f32(k, x, dy, out, out + s->C);
    else
        kn->norm_moments_f32(k, x, out, out + s->C);
    for (size_t c = 0; c < s->C; c++) {
        double sum[2] = {0}, size[2] = {0};
        for (size_t i = 0; i < floats_of(s); i++) {
            if (channel_of(s, i) != c)
                continue;
            const double far = (double)x[i] - (double)k->mean[c];
            const size_t at = k->ld_dy ? i / row_of(s) * k->ld_dy + i % row_of(s) : i;
            const double g = dy ? (double)dy[at] * slope_of(k->act, line(k, c, x[i])) : far;
            sum[0] += g, size[0] += fabs(g);
            sum[1] += g * far, size[1] += fabs(g * far);
        }
        for (size_t j = 0; j < 2; j++)
            expect((double)out[j * s->C + c], sum[j], (256.0 / 4 + 40) * eps * size[j] + 1e-40,
                   s->rows, c);
    }
}

static void check_sums(const struct shape *s, const struct kn_norm *k)
{
    const size_t n = floats_of(s);
    float *x = edge_noise(X, n, -2, 2);
    step_aside(s, k, x);
    const float *dy = edge_noise(DY, n, -2, 2);
    check_two_sums(s, k, x, dy);
    struct kn_norm apart = *k;
    apart.ld_dy = row_of(s) + GAP;
    check_two_sums(s, &apart, x, spread_rows(s, dy));
    if (n)
        x[n - 1] = NAN;
    check_two_sums(s, k, x, dy);
}

static void check_moments(const struct shape *s, const struct kn_norm *k)
{
    const size_t n = floats_of(s);
    float *x = edge_noise(X, n, -1, 3);
    check_two_sums(s, k, x, NULL);
    if (n)
        x[n - 1] = NAN;
    check_two_sums(s, k, x, NULL);
}

static void test_norm_f32(void) { each_case(check_norm); }
static void test_norm_grad_f32(void) { each_case(check_grad); }
static void test_norm_sums_f32(void) { each_case(check_sums); }
static void test_norm_moments_f32(void) { each_case(check_moments); }

static const struct kernel_test tests[] = {
#define IN_T_NORM(name) {#name, test_##name},
#include "tests/kernel_tests.def"
};

int main(void)
{
    run_kernel_tests(tests, sizeof tests / sizeof *tests);
    return done();
}
