/* t_graph.c — building graphs: shapes, names, counts, and every error that build()
 * can meet, with its text. */
#include "graph/exec.h"
#include "tests/tap.h"

/* ------------------------------------------------------------------ errors */

/* The graph's error without its "tests/t_graph.c:line: ". */
static const char *complaint(const struct nn_graph *g)
{
    const char *error = graph_error(g), *at = "tests/t_graph.c:";
    if (!error)
        return "(none)";
    if (strncmp(error, at, strlen(at)) != 0)
        return error;
    const char *rest = strchr(error + strlen(at), ':');
    return rest ? rest + 2 : error;
}

static nn_value vector(struct nn_graph *g, const char *name, int n)
{
    return nn_input(g, name, NN_F32, NN_SHAPE(n));
}

/* Each makes one mistake, in row "r", with x [N,4] and y [N,3] at hand. */
static void differ(struct nn_graph *g, nn_value x, nn_value y) { (void)g, nn_add(x, y); }
static void same_name(struct nn_graph *g, nn_value x, nn_value y)
{
    const nn_value inner = nn_linear(x, 4);
    (void)g, (void)y, nn_linear(inner, 4);
}
static void no_init(struct nn_graph *g, nn_value x, nn_value y)
{
    (void)x, (void)y, nn_param(g, "p", NN_SHAPE(2), ((struct nn_init){NN_INIT_HE_NORMAL, 0.0f}));
}
static void bad_default(struct nn_graph *g, nn_value x, nn_value y)
{
    (void)x, (void)y, nn_default_init(g, (struct nn_init){99, 1.0f});
}
static void no_axis(struct nn_graph *g, nn_value x, nn_value y) { (void)g, (void)y, nn_dim(x, 2); }
static void too_big(struct nn_graph *g, nn_value x, nn_value y)
{
    (void)x, (void)y, nn_param(g, "p", NN_SHAPE(65536, 65536), NN_ZEROS);
}
static void negative(struct nn_graph *g, nn_value x, nn_value y)
{
    (void)x, (void)y, nn_param(g, "p", NN_SHAPE(3, -1), NN_ZEROS);
}
static void high_rank(struct nn_graph *g, nn_value x, nn_value y)
{
    (void)x, (void)y, nn_input(g, "video", NN_F32, NN_SHAPE(3, 3, 3, 3, 3));
}
static void bad_type(struct nn_graph *g, nn_value x, nn_value y)
{
    (void)x, (void)y, nn_input(g, "image", 7, NN_SHAPE(3));
}
static void vector_loss(struct nn_graph *g, nn_value x, nn_value y)
{
    (void)g, (void)y, nn_minimize(x);
}
static void two_losses(struct nn_graph *g, nn_value x, nn_value y)
{
    (void)g;
    nn_minimize(nn_mean(nn_mean(x, 0), 0));
    nn_minimize(nn_mean(nn_mean(y, 0), 0));
}
static void vector_metric(struct nn_graph *g, nn_value x, nn_value y)
{
    (void)g, (void)x, nn_metric("size", y);
}
static void many_metrics(struct nn_graph *g, nn_value x, nn_value y)
{
    (void)g, (void)y;
    for (int i = 0; i < 9; i++)
        nn_metric("mean", nn_mean(nn_mean(x, 0), 0));
}
static void assign_input(struct nn_graph *g, nn_value x, nn_value y)
{
    (void)g, (void)y, nn_assign(x, x);
}
static void assign_shape(struct nn_graph *g, nn_value x, nn_value y)
{
    (void)y, nn_assign(nn_param(g, "p", NN_SHAPE(2), NN_ZEROS), x);
}
static void other_graph(struct nn_graph *g, nn_value x, nn_value y)
{
    (void)y;
    struct nn_graph *other = graph_new(8);
    nn_add(x, vector(other, "x", 4));
    (void)g;
    graph_free(other);
}

/* clang-format off */
static const struct mistake {
    void (*make)(struct nn_graph *g, nn_value x, nn_value y);
    const char *want;
} mistakes[] = {
    {differ,        "r: add: [N,4] and [N,3] differ"},
    {same_name,     "r: param: there is a 'r.weight' already; nn_row() gives layers names of their own"},
    {no_init,       "r: param: 'r.p': init kind 5 with a = 0 gives no weights"},
    {bad_default,   "r: default_init: kind 99 with a = 1 gives no weights"},
    {no_axis,       "r: dim: [N,4] has no axis 2"},
    {too_big,       "r: param: shape [65536,65536] is negative or beyond 2^31 elements"},
    {negative,      "r: param: shape [3,-1] is negative or beyond 2^31 elements"},
    {high_rank,     "r: input: 'video' has rank 5 without its batch; 4 is the limit"},
    {bad_type,      "r: input: 'image' has unknown type 7"},
    {vector_loss,   "r: minimize: input of [N,4] is no scalar"},
    {vector_metric, "r: metric: input of [N,3] is no scalar"},
    {many_metrics,  "r: metric: 'mean' is one more than the 8 allowed"},
    {assign_input,  "r: assign: only a parameter, buffer or state can be assigned to, not input"},
    {assign_shape,  "r: assign: [2] and [8,4] differ"},
    {other_graph,   "r: add: inputs belong to different graphs"},
};
/* clang-format on */

static void test_mistakes(void)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct nn_graph *g = graph_new(8);
        const nn_value x = vector(g, "x", 4), y = vector(g, "y", 3);
        nn_row(g, "r");
        mistakes[i].make(g, x, y);
        is_str(complaint(g), mistakes[i].want, "says: %s", mistakes[i].want);
        graph_free(g);
    }
    struct nn_graph *g = graph_new(8);
    two_losses(g, vector(g, "x", 4), vector(g, "y", 3));
    ok(strstr(complaint(g), "minimize: a graph has one loss; it was given at tests/t_graph.c:"),
       "a second loss is refused, and the first one's place told");
    graph_free(g);
}

static void test_stickiness(void)
{
    struct nn_graph *g = graph_new(8);
    const nn_value x = vector(g, "x", 4), y = vector(g, "y", 3);
    nn_row(g, "first");
    const nn_value bad = nn_add(x, y);
    const int line = __LINE__ - 1, nodes = g->nodes;
    char want[128];
    snprintf(want, sizeof want, "tests/t_graph.c:%d: first: add: [N,4] and [N,3] differ", line);
    is_str(graph_error(g), want, "the error tells file, line, row and op");

    nn_row(g, "second");
    nn_value z = nn_relu(nn_conv2d(nn_linear(bad, 5), 3, .kernel = 2));
    nn_minimize(nn_mean(z, 0));
    nn_metric("m", z);
    nn_sub(x, y);
    is_int(nn_dim(z, 1), 1, "a failed value has dimension 1");
    is_int(z.id, -1, "what is computed from a failed value has failed");
    is_int(g->nodes, nodes, "and leaves no nodes");
    is_str(graph_error(g), want, "the first error stays");

    struct err err = {0};
    ok(!program_new(g, &(struct program_options){.threads = 1}, &err), "no program is made of it");
    is_str(err.text, want, "but the same error told");
    graph_free(g);
}

static void test_nothing_to_do(void)
{
    struct nn_graph *g = graph_new(2);
    nn_metric("mean", nn_mean(nn_mean(vector(g, "x", 4), 0), 0));
    struct err err = {0};
    ok(!program_new(g, &(struct program_options){.threads = 1, .train = true}, &err),
       "training needs something to learn");
    ok(strstr(err.text, "nn_minimize()"), "and says so: %s", err.text);
    struct program *p = program_new(g, &(struct program_options){.threads = 1}, &err);
    ok(p, "evaluation does not");
    program_free(p);
    graph_free(g);
}

/* ------------------------------------------------------------------ shapes */

static void test_shapes(void)
{
    char text[64];
    const struct nn_shape image = NN_SHAPE(2, 3, 2, 2), scalar = NN_SCALAR;
    is_int(shape_rank(&image), 4, "rank");
    is_int(shape_rank(&scalar), 0, "rank of a scalar");
    is_int(shape_elements(&image), 24, "elements");
    is_int(shape_elements(&scalar), 1, "elements of a scalar");
    is_int(shape_axis(&image, -1), 3, "axes count from the end");
    is_int(shape_axis(&image, 4), -1, "not beyond it");
    is_str(shape_text(&image, 2, text), "[N,3,2,2]", "text with the batch");
    is_str(shape_text(&image, 0, text), "[2,3,2,2]", "text without");
    is_str(shape_text(&scalar, 2, text), "[]", "text of a scalar");

    float logical[24], memory[24], back[24];
    for (int i = 0; i < 24; i++)
        logical[i] = (float)i;
    layout_to_memory(&image, logical, memory);
    ok(memory[0] == 0 && memory[1] == 4 && memory[2] == 8 && memory[3] == 1 && memory[12] == 12,
       "channels come last in memory");
    layout_to_logical(&image, memory, back);
    ok(memcmp(logical, back, sizeof back) == 0, "and back");
}

/* ------------------------------------------------------- names and counts */

/* clang-format off */
static const char *const table1[] = {
    "X...XXX..XXXX.XX", "XX...XXX..XXXX.X", "XXX...XXX..X.XXX",
    ".XXX..XXXX..X.XX", "..XXX..XXXX.XX.X", "...XXX..XXXX.XXX",
};
/* clang-format on */

/* LeCun 1998 up to F6, without its RBF units. */
static struct nn_graph *lenet5(int batch)
{
    struct nn_graph *g = graph_new(batch);
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(1, 32, 32));
    /* clang-format off */
    nn_row(g, "C1"); x = nn_tanh(nn_conv2d(x, 6, .kernel = 5));
    nn_row(g, "S2"); x = nn_tanh(nn_affine(nn_sum_pool(x, 2)));
    nn_row(g, "C3"); x = nn_tanh(nn_conv2d(x, 16, .kernel = 5, .connect = table1));
    nn_row(g, "S4"); x = nn_tanh(nn_affine(nn_sum_pool(x, 2)));
    nn_row(g, "C5"); x = nn_tanh(nn_conv2d(x, 120, .kernel = 5));
    nn_row(g, "F6"); x = nn_tanh(nn_linear(nn_flatten(x), 84));
    /* clang-format on */
    nn_minimize(nn_mean(nn_mean(x, 0), 0));
    return g;
}

static void test_counts(void)
{
    struct nn_graph *g = lenet5(32), *one = lenet5(1);
    ok(!graph_error(g), "LeNet-5 is built: %s", complaint(g));
    is_int(graph_params(g), 60000, "with the parameters of the paper");
    is_int(graph_macs(g), 28 * 28 * 6 * 25 + 10 * 10 * 60 * 25 + 16 * 25 * 120 + 120 * 84,
           "and its multiply-adds along the connections that are there");
    is_int(graph_macs(one), graph_macs(g), "which do not depend on the batch");
    graph_free(g);
    graph_free(one);
}

static void test_tensors(void)
{
    struct nn_graph *g = lenet5(16);
    struct err err = {0};
    struct program *p =
        program_new(g, &(struct program_options){.threads = 1, .train = true, .seed = 3}, &err);
    const struct tensor *w = program_find(p, TENSOR_PARAM, "C3.weight"),
                        *dw = program_find(p, TENSOR_GRAD, "C3.weight");
    ok(w && dw, "a parameter and its gradient have the same name");
    if (!w || !dw)
        return;
    size_t weights, grads;
    float *const all = program_weights(p, &weights), *const d = program_grads(p, &grads);
    ok(weights == grads && (float *)w->data - all == (float *)dw->data - d, "and the same place");
    ok((uintptr_t)w->data % 64 == 0, "on a cache line of its own");
    is_str(program_tensor(p, TENSOR_PARAM, 2)->name, "S2.gain", "parameters are in order");
    ok(!program_tensor(p, TENSOR_PARAM, 12) && program_tensor(p, TENSOR_PARAM, 11), "and complete");
    is_str(program_tensor(p, TENSOR_INPUT, 0)->name, "image", "inputs have no row");
    ok(!program_find(p, TENSOR_PARAM, "C9.weight"), "what is not there is not found");

    float *logical = xmalloc(w->elements * sizeof(float));
    for (size_t i = 0; i < w->elements; i++)
        logical[i] = (float)i + 1.0f;
    program_write(p, w, logical);
    program_read(p, w, logical);
    is_int(logical[1], 2, "what is written is read back in logical order");
    is_int(logical[6 * 25 + 25 * 0], 0, "but for what table I leaves out"); /* o = 1, c = 0 */
    is_int(logical[6 * 25 + 25 * 1], 6 * 25 + 25 + 1, "which has a hole there");
    free(logical);
    program_free(p);
    graph_free(g);
}

/* Moments of the initial laws; the bounds are six standard errors wide. */
static void test_initial_values(void)
{
    enum { OUT = 64, IN = 256, COUNT = OUT * IN };
    static const struct {
        struct nn_init init;
        double deviation, most;
    } laws[] = {
        {{NN_INIT_NORMAL, 0.5f}, 0.5, 3.0},
        {{NN_INIT_UNIFORM, 0.3f}, 0.3 / 1.7320508, 0.3},
        {{NN_INIT_FAN_IN_UNIFORM, 2.4f}, 2.4 / IN / 1.7320508, 2.4 / IN},
        {{NN_INIT_HE_NORMAL, 1.0f}, 0.08838835, 0.6},
        {{NN_INIT_GLOROT_UNIFORM, 1.0f}, 0.07905694, 0.1369307},
        {{NN_INIT_DEFAULT, 0.0f}, 0.07905694, 0.1369307},
        {{NN_INIT_CONST, 7.0f}, 7.0, 7.0},
    };
    for (size_t k = 0; k < sizeof laws / sizeof laws[0]; k++) {
        struct nn_graph *g = graph_new(2);
        nn_row(g, "r");
        nn_value w = nn_param(g, "w", NN_SHAPE(OUT, IN), laws[k].init);
        nn_minimize(nn_mean(nn_mean(w, 0), 0));
        struct err err = {0};
        struct program *p =
            program_new(g, &(struct program_options){.threads = 1, .seed = 11}, &err);
        const float *x = program_find(p, TENSOR_PARAM, "r.w")->data;
        double squares = 0.0, most = 0.0;
        for (int i = 0; i < COUNT; i++) {
            squares += (double)x[i] * x[i];
            most = fmax(most, fabs((double)x[i]));
        }
        is_near(sqrt(squares / COUNT) / laws[k].deviation, 1.0, 6.0 * 0.71 / sqrt(COUNT) + 1e-6,
                "init %d has its deviation", laws[k].init.kind);
        ok(most <= laws[k].most * 1.0000005, "and its range: %g", most);
        program_free(p);
        graph_free(g);
    }
}

int main(void)
{
    kn_init(NULL, NULL);
    test_mistakes();
    test_stickiness();
    test_nothing_to_do();
    test_shapes();
    test_counts();
    test_tensors();
    test_initial_values();
    return done();
}
