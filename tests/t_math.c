/* t_math — e^x, log, tanh, sigmoid and gelu on every instruction set here, against double
 * at floats spread evenly over all bit patterns (denormals, infinities and NaN among
 * them) and over [-20, 20], within the bounds that vec_math.h and gelu_f32.c state;
 * then at every length around a vector, in place, and not one float beyond. */
#include "tests/kernel_test.h"

enum { A, Y, W, ONE, BATCH = 4096 };

struct curve {
    void (*kernel)(size_t n, const float *x, float *y);
    double (*want)(double x);
    double (*bound)(double x, double want);
};

/* The distance between floats around `want`. */
static double ulp(double want)
{
    const int e = want == 0 || isinf(want) ? -126 : ilogb(want);
    return ldexp(1, (e < -126 ? -126 : e) - 23);
}

static void check_points(const struct curve *c, size_t n, const float *x)
{
    float *const y = edge(Y, n);
    c->kernel(n, x, y);
    for (size_t i = 0; i < n; i++) {
        double want = c->want((double)x[i]);
        if (fabs(want) > 0x1.fffffefp127) /* where a float ends */
            want = copysign(INFINITY, want);
        expect((double)y[i], want, c->bound((double)x[i], want), n, i);
    }
    float *const in_place = edge_copy(W, n, x);
    c->kernel(n, in_place, in_place);
    for (size_t i = 0; i < n; i++)
        expect_true(in_place[i] == y[i] || isnan(y[i]), "the same in place");
    seen.guarded &= edges_intact();
}

static void check_curve(const struct curve *c)
{
    const uint64_t stride = is_slow_machine() ? 1048583 : 8209; /* primes */
    uint64_t bits = 0;
    while (bits >> 32 == 0) {
        float *const x = edge(A, BATCH);
        for (size_t i = 0; i < BATCH; i++, bits += stride) {
            const uint32_t low = (uint32_t)bits;
            memcpy(&x[i], &low, sizeof low);
        }
        check_points(c, BATCH, x);
    }
    for (int i = 0; i < (is_slow_machine() ? 4 : 64); i++)
        check_points(c, BATCH, edge_noise(A, BATCH, -20, 20));
    static const float special[] = {0.0f, -0.0f,     INFINITY,        -INFINITY,
                                    NAN,  0x1p-149f, -0x1p-149f,      0x1p-126f,
                                    1.0f, -1.0f,     0x1.fffffep127f, -0x1.fffffep127f};
    const size_t specials = sizeof special / sizeof *special;
    check_points(c, specials, edge_copy(A, specials, special));
    EACH_LENGTH(n, 0)
    check_points(c, n, edge_noise(A, n, 0.1f, 3));
}

static double ulps_1_5(double x, double want) { return (void)x, 1.5 * ulp(want); }

static void test_exp_f32(void) { check_curve(&(struct curve){kn->exp_f32, exp, ulps_1_5}); }

static void test_log_f32(void) { check_curve(&(struct curve){kn->log_f32, log, ulps_1_5}); }

static double tanh_bound(double x, double want) { return (fabs(x) < 0.5 ? 3 : 5) * ulp(want); }
static void plain_tanh(size_t n, const float *x, float *y) { kn->tanh_f32(n, 1, 1, x, y); }

static void test_tanh_f32(void)
{
    check_curve(&(struct curve){plain_tanh, tanh, tanh_bound});
    for (int i = 0; i < 16; i++) { /* never beyond 1, where the derivative would change sign */
        const float *const x = edge_noise(A, BATCH, 7, 11);
        float *const y = edge(Y, BATCH);
        kn->tanh_f32(BATCH, 1, 1, x, y);
        for (size_t k = 0; k < BATCH; k++)
            expect_true(y[k] <= 1 && y[k] > 0.99999f, "tanh is at most 1");
    }
    EACH_LENGTH(n, 0)
    {
        const float *const x = edge_noise(A, n, -4, 4);
        float *const y = edge(Y, n);
        kn->tanh_f32(n, 0.5f, 1.7159f, x, y);
        for (size_t i = 0; i < n; i++) {
            const double want = (double)1.7159f * tanh(0.5 * (double)x[i]);
            expect((double)y[i], want, 6 * ulp(want), n, i);
        }
    }
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double sigmoid_bound(double x, double want) { return x < -87 ? 0x1p-126 : 3 * ulp(want); }
static void test_sigmoid_f32(void)
{
    check_curve(&(struct curve){kn->sigmoid_f32, sigmoid, sigmoid_bound});
}

/* Limits where the formulas say infinity times zero. */
static double gelu(double x) { return x < -40 ? 0 : 0.5 * x * erfc(-x / sqrt(2)); }
static double gelu_bound(double x, double want) { return x < -13 ? 0x1p-122 : 8 * ulp(want); }
static void test_gelu_f32(void) { check_curve(&(struct curve){kn->gelu_f32, gelu, gelu_bound}); }

static double gelu_slope(double x)
{
    const double bell = fabs(x) > 40 ? 0 : x * exp(-x * x / 2) / sqrt(2 * acos(-1));
    return 0.5 * erfc(-x / sqrt(2)) + bell;
}
static double absolute_22(double x, double want) { return (void)x, (void)want, 0x1p-22; }
static const float *ones(size_t n)
{
    float *const one = edge(ONE, n);
    for (size_t i = 0; i < n; i++)
        one[i] = 1;
    return one;
}
static void slope_of_gelu(size_t n, const float *x, float *y)
{
    kn->gelu_grad_f32(n, x, ones(n), y);
}
static void test_gelu_grad_f32(void)
{
    check_curve(&(struct curve){slope_of_gelu, gelu_slope, absolute_22});
    float x[1] = {1}, dy[1] = {NAN};
    kn->gelu_grad_f32(1, x, dy, dy);
    expect_true(isnan(dy[0]), "NaN stays");
}

static double u_of(double x) { return sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x); }
static double gelu_tanh(double x) { return x < -40 ? 0 : x > 40 ? x : x / (1 + exp(-2 * u_of(x))); }
static double gelu_tanh_bound(double x, double want)
{
    return (void)x, 0x1p-22 * fmax(1, isinf(want) ? 1 : fabs(want));
}
static void test_gelu_tanh_f32(void)
{
    check_curve(&(struct curve){kn->gelu_tanh_f32, gelu_tanh, gelu_tanh_bound});
}

static double gelu_tanh_slope(double x)
{
    if (fabs(x) > 40)
        return x > 0;
    const double e = exp(-2 * fabs(u_of(x))), s = (x > 0 ? 1 : e) / (1 + e);
    return s + x * e / (1 + e) / (1 + e) * 2 * sqrt(2 / acos(-1)) * (1 + 3 * 0.044715 * x * x);
}
static double absolute_21(double x, double want) { return (void)x, (void)want, 0x1p-21; }
static void slope_of_gelu_tanh(size_t n, const float *x, float *y)
{
    kn->gelu_tanh_grad_f32(n, x, ones(n), y);
}
static void test_gelu_tanh_grad_f32(void)
{
    check_curve(&(struct curve){slope_of_gelu_tanh, gelu_tanh_slope, absolute_21});
    float x[1] = {1}, dy[1] = {NAN};
    kn->gelu_tanh_grad_f32(1, x, dy, dy);
    expect_true(isnan(dy[0]), "NaN stays");
}

static const struct kernel_test tests[] = {
#define IN_T_MATH(name) {#name, test_##name},
#include "tests/kernel_tests.def"
};

int main(void)
{
    run_kernel_tests(tests, sizeof tests / sizeof *tests);
    return done();
}
