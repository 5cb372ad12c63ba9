/* step_bench.h — what the benchmarks of whole training steps share: they run steps on data that
 * lies in memory and print the median, for comparing with other frameworks. */
#ifndef STEP_BENCH_H
#define STEP_BENCH_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "graph/program.h"
#include "kernels/kernels.h"

struct step_bench {
    int batch, threads;
    double seconds; /* to measure, and 3 steps at least */
    bool ops;       /* print a table of all ops */
};

/* argv[*i] is --batch N, --threads N, --seconds S or --ops: takes it, and its value. */
static inline bool step_bench_takes(struct step_bench *o, int argc, char **argv, int *i)
{
    const bool more = *i + 1 < argc;
    if (strcmp(argv[*i], "--batch") == 0 && more)
        o->batch = atoi(argv[++*i]);
    else if (strcmp(argv[*i], "--threads") == 0 && more)
        o->threads = atoi(argv[++*i]);
    else if (strcmp(argv[*i], "--seconds") == 0 && more)
        o->seconds = atof(argv[++*i]);
    else if (strcmp(argv[*i], "--ops") == 0)
        o->ops = true;
    else
        return false;
    return true;
}

/* Numbers below `below`, or normal ones, in every input. */
static inline void step_bench_fill(struct program *p, int below)
{
    struct rng r = rng_make(1, 1);
    const struct tensor *t;
    for (int i = 0; (t = program_tensor(p, TENSOR_INPUT, i)); i++)
        for (size_t k = 0; k < t->elements; k++)
            if (t->type == NN_I32)
                ((int32_t *)t->data)[k] = (int32_t)rng_below(&r, (uint32_t)below);
            else
                ((float *)t->data)[k] = (float)rng_normal(&r);
}

/* ---- Adam, with a rate so small that nothing is learnt ---------------------- */

struct step_adam {
    struct kn_adam o;
    float *m, *v;
};

static inline float step_adam_update(void *arg, const struct crew *crew, struct program *p)
{
    struct step_adam *a = arg;
    size_t count, from, to;
    float *w = program_weights(p, &count), poison = 0.0f;
    const float *g = program_grads(p, &count);
    struct program_range r;
    for (int i = 0; program_range(p, i, &r); i++) {
        crew_share(crew, r.count, 16, &from, &to);
        const size_t at = r.weight + from;
        poison += kn->adam_f32(to - from, &a->o, g + r.grad + from, w + at, a->m + at, a->v + at);
    }
    return poison;
}

/* ---- measuring -------------------------------------------------------------- */

static inline int step_bench_by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline void step_bench_print_ops(const struct program *p, int steps)
{
    int n;
    const struct program_step *s = program_steps(p, &n);
    double total = 0;
    for (int i = 0; i < n; i++)
        total += (double)(s[i].ns + s[i].wait_ns) / steps;
    for (int i = 0; i < n; i++) {
        const double us = (double)s[i].ns / steps / 1e3, wait = (double)s[i].wait_ns / steps / 1e3;
        printf("%-10s %-20s %-22s %-20s %9.1f us %7.1f wait %5.1f %% %8.1f GFLOP/s %6.1f GB/s\n",
               s[i].row, s[i].op, s[i].kernel ? s[i].kernel : "", s[i].shape, us, wait,
               (us + wait) * 1e5 / total, s[i].flops / us / 1e3, s[i].bytes / us / 1e3);
    }
    printf("sum %.3f ms\n", total / 1e6);
}

/* Warms up, for no more than a second, measures and prints; false if the loss is not finite: then
 * nothing was updated. */
static inline bool step_bench_run(struct program *p, const struct step_bench *o)
{
    enum { MAX_STEPS = 100000, WARM = 20, SECOND = 1000000000 };
    static double ms[MAX_STEPS];
    int steps = 0;
    const int64_t warm_from = clock_ns();
    for (int i = 0; i < WARM && (i < 2 || clock_ns() - warm_from < SECOND); i++)
        (void)program_run(p);
    if (o->ops)
        program_time_steps(p, true);
    for (const int64_t start = clock_ns();
         steps < MAX_STEPS && (steps < 3 || (double)(clock_ns() - start) < o->seconds * SECOND);) {
        const int64_t t = clock_ns();
        (void)program_run(p);
        ms[steps++] = (double)(clock_ns() - t) / 1e6;
    }
    if (o->ops)
        step_bench_print_ops(p, steps);
    if (!isfinite(program_loss(p))) {
        fprintf(stderr, "the loss is not finite\n");
        return false;
    }
    qsort(ms, (size_t)steps, sizeof *ms, step_bench_by_size);
    printf("%d steps, least %.3f ms, loss %.4f, median\n%.4f\n", steps, ms[0], program_loss(p),
           ms[steps / 2]);
    return true;
}

/* The same for a graph that needs no more than Adam and inputs below `below`; the exit status. */
static inline int step_bench_adam(struct nn_graph *g, const struct step_bench *o, int below)
{
    struct err err = {0};
    const struct program_options options = {.threads = o->threads, .train = true, .seed = 1};
    struct program *p = kn_init(NULL, &err) ? program_new(g, &options, &err) : NULL;
    if (!p) {
        fprintf(stderr, "%s\n", err.text);
        return EXIT_FAILURE;
    }
    size_t count;
    (void)program_weights(p, &count);
    struct step_adam adam = {{.rate = 1e-4f,
                              .beta1 = 0.9f,
                              .beta2 = 0.999f,
                              .epsilon = 1e-8f,
                              .clip = 1,
                              .correction1 = 1,
                              .correction2 = 1},
                             mem_map(count * sizeof(float)),
                             mem_map(count * sizeof(float))};
    program_set_hooks(p, &(struct program_hooks){.update = step_adam_update, .arg = &adam});
    step_bench_fill(p, below);
    const bool finite = step_bench_run(p, o);
    program_free(p);
    mem_unmap(adam.m, count * sizeof(float));
    mem_unmap(adam.v, count * sizeof(float));
    return finite ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
