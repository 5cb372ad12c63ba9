/* The gradient of every operation in ops.def, against central differences.
 *
 * Each check builds y = op(parameters) and the loss L = sum of probe * y with fixed
 * random probe weights. For each parameter w and random directions v of +1 and -1,
 * <dL/dw, v> is compared with the five-point difference
 *
 *     (8 (L(w + h v) - L(w - h v)) - (L(w + 2h v) - L(w - 2h v))) / 12 h,  h = 1/64,
 *
 * whose error is of order h^4; what remains is the rounding of L. Values keep a
 * distance of more than 2h from the kinks of relu, abs, max_pool and the like.
 * Programs run plain, with images in lanes, and fused on two threads. */
#include "base/rng.h"
#include "graph/exec.h"
#include "nn.h"
#include "tests/tap.h"

#define TOLERANCE 3e-4 /* of |dL/dw|; the worst seen is half of it */
#define H         (1.0 / 64)
enum { DIRECTIONS = 3, BATCH = 16 };

/* What the parameters are filled with. */
enum values {
    SIGNED,   /* [0.2, 1], either sign */
    POSITIVE, /* [0.5, 1.5] */
    SPREAD    /* every 3x3 window of an image holds nine different multiples of 0.1 */
};

#define P(name, ...) nn_param(g, name, NN_SHAPE(__VA_ARGS__), NN_ONES)
#define I(name, ...) nn_input(g, name, NN_I32, NN_SHAPE(__VA_ARGS__))
#define IMAGE        P("x", BATCH, 3, 7, 6)
#define DECODER      .attend_keys = P("k", BATCH, 5, 3)
#define SEQUENCE     P("x", BATCH, 5, 4) /* lengths are 0 to 5: fill() */

static const char *const connect[] = {"X..XX", ".XX.X", "XX.X."};
static float fixed[4 * 3 * 2 * 2];

static struct nn_shape to(int a, int b, int c) { return NN_SHAPE(a, b, c); }

/* An image that is in lanes when the program uses them: convolutions of few channels start them. */
static nn_value laned(struct nn_graph *g)
{
    nn_row(g, "first");
    const nn_value y = nn_conv2d(IMAGE, 4, .kernel = 2);
    nn_row(g, "then");
    return y;
}

/* clang-format off */
/*    name               values    y; x[i] means that lanes are tried too */
#define CHECKS(C)                                                                             \
    C(add,               SIGNED,   nn_add(P("a", 5, 7), P("b", 5, 7)))                        \
    C(add_row,           SIGNED,   nn_add(P("a", 500, 11), P("b", 11)))                       \
    C(add_scalar,        SIGNED,   nn_add(IMAGE, nn_sum(P("b", 1), 0)))                       \
    C(add_to_itself,     SIGNED,   nn_add_to_itself(P("a", 6, 5)))                            \
    C(sub,               SIGNED,   nn_sub(P("a", 5, 7), P("b", 5, 7)))                        \
    C(sub_matrix,        SIGNED,   nn_sub(P("a", 4, 5, 7), P("b", 5, 7)))                     \
    C(sub_scalar,        SIGNED,   nn_sub(IMAGE, nn_sum(P("b", 1), 0)))                       \
    C(mul,               SIGNED,   nn_mul(P("a", 5, 7), P("b", 5, 7)))                        \
    C(mul_row,           SIGNED,   nn_mul(P("a", 300, 5, 7), P("b", 7)))                      \
    C(mul_scalar,        SIGNED,   nn_mul(IMAGE, nn_sum(P("b", 1), 0)))                       \
    C(mul_lanes,         SIGNED,   times_again(g, laned(g)))              \
    C(scale,             SIGNED,   nn_scale(P("x", 5, 7), -2.5f))                             \
    C(offset,            SIGNED,   nn_offset(P("x", 5, 7), 3.0f))                             \
    C(dropout,           SIGNED,   nn_dropout(P("x", 40, 70), 0.4f))                          \
    C(abs,               SIGNED,   nn_abs(P("x", 5, 70)))                                     \
    C(sqrt,              POSITIVE, nn_sqrt(P("x", 5, 70)))                                    \
    C(exp,               SIGNED,   nn_exp(P("x", 5, 70)))                                     \
    C(log,               POSITIVE, nn_log(P("x", 5, 70)))                                     \
    C(tanh,              SIGNED,   nn_tanh(P("x", 5, 70)))                                    \
    C(scaled_tanh,       SIGNED,   nn_scale(nn_tanh(nn_scale(IMAGE, 2.0f / 3.0f)), 1.7159f))  \
    C(sigmoid,           SIGNED,   nn_sigmoid(P("x", 5, 70)))                                 \
    C(relu,              SIGNED,   nn_relu(P("x", 5, 70)))                                    \
    C(gelu,              SIGNED,   nn_gelu(P("x", 5, 70)))                                    \
    C(gelu_tanh,         SIGNED,   nn_gelu_tanh(P("x", 5, 70)))                               \
    C(silu,              SIGNED,   nn_silu(P("x", 5, 70)))                                    \
    C(silu_lanes,        SIGNED,   nn_silu(laned(g)))                                         \
    C(drop_path,         SIGNED,   nn_drop_path(P("x", 40, 7), 0.4f))                         \
    C(drop_path_lanes,   SIGNED,   nn_drop_path(laned(g), 0.4f))                              \
    C(step,              SIGNED,   times_step(P("x", 5, 70)))                   \
    C(batch_norm,        SIGNED,   nn_batch_norm(P("x", 40, 13), 1e-5f))                      \
    C(batch_norm_image,  SIGNED,   nn_batch_norm(IMAGE, 1e-3f))                               \
    C(batch_norm_lanes,  SIGNED,   norm_of_lanes(g))                                          \
    C(batch_norm_silu,   SIGNED,   nn_silu(nn_batch_norm(IMAGE, 1e-3f)))                      \
    C(batch_norm_add,    SIGNED,   norm_and_add(g))                                           \
    C(softmax,           SIGNED,   nn_softmax(P("x", 6, 37)))                                 \
    C(softmax_deep,      SIGNED,   nn_softmax(P("x", 3, 4, 9)))                               \
    C(sum_first,         SIGNED,   nn_sum(P("x", 900, 13), 0))                                \
    C(sum_middle,        SIGNED,   nn_sum(P("x", 4, 30, 13), 1))                              \
    C(sum_last,          SIGNED,   nn_sum(P("x", 4, 30, 13), -1))                             \
    C(sum_all,           SIGNED,   nn_sum(P("x", 9000), 0))                                   \
    C(mean_channels,     SIGNED,   nn_mean(IMAGE, 1))                                         \
    C(mean_height,       SIGNED,   nn_mean(IMAGE, 2))                                         \
    C(mean_width,        SIGNED,   nn_mean(IMAGE, 3))                                         \
    C(mean_images,       SIGNED,   nn_mean(laned(g), 0))                                      \
    C(sum_to_image,      SIGNED,   nn_sum(P("x", 2, 3, 4, 5, 6), 2))                          \
    C(repeat_first,      SIGNED,   nn_repeat(P("x", 40, 3), 0, 5))                            \
    C(repeat_middle,     SIGNED,   nn_repeat(P("x", 40, 3), 1, 5))                            \
    C(repeat_last,       SIGNED,   nn_repeat(P("x", 40, 3), -1, 5))                           \
    C(affine,            SIGNED,   nn_affine(P("x", 700, 9)))                                 \
    C(affine_image,      SIGNED,   nn_affine(nn_scale(IMAGE, 0.5f)))                          \
    C(affine_lanes,      SIGNED,   nn_affine(laned(g)))                                       \
    C(affine_tanh,       SIGNED,   nn_tanh(nn_affine(laned(g))))                              \
    C(matmul,            SIGNED,   nn_matmul(P("a", 13, 9), P("b", 9, 17)))                   \
    C(matmul_rows,       SIGNED,   nn_matmul(P("a", 3, 13, 9), P("b", 9, 17)))                \
    C(matmul_batch,      SIGNED,   nn_matmul(P("a", 3, 13, 9), P("b", 3, 9, 17)))             \
    C(matmul_batch_5,    SIGNED,   nn_matmul(P("a", 2, 3, 2, 5, 4), P("b", 2, 3, 2, 4, 6)))   \
    C(matmul_turned,     SIGNED,   nn_matmul(P("a", 3, 5, 9), nn_transpose(P("b", 3, 8, 9)))) \
    C(linear,            SIGNED,   nn_linear(P("x", 33, 20), 10))                             \
    C(linear_no_bias,    SIGNED,   nn_linear(P("x", 33, 20), 10, .no_bias = true))            \
    C(linear_deep,       SIGNED,   nn_linear(P("x", 4, 5, 20), 7))                            \
    C(linear_relu,       SIGNED,   two_layers(g))                                             \
    C(conv2d,            SIGNED,   nn_conv2d(IMAGE, 20, .kernel = 3))                         \
    C(conv2d_no_bias,    SIGNED,   nn_conv2d(IMAGE, 4, .kernel = 1, .no_bias = true))         \
    C(conv2d_stride,     SIGNED,   nn_conv2d(IMAGE, 4, .kernel = 3, .stride = 2, .pad = 1))   \
    C(conv2d_wide,       SIGNED,   nn_conv2d(P("x", 2, 18, 5, 5), 35, .kernel = 3, .pad = 1)) \
    C(conv2d_groups,     SIGNED,   nn_conv2d(P("x", 2, 12, 6, 5), 8, .kernel = 3, .pad = 1, .groups = 4)) \
    C(conv2d_depthwise,  SIGNED,   nn_conv2d(P("x", 2, 20, 7, 9), 20, .kernel = 3, .pad = 1, .groups = 20)) \
    C(conv2d_depthwise_2, SIGNED,  nn_conv2d(IMAGE, 3, .kernel = 5, .stride = 2, .pad = 2, .groups = 3)) \
    C(conv2d_depthwise_relu, SIGNED, depthwise_block(g))                                      \
    C(conv2d_connect,    SIGNED,   nn_conv2d(IMAGE, 5, .kernel = 3, .connect = connect))      \
    C(conv2d_fixed,      SIGNED,   nn_conv2d(IMAGE, 4, .kernel = 2, .fixed = fixed))          \
    C(conv2d_twice,      SIGNED,   nn_conv2d(nn_tanh(laned(g)), 6, .kernel = 3))              \
    C(max_pool,          SPREAD,   nn_max_pool(IMAGE, 2))                                     \
    C(max_pool_overlap,  SPREAD,   nn_max_pool(IMAGE, 3, .stride = 2, .pad = 1))              \
    C(max_pool_lanes,    SPREAD,   nn_max_pool(in_lanes(g), 3, .stride = 1))                  \
    C(max_pool_2_lanes,  SPREAD,   nn_max_pool(in_lanes(g), 2))                               \
    C(max_pool_ceil,     SPREAD,   nn_max_pool(IMAGE, 3, .stride = 2, .ceil = true))          \
    C(max_pool_2_ceil,   SPREAD,   nn_max_pool(in_lanes(g), 2, .ceil = true))                 \
    C(avg_pool_ceil,     SIGNED,   nn_avg_pool(IMAGE, 2, .ceil = true))                       \
    C(avg_pool,          SIGNED,   nn_avg_pool(IMAGE, 3, .stride = 2, .pad = 1))              \
    C(sum_pool,          SIGNED,   nn_sum_pool(IMAGE, 2))                                     \
    C(sum_pool_lanes,    SIGNED,   nn_sum_pool(laned(g), 2))                                  \
    C(tanh_sum_pool,     SIGNED,   nn_sum_pool(nn_tanh(laned(g)), 2))                         \
    C(relu_max_pool,     SPREAD,   nn_max_pool(nn_relu(nn_offset(in_lanes(g), -0.05f)), 2))   \
    C(global_avg_pool,   SIGNED,   nn_global_avg_pool(P("x", 3, 20, 4, 5)))                   \
    C(global_avg_lanes,  SIGNED,   nn_global_avg_pool(laned(g)))                              \
    C(gate,              SIGNED,   nn_gate(P("x", 3, 20, 4, 5), P("s", 3, 20)))               \
    C(gate_lanes,        SIGNED,   squeeze_and_excite(laned(g)))                              \
    C(lrn,               SIGNED,   nn_lrn(P("x", 2, 20, 3, 2), 5, .alpha = 2.0f, .beta = 0.75f, .k = 2.0f)) \
    C(lrn_even,          SIGNED,   nn_lrn(P("x", 2, 3, 3, 2), 4, .alpha = 2.0f, .beta = 0.5f, .k = 1.0f)) \
    C(lrn_lanes,         SIGNED,   nn_lrn(laned(g), 3, .alpha = 0.5f, .beta = 0.75f, .k = 2.0f)) \
    C(transpose,         SIGNED,   nn_transpose(P("x", 5, 7)))                                \
    C(transpose_deep,    SIGNED,   nn_transpose(P("x", 3, 5, 7)))                             \
    C(transpose_image,   SIGNED,   nn_transpose(P("x", 3, 4, 5, 7)))                          \
    C(flatten,           SIGNED,   nn_tanh(nn_flatten(IMAGE)))                                \
    C(flatten_lanes,     SIGNED,   nn_tanh(nn_flatten(laned(g))))                             \
    C(reshape_image,     SIGNED,   nn_mean(nn_reshape(P("x", 16, 60), to(3, 4, 5)), 3)) \
    C(reshape_images,    SIGNED,   nn_mean(nn_reshape(P("x", 2, 3, 4, 5), to(5, 6, 2)), 1)) \
    C(concat,            SIGNED,   nn_concat(P("a", 4, 3, 5), P("b", 4, 6, 5), 1))            \
    C(concat_images,     SIGNED,   nn_concat(P("a", 4, 3, 5, 2), P("b", 4, 6, 5, 2), 1))      \
    C(join,              SIGNED,   nn_join(1, P("a", 4, 3, 5), P("b", 4, 1, 5), P("c", 4, 2, 5))) \
    C(join_lanes,        SIGNED,   inception(laned(g)))                                       \
    C(pad,               SIGNED,   nn_pad(P("x", 4, 3, 5), 1, 2, 1))                          \
    C(pad_channels,      SIGNED,   nn_tanh(nn_pad(laned(g), 1, 3, 2)))                        \
    C(slice,             SIGNED,   nn_slice(P("x", 4, 9, 5), 1, 2, 6))                        \
    C(slice_image,       SIGNED,   nn_slice(IMAGE, 2, 1, 5))                                  \
    C(gather,            SIGNED,   nn_gather(P("table", 9, 40), nn_slice(I("i", 6), 1, 1, 5))) \
    C(pick,              SIGNED,   nn_pick(P("x", BATCH, 5), I("label", 0)))                  \
    C(sq_dist,           SIGNED,   nn_sq_dist(P("x", 12, 33), P("c", 5, 33)))                 \
    C(rnn,               SIGNED,   nn_rnn(SEQUENCE, 5))                                       \
    C(rnn_reverse,       SIGNED,   nn_rnn(SEQUENCE, 5, .length = I("length", 0), .reverse = true)) \
    C(rnn_states,        SIGNED,   nn_rnn(SEQUENCE, 2, .h0 = P("h0", BATCH, 2), .one_bias = true)) \
    C(lstm,              SIGNED,   nn_lstm(SEQUENCE, 5))                                      \
    C(lstm_states,       SIGNED,   nn_lstm(SEQUENCE, 5, .length = I("length", 0), .peepholes = true, \
                                           .h0 = P("h0", BATCH, 5), .c0 = P("c0", BATCH, 5))) \
    C(lstm_1997,         SIGNED,   nn_lstm(SEQUENCE, 5, .no_forget = true, .peepholes = true)) \
    C(gru,               SIGNED,   nn_gru(SEQUENCE, 5, .h0 = P("h0", BATCH, 5)))              \
    C(gru_reset_before,  SIGNED,   nn_gru(SEQUENCE, 5, .h0 = P("h0", BATCH, 5), .reset_before = true)) \
    C(last,              SIGNED,   nn_last(P("x", BATCH, 5, 7), I("length", 0)))              \
    C(last_step,         SIGNED,   nn_last(P("x", BATCH, 5, 7), (nn_value){0}))               \
    C(at,                SIGNED,   nn_at(P("x", BATCH, 3, 7), 1))                             \
    C(final_cell,        SIGNED,   nn_final_cell(nn_lstm(SEQUENCE, 5, .length = I("length", 0)))) \
    C(attend,            SIGNED,   nn_attend(P("q", BATCH, 3, 4), P("k", BATCH, 5, 4), .v = P("v", 4), \
                                             .values = P("x", BATCH, 5, 7), .length = I("length", 0))) \
    C(attend_keys,       SIGNED,   nn_attend(P("q", BATCH, 5), P("k", BATCH, 5, 5), .scale = 0.5f)) \
    C(lstm_attend,       SIGNED,   both_ends(nn_lstm(SEQUENCE, 5, .length = I("length", 0), DECODER, \
                                           .attend_length = I("keys", 0), .h0 = P("h0", BATCH, 5), \
                                           .attend_values = P("s", BATCH, 5, 6))))            \
    C(gru_attend,        SIGNED,   both_ends(nn_gru(SEQUENCE, 4, DECODER)))                   \
    C(mse,               SIGNED,   nn_mse(P("x", BATCH, 3, 7), P("t", BATCH, 3, 7)))          \
    C(cross_entropy,     SIGNED,   nn_cross_entropy(P("x", BATCH, 7), I("label", 0)))         \
    C(cross_entropy_deep, SIGNED,  nn_cross_entropy(P("x", BATCH, 3, 7), I("label", 3)))      \
    C(cross_entropy_smooth, SIGNED, nn_smooth_cross_entropy(P("x", BATCH, 7), I("label", 0), 0.2f)) \
    C(cross_entropy_part, SIGNED,  nn_mul(nn_cross_entropy(P("x", BATCH, 7), I("label", 0)),  \
                                          nn_sum(P("k", 1), 0)))
/* clang-format on */

static nn_value nn_add_to_itself(nn_value x) { return nn_add(nn_add(x, x), x); }

static nn_value times_step(nn_value x) { return nn_mul(x, nn_step(x)); }

static nn_value both_ends(nn_value y) { return nn_concat(y, nn_context(y), 2); }

/* Without a bias, whose gradient in front of a norm is 0 but for rounding. */
static nn_value norm_of_lanes(struct nn_graph *g)
{
    nn_row(g, "first");
    const nn_value y = nn_conv2d(IMAGE, 4, .kernel = 2, .no_bias = true);
    nn_row(g, "then");
    return nn_batch_norm(y, 1e-3f);
}

/* The sum stays away from relu's kink: the norm is below 3, the other above 4. */
static nn_value norm_and_add(struct nn_graph *g)
{
    const nn_value far = nn_scale(P("far", BATCH, 3, 7, 6), 20.0f);
    return nn_relu(nn_add(nn_batch_norm(IMAGE, 1e-3f), far));
}

static nn_value times_again(struct nn_graph *g, nn_value y)
{
    nn_row(g, "again");
    return nn_mul(y, nn_sigmoid(nn_conv2d(y, 4, .kernel = 3, .pad = 1)));
}

/* One value twice among four. */
static nn_value inception(nn_value x) { return nn_join(1, x, nn_tanh(x), nn_sigmoid(x), x); }

static nn_value squeeze_and_excite(nn_value x)
{
    return nn_gate(x, nn_sigmoid(nn_global_avg_pool(x)));
}

/* The image times 1, by a convolution that starts lanes and changes nothing. */
static nn_value in_lanes(struct nn_graph *g)
{
    static const float one[3 * 3] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    return nn_conv2d(IMAGE, 3, .kernel = 1, .fixed = one, .no_bias = true);
}

/* Its gradients pass through fused activations both ways. */
static nn_value depthwise_block(struct nn_graph *g)
{
    nn_row(g, "expand");
    const nn_value x = nn_tanh(nn_conv2d(IMAGE, 20, .kernel = 1));
    nn_row(g, "depthwise");
    return nn_sigmoid(nn_conv2d(x, 20, .kernel = 3, .stride = 2, .pad = 1, .groups = 20));
}

static nn_value two_layers(struct nn_graph *g)
{
    nn_row(g, "one");
    const nn_value hidden = nn_tanh(nn_linear(P("x", 9, 20), 30));
    nn_row(g, "two");
    return nn_sigmoid(nn_linear(hidden, 5));
}

#define BUILD(name, values, y) \
    static nn_value build_##name(struct nn_graph *g) { return y; }
CHECKS(BUILD)

struct check {
    const char *name;
    nn_value (*build)(struct nn_graph *g);
    enum values values;
};
#define ROW(name, values, y) {#name, build_##name, values},
static const struct check checks[] = {CHECKS(ROW)};

/* Operations whose gradient cannot be compared with a difference. */
static const struct exemption {
    const char *op, *reason;
} exempt[] = {
    {"input", "leaf: no gradient"},
    {"constant", "leaf: no gradient"},
    {"buffer", "leaf: no gradient"},
    {"state", "leaf: no gradient"},
    {"param", "leaf: its gradient is what all others are checked by"},
    {"matmul_update", "made from a gradient, and nothing comes of it but weights"},
    {"batch_moments", "batch_norm_grad knows what x does to them"},
    {"norm_scale", "in evaluation only"},
    {"norm_shift", "in evaluation only"},
    {"scale_rows", "in evaluation only"},
    {"step", "0 wherever it has one; check 'step' sees that none passes"},
    {"stop_grad", "by definition not the derivative; see stopped()"},
    {"attention", "none passes: for showing"},
    {"accuracy", "0 wherever it has one, and never asked for"},
};

/* ------------------------------------------------------------------ values */

static float value_at(enum values kind, size_t i, const struct nn_shape *s, struct rng *r)
{
    static const size_t units[] = {1, 2, 4, 5, 7, 8}; /* modulo 9 */
    const float u = (float)rng_unit(r);
    if (kind == POSITIVE)
        return 0.5f + u;
    if (kind == SIGNED || shape_rank(s) != 4)
        return (rng_u32(r) & 1 ? 1.0f : -1.0f) * (0.2f + 0.8f * u);
    const size_t W = (size_t)s->dim[3], H_ = (size_t)s->dim[2];
    const size_t w = i % W, h = i / W % H_, image = i / W / H_;
    const size_t level = (h % 3 * 3 + w % 3) * units[image % 6] + image;
    return 0.1f * (float)(level % 9) - 0.4f;
}

static void fill(struct program *p, enum values kind)
{
    struct rng r = rng_make(1, rng_stream("values"));
    const struct tensor *t;
    for (int i = 0; (t = program_tensor(p, TENSOR_PARAM, i)); i++) {
        float *v = xmalloc(t->elements * sizeof *v);
        for (size_t k = 0; k < t->elements; k++)
            v[k] = value_at(kind, k, &t->shape, &r);
        program_write(p, t, v);
        free(v);
    }
    for (int i = 0; (t = program_tensor(p, TENSOR_INPUT, i)); i++) {
        const bool labels = strcmp(t->name, "label") == 0; /* some of them -1 */
        int32_t *v = xmalloc(t->elements * sizeof *v);
        for (size_t k = 0; k < t->elements; k++)
            v[k] = (int32_t)rng_below(&r, 6) - labels;
        program_write(p, t, v);
        free(v);
    }
}

/* ------------------------------------------------------------- differences */

static double loss_at(struct program *p, const struct tensor *t, const float *w, const float *v,
                      double h)
{
    float *moved = xmalloc(t->elements * sizeof *moved);
    for (size_t i = 0; i < t->elements; i++)
        moved[i] = w[i] + (float)h * v[i];
    program_write(p, t, moved);
    free(moved);
    p->state.steps = 0; /* the same dropout each time */
    program_run(p);
    return (double)program_loss(p);
}

static double difference(struct program *p, const struct tensor *t, const float *w, const float *v)
{
    const double one = loss_at(p, t, w, v, H) - loss_at(p, t, w, v, -H);
    const double two = loss_at(p, t, w, v, 2 * H) - loss_at(p, t, w, v, -2 * H);
    program_write(p, t, w);
    return (8.0 * one - two) / (12.0 * H);
}

/* The largest |<g,v> - difference| / |g| of one parameter, or infinity where g = 0. */
static double worst_of(struct program *p, int param, struct rng *r)
{
    const struct tensor *t = program_tensor(p, TENSOR_PARAM, param);
    const size_t n = t->elements;
    float *w = xmalloc(n * sizeof *w), *g = xmalloc(n * sizeof *g), *v = xmalloc(n * sizeof *v);
    program_read(p, t, w);
    p->state.steps = 0;
    program_run(p);
    program_read(p, program_tensor(p, TENSOR_GRAD, param), g);
    double norm = 0.0, worst = 0.0;
    for (size_t i = 0; i < n; i++)
        norm += (double)g[i] * (double)g[i];
    for (int d = 0; d < DIRECTIONS; d++) {
        double slope = 0.0;
        for (size_t i = 0; i < n; i++) {
            v[i] = rng_u32(r) & 1 ? 1.0f : -1.0f;
            slope += (double)g[i] * (double)v[i];
        }
        const double error = fabs(slope - difference(p, t, w, v)) / sqrt(norm);
        worst = error <= worst ? worst : error; /* keeps NaN */
    }
    free(w);
    free(g);
    free(v);
    return norm > 0.0 ? worst : INFINITY;
}

/* ------------------------------------------------------------------ checks */

/* L = sum of probe * y. */
static void minimize(struct nn_graph *g, nn_value y)
{
    const struct nn_shape shape = y.id < 0 ? NN_SCALAR : node_of(y)->shape;
    if (shape_rank(&shape) > 0) {
        y = nn_mul(y, nn_random(g, "probe", shape, ((struct nn_init){NN_INIT_UNIFORM, 1.0f})));
        y = nn_sum(shape_rank(&shape) > 1 ? nn_sum(nn_flatten(y), 1) : y, 0);
    }
    nn_minimize(y);
}

static const struct way {
    const char *name;
    struct program_options options;
} ways[] = {
    {"plain", {.threads = 1, .train = true, .no_fuse = true, .no_lanes = true}},
    {"lanes", {.threads = 1, .train = true, .no_fuse = true}},
    {"fused", {.threads = 2, .train = true}},
};

static bool covered[256]; /* by row of ops.def */

/* Ops through which a gradient has flown here, or which have computed one. */
static void note_ops(const struct program *p)
{
    for (int i = 0; i < p->g->nodes; i++)
        for (int k = 0; all_ops[k]; k++)
            if (p->g->node[i].op == all_ops[k] && !(all_ops[k]->flags & (OP_NO_GRAD | OP_LEAF)))
                covered[k] |= p->g->node[i].wants_grad || p->g->node[i].pass == BACKWARD;
}

static void run_check(const struct check *c, const struct way *way)
{
    struct nn_graph *g = graph_new(BATCH);
    minimize(g, c->build(g));
    struct err err = {0};
    struct program *p = program_new(g, &way->options, &err);
    ok(p, "%s: %s: builds", c->name, way->name);
    if (!p)
        printf("# %s\n", err.text);
    struct rng r = rng_make(2, rng_stream(c->name));
    if (p)
        fill(p, c->values);
    for (int i = 0; p && program_tensor(p, TENSOR_PARAM, i); i++)
        is_near(worst_of(p, i, &r), 0.0, TOLERANCE, "%s: %s: d%s", c->name, way->name,
                program_tensor(p, TENSOR_PARAM, i)->name);
    if (p && way->options.no_fuse)
        note_ops(p);
    program_free(p);
    graph_free(g);
}

/* d(x stop_grad(x))/dx is the stopped x, not 2 x. */
static void stopped(void)
{
    struct nn_graph *g = graph_new(BATCH);
    const nn_value x = P("x", 40);
    nn_minimize(nn_sum(nn_mul(x, nn_stop_grad(x)), 0));
    struct program *p = program_new(g, &ways[0].options, NULL);
    fill(p, SIGNED);
    program_run(p);
    float w[40], dw[40];
    program_read(p, program_tensor(p, TENSOR_PARAM, 0), w);
    program_read(p, program_tensor(p, TENSOR_GRAD, 0), dw);
    int differ = 0;
    for (int i = 0; i < 40; i++)
        differ += w[i] != dw[i];
    is_int(differ, 0, "stop_grad: nothing passes");
    program_free(p);
    graph_free(g);
}

int main(void)
{
    kn_init(NULL, NULL);
    struct rng r = rng_make(3, rng_stream("fixed"));
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        fixed[i] = (float)rng_normal(&r);
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        for (size_t way = 0; way < sizeof ways / sizeof ways[0]; way++)
            run_check(&checks[i], &ways[way]);
    stopped();
    for (int k = 0; all_ops[k]; k++) {
        const char *reason = NULL;
        for (size_t i = 0; i < sizeof exempt / sizeof exempt[0]; i++)
            if (strcmp(exempt[i].op, all_ops[k]->name) == 0)
                reason = exempt[i].reason;
        ok(covered[k] != (reason != NULL), "%s is checked%s%s", all_ops[k]->name,
           reason ? " elsewhere: " : "", reason ? reason : "");
    }
    return done();
}
