/* conv_test.h — what the tests of the convolution share: a problem with its operands between
 * guards, tried with an epilogue on one thread against sums in double (perf/reference.h), then on
 * more threads against the bits of one. */
#ifndef CONV_TEST_H
#define CONV_TEST_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

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
static inline struct buffer buffer_new(size_t n, size_t shift)
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

static inline bool guards_stand(const struct buffer *b)
{
    for (size_t i = 0; i < GUARD; i++)
        if (b->at[-1 - (ptrdiff_t)i] != canary || b->at[b->n + i] != canary)
            return false;
    return true;
}

static inline void fill(struct rng *r, struct buffer *b, double lo, double hi)
{
    for (size_t i = 0; i < b->n; i++)
        b->at[i] = (float)(lo + (hi - lo) * rng_unit(r));
}

static inline double finish(const struct kn_epilogue *e, double v, size_t column, size_t at,
                            float old)
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

static inline size_t elements(const struct kn_conv *c, int pass)
{
    const size_t x = (size_t)c->N * (size_t)c->H * (size_t)c->W * (size_t)c->C,
                 y = (size_t)c->N * (size_t)c->OH * (size_t)c->OW * (size_t)c->O;
    return pass == CONV_FORWARD     ? y
           : pass == CONV_GRAD_DATA ? x
                                    : (size_t)(c->O * c->KH * c->KW * (c->C / conv_groups(c)));
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

static inline struct problem problem_new(const struct kn_conv *c, int pass, int kind, struct rng *r)
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

static inline void problem_free(struct problem *p)
{
    struct buffer *const all[] = {&p->a, &p->b, &p->old, &p->bias, &p->residual, &p->y, &p->out};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]->all);
}

static inline void work_on(void *arg, const struct crew *crew)
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
static inline bool run_on(struct problem *p, int threads)
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

static inline bool is_right(const struct problem *p)
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
static inline bool try_problem(struct problem *p, int threads)
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

static inline bool try_conv(const struct kn_conv *c, int pass, int kind, uint64_t seed)
{
    struct rng r = rng_make(seed, rng_stream("conv"));
    struct problem p = problem_new(c, pass, kind, &r);
    p.e = kind ? &p.epilogue : NULL;
    if (seed % 8 == 5 && !c->mask)
        p.a.at[rng_below(&r, (uint32_t)p.a.n)] = NAN;
    const bool good = try_problem(&p, 2 + (int)(seed % 2));
    if (!good)
        printf(
            "# %s %s %s: N %d, %dx%dx%d -> %dx%dx%d, kernel %dx%d, stride %d, pad %d, groups %d, %s"
            "epilogue %d, seed %llu\n",
            kn->isa, c->lanes ? "lanes" : "NHWC", pass_names[pass], c->N, c->H, c->W, c->C, c->OH,
            c->OW, c->O, c->KH, c->KW, c->stride, c->pad, conv_groups(c), c->mask ? "masked, " : "",
            kind, (unsigned long long)seed);
    problem_free(&p);
    return good;
}

/* Minimal filtering spreads NaN over a tile and has a bound of its own: t_winograd.c asks for it.
 */
static inline void measure(struct kn_conv *c)
{
    if (c->algo == CONV_AUTO)
        c->algo = CONV_DIRECT;
    c->OH = (c->H + 2 * c->pad - c->KH) / c->stride + 1;
    c->OW = (c->W + 2 * c->pad - c->KW) / c->stride + 1;
}

#endif
