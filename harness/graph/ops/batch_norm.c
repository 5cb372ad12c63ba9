/* batch_norm.c — Ioffe, Szegedy: Batch normalization. ICML 2015.
 *
 *     batch_moments    m = (mean, var) of x a channel, var biased: [2C]; in training the running
 *                      ones move on: running = (1 - momentum) running + momentum batch, with
 *                      the unbiased variance. A convolution in front leaves sums of pieces
 *                      of x (attr.pieces, kernels/conv.h), and x is not read again
 *     batch_norm       y = act(gain (x - mean) / d + bias + residual), d = sqrt(var + epsilon)
 *     batch_norm_sums  s = (sum g, sum g x^), x^ = (x - mean) / d: [2C], which are dbias, dgain
 *     batch_norm_grad  dx = gain / d (g - sum g / n - x^ sum g x^ / n)
 *
 * with g = dy act'(.), n = batch and pixels. x [N,C,H,W] or [N,C], either layout; epsilon is
 * attr.a, momentum attr.b. fuse.c moves a following sum and activation in, before the
 * gradient is derived: relu's and SiLU's derivatives are then made from x, which both backward
 * passes read anyway. Behind a residual that is not possible; there the relu's gradient
 * is a node of its own, which the convolution that brings dy takes into its epilogue, and it
 * is the residual's gradient too. */
#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "graph/ops/oplib.h"

enum { X, MOMENTS, GAIN, BIAS, RESIDUAL }; /* inputs of batch_norm */
enum { RUNNING_MEAN = 1, RUNNING_VAR };    /* of batch_moments; X is the first */
enum { SUMS_DY = 4 };                      /* of batch_norm_sums, after BIAS */
enum { GRAD_DY, GRAD_X, GRAD_MOMENTS, GRAD_GAIN, GRAD_BIAS, GRAD_SUMS }; /* of batch_norm_grad */

/* ------------------------------------------------------- sums over channels */

enum { PIECE_FLOATS = 16384, MOST_PIECES = 64 };

/* Depends on the tensor only, never on the crew. */
static size_t pieces_of(struct channels c)
{
    const size_t pieces = least(c.rows * c.C * c.lanes / PIECE_FLOATS, MOST_PIECES);
    return pieces > 1 ? least(pieces, c.rows) : 1;
}

/* Both sums of every piece, [piece][2][C]; behind them room for numbers a channel of each thread.
 */
static size_t sums_bytes(struct channels c) { return pieces_of(c) * 2 * c.C * sizeof(float); }

static float *numbers_of(struct channels c, const struct crew *crew, void *work, size_t each)
{
    return (float *)work + sums_bytes(c) / sizeof(float) + (size_t)crew->thread * each * c.C;
}

/* Two sums for each channel of this thread's pieces; dy NULL: moments around k->mean. */
static void sum_pieces(const struct crew *crew, struct channels c, struct kn_norm k, const float *x,
                       const float *dy, float *sums)
{
    const size_t pieces = pieces_of(c), row = c.C * c.lanes, ld = k.ld_dy ? k.ld_dy : row;
    const struct range mine = share_of(crew, pieces, 1);
    for (size_t i = mine.from; i < mine.to; i++) {
        const size_t first = c.rows * i / pieces, end = c.rows * (i + 1) / pieces;
        float *const to = sums + i * 2 * c.C;
        k.rows = end - first;
        if (dy)
            kn->norm_sums_f32(&k, x + first * row, dy + first * ld, to, to + c.C);
        else
            kn->norm_moments_f32(&k, x + first * row, to, to + c.C);
    }
}

/* Sum `which` of channel c over all pieces, in their order. */
static double total(struct channels c, const float *sums, size_t which, size_t channel)
{
    double sum = 0.0;
    for (size_t i = 0; i < pieces_of(c); i++)
        sum += (double)sums[(2 * i + which) * c.C + channel];
    return sum;
}

/* -------------------------------------------------------------------- moments */

/* Does the convolution in front leave sums of what we should have to read? */
static bool are_left(const struct node *x) { return x->attr.pieces > 0; }

static size_t work_moments(const struct step *s, int threads)
{
    const struct channels c = channels_of(s->in_node[X]);
    if (are_left(s->in_node[X]))
        return 0;
    return sums_bytes(c) + (size_t)threads * c.C * sizeof(float);
}

/* Moments of channel i from the means of (x - shift) and (x - shift)^2. */
static void finish_channel(const struct step *s, size_t C, double n, size_t i, double shift,
                           double sum, double squares)
{
    const double keep = 1.0 - (double)s->node->attr.b;
    const double from = sum / n, spread = fmax(0.0, squares / n - from * from);
    float *mean = (float *)s->in[RUNNING_MEAN], *var = (float *)s->in[RUNNING_VAR], *out = s->out;
    out[i] = (float)(shift + from);
    out[C + i] = isnan(from) ? NAN : (float)spread;
    if (!s->state->training)
        return;
    mean[i] = (float)(keep * (double)mean[i] + (1.0 - keep) * (double)out[i]);
    var[i] = (float)(keep * (double)var[i] + (1.0 - keep) * spread * n / fmax(1.0, n - 1.0));
}

static void read_moments(const struct step *s, const struct crew *crew)
{
    const struct channels c = channels_of(s->in_node[X]);
    const float *x = s->in[X];
    float *shift = numbers_of(c, crew, s->work, 1);
    for (size_t i = 0; i < c.C; i++)
        shift[i] = x[i * c.lanes]; /* a value of the channel's own */
    sum_pieces(crew, c, (struct kn_norm){.C = c.C, .lanes = c.lanes, .mean = shift}, x, NULL,
               s->work);
    crew_wait(crew);
    const struct range mine = share_of(crew, c.C, 16);
    for (size_t i = mine.from; i < mine.to; i++)
        finish_channel(s, c.C, (double)(c.rows * c.lanes), i, (double)shift[i],
                       total(c, s->work, 0, i), total(c, s->work, 1, i));
}

/* Sums about one centre a channel, of some columns. */
enum { MERGED = 64 };
static_assert(MERGED % KN_LANES == 0, "a channel's lanes stay together");
struct merged {
    double centre[MERGED], sum[MERGED], squares[MERGED];
};

/* Adds a piece of n rows: x - centre = (x - shift) + d for each, d = shift - centre. The centre is
 * a value of the channel's own too, so that d is no larger than what varies anyway; and in double
 * there is room for its square. */
static void merge_piece(struct merged *m, double n, const float *piece, size_t columns,
                        size_t count)
{
    const float *shift = piece, *sum = shift + columns, *squares = sum + columns;
    for (size_t j = 0; j < count; j++) {
        const double d = (double)shift[j] - m->centre[j], here = (double)sum[j];
        m->sum[j] += here + n * d;
        m->squares[j] += (double)squares[j] + d * (2.0 * here + n * d);
    }
}

/* Columns [from, from + count): whole channels. */
static void merge_columns(const struct step *s, struct channels c, size_t from, size_t count)
{
    const size_t pieces = (size_t)s->in_node[X]->attr.pieces, columns = c.C * c.lanes;
    const float *n = (const float *)s->in[X] + shape_moments_at(s->in_node[X]);
    const float *piece = n + kn_moments_counts(pieces) + from;
    struct merged m = {0};
    assert(c.lanes > 0);
    for (size_t j = 0; j < count; j++)
        m.centre[j] = (double)piece[j - j % c.lanes];
    for (size_t i = 0; i < pieces; i++, piece += KN_MOMENTS * columns)
        merge_piece(&m, (double)n[i], piece, columns, count);
    for (size_t j = 0; j < count; j += c.lanes) {
        double sum = 0.0, squares = 0.0;
        for (size_t lane = 0; lane < c.lanes; lane++) {
            sum += m.sum[j + lane];
            squares += m.squares[j + lane];
        }
        finish_channel(s, c.C, (double)(c.rows * c.lanes), (from + j) / c.lanes, m.centre[j], sum,
                       squares);
    }
}

static void run_moments(const struct step *s, const struct crew *crew)
{
    if (!are_left(s->in_node[X])) {
        read_moments(s, crew);
        return;
    }
    const struct channels c = channels_of(s->in_node[X]);
    struct range mine = share_of(crew, c.C * c.lanes, MERGED);
    for (; mine.from < mine.to; mine.from += MERGED)
        merge_columns(s, c, mine.from, least(MERGED, mine.to - mine.from));
}

static void how_moments(const struct step *s, int threads, char how[KN_HOW])
{
    (void)threads;
    if (are_left(s->in_node[X]))
        snprintf(how, KN_HOW, "%d pieces merged", s->in_node[X]->attr.pieces);
    else
        snprintf(how, KN_HOW, "one pass");
}

/* ----------------------------------------------------------------------- norm */

/* y = a x + b, for channels [from, to). */
static void line_of(struct channels c, float epsilon, const float *moments, const float *gain,
                    const float *bias, float *a, float *b)
{
    for (size_t i = 0; i < c.C; i++) {
        a[i] = gain[i] / sqrtf(moments[c.C + i] + epsilon);
        b[i] = bias[i] - moments[i] * a[i];
    }
}

static size_t work_norm(const struct step *s, int threads)
{
    return (size_t)threads * 2 * channels_of(s->node).C * sizeof(float);
}

static void run_norm(const struct step *s, const struct crew *crew)
{
    const struct channels c = channels_of(s->node);
    const struct attr *attr = &s->node->attr;
    float *a = (float *)s->work + (size_t)crew->thread * 2 * c.C, *b = a + c.C;
    line_of(c, attr->a, s->in[MOMENTS], s->in[GAIN], s->in[BIAS], a, b);
    const struct range mine = share_of(crew, c.rows, 16);
    const size_t at = mine.from * c.C * c.lanes;
    const size_t ld = s->node->ld ? s->node->ld : c.C * c.lanes;
    const struct kn_norm k = {.rows = mine.to - mine.from,
                              .C = c.C,
                              .lanes = c.lanes,
                              .act = attr->act,
                              .a = a,
                              .b = b,
                              .ld_y = s->node->ld};
    const float *x = s->in[X], *r = attr->residual_in ? s->in[attr->residual_in] : NULL;
    kn->norm_f32(&k, x + at, r ? r + at : NULL, (float *)s->out + mine.from * ld);
}

static bool norm_writes_apart(const struct node *n) { return (void)n, true; }

/* ------------------------------------------------------------------- gradients */

static size_t work_sums(const struct step *s, int threads)
{
    const struct channels c = channels_of(s->in_node[X]);
    return sums_bytes(c) + (size_t)threads * 2 * c.C * sizeof(float);
}

static void run_sums(const struct step *s, const struct crew *crew)
{
    const struct channels c = channels_of(s->in_node[X]);
    const struct attr *attr = &s->node->attr;
    const float *moments = s->in[MOMENTS];
    float *a = numbers_of(c, crew, s->work, 2), *b = a + c.C, *out = s->out;
    line_of(c, attr->a, moments, s->in[GAIN], s->in[BIAS], a, b);
    const struct kn_norm k = {.C = c.C,
                              .lanes = c.lanes,
                              .act = attr->act,
                              .a = a,
                              .b = b,
                              .mean = moments,
                              .ld_dy = s->in_node[SUMS_DY]->ld};
    sum_pieces(crew, c, k, s->in[X], s->in[SUMS_DY], s->work);
    crew_wait(crew);
    const struct range mine = share_of(crew, c.C, 16);
    for (size_t i = mine.from; i < mine.to; i++) {
        const double d = sqrt((double)moments[c.C + i] + (double)attr->a);
        out[i] = (float)total(c, s->work, 0, i);
        out[c.C + i] = (float)(total(c, s->work, 1, i) / d);
    }
}

static size_t work_grad(const struct step *s, int threads)
{
    return (size_t)threads * 4 * channels_of(s->node).C * sizeof(float);
}

/* dx = a g + q (x - mean) + s: the sums of g and g x^ are out of it on the average. */
static void run_grad(const struct step *s, const struct crew *crew)
{
    const struct channels c = channels_of(s->node);
    const struct attr *attr = &s->node->attr;
    const float *moments = s->in[GRAD_MOMENTS], *sums = s->in[GRAD_SUMS];
    float *a = (float *)s->work + (size_t)crew->thread * 4 * c.C, *b = a + c.C, *q = b + c.C,
          *rest = q + c.C;
    const float n = (float)(c.rows * c.lanes);
    line_of(c, attr->a, moments, s->in[GRAD_GAIN], s->in[GRAD_BIAS], a, b);
    for (size_t i = 0; i < c.C; i++) {
        const float d = sqrtf(moments[c.C + i] + attr->a);
        q[i] = -a[i] * sums[c.C + i] / (n * d);
        rest[i] = -a[i] * sums[i] / n;
    }
    const struct range mine = share_of(crew, c.rows, 16);
    const size_t at = mine.from * c.C * c.lanes;
    const struct kn_norm k = {.rows = mine.to - mine.from,
                              .C = c.C,
                              .lanes = c.lanes,
                              .act = attr->act,
                              .a = a,
                              .b = b,
                              .mean = moments,
                              .q = q,
                              .s = rest,
                              .ld_dy = s->in_node[GRAD_DY]->ld};
    const size_t ld = k.ld_dy ? k.ld_dy : c.C * c.lanes;
    const float *x = s->in[GRAD_X], *dy = s->in[GRAD_DY];
    kn->norm_grad_f32(&k, x + at, dy + mine.from * ld, (float *)s->out + at);
}

static void grad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const nn_value x = in_of(g, id, X), moments = in_of(g, id, MOMENTS);
    const nn_value gain = in_of(g, id, GAIN), bias = in_of(g, id, BIAS);
    struct attr attr = {.a = g->node[id].attr.a, .act = g->node[id].attr.act};
    const int residual = g->node[id].attr.residual_in;
    if (residual && attr.act == KN_ACT_RELU) {
        dy = EMIT(g, &op_relu_grad, id, NO_ATTR, value_of(g, id), dy);
        attr.act = KN_ACT_NONE;
    }
    if (residual && grad_wanted(g, id, residual))
        dx[residual] = dy;
    const int32_t C = node_of(gain)->shape.dim[0];
    const nn_value sums =
        NODE(g, &op_batch_norm_sums, NN_SHAPE(2 * C), attr, x, moments, gain, bias, dy);
    if (grad_wanted(g, id, X))
        dx[X] = EMIT(g, &op_batch_norm_grad, x.id, attr, dy, x, moments, gain, bias, sums);
    dx[GAIN] = EMIT(g, &op_slice, gain.id, ((struct attr){.from = C, .to = 2 * C}), sums);
    dx[BIAS] = EMIT(g, &op_slice, bias.id, ((struct attr){.from = 0, .to = C}), sums);
}

/* -------------------------------------------------------------------- counting */

/* Numbers a channel are not counted: there are few. */
static double elements(const struct nn_graph *g, const struct node *n, int i)
{
    return (double)shape_elements(&input_of(g, n, i)->shape);
}

static double act_flops(int act) { return act == KN_ACT_RELU ? 1 : act == KN_ACT_SILU ? 5 : 0; }
static double slope_flops(int act) { return act == KN_ACT_RELU ? 3 : act == KN_ACT_SILU ? 11 : 0; }

static double flops_moments(const struct nn_graph *g, const struct node *n)
{
    return are_left(input_of(g, n, X)) ? 0.0 : 4.0 * elements(g, n, X);
}

static double bytes_moments(const struct nn_graph *g, const struct node *n)
{
    const struct node *x = input_of(g, n, X);
    const size_t pieces = (size_t)x->attr.pieces;
    const double read = are_left(x) ? (double)kn_moments_floats(pieces, shape_moments_columns(x))
                                    : elements(g, n, X);
    return sizeof(float) * (read + 3.0 * (double)shape_elements(&n->shape));
}

static double flops_norm(const struct nn_graph *g, const struct node *n)
{
    const struct attr *a = &n->attr;
    return (2.0 + (a->residual_in ? 1.0 : 0.0) + act_flops(a->act)) * elements(g, n, X);
}

static double flops_sums(const struct nn_graph *g, const struct node *n)
{
    return (4.0 + slope_flops(n->attr.act)) * elements(g, n, X);
}

static double flops_grad(const struct nn_graph *g, const struct node *n)
{
    return (5.0 + slope_flops(n->attr.act)) * elements(g, n, GRAD_X);
}

/* ---------------------------------------------------------------- construction */

nn_value nn_batch_norm_(nn_value x, struct nn_batch_norm_opts o, const char *at)
{
    if (!operand_ok(x, NN_F32, 2, 4, "batch_norm", at))
        return value_failed;
    struct nn_graph *g = x.graph;
    const struct nn_shape shape = node_of(x)->shape;
    char text[64];
    if (shape_rank(&shape) == 3)
        return graph_fail(g, at, "batch_norm", "%s has rank 3, wanted [N,C] or [N,C,H,W]",
                          shape_text(&shape, g->batch, text));
    const float momentum = o.momentum == 0.0f ? 0.1f : o.momentum;
    if (!(o.epsilon > 0.0f) || !(momentum > 0.0f && momentum <= 1.0f))
        return graph_fail(g, at, "batch_norm",
                          "epsilon %g, momentum %g: wanted epsilon > 0 and momentum in (0, 1]",
                          (double)o.epsilon, (double)momentum);
    const struct nn_shape channels = NN_SHAPE(shape.dim[1]);
    const nn_value gain = nn_param_(g, "gain", channels, o.zero_gain ? NN_ZEROS : NN_ONES, at);
    const nn_value bias = nn_param_(g, "bias", channels, NN_ZEROS, at);
    const nn_value mean = nn_buffer_(g, "running_mean", channels, NN_ZEROS, at);
    const nn_value var = nn_buffer_(g, "running_var", channels, NN_ONES, at);
    const struct attr attr = {.a = o.epsilon, .b = momentum};
    const nn_value moments = node_add(g, &op_batch_moments, NN_SHAPE(2 * shape.dim[1]), NN_F32,
                                      attr, 3, (nn_value[]){x, mean, var}, at);
    return node_add(g, &op_batch_norm, shape, NN_F32, attr, 4, (nn_value[]){x, moments, gain, bias},
                    at);
}

const struct op op_batch_moments = {
    .name = "batch_moments",
    .flags = OP_NO_GRAD, /* batch_norm_grad knows what x does to them */
    .flops = flops_moments,
    .bytes = bytes_moments,
    .work = work_moments,
    .run = run_moments,
    .how = how_moments,
};

const struct op op_batch_norm = {
    .name = "batch_norm",
    .flags = OP_IN_PLACE,
    .grad = grad,
    .flops = flops_norm,
    .work = work_norm,
    .run = run_norm,
    .writes_apart = norm_writes_apart,
};

const struct op op_batch_norm_sums = {
    .name = "batch_norm_sums",
    .flops = flops_sums,
    .work = work_sums,
    .run = run_sums,
    .reads_apart = 1u << SUMS_DY,
};

const struct op op_batch_norm_grad = {
    .name = "batch_norm_grad",
    .flags = OP_IN_PLACE,
    .flops = flops_grad,
    .work = work_grad,
    .run = run_grad,
    .reads_apart = 1u << GRAD_DY,
};
