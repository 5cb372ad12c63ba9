/* t_classify — cross entropy over many classes, whose gradient sums its rows up for the bias in front
 * while it has them (graph/fuse.c): the same numbers as one pass after the other, and the same bits
 * from any number of threads; rows that do not count, labels that do not exist, smoothing, several
 * losses. */
#include <math.h>

#include "base/rng.h"
#include "graph/program.h"
#include "kernels/kernels.h"
#include "nn.h"
#include "tests/tap.h"

enum { LENGTH = 33, WIDTH = 5, MOST_THREADS = 4 };

enum labels { ALL, SOME_DO_NOT_COUNT, NONE_COUNTS, ONE_DOES_NOT_EXIST };

static const struct model {
    const char *what;
    int batch, classes, losses;
    float smoothing;
    enum labels labels;
    bool fused; /* there are enough rows */
} models[] = {
    {"one loss", 16, 1003, 1, 0.0f, ALL, true},
    {"smoothing", 16, 1003, 1, 0.1f, ALL, true},
    {"two losses, rows that do not count", 16, 1003, 2, 0.1f, SOME_DO_NOT_COUNT, true},
    {"no row counts", 16, 1003, 1, 0.1f, NONE_COUNTS, true},
    {"a label that does not exist", 16, 1003, 1, 0.0f, ONE_DOES_NOT_EXIST, true},
    {"as many rows as pieces", 1, 20011, 1, 0.0f, ALL, true},
    {"few classes", 16, 101, 1, 0.0f, ALL, false},
};
enum { MODELS = sizeof models / sizeof *models };

static struct nn_graph *graph_of(const struct model *m)
{
    struct nn_graph *g = graph_new(m->batch);
    const nn_value x = nn_input(g, "x", NN_F32, NN_SHAPE(LENGTH, WIDTH)),
                   label = nn_input(g, "label", NN_I32, NN_SHAPE(LENGTH));
    nn_value sum = {0};
    for (int i = 0; i < m->losses; i++) {
        nn_row(g, "scores%d", i);
        const nn_value y = nn_linear(x, m->classes),
                       loss = nn_smooth_cross_entropy(y, label, m->smoothing);
        sum = i ? nn_add(sum, nn_scale(loss, 0.3f)) : loss;
    }
    nn_minimize(sum);
    return g;
}

static int32_t label_of(const struct model *m, size_t row, struct rng *r)
{
    const int32_t right = (int32_t)rng_below(r, (uint32_t)m->classes);
    switch (m->labels) {
    case SOME_DO_NOT_COUNT: return row % 3 == 0 ? -1 : right;
    case NONE_COUNTS: return -1;
    case ONE_DOES_NOT_EXIST: return row == 7 ? m->classes : right;
    default: return right;
    }
}

static struct program *run(const struct model *m, struct nn_graph *g, int threads, bool fused,
                           bool *finite)
{
    struct err err = {0};
    struct rng r = rng_make(3, rng_stream("feed"));
    const struct program_options o = {
        .threads = threads, .train = true, .no_fuse = !fused, .seed = 4};
    struct program *p = program_new(g, &o, &err);
    if (!p)
        printf("Bail out! %s: %s\n", m->what, err.text), exit(EXIT_FAILURE);
    const struct tensor *x = program_find(p, TENSOR_INPUT, "x"),
                        *label = program_find(p, TENSOR_INPUT, "label");
    for (size_t i = 0; i < x->elements; i++)
        ((float *)x->data)[i] = (float)rng_normal(&r);
    for (size_t i = 0; i < label->elements; i++)
        ((int32_t *)label->data)[i] = label_of(m, i, &r);
    program_count(p);
    *finite = program_run(p);
    return p;
}

static int sums_left(const struct program *p)
{
    int steps, left = 0;
    const struct program_step *const step = program_steps(p, &steps);
    for (int i = 0; i < steps; i++)
        left += strcmp(step[i].op, "left") == 0;
    return left;
}

/* Losses whose scores the forward pass does not read. */
static int losses_made_by_gradients(const struct program *p)
{
    int steps, made = 0;
    const struct program_step *const step = program_steps(p, &steps);
    for (int i = 0; i < steps; i++)
        made += strcmp(step[i].op, "cross_entropy") == 0 && step[i].bytes == 0;
    return made;
}

/* Of all gradients, relative to the largest; INFINITY where only one is NaN. */
static double apart(struct program *a, struct program *b)
{
    size_t n;
    const float *x = program_grads(a, &n), *y = program_grads(b, &n);
    double most = 0, largest = 1e-30;
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i]) != isnan(y[i]))
            return INFINITY;
        most = fmax(most, fabs((double)x[i] - (double)y[i])); /* passes NaN over */
        largest = fmax(largest, fabs((double)y[i]));
    }
    return most / largest;
}

static bool same_bits(struct program *a, struct program *b)
{
    size_t n;
    const float *x = program_grads(a, &n), *y = program_grads(b, &n);
    const float loss[2] = {program_loss(a), program_loss(b)};
    return memcmp(x, y, n * sizeof *x) == 0 && memcmp(&loss[0], &loss[1], sizeof(float)) == 0;
}

static void check(const struct model *m)
{
    struct err err = {0};
    bool finite[3];
    struct nn_graph *g = graph_of(m);
    struct program *plain = run(m, g, 1, false, &finite[0]), *one = run(m, g, 1, true, &finite[1]);
    const bool good = m->labels != ONE_DOES_NOT_EXIST;
    is_int(sums_left(one), m->fused ? m->losses : 0, "%s: sums that the gradient leaves", m->what);
    ok(finite[0] == good && finite[1] == good, "%s: finite or not", m->what);
    is_near(apart(one, plain), 0, 1e-5, "%s: the same gradients", m->what);
    if (good)
        is_near((double)program_loss(one), (double)program_loss(plain), 1e-5, "%s: the same loss",
                m->what);
    is_int(losses_made_by_gradients(one), m->losses == 1, "%s: the gradient makes the loss",
           m->what);
    if (m->labels == ALL) /* what does not count is not counted */
        ok(program_audit(one, &err), "%s: every op counts what it says: %s", m->what, err.text);
    for (int threads = 2; threads <= MOST_THREADS; threads++) {
        struct program *more = run(m, g, threads, true, &finite[2]);
        ok(same_bits(one, more), "%s: the same bits from %d threads", m->what, threads);
        program_free(more);
    }
    program_free(plain);
    program_free(one);
    graph_free(g);
}

int main(void)
{
    for (int t = 0; kn_tables[t]; t++) {
        struct err err = {0};
        if (!kn_runs_here(kn_tables[t]))
            continue;
        ok(kn_init(kn_tables[t]->isa, &err), "%s: chosen%s", kn_tables[t]->isa, err.text);
        for (int i = 0; i < MODELS; i++)
            check(&models[i]);
    }
    return done();
}
