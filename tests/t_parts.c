/* t_parts.c — concatenation without copying (graph/parts.c). Convolutions write rows that lie apart
 * with the bits of dense ones and touch nothing between them; programs without copies give what
 * programs with them give; and what looks into a tensor finds its way among the columns. */
#include "graph/exec.h"
#include "tests/conv_test.h"

/* ------------------------------------------------------ convolutions, rows apart */

enum { GAP = 5 };

/* Dense rows with a gap behind each that must not change. */
static struct buffer widened(const struct buffer *x, size_t row)
{
    const size_t rows = x->n / row, ld = row + GAP;
    struct buffer wide = buffer_new(rows * ld, 1);
    for (size_t i = 0; i < rows; i++)
        memcpy(wide.at + i * ld, x->at + i * row, row * sizeof(float));
    return wide;
}

static bool same_apart(struct problem *p, int threads)
{
    const size_t row = (size_t)p->c.O;
    bool same = run_on(p, 1);
    struct buffer want = widened(&p->out, row);
    struct problem apart = *p;
    apart.c.ld_y = row + GAP;
    apart.old = widened(&p->old, row);
    apart.out = widened(&p->old, row);
    same &= run_on(&apart, threads);
    same &= memcmp(apart.out.at, want.at, want.n * sizeof(float)) == 0;
    free(apart.old.all);
    free(apart.out.all);
    free(want.all);
    return same;
}

/* By panels, by lines, with several blocks of terms, with ragged channels. */
static const struct kn_conv shapes[] = {
    {.N = 3, .H = 9, .W = 7, .C = 40, .O = 33, .KH = 1, .KW = 1, .stride = 1},
    {.N = 2, .H = 6, .W = 6, .C = 820, .O = 40, .KH = 1, .KW = 1, .stride = 1},
    {.N = 2, .H = 12, .W = 12, .C = 8, .O = 24, .KH = 5, .KW = 5, .stride = 1, .pad = 2},
    {.N = 2, .H = 21, .W = 20, .C = 3, .O = 64, .KH = 7, .KW = 7, .stride = 2, .pad = 3},
    {.N = 2, .H = 9, .W = 9, .C = 20, .O = 33, .KH = 3, .KW = 3, .stride = 1, .pad = 1},
    {.N = 5, .H = 4, .W = 4, .C = 64, .O = 32, .KH = 3, .KW = 3, .stride = 1, .pad = 1},
};

static void test_convolutions(void)
{
    int bad = 0, tried = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int algo = CONV_DIRECT; algo <= CONV_WINOGRAD_4; algo++)
            for (int kind = 0; kind < KINDS; kind++) {
                struct kn_conv c = shapes[i];
                struct rng r = rng_make(i, (uint64_t)kind);
                c.algo = algo;
                measure(&c);
                if (kinds[kind].residual || kinds[kind].y || (algo > CONV_DIRECT && c.KH != 3))
                    continue;
                struct problem p = problem_new(&c, CONV_FORWARD, kind, &r);
                p.e = &p.epilogue;
                bad += !same_apart(&p, 1 + kind % 3);
                tried++;
                problem_free(&p);
            }
    ok(tried > 0 && bad == 0, "%s: %d of %d convolutions have the same bits with rows apart",
       kn->isa, tried - bad, tried);
}

/* ------------------------------------------------------------------- programs */

enum { BATCH = 6, CLASSES = 5, WHOLE = 0, SHARED = 1 };

static nn_value piece(nn_value x, const char *row, int out, int kernel, bool norm)
{
    nn_row(x.graph, "%s", row);
    x = nn_conv2d(x, out, .kernel = kernel, .pad = kernel / 2, .no_bias = norm);
    return nn_relu(norm ? nn_batch_norm(x, 1e-3f) : x);
}

/* Two modules; with SHARED one piece of the second has another reader, and one is joined twice. */
static struct nn_graph *inception(bool norm, int how)
{
    struct nn_graph *g = graph_new(BATCH);
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(3, 9, 9));
    const nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    x = piece(x, "stem", 24, 3, norm);
    x = nn_join(1, piece(x, "a", 8, 1, norm), piece(x, "b", 20, 3, norm),
                piece(x, "c", 12, 5, norm));
    const nn_value d = piece(x, "d", 16, 1, norm), e = piece(x, "e", 9, 3, norm);
    x = how == SHARED ? nn_join(1, d, e, x, e) : nn_join(1, d, e);
    nn_row(g, "scores");
    x = nn_linear(nn_global_avg_pool(x), CLASSES);
    if (how == SHARED) {
        nn_row(g, "aside");
        x = nn_add(x, nn_linear(nn_global_avg_pool(d), CLASSES));
    }
    nn_minimize(nn_cross_entropy(x, label));
    nn_metric("accuracy", nn_accuracy(x, label));
    return g;
}

static void feed(struct program *p)
{
    struct rng r = rng_make(3, rng_stream("feed"));
    const struct tensor *image = program_tensor(p, TENSOR_INPUT, 0),
                        *label = program_find(p, TENSOR_INPUT, "label");
    for (size_t i = 0; i < image->elements; i++)
        ((float *)image->data)[i] = (float)rng_normal(&r);
    for (size_t i = 0; i < label->elements; i++)
        ((int32_t *)label->data)[i] = (int32_t)rng_below(&r, CLASSES);
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

static int count(const struct program *p, const char *op)
{
    int steps, found = 0;
    const struct program_step *step = program_steps(p, &steps);
    for (int i = 0; i < steps; i++)
        found += strcmp(step[i].op, op) == 0;
    return found;
}

static double apart(const struct program *a, const struct program *b)
{
    size_t n;
    const float *x = program_grads((struct program *)a, &n),
                *y = program_grads((struct program *)b, &n);
    double most = 0.0, size = 1e-30;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)x[i] - (double)y[i]));
        size = fmax(size, fabs((double)y[i]));
    }
    return most / size;
}

static void test_programs(bool norm, int how)
{
    const char *const what = norm ? "batch norm" : "bias", *const whose = how ? ", shared" : "";
    struct nn_graph *g = inception(norm, how);
    struct program *p = made(g, (struct program_options){.threads = 1, .train = true}),
                   *three = made(g, (struct program_options){.threads = 3, .train = true}),
                   *plain = made(
                       g, (struct program_options){.threads = 1, .train = true, .no_fuse = true});
    is_int(count(plain, "concat"), 2, "%s%s: unfused, two concatenations are copied", what, whose);
    is_int(count(p, "concat"), how == SHARED, "%s%s: fused, only what must be", what, whose);
    is_int(count(p, "slice") - count(plain, "slice"), how == SHARED ? -3 : -5,
           "%s%s: slices of gradients are read where they lie", what, whose);
    ok(program_run(p) && program_run(three) && program_run(plain), "all run");
    is_near((double)program_loss(p), (double)program_loss(plain), norm ? 1e-5 : 0.0,
            "%s%s: the same loss", what, whose);
    ok(apart(p, plain) < 1e-4, "%s%s: the same gradients within %g", what, whose, apart(p, plain));
    ok(apart(p, three) == 0, "%s%s: three threads, the same bits", what, whose);
    program_free(p);
    program_free(three);
    program_free(plain);

    p = made(g, (struct program_options){.threads = 2});
    plain = made(g, (struct program_options){.threads = 2, .no_fuse = true});
    ok(program_run(p) && program_run(plain), "evaluation runs");
    is_near((double)program_loss(p), (double)program_loss(plain), 1e-5,
            "%s%s: evaluation too has the same loss", what, whose);
    program_free(p);
    program_free(plain);
    graph_free(g);
}

/* Scores that are a join: nothing computes it, yet it can be kept. */
static void test_output(void)
{
    struct nn_graph *g = graph_new(BATCH);
    const nn_value x = nn_input(g, "x", NN_F32, NN_SHAPE(7)),
                   label = nn_input(g, "label", NN_I32, NN_SCALAR);
    nn_row(g, "one");
    const nn_value one = nn_batch_norm(nn_linear(x, 2, .no_bias = true), 1e-3f);
    nn_row(g, "two");
    const nn_value y =
        nn_join(1, one, nn_relu(nn_batch_norm(nn_linear(one, 3, .no_bias = true), 1e-3f)));
    nn_minimize(nn_cross_entropy(y, label));
    nn_metric("accuracy", nn_accuracy(y, label));
    struct program *p = made(g, (struct program_options){.threads = 2, .train = true}),
                   *plain = made(
                       g, (struct program_options){.threads = 2, .train = true, .no_fuse = true});
    program_keep_output(p);
    program_keep_output(plain);
    ok(program_run(p) && program_run(plain), "scores that are a join");
    const struct tensor *a = program_tensor(p, TENSOR_OUTPUT, 0),
                        *b = program_tensor(plain, TENSOR_OUTPUT, 0);
    ok(a->elements == (size_t)BATCH * 5 &&
           memcmp(a->data, b->data, a->elements * sizeof(float)) == 0,
       "are kept, bit for bit");
    program_free(p);
    program_free(plain);
    graph_free(g);
}

/* Infinity among columns is told from what lies between them. */
static void test_blame(void)
{
    struct nn_graph *g = inception(false, WHOLE);
    struct program *p = made(g, (struct program_options){.threads = 2, .train = true});
    const struct tensor *w = program_find(p, TENSOR_PARAM, "b.weight");
    for (size_t i = 0; i < w->elements; i++)
        ((float *)w->data)[i] = 3e38f;
    ok(!program_run(p), "a step that overflows fails");
    ok(strncmp(program_blame(p), "b: conv2d: output holds ", 24) == 0, "%s", program_blame(p));
    char *told = program_explain(p);
    ok(strstr(told, "-> [8,28) of ") && strstr(told, "<- [8,28) of "), "explained as columns");
    free(told);
    program_free(p);
    graph_free(g);
}

int main(void)
{
    for (const struct kn_table *const *t = kn_tables; *t; t++) {
        struct err err;
        if (kn_runs_here(*t) && kn_init((*t)->isa, &err))
            test_convolutions();
    }
    kn_init(NULL, NULL);
    for (int norm = 0; norm < 2; norm++)
        for (int how = WHOLE; how <= SHARED; how++)
            test_programs(norm, how);
    test_output();
    test_blame();
    return done();
}
