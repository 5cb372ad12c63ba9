/* What sequences need of the graph: states that are carried from step to step, facts of the data
 * that build() may ask for, and a mean of squares that leaves out what has no target. */
#include "graph/exec.h"
#include "nn.h"
#include "tests/tap.h"

enum { BATCH = 3 };

/* state <- state + x: a sum over the steps. */
static struct nn_graph *accumulator(void)
{
    struct nn_graph *g = graph_new(BATCH);
    const nn_value x = nn_input(g, "x", NN_F32, NN_SHAPE(2));
    nn_row(g, "sum");
    const nn_value h = nn_state(g, "h", NN_SHAPE(2));
    const nn_value w = nn_param(g, "w", NN_SHAPE(2), NN_ONES);
    const nn_value y = nn_add(h, nn_mul(x, w));
    nn_assign(h, y);
    nn_minimize(nn_mse(y, nn_scale(x, 2.0f)));
    return g;
}

static void put(struct program *p, float value)
{
    float *x = program_find(p, TENSOR_INPUT, "x")->data;
    for (int i = 0; i < BATCH * 2; i++)
        x[i] = value;
}

static double state(struct program *p)
{
    const float *h = program_find(p, TENSOR_STATE, "sum.h")->data;
    return (double)h[BATCH * 2 - 1];
}

static void test_state(void)
{
    struct nn_graph *g = accumulator();
    struct program_options o = {.threads = 2, .train = true};
    struct program *train = program_new(g, &o, NULL);
    o.train = false;
    o.share = train;
    struct program *test = program_new(g, &o, NULL);
    is_int(program_find(train, TENSOR_STATE, "sum.h")->elements, BATCH * 2, "a row a sample");
    is_int(state(train), 0, "zero at first");
    put(train, 1);
    put(test, 10);
    ok(program_run(train) && program_run(train), "two steps of training");
    is_near(state(train), 2, 0, "carried on");
    is_near(state(test), 0, 0, "every program has its own");
    ok(program_run(test) && program_run(test) && program_run(test), "three of evaluation");
    is_near(state(test), 30, 0, "which are carried on too");
    is_near(state(train), 2, 0, "and leave the others alone");
    program_clear_state(train);
    is_near(state(train), 0, 0, "cleared");
    is_near(state(test), 30, 0, "there only");
    ok(!program_find(train, TENSOR_BUFFER, "sum.h") && !program_find(train, TENSOR_PARAM, "sum.h"),
       "not among what is saved");
    program_free(test);
    program_free(train);
    graph_free(g);
}

static void test_facts(void)
{
    struct nn_graph *g = graph_new(BATCH);
    is_int(nn_tokens(g, "tokens", 7), 7, "no data: the fallback");
    is_int(nn_length(g, "tokens", 8), 8, "for both");
    graph_set_tokens(g, "tokens", 65);
    is_int(nn_tokens(g, "tokens", 7), 65, "the data's number of tokens");
    is_int(nn_length(g, "tokens", 8), 8, "whose length is left to the network");
    graph_set_length(g, "source", 12);
    is_int(nn_length(g, "source", 8), 12, "the data's number of steps");
    is_int(nn_tokens(g, "target", 9), 9, "of another input nothing is known");
    graph_free(g);
}

/* The second sample has no target. */
static void test_uncounted(void)
{
    static const float x[BATCH * 2] = {1, 2, 30, 40, 5, 6},
                                 t[BATCH * 2] = {0, 0, NN_NO_TARGET, 7, 5, 4};
    struct nn_graph *g = graph_new(BATCH);
    const nn_value w = nn_param(g, "w", NN_SHAPE(BATCH, 2), NN_ZEROS);
    nn_minimize(nn_mse(w, nn_input(g, "t", NN_F32, NN_SHAPE(2))));
    struct program *p =
        program_new(g, &(struct program_options){.threads = 1, .train = true}, NULL);
    program_write(p, program_find(p, TENSOR_PARAM, "w"), x);
    program_write(p, program_find(p, TENSOR_INPUT, "t"), t);
    ok(program_run(p), "runs");
    is_near((double)program_loss(p), (1 + 4 + 0 + 4) / 4.0, 1e-6, "mean of the other samples");
    static const double want[BATCH * 2] = {0.5, 1, 0, 0, 0, 1};
    const float *d = program_find(p, TENSOR_GRAD, "w")->data;
    for (int i = 0; i < BATCH * 2; i++)
        is_near((double)d[i], want[i], 1e-6, "gradient %d", i);
    float *all = program_find(p, TENSOR_INPUT, "t")->data;
    for (int i = 0; i < BATCH * 2; i++)
        all[i] = NN_NO_TARGET;
    ok(program_run(p) && program_loss(p) == 0.0f, "0 where nothing counts");
    program_free(p);
    graph_free(g);
}

/* A layer or two, whose loss is a function of x. */
static struct nn_graph *layers(int width)
{
    struct nn_graph *g = graph_new(BATCH);
    const nn_value x = nn_input(g, "x", NN_F32, NN_SHAPE(2));
    nn_row(g, "a");
    const nn_value h = nn_tanh(nn_linear(x, 40));
    nn_row(g, "b");
    nn_value y = nn_linear(h, 2);
    for (int i = 0; i < width; i++)
        y = nn_sigmoid(nn_add(y, x));
    nn_minimize(nn_mse(y, x));
    return g;
}

/* Programs that take turns in one arena compute what they do in their own. */
static void test_lend(void)
{
    struct nn_graph *large = layers(9), *small = layers(1);
    struct program_options o = {.threads = 2, .train = true, .seed = 3};
    struct program *first = program_new(large, &o, NULL);
    o.share = first;
    struct program *apart = program_new(small, &o, NULL);
    o.lend = first;
    struct program *guest = program_new(small, &o, NULL);
    is_int(program_memory(guest).activations, 0, "no arena of its own");
    ok(program_memory(apart).activations > 0, "which it has otherwise");
    put(first, 0.5f);
    put(apart, 0.25f);
    put(guest, 0.25f);
    float loss[2];
    for (int i = 0; i < 2; i++) {
        ok(program_run(first), "the owner");
        loss[i] = program_loss(first);
        ok(program_run(apart) && program_run(guest), "the guest");
        ok(program_loss(apart) == program_loss(guest), "the same loss");
        size_t n;
        const float *a = program_grads(apart, &n), *b = program_grads(guest, &n);
        ok(memcmp(a, b, n * sizeof *a) == 0, "the same gradients");
    }
    ok(loss[0] == loss[1], "the owner's too");
    program_free(guest);
    program_free(apart);
    program_free(first);
    graph_free(small);
    graph_free(large);
}

static void test_errors(void)
{
    struct nn_graph *g = graph_new(BATCH);
    (void)nn_state(g, "h", NN_SHAPE(1, 2, 3, 4, 5));
    is_str(strstr(graph_error(g), "state:"),
           "state: 'h' has rank 5 without its batch; 4 is the limit", "too many axes");
    graph_free(g);
}

int main(void)
{
    kn_init(NULL, NULL);
    test_state();
    test_facts();
    test_uncounted();
    test_lend();
    test_errors();
    return done();
}
