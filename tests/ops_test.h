/* ops_test.h — the bed of the tests of operations.
 *
 * A test builds y, run() fills all inputs and parameters with random numbers and
 * lets nn_assign() carry y out, and the test says what each element should have
 * been: expect(i, want). Each runs plain, with images in lanes, and fused on two
 * threads. Errors are relative to 1 + |want|. */
#ifndef OPS_TEST_H
#define OPS_TEST_H

#include "base/rng.h"
#include "graph/exec.h"
#include "nn.h"
#include "tests/tap.h"

enum { N = 16 };

static const struct way {
    const char *name;
    struct program_options options;
} ways[] = {
    {"plain", {.threads = 1, .train = true, .no_fuse = true, .no_lanes = true}},
    {"lanes", {.threads = 1, .train = true, .no_fuse = true}},
    {"fused", {.threads = 2, .train = true}},
};

/* ------------------------------------------------------------ one test's state */

static const struct way *way;
static struct nn_graph *g;
static struct program *p;
static float *y;
static size_t elements, expected;
static double worst;
static float low, high;         /* of random floats */
static int32_t lowest, highest; /* of random integers */
static struct {
    const char *name;
    void *values;
} told[16];
static int tolds;

#define F(name, ...) nn_input(g, name, NN_F32, NN_SHAPE(__VA_ARGS__))
#define I(name, ...) nn_input(g, name, NN_I32, NN_SHAPE(__VA_ARGS__))
#define P(name, ...) nn_param(g, name, NN_SHAPE(__VA_ARGS__), NN_ONES)

static inline void begin(void)
{
    g = graph_new(N);
    worst = 0.0;
    expected = 0;
    tolds = 0;
    low = -1.0f;
    high = 1.0f;
    lowest = 0;
    highest = 3;
}

/* What tensor `name` was filled with, in logical order. */
static inline const float *floats(const char *name)
{
    for (int i = 0; i < tolds; i++)
        if (strcmp(told[i].name, name) == 0)
            return told[i].values;
    printf("Bail out! no tensor %s\n", name);
    exit(EXIT_FAILURE);
}

static inline const int32_t *integers(const char *name)
{
    return (const int32_t *)(const void *)floats(name);
}

static inline void fill(const struct tensor *t)
{
    struct rng r = rng_make(1, rng_stream(t->name));
    float *f = xcalloc(t->elements, sizeof *f);
    int32_t *n = xcalloc(t->elements, sizeof *n);
    for (size_t i = 0; i < t->elements; i++) {
        f[i] = low + (high - low) * (float)rng_unit(&r);
        n[i] = lowest + (int32_t)rng_below(&r, (uint32_t)(highest - lowest + 1));
    }
    program_write(p, t, t->type == NN_F32 ? (void *)f : n);
    program_read(p, t, f); /* as it is there: a connection table zeroes weights */
    told[tolds].name = t->name;
    told[tolds++].values = f;
    free(n);
}

static inline void run(nn_value v)
{
    nn_row(g, "result");
    struct err err = {0};
    if (v.id >= 0)
        nn_assign(nn_param(g, "y", node_of(v)->shape, NN_ZEROS), v);
    p = program_new(g, &way->options, &err);
    if (!p) {
        printf("Bail out! %s\n", err.text);
        exit(EXIT_FAILURE);
    }
    const struct tensor *t, *result = program_find(p, TENSOR_PARAM, "result.y");
    for (int i = 0; (t = program_tensor(p, TENSOR_INPUT, i)); i++)
        fill(t);
    for (int i = 0; (t = program_tensor(p, TENSOR_PARAM, i)); i++)
        if (t != result)
            fill(t);
    struct err wrong = {0};
    program_count(p);
    program_run(p);
    if (!program_audit(p, &wrong))
        ok(false, "%s: %s", way->name, wrong.text);
    elements = result->elements;
    y = xcalloc(elements, sizeof *y);
    program_read(p, result, y);
}

static inline void expect(size_t i, double want)
{
    const double error = fabs((double)y[i] - want) / (1.0 + fabs(want));
    worst = error <= worst ? worst : error; /* keeps NaN */
    expected++;
}

static inline void end(const char *what, double tolerance)
{
    is_int(expected, elements, "%s: %s: number of elements", what, way->name);
    is_near(worst, 0.0, tolerance, "%s: %s", what, way->name);
    for (int i = 0; i < tolds; i++)
        free(told[i].values);
    free(y);
    program_free(p);
    graph_free(g);
}

/* Calls all tests in each way. */
static inline void in_all_ways(void (*tests)(void))
{
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        way = &ways[i];
        tests();
    }
}

#endif
