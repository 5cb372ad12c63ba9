/* t_conv.c — convolution on every instruction set at hand, both layouts, against
 * sums in double; the same bits from one, two and three threads; nothing written
 * outside; NaN comes out where it went in. */
#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "perf/reference.h"
#include "tests/tap.h"

enum { GUARD = 32, PASSES = 3 };
static const char *const pass_names[PASSES] = {"forward", "data", "weight"};

/* A tensor between two guards. */
struct buffer {
    float *all, *at;
    size_t n;
};

static const float canary = 12345.678f;

/* `shift` floats off a multiple of 64 bytes. */
static struct buffer buffer_new(size_t n, size_t shift)
{
    const size_t all = (n + 3 * GUARD) * sizeof(float);
    struct buffer b = {aligned_alloc(64, (all + 63) / 64 * 64), NULL, n};
    if (!b.all)
        abort();
    for (size_t i = 0; i < n + 3 * GUARD; i++)
        b.all[i] = canary;
    b.at = b.all + GUARD + shift;
    return b;
}

static bool guards_stand(const struct buffer *b)
{
    for (size_t i = 0; i < GUARD; i++)
        if (b->at[-1 - (ptrdiff_t)i] != canary || b->at[b->n + i] != canary)
            return false;
    return true;
}

static void fill(struct rng *r, struct buffer *b, double lo, double hi)
{
    for (size_t i = 0; i < b->n; i++)
        b->at[i] = (float)(lo + (hi - lo) * rng_unit(r));
}

static double finish(const struct kn_epilogue *e, double v, size_t column, size_t at, float old)
{
    if (!e)
        return v;
    const double inner = e->inner != 0 ? (double)e->inner : 1;
    const double outer = e->outer != 0 ? (double)e->outer : 1;
    v += e->accumulate ? (double)old : 0;
    v += e->bias ? (double)e->bias[column] : 0;
    v += e->residual ? (double)e->residual[at] : 0;
    v = ref_act(e->act, inner, outer, v);
    return e->grad ? v * ref_act_grad(e->grad, inner, outer, (double)e->y[at]) : v;
}

/* ---- one problem ---- */

struct problem {
    struct kn_conv c;
    int pass;
    struct buffer a, b, old, bias, residual, y;
    struct kn_epilogue epilogue;
    const struct kn_epilogue *e;
    struct buffer out, work;
};

static size_t elements(const struct kn_conv *c, int pass)
{
    const size_t x = (size_t)c->N * (size_t)c->H * (size_t)c->W * (size_t)c->C,
                 y = (size_t)c->N * (size_t)c->OH * (size_t)c->OW * (size_t)c->O;
    return pass == CONV_FORWARD     ? y
           : pass == CONV_GRAD_DATA ? x
                                    : (size_t)(c->O * c->KH * c->KW * c->C);
}

/* What epilogues there are to try; 0 is NULL. */
static const struct kn_epilogue kinds[] = {
    {0},
    {0},
    {.bias = &canary},
    {.bias = &canary, .act = KN_ACT_RELU},
    {.bias = &canary, .act = KN_ACT_TANH, .inner = 2.0f / 3, .outer = 1.7159f},
    {.accumulate = true, .act = KN_ACT_SIGMOID},
    {.bias = &canary, .residual = &canary},
    {.grad = KN_ACT_RELU, .y = &canary},
    {.grad = KN_ACT_TANH, .y = &canary, .inner = 2.0f / 3, .outer = 1.7159f},
    {.grad = KN_ACT_SIGMOID, .y = &canary},
    {.accumulate = true,
     .bias = &canary,
     .residual = &canary,
     .act = KN_ACT_TANH,
     .grad = KN_ACT_RELU,
     .y = &canary},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static struct problem problem_new(const struct kn_conv *c, int pass, int kind, struct rng *r)
{
    struct problem p = {.c = *c, .pass = pass, .epilogue = kinds[kind]};
    const size_t out = elements(c, pass);
    const size_t columns = (size_t)(pass == CONV_FORWARD ? c->O : c->C);
    p.a = buffer_new(elements(c, pass == CONV_GRAD_DATA ? CONV_FORWARD : CONV_GRAD_DATA), 1);
    p.b = buffer_new(elements(c, pass == CONV_GRAD_WEIGHT ? CONV_FORWARD : CONV_GRAD_WEIGHT), 1);
    p.out = buffer_new(out, 1);
    p.old = buffer_new(out, 1);
    p.residual = buffer_new(out, 1);
    p.y = buffer_new(out, 1);
    p.bias = buffer_new(columns, 1);
    fill(r, &p.a, -1, 1);
    fill(r, &p.b, -1, 1);
    fill(r, &p.old, -1, 1);
    fill(r, &p.residual, -1, 1);
    fill(r, &p.y, kinds[kind].grad == KN_ACT_SIGMOID ? 0 : -1, 1);
    fill(r, &p.bias, -1, 1);
    struct kn_epilogue *e = &p.epilogue;
    e->bias = e->bias ? p.bias.at : NULL;
    e->residual = e->residual ? p.residual.at : NULL;
    e->y = e->y ? p.y.at : NULL;
    return p;
}

static void problem_free(struct problem *p)
{
    struct buffer *const all[] = {&p->a, &p->b, &p->old, &p->bias, &p->residual, &p->y, &p->out};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]->all);
}

static void work_on(void *arg, const struct crew *crew)
{
    const struct problem *p = arg;
    const float *a = p->a.at, *b = p->b.at;
    void *work = p->work.at;
    if (p->pass == CONV_FORWARD)
        kn->conv_f32(&p->c, p->e, crew, a, b, p->out.at, work);
    else if (p->pass == CONV_GRAD_DATA)
        kn->conv_grad_data_f32(&p->c, p->e, crew, a, b, p->out.at, work);
    else
        kn->conv_grad_weight_f32(&p->c, crew, a, b, p->out.at, work);
}

/* False with a note when the result or anything around it is not as it should be. */
static bool run_on(struct problem *p, int threads)
{
    const size_t bytes = kn->conv_work_f32(&p->c, p->pass, threads);
    p->work = buffer_new((bytes + sizeof(float) - 1) / sizeof(float), 0);
    memcpy(p->out.at, p->old.at, p->out.n * sizeof(float));
    crew_run(threads, work_on, p);
    const bool stands = guards_stand(&p->out) && guards_stand(&p->work);
    free(p->work.all);
    if (!stands)
        printf("# written outside\n");
    return stands;
}

static bool is_right(const struct problem *p)
{
    const size_t n = p->out.n;
    const int columns = p->pass == CONV_FORWARD ? p->c.O : p->c.C;
    const int lanes = p->c.lanes ? KN_LANES : 1;
    size_t wrong = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t column = i / (size_t)lanes % (size_t)columns;
        const struct ref_sum s = ref_conv(&p->c, p->pass, i, p->a.at, p->b.at);
        const double want =
            finish(p->pass == CONV_GRAD_WEIGHT ? NULL : p->e, s.sum, column, i, p->old.at[i]);
        const double got = (double)p->out.at[i];
        const double bound = ref_conv_bound(s);
        const bool right =
            isnan(want) ? isnan(got) || (p->e && p->e->grad) : fabs(got - want) <= bound;
        const bool zero = p->pass != CONV_GRAD_WEIGHT || s.terms > 0 || got == 0;
        if ((!right || !zero) && !wrong++)
            printf("# [%zu] of %zu: got %.9g, wanted %.9g within %g\n", i, n, got, want, bound);
    }
    if (wrong)
        printf("# %zu of %zu are wrong\n", wrong, n);
    return !wrong;
}

/* One thread against the oracle, then `threads` against one. */
static bool try_problem(struct problem *p, int threads)
{
    const size_t bytes = p->out.n * sizeof(float);
    if (!run_on(p, 1) || !is_right(p))
        return false;
    float *first = xmalloc(bytes + 1);
    memcpy(first, p->out.at, bytes);
    const bool good = run_on(p, threads), same = memcmp(first, p->out.at, bytes) == 0;
    free(first);
    if (good && !same)
        printf("# %d threads give other bits than one\n", threads);
    return good && same;
}

static bool try_conv(const struct kn_conv *c, int pass, int kind, uint64_t seed)
{
    struct rng r = rng_make(seed, rng_stream("conv"));
    struct problem p = problem_new(c, pass, kind, &r);
    p.e = kind ? &p.epilogue : NULL;
    if (seed % 8 == 5 && !c->mask)
        p.a.at[rng_below(&r, (uint32_t)p.a.n)] = NAN;
    const bool good = try_problem(&p, 2 + (int)(seed % 2));
    if (!good)
        printf(
            "# %s %s %s: N %d, %dx%dx%d -> %dx%dx%d, kernel %dx%d, stride %d, pad %d, %s"
            "epilogue %d, seed %llu\n",
            kn->isa, c->lanes ? "lanes" : "NHWC", pass_names[pass], c->N, c->H, c->W, c->C, c->OH,
            c->OW, c->O, c->KH, c->KW, c->stride, c->pad, c->mask ? "masked, " : "", kind,
            (unsigned long long)seed);
    problem_free(&p);
    return good;
}

/* ---- the problems ---- */

static void measure(struct kn_conv *c)
{
    c->OH = (c->H + 2 * c->pad - c->KH) / c->stride + 1;
    c->OW = (c->W + 2 * c->pad - c->KW) / c->stride + 1;
}

/* A random small problem; a mask now and then. */
static struct kn_conv draw(struct rng *r, bool lanes, uint8_t mask[])
{
    struct kn_conv c = {.lanes = lanes};
    c.N = lanes ? KN_LANES * (1 + (int)rng_below(r, 3)) : 1 + (int)rng_below(r, 5);
    c.C = 1 + (int)rng_below(r, 20);
    c.O = 1 + (int)rng_below(r, 20);
    c.KH = 1 + (int)rng_below(r, 5);
    c.KW = 1 + (int)rng_below(r, 5);
    c.stride = 1 + (int)rng_below(r, 3);
    c.pad = (int)rng_below(r, 3);
    c.H = (c.KH > 2 * c.pad ? c.KH - 2 * c.pad : 1) + (int)rng_below(r, lanes ? 4 : 8);
    c.W = (c.KW > 2 * c.pad ? c.KW - 2 * c.pad : 1) + (int)rng_below(r, lanes ? 5 : 9);
    if (rng_below(r, 4) == 0)
        c.mask = mask;
    for (int i = 0; c.mask && i < c.O * c.C; i++)
        mask[i] = rng_below(r, 3) != 0;
    measure(&c);
    return c;
}

static void test_random(bool lanes, int pass, int problems)
{
    uint8_t mask[400];
    int bad = 0;
    struct rng r = rng_make(17, (uint64_t)pass + (lanes ? 10 : 0));
    for (int i = 0; i < problems && bad < 3; i++) {
        const struct kn_conv c = draw(&r, lanes, mask);
        bad += !try_conv(&c, pass, pass == CONV_GRAD_WEIGHT ? 0 : i % KINDS, (uint64_t)i);
    }
    ok(bad == 0, "%s: %s %s, %d problems", kn->isa, lanes ? "lanes" : "NHWC", pass_names[pass],
       problems);
}

/* Shapes of real networks, small batches of them, and corners of the tiles. */
static const struct kn_conv shapes[] = {
    {.lanes = true,
     .N = 32,
     .H = 28,
     .W = 28,
     .C = 1,
     .O = 6,
     .KH = 5,
     .KW = 5,
     .stride = 1,
     .pad = 2},
    {.lanes = true, .N = 16, .H = 32, .W = 32, .C = 1, .O = 6, .KH = 5, .KW = 5, .stride = 1},
    {.lanes = true, .N = 32, .H = 14, .W = 14, .C = 6, .O = 16, .KH = 5, .KW = 5, .stride = 1},
    {.lanes = true, .N = 48, .H = 5, .W = 5, .C = 16, .O = 120, .KH = 5, .KW = 5, .stride = 1},
    {.lanes = true, .N = 80, .H = 3, .W = 3, .C = 13, .O = 7, .KH = 1, .KW = 1, .stride = 1},
    {.lanes = true,
     .N = 16,
     .H = 9,
     .W = 4,
     .C = 2,
     .O = 5,
     .KH = 7,
     .KW = 11,
     .stride = 2,
     .pad = 5},
    {.N = 2, .H = 19, .W = 17, .C = 3, .O = 33, .KH = 7, .KW = 7, .stride = 2, .pad = 3},
    {.N = 1, .H = 27, .W = 27, .C = 3, .O = 20, .KH = 11, .KW = 11, .stride = 4, .pad = 2},
    {.N = 3, .H = 9, .W = 9, .C = 32, .O = 48, .KH = 3, .KW = 3, .stride = 1, .pad = 1},
    {.N = 2, .H = 8, .W = 8, .C = 67, .O = 35, .KH = 1, .KW = 1, .stride = 2},
    {.N = 4, .H = 7, .W = 7, .C = 1, .O = 1, .KH = 3, .KW = 3, .stride = 1, .pad = 1},
    {.N = 1, .H = 5, .W = 5, .C = 9, .O = 120, .KH = 3, .KW = 3, .stride = 2, .pad = 1},
    {.N = 1, .H = 1, .W = 1, .C = 5, .O = 9, .KH = 3, .KW = 3, .stride = 1, .pad = 1},
};

static void test_shapes(int pass)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct kn_conv c = shapes[i];
        measure(&c);
        ok(try_conv(&c, pass, pass == CONV_GRAD_WEIGHT ? 0 : 2 + (int)i % 3, 1000 + i),
           "%s: %s %s %dx%d, %d to %d channels", kn->isa, c.lanes ? "lanes" : "NHWC",
           pass_names[pass], c.KH, c.KW, c.C, c.O);
    }
}

/* LeCun et al. 1998, Table I: which S2 maps each C3 map sees. */
static void test_table1(int pass)
{
    static const char *const sees[16] = {"012",  "123",  "234",  "345",   "045",  "015",
                                         "0123", "1234", "2345", "0345",  "0145", "0125",
                                         "0134", "1245", "0235", "012345"};
    uint8_t mask[16 * 6] = {0};
    for (int o = 0; o < 16; o++)
        for (const char *s = sees[o]; *s; s++)
            mask[o * 6 + (*s - '0')] = 1;
    struct kn_conv c = {.N = 32, .H = 14, .W = 14, .C = 6, .O = 16, .KH = 5, .KW = 5, .stride = 1};
    c.mask = mask;
    measure(&c);
    for (int lanes = 0; lanes < 2; lanes++) {
        c.lanes = lanes;
        ok(try_conv(&c, pass,
                    pass == CONV_FORWARD     ? 4
                    : pass == CONV_GRAD_DATA ? 8
                                             : 0,
                    7),
           "%s: %s %s, C3 with Table I", kn->isa, lanes ? "lanes" : "NHWC", pass_names[pass]);
    }
}

int main(void)
{
    const int share = getenv("BENCH_QEMU") ? 5 : 1; /* an emulator takes its time */
    for (const struct kn_table *const *t = kn_tables; *t; t++) {
        struct err err;
        if (!kn_runs_here(*t) || !kn_init((*t)->isa, &err))
            continue;
        for (int pass = 0; pass < PASSES; pass++) {
            test_random(true, pass, 40 / share);
            test_random(false, pass, 80 / share);
            test_shapes(pass);
            test_table1(pass);
        }
    }
    return done();
}
