/* arrange.c — numbers moved about along one axis, unchanged.
 *
 *     transpose  swaps the last two axes               dx = transpose(dy)
 *     concat     one behind the other along attr.axis  each d = a slice of dy
 *     slice      x[from..to) along attr.axis           dx = pad(dy)
 *     pad        zeros but for [from..to), where x is  dx = slice(dy)
 *
 * Along an axis every tensor is [outer][n][inner] in memory, images included, so all
 * but transpose are copies of blocks. Floats or integers. What parts.c has arranged for is not
 * copied: pieces of a concatenation are there already, and a slice stays where it is. */
#include <string.h>

#include "graph/ops/oplib.h"

static double no_flops(const struct nn_graph *g, const struct node *n)
{
    return (void)g, (void)n, 0.0;
}

/* --------------------------------------------------------------- transpose */

/* Matrices [rows][cols] of `inner` floats: images have their channels behind H and W. */
struct matrices {
    size_t count, rows, cols, inner;
};

static struct matrices matrices_of(const struct nn_shape *x)
{
    const int rank = shape_rank(x);
    struct matrices m = {.rows = (size_t)x->dim[rank - 2], .cols = (size_t)x->dim[rank - 1]};
    m.inner = rank == 4 ? (size_t)x->dim[1] : 1;
    m.count = shape_elements(x) / (m.rows * m.cols * m.inner);
    return m;
}

/* Output row j of a matrix is input column j: threads share columns of all matrices. */
static void run_transpose(const struct step *s, const struct crew *crew)
{
    const struct matrices m = matrices_of(&s->in_node[0]->shape);
    const struct range r = share_of(crew, m.count * m.cols, 16);
    const float *x = s->in[0];
    float *y = s->out;
    for (size_t at = r.from, n; at < r.to; at += n) {
        const size_t j = at % m.cols, matrix = at / m.cols * m.rows * m.cols * m.inner;
        n = least(m.cols - j, r.to - at);
        const float *from = x + matrix + j * m.inner;
        float *to = y + matrix + j * m.rows * m.inner;
        if (m.inner == 1) {
            kn->transpose_f32(m.rows, n, from, m.cols, to, m.rows);
            continue;
        }
        for (size_t e = 0; e < n * m.rows; e++)
            memcpy(to + e * m.inner, from + (e % m.rows * m.cols + e / m.rows) * m.inner,
                   m.inner * sizeof *y);
    }
}

static void grad_transpose(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_transpose, g->node[id].in[0], NO_ATTR, dy);
}

nn_value nn_transpose_(nn_value x, const char *at)
{
    if (failed(x) || !operand_ok(x, node_of(x)->type, 2, NN_MAX_RANK, "transpose", at))
        return value_failed;
    const struct nn_shape *from = &node_of(x)->shape;
    const int rank = shape_rank(from);
    struct nn_shape shape = *from;
    shape.dim[rank - 2] = from->dim[rank - 1];
    shape.dim[rank - 1] = from->dim[rank - 2];
    return node_add(x.graph, &op_transpose, shape, node_of(x)->type, NO_ATTR, 1, &x, at);
}

const struct op op_transpose = {
    .name = "transpose",
    .grad = grad_transpose,
    .flops = no_flops,
    .run = run_transpose,
};

/* ------------------------------------------------------------------ concat */

static void run_concat(const struct step *s, const struct crew *crew)
{
    const int axis = s->node->attr.axis;
    const struct around y = shape_around(&s->node->shape, axis);
    float *to = s->out;
    for (int i = 0; i < s->node->inputs; i++) {
        const struct node *piece = s->in_node[i];
        const size_t block = shape_around(&piece->shape, axis).n * y.inner;
        if (s->in[i] != to) /* it is not there already */
            copy_blocks(crew, y.outer, block, s->in[i], piece->ld ? piece->ld : block, to,
                        y.n * y.inner);
        to += block;
    }
}

/* Is in[i] written into node n's memory, in its own place there? */
static bool is_there(const struct nn_graph *g, const struct node *n, int i)
{
    const struct node *piece = input_of(g, n, i);
    size_t at = 0;
    for (int k = 0; k < i; k++)
        at += shape_row(&input_of(g, n, k)->shape);
    return piece->whole == n - g->node && piece->offset == at;
}

static bool is_complete(const struct nn_graph *g, const struct node *n)
{
    for (int i = 0; i < n->inputs; i++)
        if (!is_there(g, n, i))
            return false;
    return true;
}

/* What is copied is read and written. */
static double bytes_concat(const struct nn_graph *g, const struct node *n)
{
    double floats = 0.0;
    for (int i = 0; i < n->inputs; i++)
        floats += is_there(g, n, i) ? 0.0 : (double)shape_elements(&input_of(g, n, i)->shape);
    return 2.0 * sizeof(float) * floats;
}

static void grad_concat(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const int axis = g->node[id].attr.axis, inputs = g->node[id].inputs;
    int at = 0;
    for (int i = 0; i < inputs; i++) {
        const int in = g->node[id].in[i], n = g->node[in].shape.dim[axis];
        const struct attr attr = {.axis = axis, .from = at, .to = at + n};
        if (grad_wanted(g, id, i))
            dx[i] = EMIT(g, &op_slice, in, attr, dy);
        at += n;
    }
}

/* `whole` grows by x along `axis`; false if it does not fit on there. */
static bool append(struct nn_shape *whole, nn_value x, int axis, const char *at)
{
    struct nn_graph *g = x.graph;
    struct nn_shape shape = node_of(x)->shape;
    char tw[64], tx[64];
    shape_text(whole, g->batch, tw);
    shape_text(&shape, g->batch, tx);
    const int32_t n = shape.dim[axis];
    shape.dim[axis] = whole->dim[axis];
    if (!shape_equal(whole, &shape)) {
        (void)graph_fail(g, at, "concat", "%s and %s differ beside axis %d", tw, tx, axis);
        return false;
    }
    if (n > INT32_MAX - whole->dim[axis]) {
        (void)graph_fail(g, at, "concat", "%s and %s are too large together", tw, tx);
        return false;
    }
    whole->dim[axis] += n;
    return true;
}

nn_value nn_join_(int axis, int count, const nn_value *x, const char *at)
{
    for (int i = 0; i < count; i++) /* all of the first one's type */
        if (failed(x[i]) || failed(x[0]) ||
            !operand_ok(x[i], node_of(x[0])->type, 1, NN_MAX_RANK, "concat", at))
            return value_failed;
    struct nn_graph *g = x[0].graph;
    if (count > NODE_INPUTS)
        return graph_fail(g, at, "concat", "%d values, wanted at most %d", count, NODE_INPUTS);
    struct nn_shape shape = node_of(x[0])->shape;
    const int i = shape_axis(&shape, axis);
    char text[64];
    if (i < 0)
        return graph_fail(g, at, "concat", "%s has no axis %d", shape_text(&shape, g->batch, text),
                          axis);
    for (int k = 1; k < count; k++)
        if (!append(&shape, x[k], i, at))
            return value_failed;
    return node_add(g, &op_concat, shape, node_of(x[0])->type, (struct attr){.axis = i}, count, x,
                    at);
}

nn_value nn_concat_(nn_value a, nn_value b, int axis, const char *at)
{
    return nn_join_(axis, 2, (nn_value[]){a, b}, at);
}

const struct op op_concat = {
    .name = "concat",
    .flags = OP_VIEW,
    .grad = grad_concat,
    .flops = no_flops,
    .bytes = bytes_concat,
    .run = run_concat,
    .is_view = is_complete,
    .reads_apart = ~0u,
};

/* ----------------------------------------------------------- slice and pad */

static bool is_left_there(const struct nn_graph *g, const struct node *n)
{
    return (void)g, n->whole >= 0;
}

static void run_slice(const struct step *s, const struct crew *crew)
{
    const struct attr *k = &s->node->attr;
    const struct around x = shape_around(&s->in_node[0]->shape, k->axis);
    const size_t block = (size_t)(k->to - k->from) * x.inner;
    const float *first = (const float *)s->in[0] + (size_t)k->from * x.inner;
    copy_blocks(crew, x.outer, block, first, x.n * x.inner, s->out, block);
}

static void run_pad(const struct step *s, const struct crew *crew)
{
    const struct attr *k = &s->node->attr;
    const struct around y = shape_around(&s->node->shape, k->axis);
    const size_t from = (size_t)k->from * y.inner, to = (size_t)k->to * y.inner;
    const size_t whole = y.n * y.inner;
    float *out = s->out;
    copy_blocks(crew, y.outer, from, NULL, 0, out, whole);
    copy_blocks(crew, y.outer, to - from, s->in[0], to - from, out + from, whole);
    copy_blocks(crew, y.outer, whole - to, NULL, 0, out + to, whole);
}

static void grad_pad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const struct attr *k = &g->node[id].attr;
    const struct attr attr = {.axis = k->axis, .from = k->from, .to = k->to};
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_slice, g->node[id].in[0], attr, dy);
}

static void grad_slice(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const struct attr *k = &g->node[id].attr;
    const struct attr attr = {.axis = k->axis, .from = k->from, .to = k->to};
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_pad, g->node[id].in[0], attr, dy);
}

nn_value nn_slice_(nn_value x, int axis, int from, int to, const char *at)
{
    if (failed(x) || !operand_ok(x, node_of(x)->type, 1, NN_MAX_RANK, "slice", at))
        return value_failed;
    struct nn_graph *g = x.graph;
    struct nn_shape shape = node_of(x)->shape;
    const int i = shape_axis(&shape, axis);
    char text[64];
    shape_text(&shape, g->batch, text);
    if (i < 0)
        return graph_fail(g, at, "slice", "%s has no axis %d", text, axis);
    if (from < 0 || from >= to || to > shape.dim[i])
        return graph_fail(g, at, "slice", "[%d,%d) of axis %d is empty or outside %s", from, to,
                          axis, text);
    shape.dim[i] = to - from;
    const struct attr attr = {.axis = i, .from = from, .to = to};
    return node_add(g, &op_slice, shape, node_of(x)->type, attr, 1, &x, at);
}

nn_value nn_pad_(nn_value x, int axis, int before, int behind, const char *at)
{
    if (failed(x) || !operand_ok(x, node_of(x)->type, 1, NN_MAX_RANK, "pad", at))
        return value_failed;
    struct nn_graph *g = x.graph;
    struct nn_shape shape = node_of(x)->shape;
    const int i = shape_axis(&shape, axis);
    char text[64];
    shape_text(&shape, g->batch, text);
    if (i < 0)
        return graph_fail(g, at, "pad", "%s has no axis %d", text, axis);
    const int64_t to = (int64_t)before + shape.dim[i], all = to + behind;
    if (before < 0 || behind < 0 || all > INT32_MAX)
        return graph_fail(g, at, "pad", "%d before and %d behind axis %d of %s: %s", before, behind,
                          axis, text, all > INT32_MAX ? "too large" : "wanted at least 0");
    const struct attr attr = {.axis = i, .from = before, .to = (int)to};
    shape.dim[i] = (int32_t)all;
    return node_add(g, &op_pad, shape, node_of(x)->type, attr, 1, &x, at);
}

const struct op op_slice = {
    .name = "slice",
    .flags = OP_VIEW,
    .grad = grad_slice,
    .flops = no_flops,
    .run = run_slice,
    .is_view = is_left_there,
};

const struct op op_pad = {
    .name = "pad",
    .grad = grad_pad,
    .flops = no_flops,
    .run = run_pad,
};
