/* t_inside.c — what the planner saves of a step's memory: weights updated where their gradient is
 * made (graph/inside.c), and norms made again in the backward pass (graph/recompute.c). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "graph/program.h"
#include "kernels/kernels.h"
#include "tests/tap.h"
#include "train/optimizer.h"

enum { BATCH = 6, IN = 1100, HIDDEN = 1000, CLASSES = 5, STEPS = 4 };

/* ------------------------------------------------------------------- programs */

/* The second layer's weights are large too; with `tied` they are read by a third. */
static struct nn_graph *classifier(bool tied)
{
    struct nn_graph *g = graph_new(BATCH);
    const nn_value x = nn_input(g, "x", NN_F32, NN_SHAPE(IN)),
                   label = nn_input(g, "label", NN_I32, NN_SCALAR);
    nn_row(g, "one");
    nn_value y = nn_relu(nn_linear(x, HIDDEN + 90));
    nn_row(g, "two");
    const nn_value w = nn_param(g, "w", NN_SHAPE(HIDDEN + 90, HIDDEN + 90), (struct nn_init){0});
    y = nn_relu(nn_matmul(y, w));
    if (tied)
        y = nn_relu(nn_matmul(y, w));
    nn_row(g, "three");
    y = nn_linear(y, CLASSES);
    nn_minimize(nn_cross_entropy(y, label));
    return g;
}

static void feed(struct program *p)
{
    struct rng r = rng_make(3, rng_stream("feed"));
    const struct tensor *t;
    for (int i = 0; (t = program_tensor(p, TENSOR_INPUT, i)); i++)
        for (size_t k = 0; k < t->elements; k++)
            if (t->type == NN_I32)
                ((int32_t *)t->data)[k] = (int32_t)rng_below(&r, CLASSES);
            else
                ((float *)t->data)[k] = (float)rng_normal(&r);
}

static struct program *made(struct nn_graph *g, struct program_options o)
{
    struct err err = {0};
    o.seed = 1;
    struct program *p = program_new(g, &o, &err);
    if (!p)
        printf("Bail out! %s\n", err.text), exit(1);
    feed(p);
    return p;
}

static struct program *training(struct nn_graph *g, int threads, bool inside)
{
    return made(
        g, (struct program_options){.threads = threads, .train = true, .update_inside = inside});
}

static int count(const struct program *p, const char *op, int pass)
{
    int steps, found = 0;
    const struct program_step *step = program_steps(p, &steps);
    for (int i = 0; i < steps; i++)
        found += strcmp(step[i].op, op) == 0 && (pass < 0 || step[i].pass == pass);
    return found;
}

/* ------------------------------------------------------------ updates inside */

static float update(void *arg, const struct crew *crew, struct program *p)
{
    return optimizer_update(arg, crew, p);
}

static float apply(void *arg, struct program *p, size_t at, size_t n, const float *g)
{
    return optimizer_apply(arg, p, at, n, g);
}

static const struct nn_recipe recipes[] = {
    {.optimizer = NN_SGD, .rate = 0.01f, .momentum = 0.9f, .weight_decay = 0.01f},
    {.optimizer = NN_ADAMW,
     .rate = 0.001f,
     .momentum = 0.9f,
     .beta2 = 0.99f,
     .epsilon = 1e-6f,
     .weight_decay = 0.1f},
};

/* Trains for some steps; how many came to their end. */
static int train(struct program *p, const struct nn_recipe *r, int steps)
{
    struct optimizer o;
    size_t n;
    int ended = 0;
    program_weights(p, &n);
    optimizer_init(&o, r, n);
    program_set_hooks(p, &(struct program_hooks){.update = update, .apply = apply, .arg = &o});
    while (ended < steps) {
        optimizer_begin(&o, (double)r->rate);
        if (!program_run(p))
            break;
        ended++;
    }
    optimizer_release(&o);
    return ended;
}

static double weights_apart(struct program *a, struct program *b)
{
    size_t n;
    const float *x = program_weights(a, &n), *y = program_weights(b, &n);
    double most = 0.0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)x[i] - (double)y[i]));
    return most;
}

static void test_training(const struct nn_recipe *r)
{
    const char *const what = r->optimizer == NN_SGD ? "SGD" : "AdamW";
    struct nn_graph *g = classifier(false);
    struct program *plain = training(g, 2, false);
    is_int(train(plain, r, STEPS), STEPS, "%s: all gradients kept", what);
    struct program *one = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        struct program *p = training(g, threads, true);
        is_int(train(p, r, STEPS), STEPS, "%s: two updates inside, %d threads", what, threads);
        if (!one) {
            one = p;
            continue;
        }
        is_near(weights_apart(one, p), 0.0, 0.0, "%s: %d threads, the same bits", what, threads);
        program_free(p);
    }
    is_near(weights_apart(one, plain), 0.0, 1e-6, "%s: the weights that all gradients lead to",
            what);
    program_free(one);
    program_free(plain);
    graph_free(g);
}

static void test_what_is_kept(void)
{
    struct nn_graph *g = classifier(false);
    struct program *p = training(g, 2, true), *plain = training(g, 2, false);
    is_int(count(p, "matmul_update", -1), 2, "two large products update their weights");
    ok(!program_find(p, TENSOR_GRAD, "one.weight") && program_find(p, TENSOR_GRAD, "one.bias"),
       "their gradients are no tensors, others are");
    const size_t less = program_memory(plain).gradients - program_memory(p).gradients;
    ok(less >= sizeof(float) * (IN + HIDDEN) * HIDDEN, "%zu bytes of gradients less", less);
    struct program_range r;
    size_t all, covered = 0;
    program_grads(p, &all);
    for (int i = 0; program_range(p, i, &r); i++) {
        ok(r.grad == covered, "range %d follows the one before", i);
        covered += r.count;
    }
    is_int(covered, all, "the ranges are all gradients");
    const float *const first = program_weights(plain, &all);
    const struct tensor *const large = program_find(plain, TENSOR_PARAM, "two.w");
    bool own = false;
    covered = 0;
    for (int i = 0; program_range(plain, i, &r); i++) {
        ok(r.weight == covered && r.grad == covered, "range %d of what is all kept", i);
        covered += r.count;
        own |= first + r.weight == large->data && r.count >= large->elements &&
               r.count < large->elements + 16;
    }
    is_int(covered, all, "are all weights");
    ok(own, "a large one is a range of its own");
    program_free(p);
    program_free(plain);
    graph_free(g);

    g = classifier(true);
    p = training(g, 2, true);
    is_int(count(p, "matmul_update", -1), 1, "a gradient that is a sum is no product");
    program_free(p);
    graph_free(g);
}

static void test_poison(void)
{
    const struct nn_recipe *r = &recipes[0];
    struct nn_graph *g = classifier(false);
    struct program *p = training(g, 2, true), *clean = training(g, 2, true);
    float *x = program_find(p, TENSOR_INPUT, "x")->data;
    x[7] = NAN;
    is_int(train(p, r, 1), 0, "a loss that is not finite ends the step");
    is_near(weights_apart(p, clean), 0.0, 0.0, "and nothing has been updated");
    program_free(p);

    p = training(g, 2, true);
    x = program_find(p, TENSOR_INPUT, "x")->data;
    x[7] = 3e38f; /* relu hides it from the loss where its weight is negative; not from dw */
    struct tensor const *w = program_find(p, TENSOR_PARAM, "one.weight");
    for (int o = 0; o < HIDDEN + 90; o++)
        ((float *)w->data)[(size_t)o * IN + 7] = o ? -1.0f : 1e-38f;
    const int ended = train(p, &(struct nn_recipe){.optimizer = NN_SGD, .rate = 3e38f}, 2);
    ok(ended < 2, "weights that overflow are noticed");
    ok(program_blame(p)[0] != '\0', "and blamed: %s", program_blame(p));
    program_free(p);
    program_free(clean);
    graph_free(g);
}

static double flops(const struct program *p)
{
    int steps;
    double sum = 0.0;
    const struct program_step *step = program_steps(p, &steps);
    for (int i = 0; i < steps; i++)
        sum += step[i].flops;
    return sum;
}

static void test_count(void)
{
    struct err err = {0};
    struct nn_graph *g = classifier(false);
    struct program *p = training(g, 2, true), *plain = training(g, 2, false);
    program_count(p);
    program_count(plain);
    is_int(train(p, &recipes[0], 1) + train(plain, &recipes[0], 1), 2, "counted steps");
    ok(program_audit(p, &err) && program_audit(plain, &err), "every op counts what it says: %s",
       err.text);
    is_near(flops(p) / flops(plain), 1.0, 1e-3, "updates inside count with the op they are in");
    ok(program_audit(p, &err) && flops(p) < 1.001 * flops(plain), "and once");
    program_free(p);
    program_free(plain);
    graph_free(g);
}

/* ---------------------------------------------------------------- recomputed norms */

static nn_value layer(nn_value x, const char *row, int out, nn_value residual)
{
    nn_row(x.graph, "%s", row);
    x = nn_batch_norm(nn_conv2d(x, out, .kernel = 3, .pad = 1, .no_bias = true), 1e-5f);
    return nn_relu(residual.graph ? nn_add(x, residual) : x);
}

/* The norm in the middle of the block is worth it; in small images none is. */
static struct nn_graph *residual_net(int size)
{
    struct nn_graph *g = graph_new(16);
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(3, size, size));
    const nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR), none = {0};
    x = layer(x, "stem", 16, none);
    x = layer(layer(x, "a", 16, none), "b", 16, x);
    nn_row(g, "scores");
    x = nn_linear(nn_global_avg_pool(x), CLASSES);
    nn_minimize(nn_cross_entropy(x, label));
    return g;
}

static double grads_apart(struct program *a, struct program *b)
{
    size_t n;
    const float *x = program_grads(a, &n), *y = program_grads(b, &n);
    double most = 0.0, size = 1e-30;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)x[i] - (double)y[i]));
        size = fmax(size, fabs((double)y[i]));
    }
    return most / size;
}

static void test_recompute(void)
{
    struct nn_graph *small = residual_net(16), *large = residual_net(34);
    struct program *none = training(small, 1, false), *p = training(large, 1, false),
                   *three = training(large, 3, false),
                   *plain =
                       made(large,
                            (struct program_options){.threads = 2, .train = true, .no_fuse = true}),
                   *test = made(large, (struct program_options){.threads = 2});
    is_int(count(none, "batch_norm", 1), 0, "small images are kept");
    is_int(count(p, "batch_norm", 1), 2, "those before a convolution are made again");
    is_int(count(p, "batch_norm", 0), 3, "beside the forward ones");
    is_int(count(test, "batch_norm", 1), 0, "nothing of it in evaluation");
    is_int(count(plain, "batch_norm", 1), 0, "nor unfused");
    ok(program_run(p) && program_run(three) && program_run(plain), "all run");
    is_near((double)program_loss(p), (double)program_loss(plain), 1e-5, "the same loss");
    ok(grads_apart(p, plain) < 1e-3, "the same gradients within %g", grads_apart(p, plain));
    is_near(grads_apart(p, three), 0.0, 0.0, "three threads, the same bits");
    struct program *const all[] = {none, p, three, plain, test};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        program_free(all[i]);
    graph_free(small);
    graph_free(large);
}

int main(void)
{
    struct err err = {0};
    if (!kn_init(NULL, &err))
        printf("Bail out! %s\n", err.text), exit(1);
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++)
        test_training(&recipes[i]);
    test_what_is_kept();
    test_poison();
    test_count();
    test_recompute();
    return done();
}
