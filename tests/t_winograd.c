/* t_winograd.c — minimal filtering against sums in double, F(2x2,3x3) and F(4x4,3x3), the three
 * passes, every instruction set at hand: within the bound that conv_winograd_f32.c states; the same
 * bits from one, two and three threads; nothing written outside; NaN comes out where it went in. */
#include "tests/conv_test.h"

enum { SAMPLES = 400, ALGOS = 2 };

/* Of max |error| / max sum |w| |x|, in a layer; forward and data, then weights. */
static const struct {
    int algo, m;
    double bound;
    const char *how;
} algos[ALGOS] = {
    {CONV_WINOGRAD_2, 2, 5e-7, "winograd 2x2"},
    {CONV_WINOGRAD_4, 4, 2e-6, "winograd 4x4"},
};
static double worst[ALGOS][PASSES];

/* What activations, their derivatives and an addend make of an error. */
static const double steepest = 1.2, rounding = 1e-6;

struct verdict {
    double error, size; /* the largest of the sampled elements */
    bool nan_lost, nan_elsewhere;
};

static size_t image_of(const struct problem *p, size_t at)
{
    return p->pass == CONV_GRAD_WEIGHT ? 0 : at / (p->out.n / (size_t)p->c.N);
}

static struct verdict compare(const struct problem *p, size_t nan_image)
{
    struct verdict v = {0};
    const size_t n = p->out.n, step = n / SAMPLES + 1;
    const size_t columns = (size_t)(p->pass == CONV_FORWARD ? p->c.O : p->c.C);
    const struct kn_epilogue *const e = p->pass == CONV_GRAD_WEIGHT ? NULL : p->e;
    for (size_t i = n % step; i < n; i += step) {
        const struct ref_sum s = ref_conv(&p->c, p->pass, i, p->a.at, p->b.at);
        const double want = finish(e, s.sum, i % columns, i, p->old.at[i]);
        const double got = (double)p->out.at[i];
        if (isnan(got) || isnan(want)) {
            v.nan_lost |= !isnan(got) && !(e && e->grad);
            v.nan_elsewhere |= image_of(p, i) != nan_image;
            continue;
        }
        v.error = fmax(v.error, fabs(got - want));
        v.size = fmax(v.size, s.size);
    }
    return v;
}

static bool same_bits(struct problem *p, int threads)
{
    const size_t bytes = p->out.n * sizeof(float);
    float *const first = xmalloc(bytes);
    memcpy(first, p->out.at, bytes);
    const bool good = run_on(p, threads) && memcmp(first, p->out.at, bytes) == 0;
    free(first);
    if (!good)
        printf("# %d threads are not as one\n", threads);
    return good;
}

static bool judge(const struct problem *p, int a, size_t nan_image)
{
    const struct verdict v = compare(p, nan_image);
    const double bound = steepest * (algos[a].bound * v.size + (p->e ? rounding : 0));
    if (!p->e && v.size > 0)
        worst[a][p->pass] = fmax(worst[a][p->pass], v.error / v.size);
    if (v.error > bound)
        printf("# off by %g of %g, bound %g\n", v.error, v.size, bound);
    if (v.nan_lost || v.nan_elsewhere)
        printf("# NaN %s\n", v.nan_lost ? "was lost" : "in another image");
    return v.error <= bound && !v.nan_lost && !v.nan_elsewhere;
}

static bool try_winograd(const struct kn_conv *c, int a, int pass, int kind, uint64_t seed,
                         bool with_nan)
{
    struct rng r = rng_make(seed, rng_stream("winograd"));
    struct problem p = problem_new(c, pass, kind, &r);
    size_t nan_image = SIZE_MAX;
    p.e = kind ? &p.epilogue : NULL;
    if (with_nan) {
        const size_t at = rng_below(&r, (uint32_t)p.a.n);
        p.a.at[at] = NAN;
        nan_image = pass == CONV_GRAD_WEIGHT ? 0 : at / (p.a.n / (size_t)c->N);
    }
    bool good = run_on(&p, 1) && judge(&p, a, nan_image);
    good = good && same_bits(&p, 2) && same_bits(&p, 3);
    if (!good)
        printf("# %s %s %s: N %d, %dx%dx%d -> %d, pad %d, epilogue %d%s\n", kn->isa, algos[a].how,
               pass_names[pass], c->N, c->H, c->W, c->C, c->O, c->pad, kind,
               with_nan ? ", NaN" : "");
    problem_free(&p);
    return good;
}

/* Corners: images smaller than a tile, edges of all widths, channels that fill no vector, tiles for
 * one thread only, weights large enough to be shared by panels, many blocks of tiles. */
static const struct kn_conv shapes[] = {
    {.N = 1, .H = 1, .W = 1, .C = 1, .O = 1, .pad = 1},
    {.N = 2, .H = 3, .W = 4, .C = 3, .O = 5, .pad = 0},
    {.N = 3, .H = 7, .W = 6, .C = 17, .O = 33, .pad = 1},
    {.N = 2, .H = 9, .W = 12, .C = 32, .O = 16, .pad = 2},
    {.N = 1, .H = 30, .W = 5, .C = 16, .O = 48, .pad = 1},
    {.N = 70, .H = 4, .W = 4, .C = 64, .O = 67, .pad = 1},
    {.N = 24, .H = 16, .W = 16, .C = 16, .O = 16, .pad = 1},
    {.N = 5, .H = 4, .W = 4, .C = 260, .O = 192, .pad = 1},
    {.N = 2, .H = 2, .W = 2, .C = 820, .O = 40, .pad = 1},
};

static void test_shapes(int a, int pass, size_t shapes_here)
{
    int bad = 0;
    for (size_t i = 0; i < shapes_here; i++) {
        struct kn_conv c = shapes[i];
        c.KH = c.KW = 3;
        c.stride = 1;
        c.algo = algos[a].algo;
        measure(&c);
        bad += !try_winograd(&c, a, pass, 0, i, false);
        if (i > 0)
            bad += !try_winograd(&c, a, pass, 0, 100 + i, true);
    }
    ok(bad == 0, "%s: %s %s, %zu shapes, worst %.2g of sum |w| |x| so far", kn->isa, algos[a].how,
       pass_names[pass], shapes_here, worst[a][pass]);
}

/* Weights too large for a thread, and more tiles than a block of them holds. */
static void test_blocks(int pass)
{
    struct kn_conv c = {.N = 1, .H = 60, .W = 60, .C = 520, .O = 200, .pad = 1};
    c.KH = c.KW = 3;
    c.stride = 1;
    c.algo = CONV_WINOGRAD_4;
    measure(&c);
    ok(try_winograd(&c, 1, pass, 0, 300, false), "%s: %s %s in blocks", kn->isa, algos[1].how,
       pass_names[pass]);
}

static void test_epilogues(int a, int pass)
{
    int bad = 0;
    for (int kind = 1; kind < KINDS; kind++) {
        struct kn_conv c = shapes[2 + kind % 2];
        c.KH = c.KW = 3;
        c.stride = 1;
        c.algo = algos[a].algo;
        measure(&c);
        bad += !try_winograd(&c, a, pass, kind, 200 + (uint64_t)kind, false);
    }
    ok(bad == 0, "%s: %s %s with every epilogue", kn->isa, algos[a].how, pass_names[pass]);
}

/* What is forced where it does not apply stays direct, and says so. */
static void test_how(void)
{
    static const struct {
        struct kn_conv c;
        bool applies;
    } cases[] = {
        {{.N = 1, .H = 8, .W = 8, .C = 16, .O = 16, .KH = 3, .KW = 3, .stride = 1, .pad = 1}, true},
        {{.N = 1, .H = 8, .W = 8, .C = 16, .O = 16, .KH = 3, .KW = 3, .stride = 2, .pad = 1},
         false},
        {{.N = 1, .H = 8, .W = 8, .C = 16, .O = 16, .KH = 5, .KW = 5, .stride = 1, .pad = 2},
         false},
        {{.N = 1, .H = 8, .W = 8, .C = 16, .O = 16, .KH = 3, .KW = 3, .stride = 1, .pad = 3},
         false},
        {{.N = 1, .H = 8, .W = 8, .C = 16, .O = 16, .KH = 3, .KW = 3, .stride = 1, .groups = 2},
         false},
        {{.N = 16, .H = 8, .W = 8, .C = 4, .O = 4, .KH = 3, .KW = 3, .stride = 1, .lanes = true},
         false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int a = 0; a < ALGOS; a++) {
            struct kn_conv c = cases[i].c;
            char how[KN_HOW];
            c.algo = algos[a].algo;
            measure(&c);
            kn->conv_how(&c, CONV_FORWARD, how);
            ok((strcmp(how, algos[a].how) == 0) == cases[i].applies, "%s: asked for %s: %s",
               kn->isa, algos[a].how, how);
        }
    struct kn_conv c = cases[0].c;
    char how[KN_HOW];
    c.algo = CONV_DIRECT;
    measure(&c);
    kn->conv_how(&c, CONV_FORWARD, how);
    ok(!strstr(how, "winograd"), "%s: asked for direct: %s", kn->isa, how);
}

int main(void)
{
    const size_t all = sizeof shapes / sizeof *shapes;
    for (const struct kn_table *const *t = kn_tables; *t; t++) {
        struct err err;
        if (!kn_runs_here(*t) || !kn_init((*t)->isa, &err))
            continue;
        const bool slow = getenv("BENCH_QEMU") || strcmp((*t)->isa, "scalar") == 0;
        for (int a = 0; a < ALGOS; a++)
            for (int pass = 0; pass < PASSES; pass++) {
                test_shapes(a, pass, slow ? 5 : all);
                if (pass != CONV_GRAD_WEIGHT)
                    test_epilogues(a, pass);
            }
        if (t == kn_tables && !slow) {
            test_blocks(CONV_FORWARD);
            test_blocks(CONV_GRAD_WEIGHT);
        }
        test_how();
    }
    return done();
}
