/* sq_dist.c — squared distances to centres: the output layer of LeNet-5.
 *
 *     sq_dist       y[n,k] = sum_f (x[n,f] - c[k,f])^2      [N,F] [K,F] -> [N,K]
 *     sq_dist_grad  dp[i,f] = 2 sum_j d[i,j] (p[i,f] - q[j,f])
 *
 * The second gives both gradients: dx from (dy, x, c), and dc from (dy^T, c, x), the
 * transposition being attr.ta. */
#include "graph/ops/oplib.h"

static void run(const struct step *s, const struct crew *crew)
{
    const size_t F = shape_last(&s->in_node[0]->shape), K = shape_last(&s->node->shape);
    const struct range r = share_of(crew, shape_rows(&s->node->shape), 1);
    const float *x = s->in[0], *c = s->in[1];
    float *y = s->out;
    for (size_t n = r.from; n < r.to; n++)
        for (size_t k = 0; k < K; k++)
            y[n * K + k] = kn->sq_dist_f32(F, x + n * F, c + k * F);
}

/* sum_j d (p - q) = (sum_j d) p - sum_j d q, so that each q is read by one axpy. */
static void run_grad(const struct step *s, const struct crew *crew)
{
    const size_t F = shape_last(&s->node->shape), I = shape_rows(&s->node->shape);
    const size_t J = shape_rows(&s->in_node[2]->shape);
    const bool transposed = s->node->attr.ta;
    const size_t down = transposed ? 1 : J, across = transposed ? I : 1;
    const struct range r = share_of(crew, I, 1);
    const float *d = s->in[0], *p = s->in[1], *q = s->in[2];
    float *dp = s->out;
    for (size_t i = r.from; i < r.to; i++) {
        const float *row = d + i * down;
        float sum = 0.0f;
        for (size_t j = 0; j < J; j++)
            sum += row[j * across];
        kn_flops += 2.0 * (double)J; /* that sum, doubled, and the factors below */
        kn->scale_f32(F, 2.0f * sum, p + i * F, dp + i * F);
        for (size_t j = 0; j < J; j++)
            kn->axpy_f32(F, -2.0f * row[j * across], q + j * F, dp + i * F);
    }
}

static void grad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const nn_value x = in_of(g, id, 0), c = in_of(g, id, 1);
    const struct attr transposed = {.ta = true};
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_sq_dist_grad, x.id, NO_ATTR, dy, x, c);
    if (grad_wanted(g, id, 1))
        dx[1] = EMIT(g, &op_sq_dist_grad, c.id, transposed, dy, c, x);
}

static double flops(const struct nn_graph *g, const struct node *n)
{
    const double F = (double)shape_last(&input_of(g, n, 0)->shape);
    return (3.0 * F - 1.0) * (double)shape_elements(&n->shape);
}

static double flops_grad(const struct nn_graph *g, const struct node *n)
{
    const double pairs = (double)shape_elements(&input_of(g, n, 0)->shape);
    const double F = (double)shape_last(&n->shape);
    return pairs * (2.0 * F + 2.0) + (double)shape_elements(&n->shape);
}

nn_value nn_sq_dist_(nn_value x, nn_value c, const char *at)
{
    if (!operand_ok(x, NN_F32, 2, 2, "sq_dist", at) || !operand_ok(c, NN_F32, 2, 2, "sq_dist", at))
        return value_failed;
    struct nn_graph *g = x.graph;
    const struct nn_shape *sx = &node_of(x)->shape;
    if (c.graph != g)
        return graph_fail(g, at, "sq_dist", "inputs belong to different graphs");
    const struct nn_shape *sc = &node_of(c)->shape;
    char tx[64], tc[64];
    if (sx->dim[1] != sc->dim[1])
        return graph_fail(g, at, "sq_dist", "%s and %s differ in their last axis",
                          shape_text(sx, g->batch, tx), shape_text(sc, g->batch, tc));
    const struct nn_shape shape = NN_SHAPE(sx->dim[0], sc->dim[0]);
    return node_add(g, &op_sq_dist, shape, NN_F32, NO_ATTR, 2, (nn_value[]){x, c}, at);
}

const struct op op_sq_dist = {
    .name = "sq_dist",
    .grad = grad,
    .flops = flops,
    .run = run,
};

const struct op op_sq_dist_grad = {
    .name = "sq_dist_grad",
    .flops = flops_grad,
    .run = run_grad,
};
