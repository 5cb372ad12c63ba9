/* b_seq2seq — ms per training step of Bahdanau's encoder and decoder, for comparing with other
 * frameworks: the last line printed is the median.
 *
 *     b_seq2seq [HIDDEN] [--batch N] [--length T] [--source S] [--vocabulary V] [--threads N]
 *               [--seconds S] [--ops]
 *
 * 4000 words a side, embedded in 256 numbers; an LSTM of HIDDEN = 256 over S = 20 words; one over T
 * = 20 that attends to its states inside the loop and begins where it ended; scores from state and
 * context and cross entropy at each step; batch 64; forward, backward and Adam. --ops: a table of
 * all ops. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "graph/program.h"
#include "kernels/kernels.h"
#include "nn.h"

enum { MAX_STEPS = 100000, WARM = 5, EMBEDDED = 256 };

struct options {
    int hidden, batch, length, source, vocabulary, threads;
    double seconds;
    bool ops;
};

struct adam {
    struct kn_adam o;
    float *m, *v;
};

static float update(void *arg, const struct crew *crew, struct program *p)
{
    struct adam *a = arg;
    size_t count, from, to;
    float *w = program_weights(p, &count);
    const float *g = program_grads(p, &count);
    crew_share(crew, count, 16, &from, &to);
    return kn->adam_f32(to - from, &a->o, g + from, w + from, a->m + from, a->v + from);
}

static nn_value embedded(struct nn_graph *g, const char *name, nn_value words, int vocabulary)
{
    nn_row(g, "%s", name);
    const nn_value table =
        nn_param(g, "weight", NN_SHAPE(vocabulary, EMBEDDED), ((struct nn_init){0}));
    return nn_gather(table, words);
}

static void build(struct nn_graph *g, const struct options *o)
{
    const nn_value source = nn_input(g, "source", NN_I32, NN_SHAPE(o->source));
    const nn_value target = nn_input(g, "target", NN_I32, NN_SHAPE(o->length));
    const nn_value next = nn_input(g, "next", NN_I32, NN_SHAPE(o->length));
    const nn_value x = embedded(g, "source", source, o->vocabulary);
    const nn_value y = embedded(g, "target", target, o->vocabulary);
    nn_row(g, "encoder");
    const nn_value h = nn_lstm(x, o->hidden);
    nn_row(g, "keys");
    const nn_value keys = nn_linear(h, o->hidden, .no_bias = true);
    nn_row(g, "decoder");
    const nn_value s = nn_lstm(y, o->hidden, .h0 = nn_at(h, -1), .c0 = nn_final_cell(h),
                               .attend_keys = keys, .attend_values = h);
    nn_row(g, "scores");
    const nn_value both = nn_concat(s, nn_context(s), 2);
    nn_minimize(nn_cross_entropy(nn_linear(both, o->vocabulary), next));
}

static void fill(struct program *p, int vocabulary)
{
    struct rng r = rng_make(1, 1);
    const struct tensor *t;
    for (int i = 0; (t = program_tensor(p, TENSOR_INPUT, i)); i++)
        for (size_t k = 0; k < t->elements; k++)
            ((int32_t *)t->data)[k] = (int32_t)rng_below(&r, (uint32_t)vocabulary);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_ops(const struct program *p, int steps)
{
    int n;
    const struct program_step *s = program_steps(p, &n);
    double total = 0;
    for (int i = 0; i < n; i++)
        total += (double)(s[i].ns + s[i].wait_ns) / steps;
    for (int i = 0; i < n; i++) {
        const double us = (double)s[i].ns / steps / 1e3, wait = (double)s[i].wait_ns / steps / 1e3;
        printf("%-10s %-18s %-20s %-16s %9.1f us %7.1f wait %5.1f %% %7.1f GFLOP/s %6.1f GB/s\n",
               s[i].row, s[i].op, s[i].kernel ? s[i].kernel : "", s[i].shape, us, wait,
               (us + wait) * 1e5 / total, s[i].flops / us / 1e3, s[i].bytes / us / 1e3);
    }
    printf("sum %.3f ms\n", total / 1e6);
}

static struct options options_of(int argc, char **argv)
{
    struct options o = {256, 64, 20, 20, 4000, 2, 2.0, false};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--batch") == 0 && i + 1 < argc)
            o.batch = atoi(argv[++i]);
        else if (strcmp(argv[i], "--length") == 0 && i + 1 < argc)
            o.length = atoi(argv[++i]);
        else if (strcmp(argv[i], "--source") == 0 && i + 1 < argc)
            o.source = atoi(argv[++i]);
        else if (strcmp(argv[i], "--vocabulary") == 0 && i + 1 < argc)
            o.vocabulary = atoi(argv[++i]);
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            o.threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            o.seconds = atof(argv[++i]);
        else if (strcmp(argv[i], "--ops") == 0)
            o.ops = true;
        else
            o.hidden = atoi(argv[i]);
    return o;
}

static void measure(struct program *p, const struct options *o)
{
    static double ms[MAX_STEPS];
    int steps = 0;
    for (int i = 0; i < WARM; i++)
        (void)program_run(p);
    if (o->ops)
        program_time_steps(p, true);
    for (const int64_t start = clock_ns();
         steps < MAX_STEPS && (steps < 3 || (double)(clock_ns() - start) < o->seconds * 1e9);) {
        const int64_t t = clock_ns();
        (void)program_run(p);
        ms[steps++] = (double)(clock_ns() - t) / 1e6;
    }
    if (o->ops)
        print_ops(p, steps);
    qsort(ms, (size_t)steps, sizeof *ms, by_size);
    printf("%d steps, least %.3f ms, median\n%.3f\n", steps, ms[0], ms[steps / 2]);
}

int main(int argc, char **argv)
{
    const struct options o = options_of(argc, argv);
    struct err err = {0};
    struct nn_graph *g = graph_new(o.batch);
    build(g, &o);
    struct program *p =
        kn_init(NULL, &err)
            ? program_new(g,
                          &(struct program_options){.threads = o.threads, .train = true, .seed = 1},
                          &err)
            : NULL;
    if (!p) {
        fprintf(stderr, "b_seq2seq: %s\n", err.text);
        return EXIT_FAILURE;
    }
    size_t count;
    (void)program_weights(p, &count);
    struct adam adam = {{.rate = 1e-4f,
                         .beta1 = 0.9f,
                         .beta2 = 0.999f,
                         .epsilon = 1e-8f,
                         .clip = 1,
                         .correction1 = 1,
                         .correction2 = 1},
                        mem_map(count * sizeof(float)),
                        mem_map(count * sizeof(float))};
    program_set_hooks(p, &(struct program_hooks){.update = update, .arg = &adam});
    fill(p, o.vocabulary);
    measure(p, &o);
    program_free(p);
    graph_free(g);
    mem_unmap(adam.m, count * sizeof(float));
    mem_unmap(adam.v, count * sizeof(float));
    return EXIT_SUCCESS;
}
