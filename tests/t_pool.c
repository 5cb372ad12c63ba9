/* t_pool — pooling and its gradients against a plain loop: all window sizes, strides and
 * paddings, odd images, windows that hang over, channels around the width of a vector, any share of
 * the work, ties, NaN, and not one float beyond. */
#include "perf/reference.h"
#include "tests/kernel_test.h"

enum { X, Y, DY, DX };

static const struct {
    int H, W, kernel_h, kernel_w, stride, pad, over; /* over: rows and columns of windows more */
} geometries[] = {
    {2, 2, 2, 2, 2, 0, 0}, {4, 6, 2, 2, 2, 0, 0}, {5, 7, 2, 2, 2, 0, 0}, {5, 5, 3, 3, 2, 0, 0},
    {6, 5, 3, 3, 2, 1, 0}, {5, 6, 2, 2, 1, 0, 0}, {4, 4, 2, 2, 2, 1, 0}, {7, 7, 7, 7, 1, 0, 0},
    {3, 8, 1, 3, 3, 0, 0}, {6, 6, 2, 3, 3, 0, 0}, {5, 5, 3, 3, 1, 1, 0}, {1, 1, 1, 1, 1, 0, 0},
    {5, 7, 2, 2, 2, 0, 1}, {6, 8, 3, 3, 2, 0, 1}, {7, 9, 3, 3, 2, 0, 0}, {8, 6, 3, 3, 2, 1, 1}};

static struct kn_pool pool_of(size_t g, int C)
{
    struct kn_pool p = {.N = 3,
                        .H = geometries[g].H,
                        .W = geometries[g].W,
                        .C = C,
                        .kernel_h = geometries[g].kernel_h,
                        .kernel_w = geometries[g].kernel_w,
                        .stride = geometries[g].stride,
                        .pad = geometries[g].pad};
    p.OH = (p.H + 2 * p.pad - p.kernel_h) / p.stride + 1 + geometries[g].over;
    p.OW = (p.W + 2 * p.pad - p.kernel_w) / p.stride + 1 + geometries[g].over;
    return p;
}

static size_t inputs(const struct kn_pool *p)
{
    return (size_t)p->N * (size_t)p->H * (size_t)p->W * (size_t)p->C;
}

static size_t outputs(const struct kn_pool *p)
{
    return (size_t)p->N * (size_t)p->OH * (size_t)p->OW * (size_t)p->C;
}

/* Small whole numbers: many ties. */
static float *tied_noise(int slot, size_t n)
{
    float *const x = edge_noise(slot, n, -2, 3);
    for (size_t i = 0; i < n; i++)
        x[i] = floorf(x[i]);
    return x;
}

typedef void pool_test(const struct kn_pool *p);

static void each_pool(pool_test *f)
{
    for (size_t g = 0; g < sizeof geometries / sizeof *geometries; g++)
        for (int C = 1; C <= 2 * kn->lanes + 1; C++) {
            const struct kn_pool p = pool_of(g, C);
            f(&p);
            seen.guarded &= edges_intact();
        }
}

/* Forward in two shares, cut inside of an image. */
static void check_max(const struct kn_pool *p)
{
    const float *const x = edge_noise(X, inputs(p), -1, 1);
    float *const y = edge(Y, outputs(p));
    const size_t rows = (size_t)p->N * (size_t)p->OH, cut = rows / 2;
    kn->max_pool_f32(p, cut, rows, x, y);
    kn->max_pool_f32(p, 0, cut, x, y);
    for (size_t o = 0; o < outputs(p); o++)
        expect((double)y[o], ref_window(p, x, o).top, 1e-40, (size_t)p->C, o);
}

static void check_sum(const struct kn_pool *p)
{
    const float *const x = edge_noise(X, inputs(p), -1, 1);
    float *const y = edge(Y, outputs(p));
    const size_t rows = (size_t)p->N * (size_t)p->OH, cut = rows / 2;
    kn->sum_pool_f32(p, 0.25f, cut, rows, x, y);
    kn->sum_pool_f32(p, 0.25f, 0, cut, x, y);
    for (size_t o = 0; o < outputs(p); o++) {
        const struct ref_window w = ref_window(p, x, o);
        expect((double)y[o], 0.25 * w.sum,
               0.25 * p->kernel_h * p->kernel_w * 0x1p-24 * w.size + 1e-40, (size_t)p->C, o);
    }
}

/* x: only first maxima get a share; NULL: all. */
static void check_gradient(const struct kn_pool *p, double scale, const float *x, const float *dy,
                           const float *dx)
{
    for (size_t i = 0; i < inputs(p); i++) {
        const struct ref_sum s = ref_pool_grad(p, (long)i, x, dy);
        expect((double)dx[i], scale * s.sum,
               p->kernel_h * p->kernel_w * REF_EPS * scale * s.size + 1e-40, (size_t)p->C, i);
    }
}

static void check_max_grad(const struct kn_pool *p)
{
    const float *const x = tied_noise(X, inputs(p)), *const dy = edge_noise(DY, outputs(p), -1, 1);
    float *const y = edge(Y, outputs(p)), *const dx = edge(DX, inputs(p));
    kn->max_pool_f32(p, 0, (size_t)p->N * (size_t)p->OH, x, y);
    kn->max_pool_grad_f32(p, 1, (size_t)p->N, x, y, dy, dx);
    expect_true(isnan(dx[0]), "image 0 is not written by the share of images 1 and 2");
    kn->max_pool_grad_f32(p, 0, 1, x, y, dy, dx);
    check_gradient(p, 1, x, dy, dx);
}

static void check_sum_grad(const struct kn_pool *p)
{
    const float *const dy = edge_noise(DY, outputs(p), -1, 1);
    float *const dx = edge(DX, inputs(p));
    kn->sum_pool_grad_f32(p, 0.25f, 1, (size_t)p->N, dy, dx);
    kn->sum_pool_grad_f32(p, 0.25f, 0, 1, dy, dx);
    check_gradient(p, 0.25, NULL, dy, dx);
}

/* One NaN at each place of each window, in images of every geometry. */
static void check_nan(const struct kn_pool *p)
{
    float *const x = edge_noise(X, inputs(p), -1, 1), *const y = edge(Y, outputs(p));
    float *const dx = edge(DX, inputs(p)), *const dy = edge_noise(DY, outputs(p), 1, 2);
    const size_t rows = (size_t)p->N * (size_t)p->OH;
    for (size_t at = 0; at < inputs(p); at += 1 + inputs(p) / 50) {
        const float before = x[at];
        x[at] = NAN;
        kn->max_pool_f32(p, 0, rows, x, y);
        for (size_t o = 0; o < outputs(p); o++)
            expect_true(isnan(y[o]) == isnan(ref_window(p, x, o).top), "max: NaN stays");
        kn->max_pool_grad_f32(p, 0, (size_t)p->N, x, y, dy, dx);
        double in = 0, out = 0;
        for (size_t o = 0; o < outputs(p); o++)
            in += (double)dy[o];
        for (size_t i = 0; i < inputs(p); i++)
            out += (double)dx[i];
        expect(out, in, 1e-5 * in, (size_t)p->C, at); /* no gradient is lost */
        kn->sum_pool_f32(p, 1, 0, rows, x, y);
        for (size_t o = 0; o < outputs(p); o++)
            expect_true(isnan(y[o]) == isnan(ref_window(p, x, o).sum), "sum: NaN stays");
        x[at] = before;
    }
}

static void check_nan_grad(const struct kn_pool *p)
{
    const float *const x = edge_noise(X, inputs(p), -1, 1);
    float *const y = edge(Y, outputs(p)), *const dx = edge(DX, inputs(p)),
                 *const dy = edge_noise(DY, outputs(p), 1, 2);
    kn->max_pool_f32(p, 0, (size_t)p->N * (size_t)p->OH, x, y);
    dy[outputs(p) / 2] = NAN;
    int nans = 0;
    kn->max_pool_grad_f32(p, 0, (size_t)p->N, x, y, dy, dx);
    for (size_t i = 0; i < inputs(p); i++)
        nans += isnan(dx[i]);
    expect_true(nans == 1, "max gradient: NaN goes where dy goes");
    kn->sum_pool_grad_f32(p, 1, 0, (size_t)p->N, dy, dx);
    nans = 0;
    for (size_t i = 0; i < inputs(p); i++)
        nans += isnan(dx[i]);
    expect_true(nans > 0 && nans <= p->kernel_h * p->kernel_w, "sum gradient: NaN stays");
}

static void test_max_pool_f32(void)
{
    each_pool(check_max);
    each_pool(check_nan);
}
static void test_max_pool_grad_f32(void)
{
    each_pool(check_max_grad);
    each_pool(check_nan_grad);
}
static void test_sum_pool_f32(void) { each_pool(check_sum); }
static void test_sum_pool_grad_f32(void) { each_pool(check_sum_grad); }

static const struct kernel_test tests[] = {
#define IN_T_POOL(name) {#name, test_##name},
#include "tests/kernel_tests.def"
};

int main(void)
{
    run_kernel_tests(tests, sizeof tests / sizeof *tests);
    return done();
}
