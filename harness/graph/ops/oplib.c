/* oplib.c — what the operations share: checks of operands, shapes as loops, sums
 * whose order does not depend on the number of threads. */
#include "graph/ops/oplib.h"

#include <string.h>

/* ---------------------------------------------------------------- building */

static const char *const type_names[] = {
    [NN_F32] = "numbers (NN_F32)", [NN_I32] = "integers (NN_I32)"};

bool operand_ok(nn_value x, int type, int low, int high, const char *op, const char *at)
{
    if (failed(x))
        return false;
    const struct node *n = node_of(x);
    char text[64];
    shape_text(&n->shape, x.graph->batch, text);
    if (n->type != type) {
        graph_fail(x.graph, at, op, "%s must hold %s", text, type_names[type]);
        return false;
    }
    const int rank = shape_rank(&n->shape);
    if (type == NN_I32 && high > 3)
        high = 3; /* there are no images of integers, and no memory order for them */
    if (rank < low || rank > high) {
        if (low == high)
            graph_fail(x.graph, at, op, "%s has rank %d, wanted %d", text, rank, low);
        else
            graph_fail(x.graph, at, op, "%s has rank %d, wanted %d to %d", text, rank, low, high);
        return false;
    }
    return true;
}

bool operand_rows_ok(nn_value x, int type, const char *op, const char *at)
{
    if (!operand_ok(x, type, 1, NN_MAX_RANK, op, at))
        return false;
    const struct node *n = node_of(x);
    if (shape_rank(&n->shape) != 4 || n->shape.dim[1] == 1)
        return true;
    char text[64];
    graph_fail(x.graph, at, op, "%s is an image, stored channels last; nn_flatten() it first",
               shape_text(&n->shape, x.graph->batch, text));
    return false;
}

bool rows_with_labels_ok(nn_value x, nn_value label, const char *op, const char *at)
{
    if (!operand_ok(x, NN_F32, 2, 3, op, at) || !operand_ok(label, NN_I32, 1, 2, op, at))
        return false;
    struct nn_graph *g = x.graph;
    if (label.graph != g) {
        graph_fail(g, at, op, "inputs belong to different graphs");
        return false;
    }
    struct nn_shape rows = node_of(x)->shape;
    rows.dim[shape_rank(&rows) - 1] = 0;
    if (shape_equal(&rows, &node_of(label)->shape))
        return true;
    char tx[64], tl[64];
    graph_fail(g, at, op, "%s has no label for each row in %s",
               shape_text(&node_of(x)->shape, g->batch, tx),
               shape_text(&node_of(label)->shape, g->batch, tl));
    return false;
}

void take_input(nn_value *in, int *count, struct attr *attr, int which, nn_value v)
{
    attr->at_in[which] = 0;
    if (failed(v))
        return;
    attr->at_in[which] = (uint8_t)*count;
    in[(*count)++] = v;
}

nn_value optional_in_of(struct nn_graph *g, int id, int which)
{
    const int k = g->node[id].attr.at_in[which];
    return k ? in_of(g, id, k) : value_failed;
}

bool optional_wanted(const struct nn_graph *g, int id, int which)
{
    const int k = g->node[id].attr.at_in[which];
    return k && grad_wanted(g, id, k);
}

nn_value emit(struct nn_graph *g, const struct op *op, int like, struct attr attr, int inputs,
              const nn_value *in)
{
    const struct nn_shape shape = g->node[like].shape; /* node_add() may move the nodes */
    return node_add(g, op, shape, g->node[like].type, attr, inputs, in, NULL);
}

struct attr attr_unfused(const struct attr *a)
{
    struct attr plain = *a;
    plain.act = plain.act_grad = KN_ACT_NONE;
    plain.inner = plain.outer = 0.0f;
    plain.bias_in = plain.residual_in = plain.y_in = 0;
    return plain;
}

/* ------------------------------------------------------------------ shapes */

bool shape_ordered(const struct nn_shape *s)
{
    return shape_rank(s) != 4 || s->dim[1] == 1 || (s->dim[2] == 1 && s->dim[3] == 1);
}

size_t shape_stored_at(const struct nn_shape *s, size_t logical)
{
    if (shape_rank(s) != 4)
        return logical;
    const size_t C = (size_t)s->dim[1], pixels = (size_t)s->dim[2] * (size_t)s->dim[3];
    const size_t pixel = logical % pixels, c = logical / pixels % C, n = logical / pixels / C;
    return (n * pixels + pixel) * C + c;
}

struct around shape_around(const struct nn_shape *s, int axis)
{
    static const int images[] = {0, 2, 3, 1}; /* the logical axes in memory order */
    const int rank = shape_rank(s);
    struct around a = {1, 1, 1};
    bool inside = false;
    for (int i = 0; i < rank; i++) {
        const int here = rank == 4 ? images[i] : i;
        const size_t dim = (size_t)s->dim[here];
        if (here == axis) {
            a.n = dim;
            inside = true;
        } else if (inside) {
            a.inner *= dim;
        } else {
            a.outer *= dim;
        }
    }
    return a;
}

struct channels channels_of(const struct node *n)
{
    const size_t elements = shape_elements(&n->shape);
    const bool image = shape_rank(&n->shape) == 4;
    const size_t C = image ? (size_t)n->shape.dim[1] : shape_last(&n->shape);
    const size_t lanes = image && n->layout == LANES ? KN_LANES : 1;
    return (struct channels){elements / C / lanes, C, lanes};
}

/* ----------------------------------------------------------------- running */

enum { PIECE_FLOATS = 16384, MOST_PIECES = 64 };

/* Depends on the tensor only, never on the crew. */
size_t column_pieces(struct channels c)
{
    const size_t pieces = least(c.rows * c.C * c.lanes / PIECE_FLOATS, MOST_PIECES);
    return pieces > 1 ? least(pieces, c.rows) : 1;
}

size_t column_sums_work(struct channels c) { return column_pieces(c) * c.C * sizeof(float); }

struct range piece_rows(struct channels c, size_t piece)
{
    const size_t pieces = column_pieces(c);
    return (struct range){c.rows * piece / pieces, c.rows * (piece + 1) / pieces};
}

void sum_piece(struct channels c, size_t piece, const float *x, const float *dy, float *work)
{
    const struct range r = piece_rows(c, piece);
    const size_t rows = r.to - r.from, row = c.C * c.lanes;
    const bool single = row == 1;
    float *const out = work + piece * c.C;
    x += r.from * row;
    dy = dy ? dy + r.from * row : NULL;
    if (single && dy)
        *out = kn->dot_f32(rows, x, dy);
    else if (single)
        *out = kn->sum_f32(rows, x);
    else if (dy)
        kn->dot_channel_f32(rows, c.C, c.lanes, x, dy, out);
    else
        kn->sum_channel_f32(rows, c.C, c.lanes, x, out);
}

void column_sums(const struct crew *crew, struct channels c, float factor, const float *x,
                 const float *dy, float *out, float *work)
{
    const struct range mine = share_of(crew, column_pieces(c), 1);
    for (size_t i = mine.from; i < mine.to; i++)
        sum_piece(c, i, x, dy, work);
    add_pieces(crew, c, factor, out, work);
}

void add_pieces(const struct crew *crew, struct channels c, float factor, float *out, float *work)
{
    crew_wait(crew);
    const struct range columns = share_of(crew, c.C, 16);
    const size_t n = columns.to - columns.from;
    float *sum = work + columns.from;
    for (size_t i = 1; i < column_pieces(c); i++)
        kn->add_f32(n, sum, sum + i * c.C, sum);
    kn->scale_f32(n, factor, sum, out + columns.from);
}

void copy_blocks(const struct crew *crew, size_t outer, size_t length, const float *x, size_t sx,
                 float *y, size_t sy)
{
    const struct range mine = share_of(crew, outer * length, 256);
    for (size_t at = mine.from, n; at < mine.to; at += n) {
        const size_t block = at / length, i = at % length;
        n = least(length - i, mine.to - at);
        if (x)
            memcpy(y + block * sy + i, x + block * sx + i, n * sizeof *y);
        else
            memset(y + block * sy + i, 0, n * sizeof *y);
    }
}

/* Each product cuts the scratch among the threads in its own way: none begins before the last has
 * ended. */
void run_gemms(const struct kn_gemm *gemm, int count, const struct crew *crew, void *work)
{
    for (int i = 0; i < count; i++) {
        if (i > 0)
            crew_wait(crew);
        kn->gemm_f32(&gemm[i], crew, work);
    }
}

size_t gemms_work(const struct kn_gemm *gemm, int count, int threads)
{
    size_t most = 0;
    for (int i = 0; i < count; i++) {
        const size_t bytes = kn->gemm_work_f32(&gemm[i], threads);
        most = bytes > most ? bytes : most;
    }
    return most;
}

struct kn_epilogue epilogue_of(const struct step *s)
{
    const struct attr *a = &s->node->attr;
    return (struct kn_epilogue){
        .act = a->act,
        .grad = a->act_grad,
        .inner = a->inner,
        .outer = a->outer,
        .bias = a->bias_in ? s->in[a->bias_in] : NULL,
        .residual = a->residual_in ? s->in[a->residual_in] : NULL,
        .y = a->y_in ? s->in[a->y_in] : NULL,
    };
}

static float or_one(float factor) { return factor == 0.0f ? 1.0f : factor; }

void act_in_place(const struct attr *a, size_t n, float *y)
{
    if (a->act == KN_ACT_RELU)
        kn->relu_f32(n, y, y);
    else if (a->act == KN_ACT_TANH)
        kn->tanh_f32(n, or_one(a->inner), or_one(a->outer), y, y);
    else if (a->act == KN_ACT_SIGMOID)
        kn->sigmoid_f32(n, y, y);
}

double epilogue_flops(const struct node *n)
{
    static const double act[] = {[KN_ACT_RELU] = 1, [KN_ACT_TANH] = 3, [KN_ACT_SIGMOID] = 4};
    static const double grad[] = {[KN_ACT_RELU] = 1, [KN_ACT_TANH] = 4, [KN_ACT_SIGMOID] = 3};
    const struct attr *a = &n->attr;
    const double each =
        (a->bias_in ? 1 : 0) + (a->residual_in ? 1 : 0) + act[a->act] + grad[a->act_grad];
    return each * (double)shape_elements(&n->shape);
}
