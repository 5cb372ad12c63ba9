/* classify.c — what a classifier minimises, and what it is judged by.
 *
 *     cross_entropy       y = mean over rows of log sum_k e^x[n,k] - sum_k t[n,k] x[n,k]
 *     cross_entropy_grad  dx[n,k] = dy (softmax(x[n])[k] - t[n,k]) / rows
 *     accuracy            y = 100 mean over rows of [argmax_k x[n,k] = label[n]]
 *
 * t[n,k] = (1 - s) [k = label[n]] + s / K, s = attr.a: label smoothing, Szegedy, Vanhoucke,
 * Ioffe, Shlens, Wojna: Rethinking the Inception Architecture. CVPR 2016; s = 0 without it.
 * [...,K] scores and [...] labels -> scalar. Only rows with label >= 0 count: the
 * others add nothing, have gradient 0, and without any row at all y is 0. A label of K or
 * more is the dataset's mistake: it gives NaN, which ends the run with this op's name.
 * Rows go to `work` one by one and the first thread adds them in their order. What the gradient
 * makes of a row holds its loss too: if nobody asks for y before, cross_entropy leaves it to the
 * gradient (attr.late), and scores are read once. The gradient may also leave the sums over rows, a
 * bias' gradient, behind y: attr.to pieces of them (fuse.c has both). */
#include <math.h>
#include <string.h>

#include "graph/ops/oplib.h"

enum { LABEL = 1, DY, LOSS }; /* inputs of the gradient; of the others x and label */

static size_t labelled(const int32_t *label, size_t rows)
{
    size_t n = 0;
    for (size_t i = 0; i < rows; i++)
        n += label[i] >= 0;
    return n;
}

/* *y = factor * mean over the labelled rows of `row`; all threads have written theirs. */
static void mean_of_rows(const struct step *s, const struct crew *crew, const float *row,
                         double factor, float *y)
{
    const size_t rows = shape_rows(&s->in_node[0]->shape);
    double sum = 0.0;
    crew_wait(crew);
    if (crew->thread != 0)
        return;
    for (size_t i = 0; i < rows; i++)
        sum += (double)row[i];
    const size_t n = labelled(s->in[LABEL], rows);
    kn_flops += (double)rows + 1.0;
    *y = n ? (float)(factor * sum / (double)n) : 0.0f;
}

static size_t work_rows(const struct step *s, int threads)
{
    (void)threads;
    return shape_rows(&s->in_node[0]->shape) * sizeof(float);
}

/* ----------------------------------------------------------- cross_entropy */

/* What smoothing adds to a row's loss: s (x[label] - mean x). */
static float smoothed(float s, size_t K, const float *x, size_t label)
{
    if (s == 0.0f)
        return 0.0f;
    kn_flops += 3.0;
    return s * (x[label] - kn->sum_f32(K, x) / (float)K);
}

/* And to its gradient: s ([k = label] - 1 / K). */
static void smooth_grad(float s, float scale, size_t K, size_t label, float *dx)
{
    if (s == 0.0f)
        return;
    kn->offset_f32(K, -scale * s / (float)K, dx, dx);
    dx[label] += scale * s;
    kn_flops += 1.0;
}

static void run(const struct step *s, const struct crew *crew)
{
    const size_t K = shape_last(&s->in_node[0]->shape), rows = shape_rows(&s->in_node[0]->shape);
    const struct range r = share_of(crew, rows, 16);
    const float *x = s->in[0];
    const int32_t *label = s->in[LABEL];
    float *loss = s->work;
    if (s->node->attr.late)
        return;
    for (size_t i = r.from; i < r.to; i++) {
        const size_t right = (size_t)label[i];
        if (label[i] < 0)
            loss[i] = 0.0f;
        else
            loss[i] = right < K ? kn->cross_entropy_f32(K, x + i * K, right) +
                                      smoothed(s->node->attr.a, K, x + i * K, right)
                                : NAN;
    }
    mean_of_rows(s, crew, loss, 1.0, s->out);
}

/* A row of dx, which may be x; returns the row's loss. */
static float grad_row(float s, float scale, size_t K, const float *x, size_t label, float *dx)
{
    const float more = smoothed(s, K, x, label);
    const float loss = kn->cross_entropy_grad_f32(K, x, label, scale, dx) + more;
    smooth_grad(s, scale, K, label, dx);
    return loss;
}

/* Rows [r.from, r.to) of dx and of the loss. */
static void grad_rows(const struct step *s, struct range r, float scale, float *loss)
{
    const size_t K = shape_last(&s->node->shape);
    const float *x = s->in[0];
    const int32_t *label = s->in[LABEL];
    float *dx = s->out;
    for (size_t i = r.from; i < r.to; i++) {
        const size_t right = (size_t)label[i];
        if (label[i] < 0) {
            memset(dx + i * K, 0, K * sizeof *dx);
            loss[i] = 0.0f;
        } else if (right < K) {
            loss[i] = grad_row(s->node->attr.a, scale, K, x + i * K, right, dx + i * K);
        } else {
            kn->fill_f32(K, NAN, dx + i * K);
            loss[i] = NAN;
        }
    }
}

/* Each piece of the rows, and its sums while they are in the cache. */
static void grad_and_sums(const struct step *s, const struct crew *crew, float scale, float *loss,
                          float *sums)
{
    const struct channels c = channels_of(s->node);
    const struct range mine = share_of(crew, (size_t)s->node->attr.to, 1);
    for (size_t i = mine.from; i < mine.to; i++) {
        grad_rows(s, piece_rows(c, i), scale, loss);
        sum_piece(c, i, s->out, NULL, sums);
    }
    add_pieces(crew, c, 1.0f, record_at(s->in_node[LOSS], s->in[LOSS]), sums);
}

static void run_grad(const struct step *s, const struct crew *crew)
{
    const size_t rows = shape_rows(&s->node->shape), n = labelled(s->in[LABEL], rows);
    const float scale = n ? *(const float *)s->in[DY] / (float)n : 0.0f;
    float *const loss = s->work;
    if (s->node->attr.to)
        grad_and_sums(s, crew, scale, loss, loss + rows);
    else
        grad_rows(s, share_of(crew, rows, 1), scale, loss);
    if (s->in_node[LOSS]->attr.late)
        mean_of_rows(s, crew, loss, 1.0, (float *)(uintptr_t)s->in[LOSS]);
}

static size_t work_grad(const struct step *s, int threads)
{
    return work_rows(s, threads) + (s->node->attr.to ? column_sums_work(channels_of(s->node)) : 0);
}

/* Few pieces would leave threads without work. */
static int pieces_grad(const struct nn_graph *g, const struct node *n)
{
    enum { LEAST = 32 };
    const size_t pieces = column_pieces(channels_of(n));
    return (void)g, pieces >= LEAST ? (int)pieces : 0;
}

static void grad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const nn_value x = in_of(g, id, 0), label = in_of(g, id, 1);
    const struct attr attr = {.a = g->node[id].attr.a};
    if (!grad_wanted(g, id, 0))
        return;
    dx[0] = EMIT(g, &op_cross_entropy_grad, x.id, attr, x, label, dy, value_of(g, id));
}

/* The sum over the rows, the factor and the quotient. */
static double mean_flops(const struct nn_shape *x) { return (double)shape_rows(x) + 1.0; }

/* A row: maximum, difference, exponential, sum; the logarithm and two differences. Smoothed:
 * another sum, the mean, two more. */
static double row_flops(const struct nn_shape *x, bool smooth)
{
    return (4.0 + smooth) * (double)shape_elements(x) +
           (2.0 + 2.0 * smooth) * (double)shape_rows(x);
}

static double flops(const struct nn_graph *g, const struct node *n)
{
    const struct nn_shape *x = &input_of(g, n, 0)->shape;
    return n->attr.late ? 0.0 : row_flops(x, n->attr.a != 0.0f) + mean_flops(x);
}

/* Then the product; the quotient, and 1 less at the label. Smoothed: two more; with sums for a bias:
 * one. */
static double flops_grad(const struct nn_graph *g, const struct node *n)
{
    const bool smooth = n->attr.a != 0.0f;
    const double more = smooth + (n->attr.to != 0), rows = (double)shape_rows(&n->shape);
    return row_flops(&n->shape, smooth) + (1.0 + more) * (double)shape_elements(&n->shape) +
           (2.0 + smooth) * rows + (input_of(g, n, LOSS)->attr.late ? mean_flops(&n->shape) : 0.0);
}

/* Scores and labels are not read. */
static double bytes(const struct nn_graph *g, const struct node *n)
{
    const struct nn_shape *x = &input_of(g, n, 0)->shape;
    return 4.0 * (n->attr.late ? 0.0 : (double)shape_elements(x) + (double)shape_rows(x) + 1.0);
}

static nn_value apply(nn_value logits, nn_value label, float s, const char *op, const char *at)
{
    if (!rows_with_labels_ok(logits, label, op, at))
        return value_failed;
    if (!(s >= 0.0f && s < 1.0f))
        return graph_fail(logits.graph, at, op, "s is %g, wanted 0 <= s < 1", (double)s);
    return node_add(logits.graph, &op_cross_entropy, NN_SCALAR, NN_F32, (struct attr){.a = s}, 2,
                    (nn_value[]){logits, label}, at);
}

nn_value nn_cross_entropy_(nn_value logits, nn_value label, const char *at)
{
    return apply(logits, label, 0.0f, "cross_entropy", at);
}

nn_value nn_smooth_cross_entropy_(nn_value logits, nn_value label, float s, const char *at)
{
    return apply(logits, label, s, "smooth_cross_entropy", at);
}

const struct op op_cross_entropy = {
    .name = "cross_entropy",
    .grad = grad,
    .flops = flops,
    .bytes = bytes,
    .work = work_rows,
    .run = run,
};

const struct op op_cross_entropy_grad = {
    .name = "cross_entropy_grad",
    .flags = OP_IN_PLACE,
    .flops = flops_grad,
    .work = work_grad,
    .pieces = pieces_grad,
    .run = run_grad,
};

/* ---------------------------------------------------------------- accuracy */

static void run_accuracy(const struct step *s, const struct crew *crew)
{
    const size_t K = shape_last(&s->in_node[0]->shape), rows = shape_rows(&s->in_node[0]->shape);
    const struct range r = share_of(crew, rows, 16);
    const float *x = s->in[0];
    const int32_t *label = s->in[LABEL];
    float *hit = s->work;
    for (size_t i = r.from; i < r.to; i++)
        if (label[i] < 0)
            hit[i] = 0.0f;
        else if ((size_t)label[i] < K)
            hit[i] = kn->argmax_f32(K, x + i * K) == (size_t)label[i] ? 1.0f : 0.0f;
        else
            hit[i] = NAN;
    mean_of_rows(s, crew, hit, 100.0, s->out);
}

static double flops_accuracy(const struct nn_graph *g, const struct node *n)
{
    const struct nn_shape *x = &input_of(g, n, 0)->shape;
    return (double)shape_elements(x) + mean_flops(x);
}

nn_value nn_accuracy_(nn_value scores, nn_value label, const char *at)
{
    if (!rows_with_labels_ok(scores, label, "accuracy", at))
        return value_failed;
    return node_add(scores.graph, &op_accuracy, NN_SCALAR, NN_F32, NO_ATTR, 2,
                    (nn_value[]){scores, label}, at);
}

const struct op op_accuracy = {
    .name = "accuracy",
    .flags = OP_NO_GRAD,
    .flops = flops_accuracy,
    .work = work_rows,
    .run = run_accuracy,
};
