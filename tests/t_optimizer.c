/* Optimizers against the formulas in double precision, step by step, on every instruction set, over
 * the ranges of a program; the same bits for any crew; clipping; NaN. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "graph/program.h"
#include "nn.h"
#include "tap.h"
#include "train/optimizer.h"

/* Parameters in a row, whole lines each: chunks do not go up in them, and one is a range of its own. */
enum { FIRST = 3008, LARGE = 20016, LAST = 16, COUNT = FIRST + LARGE + LAST, STEPS = 6 };

/* The same in double, as the papers write it. */
struct oracle {
    double w[COUNT], m[COUNT], v[COUNT];
    int t;
};

static double clip_of(const struct nn_recipe *r, const float *g)
{
    double sum = 0;
    for (int i = 0; i < COUNT; i++)
        sum += (double)g[i] * (double)g[i];
    return r->clip_norm > 0 ? fmin(1, (double)r->clip_norm / (sqrt(sum) + 1e-6)) : 1;
}

static void oracle_step(struct oracle *o, const struct nn_recipe *r, const float *g)
{
    const double clip = clip_of(r, g), rate = (double)r->rate, decay = (double)r->weight_decay;
    const double b1 = (double)r->momentum, b2 = (double)r->beta2;
    const bool decoupled = r->optimizer == NN_ADAMW;
    o->t++;
    for (int i = 0; i < COUNT; i++) {
        double d = clip * (double)g[i] + (decoupled ? 0 : decay * o->w[i]);
        if (r->optimizer == NN_SGD) {
            o->m[i] = b1 * o->m[i] + d;
            o->w[i] -= rate * o->m[i];
            continue;
        }
        o->m[i] = b1 * o->m[i] + (1 - b1) * d;
        o->v[i] = b2 * o->v[i] + (1 - b2) * d * d;
        const double m = o->m[i] / (1 - pow(b1, o->t)), v = o->v[i] / (1 - pow(b2, o->t));
        o->w[i] -=
            (decoupled ? rate * decay * o->w[i] : 0) + rate * m / (sqrt(v) + (double)r->epsilon);
    }
}

struct job {
    struct optimizer o;
    struct nn_graph *graph;
    struct program *p;
    float *w, *g; /* the program's */
    float poison[4];
};

static void update(void *arg, const struct crew *crew)
{
    struct job *j = arg;
    j->poison[crew->thread] = optimizer_update(&j->o, crew, j->p);
}

static void gradients(int step, float *g)
{
    struct rng r = rng_make(5, (uint64_t)step);
    for (int i = 0; i < COUNT; i++)
        g[i] = (float)rng_normal(&r);
}

/* The loss is the sum of all parameters: it is never asked for. */
static struct nn_graph *parameters(void)
{
    static const int sizes[] = {FIRST, LARGE, LAST};
    struct nn_graph *g = graph_new(1);
    nn_value sum = {0};
    for (int i = 0; i < 3; i++) {
        nn_row(g, "p%d", i);
        const nn_value s = nn_sum(nn_param(g, "w", NN_SHAPE(1, sizes[i]), NN_ZEROS), 1);
        sum = i ? nn_add(sum, s) : s;
    }
    nn_minimize(nn_sum(sum, 0));
    return g;
}

static void start(const struct nn_recipe *r, struct job *j)
{
    struct rng n = rng_make(6, 0);
    struct err err = {0};
    size_t weights, grads;
    j->graph = parameters();
    j->p = program_new(j->graph, &(struct program_options){.threads = 1, .train = true}, &err);
    if (!j->p)
        printf("Bail out! %s%s\n", graph_error(j->graph) ? graph_error(j->graph) : "", err.text),
            exit(EXIT_FAILURE);
    j->w = program_weights(j->p, &weights);
    j->g = program_grads(j->p, &grads);
    if (weights != COUNT || grads != COUNT)
        printf("Bail out! %zu weights and %zu gradients\n", weights, grads), exit(EXIT_FAILURE);
    optimizer_init(&j->o, r, COUNT);
    for (int i = 0; i < COUNT; i++)
        j->w[i] = (float)rng_normal(&n);
}

static void finish(struct job *j)
{
    optimizer_release(&j->o);
    program_free(j->p);
    graph_free(j->graph);
}

static bool run(struct job *j, const struct nn_recipe *r, int threads, struct oracle *oracle)
{
    float poison = 0;
    start(r, j);
    for (int i = 0; oracle && i < COUNT; i++)
        oracle->w[i] = (double)j->w[i];
    for (int s = 0; s < STEPS; s++) {
        gradients(s, j->g);
        optimizer_begin(&j->o, (double)r->rate);
        crew_run(threads, update, j);
        for (int t = 0; t < threads; t++)
            poison += j->poison[t];
        if (oracle)
            oracle_step(oracle, r, j->g);
    }
    return poison == 0;
}

static const struct {
    const char *what;
    struct nn_recipe recipe;
} cases[] = {
    {"SGD", {.optimizer = NN_SGD, .rate = 0.1f}},
    {"SGD, momentum, decay",
     {.optimizer = NN_SGD, .rate = 0.1f, .momentum = 0.9f, .weight_decay = 0.01f}},
    {"SGD, clipped", {.optimizer = NN_SGD, .rate = 0.1f, .momentum = 0.9f, .clip_norm = 3.0f}},
    {"SGD, a clip that does not bind", {.optimizer = NN_SGD, .rate = 0.1f, .clip_norm = 1e6f}},
    {"Adam",
     {.optimizer = NN_ADAM, .rate = 0.01f, .momentum = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f}},
    {"Adam, decay, clipped",
     {.optimizer = NN_ADAM,
      .rate = 0.01f,
      .momentum = 0.9f,
      .beta2 = 0.99f,
      .epsilon = 1e-6f,
      .weight_decay = 0.1f,
      .clip_norm = 5.0f}},
    {"AdamW",
     {.optimizer = NN_ADAMW,
      .rate = 0.01f,
      .momentum = 0.8f,
      .beta2 = 0.999f,
      .epsilon = 1e-8f,
      .weight_decay = 0.1f}},
};

static void check_case(const char *what, const struct nn_recipe *r)
{
    struct job one, more;
    struct oracle *oracle = xcalloc(1, sizeof *oracle);
    ok(run(&one, r, 1, oracle), "%s on %s: finite", what, kn->isa);
    double worst = 0;
    for (int i = 0; i < COUNT; i++)
        worst = fmax(worst, fabs((double)one.w[i] - oracle->w[i]) / fmax(1, fabs(oracle->w[i])));
    is_near(worst, 0, 4e-6, "%s on %s: as by the formula", what, kn->isa);
    for (int threads = 2; threads <= 3; threads++) {
        ok(run(&more, r, threads, NULL) && memcmp(one.w, more.w, COUNT * sizeof(float)) == 0,
           "%s on %s: the same bits from %d threads", what, kn->isa, threads);
        finish(&more);
    }
    finish(&one);
    free(oracle);
}

/* Every place of a NaN is noticed; with clipping nothing has moved then. */
static void check_poison(void)
{
    struct job j;
    const struct nn_recipe plain = {.optimizer = NN_SGD, .rate = 0.1f},
                           clipped = {.optimizer = NN_SGD, .rate = 0.1f, .clip_norm = 1};
    int missed = 0;
    start(&plain, &j);
    for (int at = 0; at < COUNT; at += 97) {
        gradients(0, j.g);
        j.g[at] = at % 2 ? NAN : INFINITY;
        optimizer_begin(&j.o, 0.1);
        missed += !isnan(optimizer_update(&j.o, CREW_ALONE, j.p));
    }
    is_int(missed, 0, "NaN and infinity are noticed wherever they are");
    finish(&j);
    start(&clipped, &j);
    float *before = xmalloc(COUNT * sizeof(float));
    memcpy(before, j.w, COUNT * sizeof(float));
    gradients(0, j.g);
    j.g[5000] = NAN;
    optimizer_begin(&j.o, 0.1);
    ok(isnan(optimizer_update(&j.o, CREW_ALONE, j.p)), "clipping notices NaN");
    ok(memcmp(before, j.w, COUNT * sizeof(float)) == 0, "and leaves the parameters alone");
    free(before);
    finish(&j);
}

static void test_ranges(void)
{
    struct job j;
    struct program_range r;
    start(&cases[0].recipe, &j);
    ok(program_range(j.p, 1, &r) && r.weight == FIRST && r.grad == FIRST && r.count == LARGE,
       "a large parameter is a range of its own");
    ok(program_range(j.p, 2, &r) && r.count == LAST && !program_range(j.p, 3, &r),
       "and the one behind it is the last");
    finish(&j);
}

int main(void)
{
    struct err err = {0};
    for (int i = 0; kn_tables[i]; i++)
        if (kn_runs_here(kn_tables[i]) && kn_init(kn_tables[i]->isa, &err)) {
            for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++)
                check_case(cases[k].what, &cases[k].recipe);
            check_poison();
        }
    test_ranges();
    return done();
}
