/* b_program.c — one training step of two nets, op by op: b_program [threads [steps]].
 *
 * mlp 784-512-512-10 (relu) and the modern LeNet-5 (tanh, average pooling), batch
 * 128, forward, backward and SGD with momentum. Prints the median of `steps` steps as
 * programs run normally, then each op's median over as many steps with a look at the
 * clock behind every op. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "graph/program.h"
#include "kernels/kernels.h"

enum { BATCH = 128, CLASSES = 10 };

static nn_value finish(nn_value x, nn_value label)
{
    nn_minimize(nn_cross_entropy(x, label));
    nn_metric("accuracy", nn_accuracy(x, label));
    return x;
}

static void mlp(struct nn_graph *g)
{
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(784));
    const nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    /* clang-format off */
    nn_row(g, "fc1"); x = nn_relu(nn_linear(x, 512));
    nn_row(g, "fc2"); x = nn_relu(nn_linear(x, 512));
    nn_row(g, "fc3"); x = nn_linear(x, CLASSES);
    /* clang-format on */
    finish(x, label);
}

static void lenet5(struct nn_graph *g)
{
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(1, 28, 28));
    const nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    /* clang-format off */
    nn_row(g, "C1"); x = nn_tanh(nn_conv2d(x, 6, .kernel = 5, .pad = 2));
    nn_row(g, "S2"); x = nn_avg_pool(x, 2);
    nn_row(g, "C3"); x = nn_tanh(nn_conv2d(x, 16, .kernel = 5));
    nn_row(g, "S4"); x = nn_avg_pool(x, 2);
    nn_row(g, "C5"); x = nn_tanh(nn_conv2d(x, 120, .kernel = 5));
    nn_row(g, "F6"); x = nn_tanh(nn_linear(nn_flatten(x), 84));
    nn_row(g, "out"); x = nn_linear(x, CLASSES);
    /* clang-format on */
    finish(x, label);
}

static float update(void *arg, const struct crew *crew, struct program *p)
{
    static const struct kn_sgd sgd = {.rate = 0.01f, .momentum = 0.9f, .clip = 1.0f};
    size_t count, from, to;
    float *w = program_weights(p, &count), *g = program_grads(p, &count), *v = arg;
    crew_share(crew, count, 16, &from, &to);
    return kn->sgd_f32(to - from, &sgd, g + from, w + from, v + from);
}

static void fill(struct program *p)
{
    struct rng r = rng_make(1, 2);
    const struct tensor *x = program_tensor(p, TENSOR_INPUT, 0),
                        *label = program_tensor(p, TENSOR_INPUT, 1);
    for (size_t i = 0; i < x->elements; i++)
        ((float *)x->data)[i] = (float)rng_normal(&r);
    for (size_t i = 0; i < label->elements; i++)
        ((int32_t *)label->data)[i] = (int32_t)rng_below(&r, CLASSES);
}

static int rising(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double median_ms(struct program *p, int steps)
{
    int64_t *ns = xmalloc((size_t)steps * sizeof *ns);
    for (int i = 0; i < steps; i++) {
        const int64_t start = clock_ns();
        program_run(p);
        ns[i] = clock_ns() - start;
    }
    qsort(ns, (size_t)steps, sizeof *ns, rising);
    const double median = (double)ns[steps / 2] / 1e6;
    free(ns);
    return median;
}

/* Each op's median over `steps` steps, so that a neighbour's noise does not count. */
static void print_table(struct program *p, int steps)
{
    int count;
    const struct program_step *s = program_steps(p, &count);
    int64_t *ns = xmalloc((size_t)(steps * count) * sizeof *ns);
    for (int i = 0; i < steps; i++) {
        program_time_steps(p, true);
        program_run(p);
        for (int k = 0; k < count; k++)
            ns[k * steps + i] = s[k].ns;
    }
    double total = 0.0;
    for (int k = 0; k < count; k++) {
        qsort(ns + k * steps, (size_t)steps, sizeof *ns, rising);
        total += (double)ns[k * steps + steps / 2];
    }
    printf("%-5s %-19s %-14s %-24s %9s %6s %9s\n", "row", "op", "shape", "kernel", "us", "%",
           "GFLOP/s");
    for (int k = 0; k < count; k++) {
        const double median = (double)ns[k * steps + steps / 2];
        if (median > 0.0)
            printf("%-5s %-19s %-14s %-24s %9.1f %6.1f %9.1f\n", s[k].row, s[k].op, s[k].shape,
                   s[k].kernel, median / 1e3, 100.0 * median / total, s[k].flops / median);
    }
    printf("sum %.3f ms\n\n", total / 1e6);
    program_time_steps(p, false);
    free(ns);
}

static void measure(const char *name, void (*build)(struct nn_graph *), int threads, int steps)
{
    struct nn_graph *g = graph_new(BATCH);
    build(g);
    struct err err = {0};
    struct program *p =
        program_new(g, &(struct program_options){.threads = threads, .train = true}, &err);
    if (!p) {
        fprintf(stderr, "b_program: %s\n", err.text);
        exit(EXIT_INTERNAL);
    }
    size_t count;
    program_weights(p, &count);
    float *velocity = mem_map(count * sizeof *velocity);
    program_set_hooks(p, &(struct program_hooks){.update = update, .arg = velocity});
    fill(p);
    median_ms(p, steps / 4 + 1); /* warm-up */
    printf("%s: %.3f ms a step, %d threads, loss %.4f\n", name, median_ms(p, steps), threads,
           (double)program_loss(p));
    char *explained = program_explain(p);
    puts(explained);
    free(explained);
    print_table(p, steps);
    mem_unmap(velocity, count * sizeof *velocity);
    program_free(p);
    graph_free(g);
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 2, steps = argc > 2 ? atoi(argv[2]) : 200;
    if (threads < 1 || steps < 1 || !kn_init(NULL, NULL))
        return EXIT_USAGE;
    measure("mlp", mlp, threads, steps);
    measure("lenet5", lenet5, threads, steps);
    return EXIT_OK;
}
