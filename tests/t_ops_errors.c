/* Wrong models: each mistake is reported once, as "file:line: row: op: what", with
 * the shapes that do not fit, and what is built on its result stays silent. */
#include "graph/graph.h"
#include "nn.h"
#include "tests/tap.h"

enum { BATCH = 8 };
#define AT "net.c:7"

#define F(name, ...) nn_input_(g, name, NN_F32, NN_SHAPE(__VA_ARGS__), AT)
#define I(name, ...) nn_input_(g, name, NN_I32, NN_SHAPE(__VA_ARGS__), AT)
#define P(name, ...) nn_param_(g, name, NN_SHAPE(__VA_ARGS__), NN_ONES, AT)

#define CONV(...)  ((struct nn_conv2d_opts){.out = __VA_ARGS__})
#define POOL(...)  ((struct nn_pool_opts){.kernel = __VA_ARGS__})
#define LRN(...)   ((struct nn_lrn_opts){__VA_ARGS__})
#define OUT(...)   ((struct nn_linear_opts){.out = __VA_ARGS__})
#define TO(...)    ((struct nn_attend_opts){.keys = __VA_ARGS__})
#define CELLS(...) ((struct nn_recurrent_opts){.hidden = __VA_ARGS__})

static struct nn_shape to(int a, int b, int c) { return NN_SHAPE(a, b, c); }

/* More values than a node can read. */
static nn_value many(nn_value a)
{
    nn_value v[NODE_INPUTS + 1];
    for (int i = 0; i <= NODE_INPUTS; i++)
        v[i] = a;
    return nn_join_(1, NODE_INPUTS + 1, v, AT);
}

static const char *const short_row[] = {"XX", "X"}, *const odd_row[] = {"X?", "XX"};
static const float weights[64];

/* clang-format off */
#define MISTAKES(M) \
    M(nn_add_(F("a", 3), F("b", 4), AT), \
      "add: [N,3] and [N,4] differ") \
    M(nn_sub_(F("a", 3), F("b", 2, 3), AT), \
      "sub: [N,3] and [N,2,3] differ") \
    M(nn_mul_(F("a", 3, 4, 5), P("b", 3, 4, 5), AT), \
      "mul: [3,4,5] is not repeated over images [N,3,4,5]; nn_affine() is, or the same shape, or a scalar") \
    M(nn_add_(F("a", 3), I("i", 3), AT), \
      "add: [N,3] must hold numbers (NN_F32)") \
    M(nn_relu_(I("i", 3), AT), \
      "relu: [N,3] must hold numbers (NN_F32)") \
    M(nn_dropout_(F("x", 3), 1.0f, AT), \
      "dropout: p is 1, wanted 0 <= p < 1") \
    M(nn_dropout_(F("x", 3), NAN, AT), \
      "dropout: p is nan, wanted 0 <= p < 1") \
    M(nn_drop_path_(F("x", 3), -0.1f, AT), \
      "drop_path: p is -0.1, wanted 0 <= p < 1") \
    M(nn_sum_(F("x", 3), 2, AT), \
      "sum: [N,3] has no axis 2") \
    M(nn_mean_(F("x", 3), -3, AT), \
      "mean: [N,3] has no axis -3") \
    M(nn_repeat_(F("x", 3), 3, 2, AT), \
      "repeat: [N,3] 2 times along a new axis 3") \
    M(nn_repeat_(F("x", 3), 1, 0, AT), \
      "repeat: [N,3] 0 times along a new axis 1") \
    M(nn_softmax_(F("x", 3, 4, 5), AT), \
      "softmax: [N,3,4,5] is an image, stored channels last; nn_flatten() it first") \
    M(nn_affine_(F("x", 3, 4), AT), \
      "affine: [N,3,4] has rank 3, wanted [N,C] or [N,C,H,W]") \
    M(nn_matmul_(F("a", 3), P("b", 4, 5), AT), \
      "matmul: [N,3] and [4,5] do not multiply") \
    M(nn_matmul_(F("a", 3, 4), P("b", 2, 4, 5), AT), \
      "matmul: [N,3,4] and [2,4,5] do not multiply") \
    M(nn_matmul_(F("a", 3), P("b", 3), AT), \
      "matmul: [3] has rank 1, wanted 2 to 5") \
    M(nn_linear_(F("x", 1, 28, 28), OUT(0), AT), \
      "linear: 0 outputs, wanted at least 1") \
    M(nn_linear_(F("x", 3, 28, 28), OUT(10), AT), \
      "linear: [N,3,28,28] is an image, stored channels last; nn_flatten() it first") \
    M(nn_lstm_(F("x", 3, 4), CELLS(0), AT), \
      "lstm: 0 hidden units") \
    M(nn_rnn_(F("x", 3, 4), CELLS(5, .span = 9), AT), \
      "rnn: forget_bias and span are for an LSTM with a forget gate or a GRU, and no bias init") \
    M(nn_gru_(F("x", 3, 4), CELLS(5, .span = 9, .forget_bias = 1), AT), \
      "gru: span 9, forget_bias 1: wanted one of them, a span of 2 steps or more") \
    M(nn_lstm_(F("x", 3, 4), CELLS(5, .span = 1), AT), \
      "lstm: span 1, forget_bias 0: wanted one of them, a span of 2 steps or more") \
    M(nn_conv2d_(F("x", 784), CONV(6, .kernel = 5), AT), \
      "conv2d: [N,784] has rank 2, wanted 4") \
    M(nn_conv2d_(F("x", 1, 4, 9), CONV(6, .kernel = 7, .pad = 1), AT), \
      "conv2d: a kernel of 7 does not fit [N,1,4,9] with pad 1") \
    M(nn_conv2d_(F("x", 1, 9, 9), CONV(6), AT), \
      "conv2d: out 6, kernel 0, stride 1, pad 0: wanted out, kernel and stride >= 1 and pad >= 0") \
    M(nn_conv2d_(F("x", 2, 9, 9), CONV(2, .kernel = 3, .connect = short_row), AT), \
      "conv2d: connect row 1 is 'X', wanted 2 characters X or .") \
    M(nn_conv2d_(F("x", 2, 9, 9), CONV(2, .kernel = 3, .connect = odd_row), AT), \
      "conv2d: connect row 0 is 'X?', wanted 2 characters X or .") \
    M(nn_conv2d_(F("x", 2, 9, 9), CONV(2, .kernel = 3, .connect = odd_row, .fixed = weights), AT), \
      "conv2d: fixed weights have no connection table; write zeros") \
    M(nn_conv2d_(F("x", 4, 9, 9), CONV(6, .kernel = 3, .groups = 4), AT), \
      "conv2d: 4 groups do not divide 4 inputs and 6 outputs") \
    M(nn_conv2d_(F("x", 4, 9, 9), CONV(6, .kernel = 3, .groups = 3), AT), \
      "conv2d: 3 groups do not divide 4 inputs and 6 outputs") \
    M(nn_conv2d_(F("x", 4, 9, 9), CONV(8, .kernel = 3, .groups = -1), AT), \
      "conv2d: -1 groups do not divide 4 inputs and 8 outputs") \
    M(nn_conv2d_(F("x", 2, 9, 9), CONV(2, .kernel = 3, .groups = 2, .connect = odd_row), AT), \
      "conv2d: 2 groups leave no choice to a connection table") \
    M(nn_max_pool_(F("x", 1, 4, 4), POOL(2, .pad = 2), AT), \
      "max_pool: kernel 2, stride 2, pad 2: wanted kernel >= 1, stride >= 1 and 0 <= pad < kernel") \
    M(nn_avg_pool_(F("x", 1, 4, 4), POOL(5), AT), \
      "avg_pool: a window of 5 does not fit [N,1,4,4] with pad 0") \
    M(nn_max_pool_(F("x", 1, 4, 4), POOL(6, .stride = 2, .ceil = true), AT), \
      "max_pool: a window of 6 does not fit [N,1,4,4] with pad 0") \
    M(nn_sum_pool_(F("x", 4), POOL(2), AT), \
      "sum_pool: [N,4] has rank 2, wanted 4") \
    M(nn_global_avg_pool_(F("x", 3, 4), AT), \
      "global_avg_pool: [N,3,4] has rank 3, wanted 4") \
    M(nn_lrn_(F("x", 3, 4), LRN(5, 5e-4f, 0.75f, 2), AT), \
      "lrn: [N,3,4] has rank 3, wanted 4") \
    M(nn_lrn_(F("x", 3, 4, 5), LRN(33, 5e-4f, 0.75f, 2), AT), \
      "lrn: size 33, wanted 1 to 32") \
    M(nn_lrn_(F("x", 3, 4, 5), LRN(5, 5e-4f, 0.75f, 0), AT), \
      "lrn: k 0, alpha 0.0005, beta 0.75: wanted k > 0, none below 0") \
    M(nn_gate_(F("x", 3, 4, 5), F("s", 4), AT), \
      "gate: [N,4] has not one factor for each channel of [N,3,4,5]") \
    M(nn_gate_(F("x", 3, 4, 5), P("s", 3), AT), \
      "gate: [3] has rank 1, wanted 2") \
    M(nn_transpose_(P("x", 4), AT), \
      "transpose: [4] has rank 1, wanted 2 to 5") \
    M(nn_reshape_(F("x", 12), to(5, 2, 0), AT), \
      "reshape: [N,12] and [N,5,2] differ in their number of elements") \
    M(nn_reshape_(F("x", 12), to(-3, -4, 0), AT), \
      "reshape: [N,12] and [N,-3,-4] differ in their number of elements") \
    M(nn_reshape_(I("x", 12), to(2, 2, 3), AT), \
      "reshape: integers have at most rank 3, wanted 4") \
    M(nn_concat_(F("a", 2, 3), F("b", 2, 4), 1, AT), \
      "concat: [N,2,3] and [N,2,4] differ beside axis 1") \
    M(nn_concat_(F("a", 2, 3), F("b", 2), 1, AT), \
      "concat: [N,2,3] and [N,2] differ beside axis 1") \
    M(nn_concat_(F("a", 2), F("b", 2), 2, AT), \
      "concat: [N,2] has no axis 2") \
    M(nn_join_(1, 3, (nn_value[]){F("a", 2, 3), F("b", 4, 3), F("c", 4, 2)}, AT), \
      "concat: [N,6,3] and [N,4,2] differ beside axis 1") \
    M(nn_join_(1, 3, (nn_value[]){F("a", 2), F("b", 4), I("i", 4)}, AT), \
      "concat: [N,4] must hold numbers (NN_F32)") \
    M(many(F("a", 2)), \
      "concat: 17 values, wanted at most 16") \
    M(nn_pad_(F("x", 5), 2, 1, 1, AT), \
      "pad: [N,5] has no axis 2") \
    M(nn_pad_(F("x", 5), 1, 0, -1, AT), \
      "pad: 0 before and -1 behind axis 1 of [N,5]: wanted at least 0") \
    M(nn_pad_(F("x", 5), 1, INT32_MAX, 0, AT), \
      "pad: 2147483647 before and 0 behind axis 1 of [N,5]: too large") \
    M(nn_slice_(F("x", 5), 1, 3, 6, AT), \
      "slice: [3,6) of axis 1 is empty or outside [N,5]") \
    M(nn_slice_(F("x", 5), 1, 3, 3, AT), \
      "slice: [3,3) of axis 1 is empty or outside [N,5]") \
    M(nn_gather_(P("t", 9, 4), F("i", 3), AT), \
      "gather: [N,3] must hold integers (NN_I32)") \
    M(nn_gather_(P("t", 9, 4, 2), I("i", 3), AT), \
      "gather: [9,4,2] has rank 3, wanted 2") \
    M(nn_pick_(F("x", 10), I("i", 2), AT), \
      "pick: [N,10] has no label for each row in [N,2]") \
    M(nn_sq_dist_(F("x", 84), P("c", 10, 83), AT), \
      "sq_dist: [N,84] and [10,83] differ in their last axis") \
    M(nn_mse_(F("x", 84), F("t", 83), AT), \
      "mse: [N,84] and [N,83] differ") \
    M(nn_mse_(F("x", 84), I("t", 84), AT), \
      "mse: [N,84] must hold numbers (NN_F32)") \
    M(nn_cross_entropy_(F("x", 10), F("label", 0), AT), \
      "cross_entropy: [N] must hold integers (NN_I32)") \
    M(nn_cross_entropy_(F("x", 10), I("label", 3), AT), \
      "cross_entropy: [N,10] has no label for each row in [N,3]") \
    M(nn_smooth_cross_entropy_(F("x", 10), I("label", 3), 0.1f, AT), \
      "smooth_cross_entropy: [N,10] has no label for each row in [N,3]") \
    M(nn_smooth_cross_entropy_(F("x", 10), I("label", 0), 1.0f, AT), \
      "smooth_cross_entropy: s is 1, wanted 0 <= s < 1") \
    M(nn_attend_(F("q", 4, 6), TO(F("k", 5, 7)), AT), \
      "attend: keys is [N,5,7], wanted [N,5,6]") \
    M(nn_attend_(F("q", 6), TO(F("k", 6)), AT), \
      "attend: [N,6] has rank 2, wanted 3") \
    M(nn_attend_(F("q", 4, 6), TO(F("k", 5, 6), .values = F("x", 4, 6)), AT), \
      "attend: values is [N,4,6], wanted [N,5,6]") \
    M(nn_attend_(F("q", 4, 6), TO(F("k", 5, 6), .v = P("v", 5)), AT), \
      "attend: v is [5], wanted [6]") \
    M(nn_attend_(F("q", 4, 6), TO(F("k", 5, 6), .length = I("l", 4)), AT), \
      "attend: [N,4] has rank 2, wanted 1") \
    M(nn_attend_(F("q", 4, 6), TO(F("k", 5, 6), .v = P("v", 6), .scale = 2), AT), \
      "attend: scale is for scores without v") \
    M(nn_attention_(nn_relu_(F("x", 6), AT), AT), \
      "attention: relu attends to nothing") \
    M(nn_gru_(F("x", 4, 6), CELLS(3, .attend_values = F("v", 5, 7)), AT), \
      "gru: attend_values, attend_length: without attend_keys") \
    M(nn_gru_(F("x", 4, 6), CELLS(3, .attend_keys = F("k", 7)), AT), \
      "gru: [N,7] has rank 2, wanted 3") \
    M(nn_gru_(F("x", 4, 6), CELLS(3, .attend_keys = P("k", 4, 5, 7)), AT), \
      "gru: attend_keys is [4,5,7], wanted [N,5,7]") \
    M(nn_lstm_(F("x", 4, 6), CELLS(3, .attend_keys = F("k", 5, 7), .attend_values = F("v", 4, 7)), AT), \
      "lstm: attend_values is [N,4,7], wanted [N,5,7]") \
    M(nn_rnn_(F("x", 4, 6), CELLS(3, .attend_keys = F("k", 5, 7), .attend_length = I("l", 5)), AT), \
      "rnn: [N,5] has rank 2, wanted 1") \
    M(nn_context_(nn_gru_(F("x", 4, 6), CELLS(3), AT), AT), \
      "context: gru attends to nothing") \
    M(nn_accuracy_(I("x", 10), I("label", 0), AT), \
      "accuracy: [N,10] must hold numbers (NN_F32)")
/* clang-format on */

/* Function bodies cannot stand in a table, so each mistake is a case of one function. */
static nn_value make(struct nn_graph *g, int which)
{
    int i = 0;
#define BUILD(value, text) \
    if (i++ == which)      \
        return value;
    MISTAKES(BUILD)
    return (nn_value){NULL, 0};
}

#define TEXT(value, text) text,
static const char *const texts[] = {MISTAKES(TEXT)};

static void reported(int which)
{
    struct nn_graph *g = graph_new(BATCH);
    nn_row(g, "C1");
    const nn_value y = make(g, which);
    char want[ERR_TEXT];
    snprintf(want, sizeof want, "net.c:7: C1: %s", texts[which]);
    ok(y.id < 0, "%s: has no value", texts[which]);
    is_str(graph_error(g) ? graph_error(g) : "(none)", want, "%s", texts[which]);
    graph_free(g);
}

/* Everything built on a failed value fails in silence; the first report stays. */
static void sticky(void)
{
    struct nn_graph *g = graph_new(BATCH);
    nn_value x = nn_add_(F("a", 3), F("b", 4), "net.c:8");
    const nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    x = nn_linear(nn_relu(nn_dropout(nn_flatten(x), 0.5f)), 10);
    x = nn_concat(nn_slice(x, 1, 0, 99), nn_transpose(x), 7);
    x = nn_join(1, label, nn_pad(x, 1, 2, 3), nn_gate(x, nn_global_avg_pool(x)));
    x = nn_softmax(nn_matmul(nn_reshape(x, NN_SHAPE(3)), x));
    ok(nn_conv2d(x, 3).id < 0 && nn_max_pool(x, 3).id < 0 && nn_affine(x).id < 0,
       "layers on a failed value fail");
    ok(nn_cross_entropy(x, label).id < 0 && nn_pick(x, label).id < 0 && nn_sum(x, 9).id < 0 &&
           nn_sq_dist(x, x).id < 0 && nn_gather(x, label).id < 0,
       "so does the rest");
    nn_row(x.graph, "of a failed value's graph");
    nn_default_init(x.graph, NN_ONES);
    ok(nn_input(x.graph, "i", NN_F32, NN_SHAPE(3)).id < 0 &&
           nn_state(x.graph, "s", NN_SHAPE(3)).id < 0 &&
           nn_param(x.graph, "p", NN_SHAPE(3), NN_ONES).id < 0 &&
           nn_param_from(x.graph, "f", NN_SHAPE(3), weights).id < 0 &&
           nn_buffer(x.graph, "b", NN_SHAPE(3), NN_ONES).id < 0 &&
           nn_const(x.graph, "c", NN_SHAPE(3), weights).id < 0,
       "and leaves of its graph");
    is_int(nn_tokens(x.graph, "i", 7) + nn_length(x.graph, "i", 4), 11,
           "which knows nothing of the data");
    nn_minimize(nn_accuracy(x, label));
    is_str(graph_error(g), "net.c:8: add: [N,3] and [N,4] differ", "the first error stays");
    graph_free(g);
}

static void two_graphs(void)
{
    struct nn_graph *g = graph_new(BATCH), *other = graph_new(BATCH);
    const nn_value a = F("a", 3), b = nn_input(other, "b", NN_F32, NN_SHAPE(3));
    ok(nn_add_(a, b, AT).id < 0, "values of two graphs do not add");
    is_str(graph_error(g), "net.c:7: add: inputs belong to different graphs", "and it is said");
    graph_free(g);
    graph_free(other);
}

/* ------------------------------------------------------------------ shapes */

static void has_shape(nn_value v, const char *want)
{
    char text[64] = "(failed)";
    if (v.id >= 0)
        shape_text(&node_of(v)->shape, v.graph->batch, text);
    is_str(text, want, "%s gives %s", v.id < 0 ? "(failed)" : node_of(v)->op->name, want);
}

static void shapes(void)
{
    struct nn_graph *g = graph_new(BATCH);
    const nn_value image = F("image", 3, 32, 30), rows = F("rows", 6, 10), i = I("i", 5);
    const nn_value label = I("label", 0);
    nn_row(g, "a");
    has_shape(nn_conv2d(image, 16, .kernel = 5), "[N,16,28,26]");
    nn_row(g, "b");
    has_shape(nn_conv2d(image, 16, .kernel = 3, .stride = 2, .pad = 1), "[N,16,16,15]");
    nn_row(g, "grouped");
    has_shape(nn_conv2d(image, 6, .kernel = 3, .groups = 3), "[N,6,30,28]");
    has_shape(value_of(g, g->nodes - 2), "[6]");
    has_shape(value_of(g, g->nodes - 3), "[6,1,3,3]");
    nn_row(g, "c");
    has_shape(nn_linear(rows, 7), "[N,6,7]");
    has_shape(nn_max_pool(image, 3, .stride = 2), "[N,3,15,14]");
    has_shape(nn_max_pool(image, 3, .stride = 2, .ceil = true), "[N,3,16,15]");
    has_shape(nn_max_pool(F("112", 1, 112, 7), 3, .stride = 2, .ceil = true), "[N,1,56,3]");
    has_shape(nn_max_pool(F("2", 1, 2, 3), 3, .stride = 2, .ceil = true), "[N,1,1,1]");
    has_shape(nn_max_pool(F("3", 1, 3, 4), 2, .stride = 2, .pad = 1, .ceil = true), "[N,1,2,3]");
    has_shape(nn_avg_pool(image, 2), "[N,3,16,15]");
    has_shape(nn_flatten(image), "[N,2880]");
    has_shape(nn_global_avg_pool(image), "[N,3]");
    has_shape(nn_gate(image, nn_global_avg_pool(image)), "[N,3,32,30]");
    has_shape(nn_reshape(rows, NN_SHAPE(2, 5, 6)), "[N,2,5,6]");
    has_shape(nn_transpose(rows), "[N,10,6]");
    has_shape(nn_matmul(rows, P("m", 10, 4)), "[N,6,4]");
    has_shape(nn_matmul(rows, nn_transpose(rows)), "[N,6,6]");
    has_shape(nn_sum(rows, -1), "[N,6]");
    has_shape(nn_mean(rows, 0), "[6,10]");
    has_shape(nn_mean(nn_sum(nn_flatten(rows), 1), 0), "[]");
    has_shape(nn_concat(rows, rows, -1), "[N,6,20]");
    has_shape(nn_join(1, image, image, image), "[N,9,32,30]");
    has_shape(nn_join(-1, rows), "[N,6,10]");
    has_shape(nn_pad(image, 1, 2, 1), "[N,6,32,30]");
    has_shape(nn_slice(rows, 1, 2, 5), "[N,3,10]");
    has_shape(nn_gather(P("table", 99, 12), i), "[N,5,12]");
    has_shape(nn_pick(nn_flatten(rows), label), "[N]");
    has_shape(nn_sq_dist(nn_flatten(rows), P("centres", 9, 60)), "[N,9]");
    has_shape(nn_cross_entropy(nn_flatten(rows), label), "[]");
    has_shape(nn_accuracy(nn_flatten(rows), label), "[]");
    has_shape(nn_add(rows, P("row", 10)), "[N,6,10]");
    graph_free(g);
}

int main(void)
{
    for (int i = 0; i < (int)(sizeof texts / sizeof texts[0]); i++)
        reported(i);
    sticky();
    two_graphs();
    shapes();
    return done();
}
