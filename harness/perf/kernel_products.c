/* kernel_products.c — matrix multiply and convolution for kernel_calls[]: operands, calls, truths
 * in double precision (reference.h), FLOPs and scratch. */
#include <math.h>
#include <string.h>

#include "perf/kernel_products.h"
#include "perf/reference.h"

/* ---- matrix multiply: M N K, form NN, NT or TN ------------------------------ */

/* What layers of the networks ask for, by CASE_EPILOGUE of kernel_cases.h. */
static const struct {
    bool bias, y; /* has these operands */
    struct kn_epilogue e;
} epilogues[] = {
    [EPILOGUE_NONE] = {0},
    [EPILOGUE_BIAS] = {.bias = true},
    [EPILOGUE_RELU] = {.bias = true, .e = {.act = KN_ACT_RELU}},
    [EPILOGUE_TANH] = {.bias = true, .e = {.act = KN_ACT_TANH}},
    [EPILOGUE_RELU_GRAD] = {.y = true, .e = {.grad = KN_ACT_RELU}},
    [EPILOGUE_TANH_GRAD] = {.y = true, .e = {.grad = KN_ACT_TANH}},
};

static struct kn_gemm gemm_of(const struct kernel_case *c)
{
    const int M = c->d[0], N = c->d[1], K = c->d[2];
    const bool ta = c->form[0] == 'T', tb = c->form[1] == 'T';
    return (struct kn_gemm){.M = M,
                            .N = N,
                            .K = K,
                            .ta = ta,
                            .tb = tb,
                            .lda = (size_t)(ta ? M : K),
                            .ldb = (size_t)(tb ? K : N),
                            .ldc = (size_t)N,
                            .epilogue = epilogues[c->d[CASE_EPILOGUE]].e};
}

struct kn_gemm case_gemm(const struct kernel_job *j)
{
    struct kn_gemm g = gemm_of(j->c);
    g.a = j->x[0];
    g.b = j->x[1];
    g.c = j->x[2];
    g.epilogue.bias = epilogues[j->c->d[CASE_EPILOGUE]].bias ? j->x[3] : NULL;
    g.epilogue.y = epilogues[j->c->d[CASE_EPILOGUE]].y ? j->x[4] : NULL;
    return g;
}

static void floats_gemm(const int *d, size_t n[]) /* a b c bias y */
{
    n[0] = (size_t)d[0] * (size_t)d[2];
    n[1] = (size_t)d[2] * (size_t)d[1];
    n[2] = (size_t)d[0] * (size_t)d[1];
    n[3] = epilogues[d[CASE_EPILOGUE]].bias ? (size_t)d[1] : 0;
    n[4] = epilogues[d[CASE_EPILOGUE]].y ? n[2] : 0;
}

bool case_fresh(const struct kernel_case *c, int k) /* a b c bias y */
{
    return c->kernel == KERNEL_gemm_f32 && (k == 0 || k == 4 || (k == 1 && c->form[0] == 'T'));
}

bool case_passed_on(const struct kernel_case *c, int k)
{
    return c->kernel == KERNEL_gemm_f32 && k == 2 && c->form[0] == 'N';
}

static size_t work_gemm(const struct kernel_case *c, int threads)
{
    const struct kn_gemm g = gemm_of(c);
    return kn->gemm_work_f32(&g, threads);
}

static double flops_gemm(const struct kernel_case *c) { return 2.0 * c->d[0] * c->d[1] * c->d[2]; }

static void run_gemm_f32(const struct kernel_job *j, const struct crew *crew)
{
    const struct kn_gemm g = case_gemm(j);
    kn->gemm_f32(&g, crew, j->work);
}

static double want_gemm(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const struct kn_gemm g = case_gemm(j);
    double size;
    const double want = ref_gemm(&g, NULL, 0, (int)(i / g.ldc), (int)(i % g.ldc), &size);
    (void)k;
    *bound =
        (8 + sqrt(g.K)) * REF_EPS * 2 * size; /* no epilogue here makes errors larger than twice */
    *bound *= g.epilogue.grad ? 2 : 1;
    return want;
}

RUN(gemm_work_f32, j->x[0][0] = (float)work_gemm(j->c, 1))

static void run_gemm_packed_f32(const struct kernel_job *j, const struct crew *crew)
{
    const struct kn_gemm g = gemm_of(j->c);
    (void)crew;
    j->x[0][0] = (float)kn->gemm_packed_f32(&g);
}

/* B in, packed out; then A, and the product with the packed B, by which it is judged. */
static void floats_pack(const int *d, size_t n[])
{
    const struct kernel_case c = {.form = "NT", .d = {d[0], d[1], d[2]}};
    const struct kn_gemm g = gemm_of(&c);
    const size_t packed = kn->gemm_packed_f32(&g);
    n[0] = (size_t)d[2] * (size_t)d[1];
    n[1] = packed ? packed : 1;
    n[2] = (size_t)d[0] * (size_t)d[2];
    n[3] = (size_t)d[0] * (size_t)d[1];
}

static struct kn_gemm pack_of(const struct kernel_job *j)
{
    struct kn_gemm g = gemm_of(j->c);
    g.b = j->x[0];
    g.a = j->x[2];
    g.c = j->x[3];
    return g;
}

static void run_gemm_pack_f32(const struct kernel_job *j, const struct crew *crew)
{
    const struct kn_gemm g = pack_of(j);
    if (kn->gemm_packed_f32(&g))
        kn->gemm_pack_f32(&g, crew, j->x[1]);
}

static void finish_pack(const struct kernel_job *j)
{
    struct kn_gemm g = pack_of(j);
    g.packed_b = kn->gemm_packed_f32(&g) ? j->x[1] : NULL;
    kn->gemm_f32(&g, CREW_ALONE, j->work);
}

static double want_pack(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const struct kernel_job product = {j->c, {j->x[2], j->x[0], j->x[3]}, j->work};
    return want_gemm(&product, k, i, bound);
}

/* ---- convolution: N H W C O kernel stride pad, form nhwc or lanes ----------- */

static struct kn_conv conv_of(const struct kernel_case *c)
{
    const int *d = c->d;
    return (struct kn_conv){.N = d[0],
                            .H = d[1],
                            .W = d[2],
                            .C = d[3],
                            .O = d[4],
                            .KH = d[5],
                            .KW = d[5],
                            .stride = d[6],
                            .pad = d[7],
                            .OH = (d[1] + 2 * d[7] - d[5]) / d[6] + 1,
                            .OW = (d[2] + 2 * d[7] - d[5]) / d[6] + 1,
                            .lanes = strcmp(c->form, "lanes") == 0};
}

static size_t conv_x(const int *d) { return (size_t)d[0] * d[1] * d[2] * d[3]; }
static size_t conv_w(const int *d) { return (size_t)d[4] * d[5] * d[5] * d[3]; }
static size_t conv_y(const int *d)
{
    const struct kn_conv p = conv_of(
        &(struct kernel_case){.form = "", .d = {d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]}});
    return (size_t)p.N * (size_t)p.OH * (size_t)p.OW * (size_t)p.O;
}

static void floats_conv(const int *d, size_t n[]) /* x w y */
{
    n[0] = conv_x(d);
    n[1] = conv_w(d);
    n[2] = conv_y(d);
}

static void floats_conv_data(const int *d, size_t n[]) /* dy w dx */
{
    n[0] = conv_y(d);
    n[1] = conv_w(d);
    n[2] = conv_x(d);
}

static void floats_conv_weight(const int *d, size_t n[]) /* x dy dw */
{
    n[0] = conv_x(d);
    n[1] = conv_y(d);
    n[2] = conv_w(d);
}

static double flops_conv(const struct kernel_case *c)
{
    const struct kn_conv p = conv_of(c);
    return 2.0 * p.N * p.OH * p.OW * p.O * p.KH * p.KW * p.C;
}

#define CONV(name, pass, call)                                                            \
    static void run_##name(const struct kernel_job *j, const struct crew *crew)           \
    {                                                                                     \
        const struct kn_conv p = conv_of(j->c);                                           \
        call;                                                                             \
    }                                                                                     \
    static size_t work_##name(const struct kernel_case *c, int threads)                   \
    {                                                                                     \
        const struct kn_conv p = conv_of(c);                                              \
        return kn->conv_work_f32(&p, pass, threads);                                      \
    }                                                                                     \
    static double want_##name(const struct kernel_job *j, int k, size_t i, double *bound) \
    {                                                                                     \
        const struct kn_conv p = conv_of(j->c);                                           \
        const struct ref_sum s = ref_conv(&p, pass, i, j->x[0], j->x[1]);                 \
        (void)k;                                                                          \
        *bound = ref_conv_bound(s);                                                       \
        return s.sum;                                                                     \
    }
CONV(conv_f32, CONV_FORWARD, kn->conv_f32(&p, NULL, crew, j->x[0], j->x[1], j->x[2], j->work))
CONV(conv_grad_data_f32, CONV_GRAD_DATA,
     kn->conv_grad_data_f32(&p, NULL, crew, j->x[0], j->x[1], j->x[2], j->work))
CONV(conv_grad_weight_f32, CONV_GRAD_WEIGHT,
     kn->conv_grad_weight_f32(&p, crew, j->x[0], j->x[1], j->x[2], j->work))

RUN(conv_work_f32, j->x[0][0] = (float)work_conv_f32(j->c, 1))

/* ---- what kernel_calls[] takes of them -------------------------------------- */

#define GEMM_DIMS "M N K", "%dx%dx%d"
#define CONV_DIMS "N H W C O kernel stride pad", "%dx%dx%dx%d-%d-k%d-s%d-p%d"

/* clang-format off */
const struct kernel_call call_gemm_work_f32 = {GEMM_DIMS, "w", 0, floats_sink, 0, run_gemm_work_f32, 0, 0, 0, 0};
const struct kernel_call call_gemm_f32 = {GEMM_DIMS, "rrwrr", 1, floats_gemm, 0, run_gemm_f32, 0, want_gemm, flops_gemm, work_gemm};
const struct kernel_call call_gemm_packed_f32 = {GEMM_DIMS, "w", 0, floats_sink, 0, run_gemm_packed_f32, 0, 0, 0, 0};
const struct kernel_call call_gemm_pack_f32 = {GEMM_DIMS, "rsfk", 1, floats_pack, 0, run_gemm_pack_f32, finish_pack, want_pack, 0, work_gemm};
const struct kernel_call call_conv_work_f32 = {CONV_DIMS, "w", 0, floats_sink, 0, run_conv_work_f32, 0, 0, 0, 0};
const struct kernel_call call_conv_f32 = {CONV_DIMS, "rrw", 1, floats_conv, 0, run_conv_f32, 0, want_conv_f32, flops_conv, work_conv_f32};
const struct kernel_call call_conv_grad_data_f32 = {CONV_DIMS, "rrw", 1, floats_conv_data, 0, run_conv_grad_data_f32, 0, want_conv_grad_data_f32, flops_conv, work_conv_grad_data_f32};
const struct kernel_call call_conv_grad_weight_f32 = {CONV_DIMS, "rrw", 1, floats_conv_weight, 0, run_conv_grad_weight_f32, 0, want_conv_grad_weight_f32, flops_conv, work_conv_grad_weight_f32};
/* clang-format on */
