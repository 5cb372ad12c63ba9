/* t_lookup.c — a linear layer behind an embedding becomes an embedding of its results
 * (graph/lookup.c): when it does, and that nothing but time comes of it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "graph/program.h"
#include "kernels/kernels.h"
#include "tests/tap.h"

enum { BATCH = 6, LENGTH = 8, WIDTH = 12, OUT = 20, CLASSES = 5 };

enum shape {
    ALONE,  /* embedding, linear */
    SHARED, /* the embedding has another reader */
    NO_BIAS,
    TWO_LAYERS /* two tables, each with its layer */
};

static nn_value embed(struct nn_graph *g, nn_value i, const char *row, int symbols)
{
    const struct nn_init init = {NN_INIT_NORMAL, 1};
    nn_row(g, "%s", row);
    return nn_gather(nn_param(g, "weight", NN_SHAPE(symbols, WIDTH), init), i);
}

static struct nn_graph *model(int symbols, enum shape shape)
{
    struct nn_graph *g = graph_new(BATCH);
    const nn_value i = nn_input(g, "symbols", NN_I32, NN_SHAPE(LENGTH)),
                   label = nn_input(g, "label", NN_I32, NN_SCALAR);
    const nn_value e = embed(g, i, "embedding", symbols);
    nn_row(g, "hidden");
    nn_value y = nn_linear(e, OUT, .no_bias = shape == NO_BIAS);
    if (shape == SHARED)
        y = nn_concat(y, e, 2);
    if (shape == TWO_LAYERS) {
        const nn_value f = embed(g, i, "second", symbols);
        nn_row(g, "other");
        y = nn_add(y, nn_linear(f, OUT));
    }
    nn_row(g, "scores");
    y = nn_linear(nn_flatten(nn_tanh(y)), CLASSES);
    nn_minimize(nn_cross_entropy(y, label));
    return g;
}

static struct program *made(struct nn_graph *g, int symbols, struct program_options o)
{
    struct err err = {0};
    struct rng r = rng_make(3, rng_stream("feed"));
    const struct tensor *t;
    o.seed = 1;
    o.train = true;
    struct program *p = program_new(g, &o, &err);
    if (!p)
        printf("Bail out! %s\n", err.text), exit(1);
    for (int i = 0; (t = program_tensor(p, TENSOR_INPUT, i)); i++) {
        const unsigned below = strcmp(t->name, "label") == 0 ? CLASSES : (unsigned)symbols;
        for (size_t k = 0; k < t->elements; k++)
            ((int32_t *)t->data)[k] = (int32_t)rng_below(&r, below);
    }
    return p;
}

static double macs(const struct program *p)
{
    int steps;
    double sum = 0.0;
    const struct program_step *step = program_steps(p, &steps);
    for (int i = 0; i < steps; i++)
        sum += step[i].macs;
    return sum;
}

static double grads_apart(struct program *a, struct program *b)
{
    size_t n;
    const float *x = program_grads(a, &n), *y = program_grads(b, &n);
    double most = 0.0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)x[i] - (double)y[i]));
    return most;
}

/* less: multiply-adds that are saved, of all three products */
static void test_model(const char *what, int symbols, enum shape shape, double less)
{
    struct err err = {0};
    struct nn_graph *g = model(symbols, shape);
    struct program *plain =
                       made(g, symbols, (struct program_options){.threads = 1, .no_fuse = true}),
                   *one = made(g, symbols, (struct program_options){.threads = 1}),
                   *three = made(g, symbols, (struct program_options){.threads = 3});
    is_near(macs(plain) - macs(one), less, 0.0, "%s: so many multiply-adds less", what);
    program_count(one);
    ok(program_run(plain) && program_run(one) && program_run(three), "%s: all run", what);
    ok(program_audit(one, &err), "%s: every op counts what it says: %s", what, err.text);
    is_near((double)program_loss(one), (double)program_loss(plain), 1e-6, "%s: the same loss",
            what);
    is_near(grads_apart(one, plain), 0.0, 1e-6, "%s: the same gradients", what);
    is_near(grads_apart(one, three), 0.0, 0.0, "%s: three threads, the same bits", what);
    program_free(plain);
    program_free(one);
    program_free(three);
    graph_free(g);
}

/* An index beyond the table is blamed on the embedding, as ever. */
static void test_bad_index(void)
{
    struct nn_graph *g = model(11, ALONE);
    struct program *p = made(g, 11, (struct program_options){.threads = 2});
    ((int32_t *)program_find(p, TENSOR_INPUT, "symbols")->data)[5] = 11;
    ok(!program_run(p), "an index beyond the table ends the step");
    ok(strstr(program_blame(p), "gather") != NULL, "and is blamed: %s", program_blame(p));
    program_free(p);
    graph_free(g);
}

int main(void)
{
    struct err err = {0};
    if (!kn_init(NULL, &err))
        printf("Bail out! %s\n", err.text), exit(1);
    enum { PLACES = BATCH * LENGTH, FEW = 11, HALF = PLACES / 2, MANY = HALF + 1 };
    const double each = 3.0 * WIDTH * OUT;
    test_model("few symbols", FEW, ALONE, (PLACES - FEW) * each);
    test_model("no bias", FEW, NO_BIAS, (PLACES - FEW) * each);
    test_model("two tables", FEW, TWO_LAYERS, 2.0 * (PLACES - FEW) * each);
    test_model("half as many as places", HALF, ALONE, (PLACES - HALF) * each);
    test_model("more than half", MANY, ALONE, 0.0);
    test_model("read elsewhere too", FEW, SHARED, 0.0);
    test_bad_index();
    return done();
}
