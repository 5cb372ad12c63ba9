/* reshape.c — the same numbers under another shape, in logical order.
 *
 *     reshape  [N,...] -> [N,s]     dx = reshape(dy)     (nn_flatten(): s = the product)
 *
 * A view wherever memory holds the logical order. Images do not (rank 4 is stored
 * channels-last), so there every sample is a matrix [H W][C] that is transposed to
 * [C][H W], or back; with one channel or one pixel that too is a view. Floats or
 * integers: only bits are moved. */
#include <string.h>

#include "graph/ops/oplib.h"

static bool is_view(const struct nn_graph *g, const struct node *n)
{
    const struct nn_shape *x = &input_of(g, n, 0)->shape;
    return (shape_ordered(x) && shape_ordered(&n->shape)) || shape_equal(x, &n->shape);
}

/* [a][b] -> [b][a] for this thread's samples. */
static void turn_samples(const struct step *s, const struct crew *crew, size_t a, size_t b)
{
    const size_t samples = shape_elements(&s->node->shape) / (a * b);
    const struct range r = share_of(crew, samples, 1);
    const float *x = s->in[0];
    float *y = s->out;
    for (size_t i = r.from; i < r.to; i++)
        kn->transpose_f32(a, b, x + i * a * b, b, y + i * a * b, a);
}

static void move_each(const struct step *s, const struct crew *crew)
{
    const struct nn_shape *from = &s->in_node[0]->shape, *to = &s->node->shape;
    const struct range r = share_elements(s, crew);
    const float *x = s->in[0];
    float *y = s->out;
    for (size_t i = r.from; i < r.to; i++)
        y[shape_stored_at(to, i)] = x[shape_stored_at(from, i)];
}

static size_t pixels(const struct nn_shape *s) { return (size_t)s->dim[2] * (size_t)s->dim[3]; }

static void run(const struct step *s, const struct crew *crew)
{
    const struct nn_shape *from = &s->in_node[0]->shape, *to = &s->node->shape;
    if (shape_ordered(to) && !shape_ordered(from))
        turn_samples(s, crew, pixels(from), (size_t)from->dim[1]);
    else if (shape_ordered(from) && !shape_ordered(to))
        turn_samples(s, crew, (size_t)to->dim[1], pixels(to));
    else
        move_each(s, crew);
}

static void grad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_reshape, g->node[id].in[0], NO_ATTR, dy);
}

static double no_flops(const struct nn_graph *g, const struct node *n)
{
    return (void)g, (void)n, 0.0;
}

/* ------------------------------------------------------------ construction */

static bool any_type_ok(nn_value x, int rank, const char *op, const char *at)
{
    return !failed(x) && operand_ok(x, node_of(x)->type, rank, NN_MAX_RANK, op, at);
}

nn_value nn_reshape_(nn_value x, struct nn_shape s, const char *at)
{
    if (!any_type_ok(x, 1, "reshape", at))
        return value_failed;
    struct nn_graph *g = x.graph;
    const struct nn_shape *from = &node_of(x)->shape;
    const int rank = shape_rank(&s);
    char a[64], b[64];
    shape_text(from, g->batch, a);
    if (node_of(x)->type == NN_I32 && rank > 2)
        return graph_fail(g, at, "reshape", "integers have at most rank 3, wanted %d", rank + 1);
    if (rank == NN_MAX_RANK)
        return graph_fail(g, at, "reshape", "rank %d without the batch; %d is the limit", rank,
                          NN_MAX_RANK - 1);
    struct nn_shape shape = {{from->dim[0]}};
    memcpy(shape.dim + 1, s.dim, (size_t)rank * sizeof s.dim[0]);
    shape_text(&shape, g->batch, b);
    double elements = 1.0; /* a plugin's numbers, perhaps negative or huge */
    bool positive = true;
    for (int i = 0; i <= rank; i++) {
        elements *= shape.dim[i];
        positive = positive && shape.dim[i] > 0;
    }
    if (!positive || elements != (double)shape_elements(from))
        return graph_fail(g, at, "reshape", "%s and %s differ in their number of elements", a, b);
    return node_add(g, &op_reshape, shape, node_of(x)->type, NO_ATTR, 1, &x, at);
}

nn_value nn_flatten_(nn_value x, const char *at)
{
    if (!any_type_ok(x, 1, "flatten", at))
        return value_failed;
    const struct nn_shape *from = &node_of(x)->shape;
    const size_t features = shape_elements(from) / (size_t)from->dim[0];
    const struct nn_shape shape = NN_SHAPE(from->dim[0], (int32_t)features);
    return node_add(x.graph, &op_reshape, shape, node_of(x)->type, NO_ATTR, 1, &x, at);
}

const struct op op_reshape = {
    .name = "reshape",
    .flags = OP_VIEW,
    .grad = grad,
    .flops = no_flops,
    .run = run,
    .is_view = is_view,
};
