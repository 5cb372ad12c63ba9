/* Batch normalisation in the graph: its values and running moments against the formula,
 * fused against one kernel an op, lanes against NHWC, one thread against two, and
 * evaluation, where it is folded into the layer before it. */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "graph/exec.h"
#include "nn.h"
#include "tests/tap.h"

enum { BATCH = 16, IN = 3, SIDE = 9, CLASSES = 5, STEPS = 3 };

/* Every way a norm can stand: behind a convolution with relu, without, with a residual and relu,
 * behind a linear layer, and behind no layer at all. */
static void build(struct nn_graph *g, int width)
{
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(IN, SIDE, SIDE));
    const nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    nn_row(g, "one");
    x = nn_relu(nn_batch_norm(nn_conv2d(x, width, .kernel = 3, .pad = 1, .no_bias = true), 1e-5f));
    nn_row(g, "two");
    nn_value y = nn_conv2d(x, width, .kernel = 3, .pad = 1);
    nn_row(g, "two_norm");
    y = nn_batch_norm(y, 1e-3f, .momentum = 0.3f);
    x = nn_relu(nn_add(y, x));
    nn_row(g, "pool");
    x = nn_batch_norm(nn_avg_pool(x, 3), 1e-5f);
    nn_row(g, "flat");
    x = nn_relu(nn_batch_norm(nn_linear(nn_flatten(x), 20, .no_bias = true), 1e-5f));
    nn_row(g, "output");
    x = nn_linear(x, CLASSES);
    nn_minimize(nn_cross_entropy(x, label));
    nn_metric("accuracy", nn_accuracy(x, label));
}

/* Noise around a mean far from 0, which is what breaks careless variances. */
static void fill(struct program *p)
{
    struct rng r = rng_make(7, rng_stream("fill"));
    const struct tensor *image = program_find(p, TENSOR_INPUT, "image");
    float *x = xmalloc(image->elements * sizeof *x);
    for (size_t i = 0; i < image->elements; i++)
        x[i] = 3.0f + (float)rng_normal(&r);
    program_write(p, image, x);
    free(x);
    int32_t label[BATCH];
    for (int i = 0; i < BATCH; i++)
        label[i] = (int32_t)rng_below(&r, CLASSES);
    program_write(p, program_find(p, TENSOR_INPUT, "label"), label);
}

static float descend(void *arg, const struct crew *crew, struct program *p)
{
    size_t count, from, to;
    float *w = program_weights(p, &count), *g = program_grads(p, &count);
    (void)arg;
    crew_share(crew, count, 16, &from, &to);
    for (size_t i = from; i < to; i++)
        w[i] -= 0.05f * g[i];
    return 0.0f;
}

static struct program *trained(struct nn_graph *g, const struct program_options *o, int steps)
{
    struct err err = {0};
    struct program *p = program_new(g, o, &err);
    if (!p)
        printf("Bail out! %s\n", err.text), exit(1);
    fill(p);
    program_set_hooks(p, &(struct program_hooks){.update = descend});
    for (int i = 0; i < steps; i++)
        ok(program_run(p), "step %d is finite", i);
    return p;
}

/* The largest difference, by the largest element of all: a bias in front of a norm has no gradient
 * but rounding. */
static double all_apart(const struct program *a, const struct program *b, int kind)
{
    double most = 0.0, size = 1e-30;
    const struct tensor *t, *u;
    for (int i = 0; (t = program_tensor(a, kind, i)); i++) {
        u = program_tensor(b, kind, i);
        for (size_t k = 0; k < t->elements; k++) {
            const double x = (double)((float *)t->data)[k], y = (double)((float *)u->data)[k];
            most = fmax(most, fabs(x - y));
            size = fmax(size, fabs(y));
        }
    }
    return most / size;
}

static void test_ways(int width)
{
    const struct program_options plain = {
        .threads = 1, .train = true, .no_fuse = true, .no_lanes = true, .seed = 1};
    const struct program_options fused = {.threads = 2, .train = true, .seed = 1};
    struct program_options alone = fused;
    alone.threads = 1;
    struct nn_graph *g = graph_new(BATCH);
    build(g, width);
    struct program *a = trained(g, &plain, STEPS), *b = trained(g, &fused, STEPS),
                   *c = trained(g, &alone, STEPS);
    const double grads = all_apart(b, a, TENSOR_GRAD), moments = all_apart(b, a, TENSOR_BUFFER);
    ok(grads < 2e-4, "width %d: gradients of fused and plain agree: %g", width, grads);
    ok(moments < 1e-5, "width %d: running moments agree: %g", width, moments);
    is_near((double)program_loss(b), (double)program_loss(a), 1e-4, "width %d: and the losses",
            width);
    ok(all_apart(b, c, TENSOR_GRAD) == 0 && all_apart(b, c, TENSOR_BUFFER) == 0,
       "width %d: the same bits on two threads", width);

    struct program_options test = {.threads = 2, .share = b, .seed = 1};
    struct program *folded = program_new(g, &test, NULL);
    test.no_fuse = test.no_lanes = true;
    struct program *frozen = program_new(g, &test, NULL);
    program_keep_output(folded);
    program_keep_output(frozen);
    fill(folded);
    fill(frozen);
    ok(program_run(folded) && program_run(frozen), "evaluation runs");
    const double off = all_apart(folded, frozen, TENSOR_OUTPUT);
    ok(off < 1e-4, "width %d: folded into its layers it gives the same scores: %g", width, off);
    int norms = 0, steps;
    const struct program_step *step = program_steps(folded, &steps);
    for (int i = 0; i < steps; i++)
        norms += strcmp(step[i].op, "batch_norm") == 0;
    is_int(norms, 1, "width %d: only the norm without a layer is left", width);
    program_free(folded);
    program_free(frozen);
    program_free(a);
    program_free(b);
    program_free(c);
    graph_free(g);
}

/* Two norms behind convolutions with means far from 0: moments from their epilogues against those
 * of a pass of their own over the same values. */
static void build_far(struct nn_graph *g, int width)
{
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(IN, SIDE, SIDE));
    const nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    nn_row(g, "one");
    x = nn_conv2d(x, width, .kernel = 3, .bias_init = {NN_INIT_CONST, 1000.0f});
    nn_row(g, "one_norm");
    x = nn_batch_norm(x, 1e-5f);
    nn_row(g, "two");
    x = nn_conv2d(x, width + 3, .kernel = 1, .bias_init = {NN_INIT_CONST, -500.0f});
    nn_row(g, "two_norm");
    x = nn_relu(nn_batch_norm(x, 1e-5f));
    nn_row(g, "output");
    nn_minimize(nn_cross_entropy(nn_linear(nn_flatten(x), CLASSES), label));
}

/* By the size of each. */
static double furthest(const struct program *a, const struct program *b, int kind)
{
    double most = 0.0;
    const struct tensor *t;
    for (int i = 0; (t = program_tensor(a, kind, i)); i++)
        for (size_t k = 0; k < t->elements; k++) {
            const double x = (double)((float *)t->data)[k],
                         y = (double)((float *)program_tensor(b, kind, i)->data)[k];
            most = fmax(most, fabs(x - y) / fabs(y));
        }
    return most;
}

static int merging(const struct program *p)
{
    int found = 0, steps;
    const struct program_step *step = program_steps(p, &steps);
    for (int i = 0; i < steps; i++)
        found += strstr(step[i].kernel, "pieces merged") != NULL;
    return found;
}

static void test_far(int width, int algo)
{
    struct program_options o = {.threads = 1, .train = true, .conv_algo = algo, .seed = 3};
    struct nn_graph *g = graph_new(BATCH);
    build_far(g, width);
    struct program *one = trained(g, &o, 1);
    o.threads = 2;
    struct program *two = trained(g, &o, 1);
    o.threads = 3;
    struct program *three = trained(g, &o, 1);
    o.no_fuse = true;
    struct program *apart = trained(g, &o, 1);
    const char *const name = kn_conv_algos[algo];
    is_int(merging(one), 2, "%s, width %d, %s: both norms take over", kn->isa, width, name);
    is_int(merging(apart), 0, "and none unfused");
    const double off = furthest(one, apart, TENSOR_BUFFER);
    ok(off < 2e-5, "running moments agree: %g", off);
    ok(all_apart(one, two, TENSOR_PARAM) == 0 && all_apart(one, three, TENSOR_PARAM) == 0 &&
           all_apart(one, two, TENSOR_BUFFER) == 0 && all_apart(one, three, TENSOR_BUFFER) == 0,
       "the same bits on one, two and three threads");
    program_free(one);
    program_free(two);
    program_free(three);
    program_free(apart);
    graph_free(g);
}

static void test_formula(void)
{
    enum { C = 3 };
    struct nn_graph *g = graph_new(BATCH);
    const nn_value x = nn_input(g, "x", NN_F32, NN_SHAPE(C));
    nn_row(g, "n");
    const nn_value y = nn_batch_norm(x, 1e-2f, .momentum = 0.25f);
    nn_metric("first", nn_sum(nn_sum(y, 1), 0));
    nn_minimize(nn_sum(nn_sum(nn_mul(y, y), 1), 0));
    struct program *p =
        program_new(g, &(struct program_options){.threads = 1, .train = true}, NULL);
    float v[BATCH * C];
    for (int i = 0; i < BATCH * C; i++)
        v[i] = (float)(i * i % 17) + 100.0f;
    program_write(p, program_find(p, TENSOR_INPUT, "x"), v);
    ok(program_run(p), "it runs");
    double loss = 0.0;
    for (int c = 0; c < C; c++) {
        double mean = 0, var = 0;
        for (int i = 0; i < BATCH; i++)
            mean += (double)v[i * C + c] / BATCH;
        for (int i = 0; i < BATCH; i++)
            var += ((double)v[i * C + c] - mean) * ((double)v[i * C + c] - mean) / BATCH;
        loss += BATCH * var / (var + 1e-2);
        const struct tensor *rm = program_find(p, TENSOR_BUFFER, "n.running_mean");
        const struct tensor *rv = program_find(p, TENSOR_BUFFER, "n.running_var");
        is_near((double)((float *)rm->data)[c], 0.25 * mean, 1e-4, "running mean of channel %d", c);
        is_near((double)((float *)rv->data)[c], 0.75 + 0.25 * var * BATCH / (BATCH - 1.0), 1e-4,
                "running variance");
    }
    is_near((double)program_loss(p), loss, 1e-3, "normalised by the batch's own moments");
    program_free(p);
    graph_free(g);
}

static void test_errors(void)
{
    struct nn_graph *g = graph_new(2);
    (void)nn_batch_norm(nn_input(g, "x", NN_F32, NN_SHAPE(3, 4)), 1e-5f);
    ok(strstr(graph_error(g), "rank 3"), "%s", graph_error(g));
    graph_free(g);
    g = graph_new(2);
    (void)nn_batch_norm(nn_input(g, "x", NN_F32, NN_SHAPE(3)), 0.0f);
    ok(strstr(graph_error(g), "epsilon 0"), "%s", graph_error(g));
    graph_free(g);
}

int main(void)
{
    kn_init(NULL, NULL);
    test_formula();
    test_ways(8);  /* lanes */
    test_ways(48); /* NHWC */
    test_errors();
    for (int i = 0; kn_tables[i]; i++)
        for (int algo = CONV_AUTO; algo <= CONV_WINOGRAD_4 && kn_runs_here(kn_tables[i]); algo++) {
            kn_init(kn_tables[i]->isa, NULL);
            test_far(8, algo);
            test_far(40, algo);
        }
    return done();
}
