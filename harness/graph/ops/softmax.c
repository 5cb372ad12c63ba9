/* softmax.c — y = e^x / sum e^x over the last axis.
 *
 *     softmax       [...,K] -> [...,K]
 *     softmax_grad  dx = y (dy - sum_k y dy)
 *
 * As an output layer, nn_cross_entropy() on the scores is faster and exact for scores
 * of any size. */
#include "graph/ops/oplib.h"

static void run(const struct step *s, const struct crew *crew)
{
    const size_t K = shape_last(&s->node->shape);
    const struct range r = share_of(crew, shape_rows(&s->node->shape), 1);
    const float *x = s->in[0];
    float *y = s->out;
    for (size_t i = r.from; i < r.to; i++)
        kn->softmax_f32(K, x + i * K, y + i * K);
}

static void run_grad(const struct step *s, const struct crew *crew)
{
    const size_t K = shape_last(&s->node->shape);
    const struct range r = share_of(crew, shape_rows(&s->node->shape), 1);
    const float *y = s->in[0], *dy = s->in[1];
    float *dx = s->out;
    for (size_t i = r.from; i < r.to; i++)
        kn->softmax_grad_f32(K, y + i * K, dy + i * K, dx + i * K);
}

static void grad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_softmax_grad, id, NO_ATTR, value_of(g, id), dy);
}

/* Maximum, difference, exponential, sum, quotient. */
static double flops(const struct nn_graph *g, const struct node *n)
{
    return (void)g, 5.0 * (double)shape_elements(&n->shape);
}

static double flops_grad(const struct nn_graph *g, const struct node *n)
{
    return (void)g, 4.0 * (double)shape_elements(&n->shape) - (double)shape_rows(&n->shape);
}

nn_value nn_softmax_(nn_value x, const char *at)
{
    if (!operand_rows_ok(x, NN_F32, "softmax", at))
        return value_failed;
    return node_add(x.graph, &op_softmax, node_of(x)->shape, NN_F32, NO_ATTR, 1, &x, at);
}

const struct op op_softmax = {
    .name = "softmax",
    .flags = OP_IN_PLACE,
    .grad = grad,
    .flops = flops,
    .run = run,
};

const struct op op_softmax_grad = {
    .name = "softmax_grad",
    .flags = OP_IN_PLACE,
    .flops = flops_grad,
    .run = run_grad,
};
