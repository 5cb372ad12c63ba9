/* b_step — ms per training step of a plugin, on data that lies in memory, for comparing with other
 * frameworks: the last line printed is the median.
 *
 *     b_step PLUGIN.so [VARIANT] [--batch N] [--threads N] [--seconds S] [--ops] [--no-fuse]
 * [--no-lanes]
 *
 * Forward, loss, backward, and SGD with momentum and weight decay. --ops: a table of all ops. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "graph/program.h"
#include "kernels/kernels.h"
#include "plugin.h"

#include <dlfcn.h>
#include <math.h>

enum { MAX_STEPS = 100000, WARM = 20 };

struct sgd {
    struct kn_sgd o;
    float *velocity;
};

static float update(void *arg, const struct crew *crew, struct program *p)
{
    struct sgd *s = arg;
    size_t count, from, to;
    float *w = program_weights(p, &count), poison = 0.0f;
    const float *g = program_grads(p, &count);
    struct program_range r;
    for (int i = 0; program_range(p, i, &r); i++) {
        crew_share(crew, r.count, 16, &from, &to);
        const size_t at = r.weight + from;
        poison += kn->sgd_f32(to - from, &s->o, g + r.grad + from, w + at, s->velocity + at);
    }
    return poison;
}

static float apply(void *arg, struct program *p, size_t at, size_t n, const float *g)
{
    struct sgd *s = arg;
    size_t count;
    return kn->sgd_f32(n, &s->o, g, program_weights(p, &count) + at, s->velocity + at);
}

static void fill(struct program *p)
{
    struct rng r = rng_make(1, 1);
    for (int i = 0; program_tensor(p, TENSOR_INPUT, i); i++) {
        const struct tensor *t = program_tensor(p, TENSOR_INPUT, i);
        for (size_t k = 0; k < t->elements; k++)
            if (t->type == NN_I32)
                ((int32_t *)t->data)[k] = (int32_t)rng_below(&r, 10);
            else
                ((float *)t->data)[k] = (float)rng_normal(&r);
    }
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_ops(struct program *p, int steps)
{
    int n;
    const struct program_step *s = program_steps(p, &n);
    double total = 0;
    for (int i = 0; i < n; i++)
        total += (double)s[i].ns / steps;
    for (int i = 0; i < n; i++) {
        const double us = (double)s[i].ns / steps / 1e3;
        printf("%-10s %-20s %-22s %-20s %8.1f us %5.1f %% %8.1f GFLOP/s %6.1f GB/s\n", s[i].row,
               s[i].op, s[i].kernel ? s[i].kernel : "", s[i].shape, us, us * 1e5 / total,
               s[i].flops / us / 1e3, s[i].bytes / us / 1e3);
    }
    printf("sum %.3f ms\n", total / 1e6);
}

int main(int argc, char **argv)
{
    int batch = 128, threads = 2, ops = 0, words = 0;
    double seconds = 1.5;
    const char *word[2] = {0};
    struct program_options o = {.train = true, .update_inside = true, .seed = 1};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--batch") == 0 && i + 1 < argc)
            batch = atoi(argv[++i]);
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = atof(argv[++i]);
        else if (strcmp(argv[i], "--ops") == 0)
            ops = 1;
        else if (strcmp(argv[i], "--keep-grads") == 0)
            o.update_inside = false;
        else if (strcmp(argv[i], "--no-fuse") == 0)
            o.no_fuse = true;
        else if (strcmp(argv[i], "--no-lanes") == 0)
            o.no_lanes = true;
        else if (words < 2)
            word[words++] = argv[i];
    struct err err = {0};
    void *so = word[0] ? dlopen(word[0], RTLD_NOW) : NULL;
    const struct nn_plugin *plugin = so ? dlsym(so, "nn_plugin") : NULL;
    if (!plugin || !kn_init(NULL, &err)) {
        fprintf(stderr, "b_step: %s\n",
                err.text[0] ? err.text
                : word[0]   ? dlerror()
                            : "PLUGIN.so [VARIANT]");
        return EXIT_FAILURE;
    }
    const struct nn_variant *v = plugin->variants;
    while (word[1] && v->name && strcmp(v->name, word[1]) != 0)
        v++;
    if (!v->name) {
        fprintf(stderr, "b_step: %s has no variant %s\n", word[0], word[1]);
        return EXIT_FAILURE;
    }
    struct nn_graph *g = graph_new(batch);
    plugin->build(g, v->config);
    o.threads = threads;
    struct program *p = program_new(g, &o, &err);
    if (!p) {
        fprintf(stderr, "b_step: %s\n", err.text);
        return EXIT_FAILURE;
    }
    size_t count;
    (void)program_weights(p, &count);
    struct sgd sgd = {{.rate = 1e-5f, .momentum = 0.9f, .weight_decay = 5e-4f, .clip = 1},
                      mem_map(count * 4)};
    program_set_hooks(p, &(struct program_hooks){.update = update, .apply = apply, .arg = &sgd});
    fill(p);
    const int64_t warm_from =
        clock_ns(); /* 20 steps, but of a large network no more than a second */
    for (int i = 0; i < WARM && (i < 2 || clock_ns() - warm_from < 1000000000); i++)
        (void)program_run(p);
    if (ops)
        program_time_steps(p, true);
    static double ms[MAX_STEPS];
    int steps = 0;
    for (const int64_t start = clock_ns();
         steps < MAX_STEPS && (steps < 3 || (double)(clock_ns() - start) < seconds * 1e9);) {
        const int64_t t = clock_ns();
        (void)program_run(p);
        ms[steps++] = (double)(clock_ns() - t) / 1e6;
    }
    if (ops)
        print_ops(p, steps);
    if (!isfinite(program_loss(p))) { /* then nothing was updated */
        fprintf(stderr, "b_step: the loss is not finite\n");
        return EXIT_FAILURE;
    }
    qsort(ms, (size_t)steps, sizeof *ms, by_size);
    printf("%d steps, fastest %.4f ms, loss %.4f\n%.4f\n", steps, ms[0], program_loss(p),
           ms[steps / 2]);
    return EXIT_SUCCESS;
}
