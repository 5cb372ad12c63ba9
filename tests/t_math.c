/* t_math — e^x, log, tanh, sigmoid, gelu and silu on every instruction set here, against double
 * at floats spread evenly over all bit patterns (denormals, infinities and NaN among
 * them) and over [-20, 20], within the bounds that vec_math.h, gelu_f32.c and silu_f32.c state;
 * then at every length around a vector, in place, and not one float beyond. */
#include "perf/reference.h"
#include "tests/kernel_test.h"

enum { A, Y, W, ONE, BATCH = 4096 };

struct curve {
    void (*kernel)(size_t n, const float *x, float *y);
    double (*want)(double x);
    double (*bound)(double x, double want);
};

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

static void test_exp_f32(void) { check_curve(&(struct curve){kn->exp_f32, exp, ref_bound_exp}); }

static void test_log_f32(void) { check_curve(&(struct curve){kn->log_f32, log, ref_bound_exp}); }

static void plain_tanh(size_t n, const float *x, float *y) { kn->tanh_f32(n, 1, 1, x, y); }

static void test_tanh_f32(void)
{
    check_curve(&(struct curve){plain_tanh, tanh, ref_bound_tanh});
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
            expect((double)y[i], want, 6 * ref_ulp(want), n, i);
        }
    }
}

static void test_sigmoid_f32(void)
{
    check_curve(&(struct curve){kn->sigmoid_f32, ref_sigmoid, ref_bound_sigmoid});
}

static void test_gelu_f32(void)
{
    check_curve(&(struct curve){kn->gelu_f32, ref_gelu, ref_bound_gelu});
}

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
    check_curve(&(struct curve){slope_of_gelu, ref_gelu_slope, ref_bound_gelu_slope});
    float x[1] = {1}, dy[1] = {NAN};
    kn->gelu_grad_f32(1, x, dy, dy);
    expect_true(isnan(dy[0]), "NaN stays");
}

static void test_gelu_tanh_f32(void)
{
    check_curve(&(struct curve){kn->gelu_tanh_f32, ref_gelu_tanh, ref_bound_gelu_tanh});
}

static void slope_of_gelu_tanh(size_t n, const float *x, float *y)
{
    kn->gelu_tanh_grad_f32(n, x, ones(n), y);
}
static void test_gelu_tanh_grad_f32(void)
{
    check_curve(
        &(struct curve){slope_of_gelu_tanh, ref_gelu_tanh_slope, ref_bound_gelu_tanh_slope});
    float x[1] = {1}, dy[1] = {NAN};
    kn->gelu_tanh_grad_f32(1, x, dy, dy);
    expect_true(isnan(dy[0]), "NaN stays");
}

static void test_silu_f32(void)
{
    check_curve(&(struct curve){kn->silu_f32, ref_silu, ref_bound_silu});
}

static void slope_of_silu(size_t n, const float *x, float *y)
{
    kn->silu_grad_f32(n, x, ones(n), y);
}
static void test_silu_grad_f32(void)
{
    check_curve(&(struct curve){slope_of_silu, ref_silu_slope, ref_bound_silu_slope});
    float x[1] = {1}, dy[1] = {NAN};
    kn->silu_grad_f32(1, x, dy, dy);
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
