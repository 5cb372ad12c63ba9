/* t_gemm — matrix multiply of every instruction set that runs here, against a plain
 * double-precision one: shapes around the tiles, all transposes, padded rows, batches,
 * epilogues, packed B; nothing written outside C; NaN; the same bits from 1, 2, 3 threads. */
#include <stdint.h>

#include "base/mem.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "perf/reference.h"
#include "tests/tap.h"

enum { GUARD = 64 }; /* floats before and after C that must stay as they are */

static const float canary = -1.7e38f;

/* One product with all that belongs to it. */
struct trial {
    struct kn_gemm g;
    float *a, *b, *c, *want, *bias, *residual, *y, *packed;
    size_t na, nb, nc;
    size_t work_bytes;
    void *work;
};

static float *random_floats(size_t n, uint64_t stream)
{
    float *const p = xmalloc((n > 0 ? n : 1) * sizeof *p);
    uint64_t state = stream * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        p[i] = (float)((int64_t)(state >> 40) - (1 << 23)) / (float)(1 << 23);
    }
    return p;
}

struct form {
    bool ta, tb;
    int pad, batch; /* floats between rows */
    struct kn_epilogue e;
    bool bias, residual, y, packed;
};

static size_t matrix_floats(int rows, int cols, size_t ld)
{
    return rows > 0 && cols > 0 ? (size_t)(rows - 1) * ld + (size_t)cols : 0;
}

static void trial_init(struct trial *t, int M, int N, int K, const struct form *f)
{
    const int ar = f->ta ? K : M, ac = f->ta ? M : K, br = f->tb ? N : K, bc = f->tb ? K : N;
    struct kn_gemm *g = &t->g;
    *t = (struct trial){0};
    *g = (struct kn_gemm){.M = M, .N = N, .K = K, .ta = f->ta, .tb = f->tb, .batch = f->batch};
    g->lda = (size_t)ac + (size_t)f->pad;
    g->ldb = (size_t)bc + 2 * (size_t)f->pad;
    g->ldc = (size_t)N + (size_t)f->pad;
    g->stride_a = (size_t)ar * g->lda;
    g->stride_b = (size_t)br * g->ldb;
    g->stride_c = (size_t)M * g->ldc;
    const size_t last = f->batch > 1 ? (size_t)f->batch - 1 : 0;
    t->na = last * g->stride_a + matrix_floats(ar, ac, g->lda);
    t->nb = last * g->stride_b + matrix_floats(br, bc, g->ldb);
    t->nc = last * g->stride_c + matrix_floats(M, N, g->ldc);
    g->a = t->a = random_floats(t->na, 1);
    g->b = t->b = random_floats(t->nb, 2);
    t->c = random_floats(t->nc + 2 * GUARD, 3);
    t->want = random_floats(t->nc, 3);
    g->c = t->c + GUARD;
    g->epilogue = f->e;
    g->epilogue.bias = t->bias = f->bias ? random_floats((size_t)N, 4) : NULL;
    g->epilogue.residual = t->residual = f->residual ? random_floats(t->nc, 5) : NULL;
    g->epilogue.y = t->y = f->y ? random_floats(t->nc, 6) : NULL;
    if (f->packed && kn->gemm_packed_f32(g) > 0) {
        t->packed = mem_map(sizeof(float) * kn->gemm_packed_f32(g));
        kn->gemm_pack_f32(g, CREW_ALONE, t->packed);
    }
}

static void trial_release(struct trial *t)
{
    if (t->packed)
        mem_unmap(t->packed, sizeof(float) * kn->gemm_packed_f32(&t->g));
    float *const all[] = {t->a, t->b, t->c, t->want, t->bias, t->residual, t->y};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void run_crew(void *arg, const struct crew *crew)
{
    struct trial *t = arg;
    kn->gemm_f32(&t->g, crew, t->work);
}

/* C from `threads` threads, beginning with the same C and canaries. */
static void trial_run(struct trial *t, int threads)
{
    struct kn_gemm *g = &t->g;
    for (size_t i = 0; i < t->nc + 2 * GUARD; i++)
        t->c[i] = canary;
    const size_t batch = g->batch ? (size_t)g->batch : 1;
    for (size_t n = 0; n < batch; n++)
        for (size_t i = 0; i < (size_t)g->M; i++)
            for (size_t j = 0; j < (size_t)g->N; j++) {
                const size_t at = n * g->stride_c + i * g->ldc + j;
                g->c[at] = t->want[at];
            }
    const float *const b = g->b;
    if (t->packed) {
        g->packed_b = t->packed;
        g->b = NULL;
    }
    t->work_bytes = kn->gemm_work_f32(g, threads);
    t->work = mem_map(t->work_bytes);
    crew_run(threads, run_crew, t);
    mem_unmap(t->work, t->work_bytes);
    g->b = b;
    g->packed_b = NULL;
}

/* The greatest error in units of its bound; huge if anything outside C changed. */
static double worst_error(const struct trial *t)
{
    const struct kn_gemm *g = &t->g;
    const size_t batch = g->batch ? (size_t)g->batch : 1;
    double worst = 0;
    size_t touched = 0;
    for (size_t n = 0; n < batch; n++)
        for (int i = 0; i < g->M; i++)
            for (int j = 0; j < g->N; j++) {
                const size_t at = n * g->stride_c + (size_t)i * g->ldc + (size_t)j;
                double size;
                const double want = ref_gemm(g, t->want, (int)n, i, j, &size);
                const double bound = (g->K + 16) * 0x1p-24 * (size + fabs(want) + 3);
                const double error = fabs((double)g->c[at] - want) / bound;
                worst = error <= worst ? worst : error; /* keeps NaN */
                touched += g->c[at] == canary;
                g->c[at] = canary;
            }
    for (size_t i = 0; i < t->nc + 2 * GUARD; i++)
        touched += t->c[i] != canary;
    return touched ? 1e30 : worst;
}

static void check(int M, int N, int K, const struct form *f, double *worst, char *where)
{
    struct trial t;
    trial_init(&t, M, N, K, f);
    trial_run(&t, 1);
    const double e = worst_error(&t);
    if (!(e <= *worst)) {
        *worst = e;
        sprintf(where, "%s %c%c %dx%dx%d pad %d batch %d packed %d", kn->isa, "NT"[f->ta],
                "NT"[f->tb], M, N, K, f -> pad, f -> batch, f -> packed);
    }
    trial_release(&t);
}

/* Around the heights (14, 6, 8, 4), widths (32, 16, 12, 4) and steps of K of the tiles. */
static void test_shapes(void)
{
    static const int Ms[] = {1, 2, 3, 4, 5, 7, 8, 13, 14, 15, 29, 33},
                     Ns[] = {1, 2, 7, 9, 15, 16, 17, 31, 33, 65}, Ks[] = {0, 1, 3, 4, 17, 40};
    for (int form = 0; form < 8; form++) {
        const struct form f = {
            .ta = form & 1, .tb = form & 2, .packed = form & 4, .pad = form & 1 ? 3 : 0};
        double worst = 0;
        char where[128] = "";
        for (size_t i = 0; i < sizeof Ms / sizeof *Ms; i++)
            for (size_t j = 0; j < sizeof Ns / sizeof *Ns; j++)
                for (size_t k = 0; k < sizeof Ks / sizeof *Ks; k++)
                    check(Ms[i], Ns[j], Ks[k], &f, &worst, where);
        ok(worst <= 1, "%s %c%c%s: shapes around the tiles, worst error %.2f of the bound (%s)",
           kn->isa, "NT"[f.ta], "NT"[f.tb], f.packed ? " packed" : "", worst, where);
    }
}

/* Longer than one block of K, wider and higher than one block of panels; then with rows more than
 * a page apart, or just a page, which are packed by the first tile that reads them. */
static void test_blocks(void)
{
    static const int shapes[][3] = {{21, 300, 5},   {6, 259, 12},   {30, 40, 1030}, {5, 70, 1500},
                                    {3, 1100, 600}, {270, 50, 129}, {40, 5, 700},   {1, 1, 3000},
                                    {30, 70, 1023}, {15, 33, 1021}, {43, 7, 1025}};
    for (int form = 0; form < 8; form++) {
        const struct form f = {.ta = form & 1,
                               .tb = form & 2,
                               .pad = form & 4    ? 1030
                                      : form == 3 ? 5
                                                  : 0,
                               .e = {.accumulate = form == 1}};
        double worst = 0;
        char where[128] = "";
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            if (kn->lanes > 1 || i < 3)
                check(shapes[i][0], shapes[i][1], shapes[i][2], &f, &worst, where);
        ok(worst <= 1,
           "%s %c%c: several blocks, rows %d floats apart and more, worst error %.2f "
           "of the bound (%s)",
           kn->isa, "NT"[f.ta], "NT"[f.tb], f.pad, worst, where);
    }
}

static void test_epilogues(void)
{
    static const struct form forms[] = {
        {.e = {.accumulate = true}},
        {.bias = true, .e = {.act = KN_ACT_RELU}},
        {.bias = true, .tb = true, .e = {.act = KN_ACT_TANH, .inner = 0.6666f, .outer = 1.7159f}},
        {.bias = true, .e = {.act = KN_ACT_SIGMOID, .accumulate = true}, .pad = 2},
        {.residual = true, .tb = true},
        {.residual = true, .e = {.act = KN_ACT_RELU, .accumulate = true}},
        {.residual = true, .e = {.act = KN_ACT_RELU}, .pad = 3, .batch = 2},
        {.e = {.act = KN_ACT_RELU, .accumulate = true}},
        {.e = {.act = KN_ACT_RELU}, .ta = true},
        {.residual = true, .bias = true, .e = {.act = KN_ACT_RELU}, .batch = 3},
        {.y = true, .e = {.grad = KN_ACT_RELU}, .ta = true},
        {.y = true, .e = {.grad = KN_ACT_TANH, .inner = 0.6666f, .outer = 1.7159f}},
        {.y = true, .e = {.grad = KN_ACT_SIGMOID}, .batch = 2, .pad = 1},
        {.y = true,
         .bias = true,
         .residual = true,
         .tb = true,
         .ta = true,
         .e = {.act = KN_ACT_TANH, .grad = KN_ACT_RELU, .accumulate = true}},
    };
    static const int shapes[][3] = {{17, 35, 20}, {4, 33, 70}, {128, 10, 24}, {33, 3, 9},
                                    {2, 3, 0},    {9, 270, 7}, {5, 130, 40},  {20, 40, 530}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        double worst = 0;
        char where[128] = "";
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            check(shapes[s][0], shapes[s][1], shapes[s][2], &forms[i], &worst, where);
        ok(worst <= 1, "%s epilogue %zu: worst error %.2f of the bound (%s)", kn->isa, i, worst,
           where);
    }
}

/* A NaN in A reaches its row, one in B its column, whatever stands against it. */
static void test_nan(void)
{
    static const int shapes[][3] = {
        {17, 35, 20}, {4, 40, 70}, {128, 10, 24}, {2, 3, 600}, {5, 300, 3}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const int M = shapes[s][0], N = shapes[s][1], K = shapes[s][2];
        for (int form = 0; form < 8; form++) {
            const struct form f = {
                .ta = form & 1, .tb = form & 2, .bias = form & 4, .e = {.act = KN_ACT_RELU}};
            struct trial t;
            trial_init(&t, M, N, K, &f);
            memset(t.b, 0, t.nb * sizeof *t.b);
            t.a[f.ta ? (size_t)(K - 1) * t.g.lda + 1 : t.g.lda + (size_t)K - 1] = NAN;
            t.b[f.tb ? 2 * t.g.ldb : 2] = NAN;
            trial_run(&t, 1);
            int wrong = 0;
            for (int i = 0; i < M; i++)
                for (int j = 0; j < N; j++)
                    wrong += !isnan(t.g.c[(size_t)i * t.g.ldc + (size_t)j]) != !(i == 1 || j == 2);
            is_int(wrong, 0, "%s %c%c %dx%dx%d%s: NaN passes through", kn->isa, "NT"[f.ta],
                   "NT"[f.tb], M, N, K, f.bias ? " and bias" : "");
            trial_release(&t);
        }
    }
}

static void test_threads(void)
{
    static const int shapes[][3] = {{64, 96, 50},  {4, 300, 700},   {128, 10, 130},
                                    {10, 128, 40}, {100, 100, 600}, {1, 65, 9},
                                    {30, 300, 6},  {3, 300, 4},     {40, 70, 1023}};
    for (int form = 0; form < 8; form++) {
        const struct form f = {.ta = form & 1,
                               .tb = form & 2,
                               .batch = form & 4 ? 3 : 0,
                               .pad = form & 4 ? 1024 : 0,
                               .bias = true,
                               .e = {.act = KN_ACT_TANH}};
        int differ = 0;
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            struct trial t;
            trial_init(&t, shapes[s][0], shapes[s][1], shapes[s][2], &f);
            trial_run(&t, 1);
            float *const one = xmalloc((t.nc + 1) * sizeof *one);
            memcpy(one, t.g.c, t.nc * sizeof *one);
            for (int threads = 2; threads <= 3; threads++) {
                trial_run(&t, threads);
                differ += memcmp(one, t.g.c, t.nc * sizeof *one) != 0;
            }
            free(one);
            trial_release(&t);
        }
        is_int(differ, 0, "%s %c%c batch %d: 1, 2 and 3 threads give the same bits", kn->isa,
               "NT"[f.ta], "NT"[f.tb], f.batch);
    }
}

int main(void)
{
    struct err err = {0};
    for (int i = 0; kn_tables[i]; i++) {
        if (!kn_runs_here(kn_tables[i])) {
            skip(kn_tables[i]->isa);
            continue;
        }
        ok(kn_init(kn_tables[i]->isa, &err), "%s", kn_tables[i]->isa);
        test_shapes();
        test_blocks();
        test_epilogues();
        test_nan();
        test_threads();
    }
    return done();
}
