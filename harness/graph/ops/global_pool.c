/* global_pool.c — Lin, Chen, Yan: Network In Network. ICLR 2014: the mean of each feature map.
 *
 *     global_avg_pool       y[n,c] = f sum_ij x[n,c,i,j]      [N,C,H,W] -> [N,C], f = 1 / (H W)
 *     global_avg_pool_grad  dx[n,c,i,j] = f dy[n,c]
 *
 * An NHWC image is H W rows of C channels, so the mean is a sum of rows and its gradient
 * the same row again and again: both run at the speed of memory. Threads take whole
 * images, and a sum's order is that of the kernel. */
#include <string.h>

#include "graph/ops/oplib.h"

static size_t pixels_of(const struct nn_shape *x) { return (size_t)x->dim[2] * (size_t)x->dim[3]; }

static float factor_of(const struct nn_shape *x) { return 1.0f / (float)pixels_of(x); }

static void run(const struct step *s, const struct crew *crew)
{
    const struct nn_shape *shape = &s->in_node[0]->shape;
    const size_t C = (size_t)shape->dim[1], pixels = pixels_of(shape);
    const struct range r = share_of(crew, (size_t)shape->dim[0], 1);
    const float *x = s->in[0];
    float *y = s->out;
    for (size_t n = r.from; n < r.to; n++) {
        kn->sum_channel_f32(pixels, C, 1, x + n * pixels * C, y + n * C);
        kn->scale_f32(C, factor_of(shape), y + n * C, y + n * C);
    }
}

static void run_grad(const struct step *s, const struct crew *crew)
{
    const struct nn_shape *shape = &s->node->shape;
    const size_t C = (size_t)shape->dim[1], pixels = pixels_of(shape);
    const struct range r = share_of(crew, (size_t)shape->dim[0], 1);
    const float *dy = s->in[0];
    float *dx = s->out;
    for (size_t n = r.from; n < r.to; n++) {
        float *const first = dx + n * pixels * C;
        kn->scale_f32(C, factor_of(shape), dy + n * C, first);
        for (size_t i = 1; i < pixels; i++)
            memcpy(first + i * C, first, C * sizeof *first);
    }
}

static void grad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_global_avg_pool_grad, g->node[id].in[0], NO_ATTR, dy);
}

/* A channel's sum and the quotient. */
static double flops(const struct nn_graph *g, const struct node *n)
{
    return (double)shape_elements(&input_of(g, n, 0)->shape);
}

static double flops_grad(const struct nn_graph *g, const struct node *n)
{
    return (double)shape_elements(&input_of(g, n, 0)->shape);
}

nn_value nn_global_avg_pool_(nn_value x, const char *at)
{
    if (!operand_ok(x, NN_F32, 4, 4, "global_avg_pool", at))
        return value_failed;
    const struct nn_shape *from = &node_of(x)->shape;
    const struct nn_shape shape = NN_SHAPE(from->dim[0], from->dim[1]);
    return node_add(x.graph, &op_global_avg_pool, shape, NN_F32, NO_ATTR, 1, &x, at);
}

const struct op op_global_avg_pool = {
    .name = "global_avg_pool",
    .grad = grad,
    .flops = flops,
    .run = run,
};

const struct op op_global_avg_pool_grad = {
    .name = "global_avg_pool_grad",
    .flops = flops_grad,
    .run = run_grad,
};
