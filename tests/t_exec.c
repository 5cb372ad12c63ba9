/* t_exec.c — programs as a whole, on seeded random graphs: whatever fusion, layout
 * and threads do, the numbers are the same; a step allocates nothing; NaN is
 * noticed and traced to its row. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "graph/exec.h"
#include "tests/random_graph.h"
#include "tests/tap.h"

enum { GRAPHS = 40, STEPS = 4 };

/* ------------------------------------------------- counting allocations */

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static atomic_long allocations;

#ifdef SANITIZED /* these have an allocator of their own */
enum { COUNTING = 0 };
#else
enum { COUNTING = 1 };

static void *counted(const char *name, size_t a, size_t b)
{
    void *(*real)(size_t, size_t);
    *(void **)&real = dlsym(RTLD_NEXT, name);
    atomic_fetch_add(&allocations, 1);
    return real(a, b);
}

void *malloc(size_t n) { return counted("malloc", n, 0); }
void *aligned_alloc(size_t align, size_t n) { return counted("aligned_alloc", align, n); }
void *realloc(void *p, size_t n) { return counted("realloc", (size_t)p, n); }
/* dlsym() itself may call calloc(): it must not come back here before it is done. */
void *calloc(size_t n, size_t size)
{
    void *p = malloc(n * size);
    return p ? memset(p, 0, n * size) : NULL;
}
#endif

/* ------------------------------------------------------- running a program */

/* An optimizer of our own: w -= 0.05 g, NaN if it meets one. */
static float descend(void *arg, const struct crew *crew, struct program *p)
{
    (void)arg;
    size_t count, from, to;
    float *w = program_weights(p, &count), *g = program_grads(p, &count), poison = 0.0f;
    crew_share(crew, count, 16, &from, &to);
    for (size_t i = from; i < to; i++) {
        w[i] -= 0.05f * g[i];
        poison += 0.0f * g[i];
    }
    return poison;
}

static const struct program_hooks hooks = {.update = descend};

/* Weights, then gradients, then losses of a few steps. */
struct outcome {
    float *numbers;
    size_t count, weights;
    bool finite;
};

static struct outcome train(struct nn_graph *g, struct program_options o, uint64_t seed, int steps)
{
    struct err err = {0};
    o.train = true;
    o.seed = seed;
    struct program *p = program_new(g, &o, &err);
    if (!p)
        printf("# %s\n", err.text);
    random_inputs(p, seed);
    program_set_hooks(p, &hooks);
    struct outcome out = {.finite = true};
    size_t n;
    program_weights(p, &n);
    out.weights = n;
    out.count = 2 * n + 2 * (size_t)steps;
    out.numbers = xmalloc(out.count * sizeof(float));
    for (int i = 0; i < steps; i++) {
        out.finite &= program_run(p);
        out.numbers[2 * n + 2 * (size_t)i] = program_loss(p);
        out.numbers[2 * n + 2 * (size_t)i + 1] = program_metric(p, 0);
    }
    memcpy(out.numbers, program_weights(p, &n), n * sizeof(float));
    memcpy(out.numbers + n, program_grads(p, &n), n * sizeof(float));
    program_free(p);
    return out;
}

/* The largest difference of gradients and losses, relative to the largest of them. */
static double difference(const struct outcome *a, const struct outcome *b)
{
    double most = 0.0, scale = 1e-3;
    for (size_t i = a->weights; i < a->count; i++) {
        most = fmax(most, fabs((double)a->numbers[i] - b->numbers[i]));
        scale = fmax(scale, fabs((double)a->numbers[i]));
    }
    return most / scale;
}

/* ---------------------------------------------------------------- the tests */

static void test_threads(void)
{
    int different = 0, strange = 0;
    for (uint64_t seed = 0; seed < GRAPHS; seed++) {
        struct nn_graph *g = random_graph(seed, seed % 2 ? 32 : 7, true);
        struct outcome one = train(g, (struct program_options){.threads = 1}, seed, STEPS);
        for (int threads = 2; threads <= 3; threads++) {
            struct outcome more =
                train(g, (struct program_options){.threads = threads}, seed, STEPS);
            const bool same = memcmp(one.numbers, more.numbers, one.count * sizeof(float)) == 0;
            if (!same)
                printf("# seed %llu: 1 and %d threads differ\n", (unsigned long long)seed, threads);
            different += !same;
            free(more.numbers);
        }
        strange += !one.finite;
        free(one.numbers);
        graph_free(g);
    }
    is_int(different, 0, "1, 2 and 3 threads give the same bits over %d steps", STEPS);
    is_int(strange, 0, "and finite ones");
}

/* One step from the same weights: only rounding may differ. Gradients of max pooling jump where
 * two pixels are equal to rounding, and so does a relu at 0, which seeds like these do not meet. */
static void test_variant(struct program_options o, const char *what)
{
    double most = 0.0;
    uint64_t worst = 0;
    for (uint64_t seed = 0; seed < GRAPHS; seed++) {
        struct nn_graph *g = random_graph(seed, 16, true);
        struct outcome a = train(g, (struct program_options){.threads = 1}, seed, 1);
        o.threads = 1;
        struct outcome b = train(g, o, seed, 1);
        const double d = difference(&a, &b);
        if (d > most || isnan(d)) {
            most = d;
            worst = seed;
        }
        free(a.numbers);
        free(b.numbers);
        graph_free(g);
    }
    is_near(most, 0.0, 2e-5, "%s changes nothing but rounding (worst: seed %llu)", what,
            (unsigned long long)worst);
}

static int count_ops(struct nn_graph *g, struct program_options o, const char *op)
{
    o.threads = 1;
    struct program *p = program_new(g, &o, NULL);
    int count, found = 0;
    const struct program_step *steps = program_steps(p, &count);
    for (int i = 0; i < count; i++)
        found += strcmp(steps[i].op, op) == 0;
    program_free(p);
    return found;
}

static nn_value squash(nn_value x) { return nn_scale(nn_tanh(nn_scale(x, 2.0f / 3.0f)), 1.7159f); }

/* A small LeNet: where each pattern of fuse.c and the layout must show. */
static struct nn_graph *small_net(int batch)
{
    struct nn_graph *g = graph_new(batch);
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(1, 12, 12));
    const nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    /* clang-format off */
    nn_row(g, "C1"); x = squash(nn_conv2d(x, 4, .kernel = 5));
    nn_row(g, "S2"); x = squash(nn_affine(nn_sum_pool(x, 2)));
    nn_row(g, "C3"); x = nn_relu(nn_conv2d(x, 8, .kernel = 3));
    nn_row(g, "C4"); x = nn_relu(nn_add(x, nn_conv2d(x, 8, .kernel = 3, .pad = 1)));
    nn_row(g, "F5"); x = nn_sigmoid(nn_linear(nn_flatten(x), 20));
    nn_row(g, "F6"); x = nn_linear(x, RANDOM_CLASSES);
    /* clang-format on */
    nn_minimize(nn_cross_entropy(x, label));
    nn_metric("accuracy", nn_accuracy(x, label));
    return g;
}

static void test_fusion_happens(void)
{
    static const char *const gone[] = {"scale", "tanh",         "relu", "sigmoid",
                                       "add",   "sigmoid_grad", "exp"};
    const struct program_options fused = {.train = true}, plain = {.train = true, .no_fuse = true};
    struct nn_graph *g = small_net(16);
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
        is_int(count_ops(g, fused, gone[i]), 0, "fused, no %s is left", gone[i]);
    ok(count_ops(g, plain, "scale") >= 8 && count_ops(g, plain, "relu") == 2,
       "unfused, they are there");
    is_int(count_ops(g, fused, "to_lanes"), 2, "the image is turned into lanes, and a gradient");
    is_int(count_ops(g, fused, "from_lanes"), 1, "and C4's output back");
    is_int(count_ops(g, (struct program_options){.train = true, .no_lanes = true}, "to_lanes"), 0,
           "no_lanes is obeyed");
    is_int(count_ops(g, (struct program_options){0}, "conv2d_grad_weight"), 0,
           "evaluation has no gradients");
    graph_free(g);
    g = small_net(10);
    is_int(count_ops(g, fused, "to_lanes"), 0, "a batch of 10 has no lanes");
    graph_free(g);
}

static void test_no_allocation(void)
{
    struct nn_graph *g = small_net(16);
    struct program *p =
        program_new(g, &(struct program_options){.threads = 2, .train = true}, NULL);
    program_set_hooks(p, &hooks);
    random_inputs(p, 5);
    program_run(p); /* the first starts the threads */
    const long before = atomic_load(&allocations);
    for (int i = 0; i < 20; i++)
        program_run(p);
    if (COUNTING) {
        ok(before > 0, "allocations are counted");
        is_int(atomic_load(&allocations) - before, 0, "20 steps allocate nothing");
    } else {
        skip("a sanitizer has its own allocator");
    }
    program_free(p);
    graph_free(g);
}

static void test_learning(void)
{
    struct nn_graph *g = small_net(32);
    struct program *p =
        program_new(g, &(struct program_options){.threads = 2, .train = true, .seed = 1}, NULL);
    program_set_hooks(p, &hooks);
    random_inputs(p, 5);
    program_run(p);
    const float first = program_loss(p);
    for (int i = 0; i < 300; i++)
        program_run(p);
    ok(program_loss(p) < 0.5f * first, "the loss falls: %g to %g", (double)first,
       (double)program_loss(p));
    program_free(p);
    graph_free(g);
}

/* ----------------------------------------------------------------- sharing */

static void test_sharing(void)
{
    struct nn_graph *g = random_graph(3, 16, true), *h = random_graph(3, 8, true);
    struct err err = {0};
    struct program *a =
        program_new(g, &(struct program_options){.threads = 2, .train = true, .seed = 9}, &err);
    struct program *b = program_new(h, &(struct program_options){.threads = 1, .share = a}, &err);
    size_t n, m;
    ok(program_weights(a, &n) == program_weights(b, &m) && n == m, "the weights are the same");
    is_int(program_memory(b).parameters, 0, "and not counted twice");
    is_int(program_memory(b).gradients, 0, "evaluation has no gradients");

    program_set_hooks(a, &hooks);
    random_inputs(a, 1);
    random_inputs(b, 1);
    program_run(b);
    const float before = program_loss(b);
    for (int i = 0; i < 50; i++)
        program_run(a);
    ok(program_run(b) && program_loss(b) != before, "evaluation sees what training has learned");
    const float once = program_loss(b);
    program_run(b);
    ok(once == program_loss(b), "and is the same twice: no dropout");
    program_free(b);

    struct nn_graph *other = small_net(16);
    ok(!program_new(other, &(struct program_options){.threads = 1, .share = a}, &err),
       "another net cannot share");
    printf("# %s\n", err.text);
    program_free(a);
    graph_free(other);
    graph_free(h);
    graph_free(g);
}

/* The scores are copied when asked for, and the same whether asked for or not. */
static void test_output(void)
{
    struct nn_graph *g = small_net(16);
    struct program *p = program_new(g, &(struct program_options){.threads = 2}, NULL);
    const struct tensor *t = program_tensor(p, TENSOR_OUTPUT, 0);
    ok(t && !t->data, "there is an output, not kept");
    program_keep_output(p);
    random_inputs(p, 2);
    program_run(p);
    const struct tensor *label = program_find(p, TENSOR_INPUT, "label");
    int right = 0, counted_rows = 0;
    for (int i = 0; i < 16; i++) {
        const float *row = (const float *)t->data + i * RANDOM_CLASSES;
        const int want = ((const int32_t *)label->data)[i];
        int best = 0;
        for (int k = 1; k < RANDOM_CLASSES; k++)
            best = row[k] > row[best] ? k : best;
        right += want == best;
        counted_rows += want >= 0;
    }
    is_near(program_metric(p, 0), 100.0 * right / counted_rows, 1e-4,
            "accuracy of the kept scores is the metric");
    program_free(p);
    graph_free(g);
}

/* --------------------------------------------------------------------- NaN */

static void test_nan(void)
{
    struct nn_graph *g = small_net(16);
    const struct program_options o = {.threads = 2, .train = true, .seed = 4};
    struct program *p = program_new(g, &o, NULL);
    program_set_hooks(p, &hooks);
    random_inputs(p, 5);
    ok(program_run(p), "a healthy step");

    float *image = program_find(p, TENSOR_INPUT, "image")->data, saved = image[7];
    size_t n;
    float *const w = program_weights(p, &n), *copy = xmalloc(n * sizeof *copy);
    memcpy(copy, w, n * sizeof *copy);
    image[7] = NAN;
    ok(!program_run(p), "NaN in the input stops the step");
    ok(memcmp(copy, w, n * sizeof *copy) == 0, "before the update");
    is_str(program_blame(p), "image: input: value holds NaN", "and is traced to it");
    image[7] = saved;
    ok(program_run(p), "without it all is well again");

    float *bias = program_find(p, TENSOR_PARAM, "C3.bias")->data;
    const float b = bias[0];
    bias[0] = INFINITY;
    ok(!program_run(p), "an infinite weight stops the step");
    is_str(program_blame(p), "C3.bias: param: value holds infinity", "and is traced to it");
    bias[0] = b;
    for (size_t i = 0; i < program_find(p, TENSOR_PARAM, "F6.weight")->elements; i++)
        ((float *)program_find(p, TENSOR_PARAM, "F6.weight")->data)[i] = 3e38f;
    ok(!program_run(p), "an overflow stops the step");
    is_str(program_blame(p), "F6: linear: output holds infinity", "and is traced to row and op");
    free(copy);
    program_free(p);
    graph_free(g);
}

/* A finite loss, 1e10 log 1e-30, with a slope that is not, 1e40. */
static void test_bad_gradient(bool with_update)
{
    struct nn_graph *g = graph_new(4);
    const nn_value x = nn_input(g, "x", NN_F32, NN_SHAPE(3));
    nn_row(g, "odd");
    const nn_value w = nn_param(g, "w", NN_SHAPE(3), NN_ONES);
    nn_minimize(nn_mean(nn_mean(nn_scale(nn_log(nn_mul(x, w)), 1e10f), 0), 0));
    struct err err = {0};
    struct program *p =
        program_new(g, &(struct program_options){.threads = 2, .train = true}, &err);
    if (with_update)
        program_set_hooks(p, &hooks);
    for (int i = 0; i < 12; i++)
        ((float *)program_find(p, TENSOR_INPUT, "x")->data)[i] = 1e-30f;
    ok(!program_run(p) && isfinite(program_loss(p)), "the loss is finite, the gradient is not");
    ok(strncmp(program_blame(p), "odd: ", 5) == 0 && strstr(program_blame(p), "gradient holds"),
       "blamed: %s", program_blame(p));
    program_free(p);
    graph_free(g);
}

/* ------------------------------------------------------------------ others */

/* Two parameters swap their values: all is read before any is written. */
static void test_assign(void)
{
    struct nn_graph *g = graph_new(4);
    const nn_value a = nn_param(g, "a", NN_SHAPE(40), NN_ONES),
                   b = nn_param(g, "b", NN_SHAPE(40), NN_ZEROS),
                   c = nn_param(g, "c", NN_SHAPE(40), NN_ONES);
    nn_assign(a, b);
    nn_assign(b, a);
    nn_assign(c, nn_scale(nn_add(c, a), 2.0f));
    struct program *p =
        program_new(g, &(struct program_options){.threads = 2, .train = true}, NULL);
    ok(program_run(p), "a graph without a loss runs");
    const float *x = program_find(p, TENSOR_PARAM, "a")->data,
                *y = program_find(p, TENSOR_PARAM, "b")->data,
                *z = program_find(p, TENSOR_PARAM, "c")->data;
    ok(x[0] == 0.0f && x[39] == 0.0f && y[0] == 1.0f && y[39] == 1.0f, "two parameters swap");
    ok(z[0] == 4.0f && z[39] == 4.0f, "a third is computed from the old values");
    program_free(p);
    graph_free(g);
}

/* Parameters that share a gradient, pass it through, or have none. */
static void test_odd_gradients(void)
{
    struct nn_graph *g = graph_new(4);
    const nn_value x = nn_input(g, "x", NN_F32, NN_SHAPE(3));
    const nn_value a = nn_param(g, "a", NN_SHAPE(3), NN_ONES),
                   b = nn_param(g, "b", NN_SHAPE(3), NN_ONES),
                   c = nn_param(g, "c", NN_SHAPE(3), NN_ONES),
                   d = nn_param(g, "d", NN_SCALAR, NN_ONES);
    (void)c;
    const nn_value s = nn_sum(nn_sum(nn_mul(x, nn_add(a, b)), 0), 0);
    nn_minimize(nn_add(s, d));
    struct program *p =
        program_new(g, &(struct program_options){.threads = 1, .train = true}, NULL);
    for (int i = 0; i < 12; i++)
        ((float *)program_find(p, TENSOR_INPUT, "x")->data)[i] = (float)i;
    program_run(p);
    const float *da = program_find(p, TENSOR_GRAD, "a")->data,
                *db = program_find(p, TENSOR_GRAD, "b")->data,
                *dc = program_find(p, TENSOR_GRAD, "c")->data,
                *dd = program_find(p, TENSOR_GRAD, "d")->data;
    ok(da[0] == 18.0f && da[2] == 26.0f, "a sum hands its gradient on");
    ok(db[0] == 18.0f && db[2] == 26.0f, "to both of its terms");
    ok(dc[0] == 0.0f && dc[2] == 0.0f, "what the loss does not see has none");
    is_near(dd[0], 1.0, 0.0, "the loss's own term has 1");
    program_free(p);
    graph_free(g);
}

static void test_timing(void)
{
    struct nn_graph *g = small_net(64);
    struct program *p =
        program_new(g, &(struct program_options){.threads = 1, .train = true}, NULL);
    program_set_hooks(p, &hooks);
    random_inputs(p, 1);
    program_run(p);
    double best = 0.0; /* a busy machine may steal time between two looks at the clock */
    for (int i = 0; i < 30; i++) {
        program_time_steps(p, true);
        const int64_t start = clock_ns();
        program_run(p);
        const int64_t whole = clock_ns() - start;
        int count;
        const struct program_step *s = program_steps(p, &count);
        int64_t sum = 0;
        for (int k = 0; k < count; k++)
            sum += s[k].ns;
        const double share = (double)sum / (double)whole;
        best = share <= 1.0 && share > best ? share : best;
    }
    ok(best > 0.9, "the times of the ops are %.1f %% of the step's", 100.0 * best);
    char *text = program_explain(p);
    ok(strstr(text, "conv2d_grad_weight") && strstr(text, "lanes"), "the plan can be explained");
    if (getenv("BENCH_SHOW"))
        puts(text);
    free(text);
    program_free(p);
    graph_free(g);
}

int main(void)
{
    kn_init(NULL, NULL);
    test_threads();
    test_variant((struct program_options){.no_fuse = true}, "no_fuse");
    test_variant((struct program_options){.no_lanes = true}, "no_lanes");
    test_variant((struct program_options){.no_fuse = true, .no_lanes = true}, "neither");
    test_fusion_happens();
    test_no_allocation();
    test_learning();
    test_sharing();
    test_output();
    test_nan();
    test_bad_gradient(true);
    test_bad_gradient(false);
    test_assign();
    test_odd_gradients();
    test_timing();
    return done();
}
