/* channel.c — one number a channel: axis 1 of images, the last axis of rows.
 *
 *     affine       y[.,c,.] = a[c] x[.,c,.] + b[c]   (b may be missing)
 *                  dx = affine(dy, a)   da = dot_channel(x, dy)   db = sum_channel(dy)
 *     sum_channel  y[c] = sum of x[.,c,.]
 *     dot_channel  y[c] = sum of x[.,c,.] dy[.,c,.]
 *
 * [N,C] or [N,C,H,W] and [C]. The sums work on either layout, and add in an order of
 * the tensor's size alone. An activation that follows affine runs inside it
 * (attr.act), while its rows are still in the first-level cache. */
#include "graph/ops/oplib.h"

enum { BLOCK_FLOATS = 4096 }; /* 16 KiB: half a first-level cache */

static void run_affine(const struct step *s, const struct crew *crew)
{
    const struct channels c = channels_of(s->node);
    const size_t row = c.C * c.lanes, block = row < BLOCK_FLOATS ? BLOCK_FLOATS / row : 1;
    const struct range r = share_of(crew, c.rows, block);
    const float *x = s->in[0], *a = s->in[1], *b = s->node->inputs > 2 ? s->in[2] : NULL;
    float *y = s->out;
    for (size_t i = r.from, n; i < r.to; i += n) {
        n = least(block, r.to - i);
        kn->affine_channel_f32(n, c.C, c.lanes, x + i * row, a, b, y + i * row);
        act_in_place(&s->node->attr, n * row, y + i * row);
    }
}

static void run_sum_channel(const struct step *s, const struct crew *crew)
{
    column_sums(crew, channels_of(s->in_node[0]), 1.0f, s->in[0], NULL, s->out, s->work);
}

static void run_dot_channel(const struct step *s, const struct crew *crew)
{
    column_sums(crew, channels_of(s->in_node[0]), 1.0f, s->in[0], s->in[1], s->out, s->work);
}

static size_t work_sums(const struct step *s, int threads)
{
    (void)threads;
    return column_sums_work(channels_of(s->in_node[0]));
}

static void grad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const nn_value x = in_of(g, id, 0), a = in_of(g, id, 1);
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_affine, x.id, NO_ATTR, dy, a);
    if (grad_wanted(g, id, 1))
        dx[1] = EMIT(g, &op_dot_channel, a.id, NO_ATTR, x, dy);
    if (g->node[id].inputs > 2 && grad_wanted(g, id, 2))
        dx[2] = EMIT(g, &op_sum_channel, g->node[id].in[2], NO_ATTR, dy);
}

static double flops_affine(const struct nn_graph *g, const struct node *n)
{
    (void)g;
    return (n->inputs > 2 ? 2.0 : 1.0) * (double)shape_elements(&n->shape) + epilogue_flops(n);
}

static double flops_sum(const struct nn_graph *g, const struct node *n)
{
    return (double)shape_elements(&input_of(g, n, 0)->shape);
}

static double flops_dot(const struct nn_graph *g, const struct node *n)
{
    return 2.0 * (double)shape_elements(&input_of(g, n, 0)->shape);
}

nn_value nn_affine_(nn_value x, const char *at)
{
    if (!operand_ok(x, NN_F32, 2, 4, "affine", at))
        return value_failed;
    struct nn_graph *g = x.graph;
    const struct nn_shape shape = node_of(x)->shape;
    char text[64];
    if (shape_rank(&shape) == 3)
        return graph_fail(g, at, "affine", "%s has rank 3, wanted [N,C] or [N,C,H,W]",
                          shape_text(&shape, g->batch, text));
    const struct nn_shape channels = NN_SHAPE(shape.dim[1]);
    const nn_value gain = nn_param_(g, "gain", channels, NN_ONES, at);
    const nn_value bias = nn_param_(g, "bias", channels, NN_ZEROS, at);
    return node_add(g, &op_affine, shape, NN_F32, NO_ATTR, 3, (nn_value[]){x, gain, bias}, at);
}

const struct op op_affine = {
    .name = "affine",
    .flags = OP_IN_PLACE,
    .grad = grad,
    .flops = flops_affine,
    .run = run_affine,
};

const struct op op_sum_channel = {
    .name = "sum_channel",
    .flops = flops_sum,
    .work = work_sums,
    .run = run_sum_channel,
};

const struct op op_dot_channel = {
    .name = "dot_channel",
    .flops = flops_dot,
    .work = work_sums,
    .run = run_dot_channel,
};
