/* gate.c — Hu, Shen, Sun: Squeeze-and-Excitation Networks. CVPR 2018: every channel of every
 * image by a number of its own.
 *
 *     gate        y[n,c,i,j] = x[n,c,i,j] s[n,c]            dx = gate(dy, s)
 *     gate_scale  ds[n,c] = sum_ij x[n,c,i,j] dy[n,c,i,j]   (only made by gradients)
 *
 * [N,C,H,W] and [N,C]. An NHWC image is H W rows of C channels, so this is gain (channel.c)
 * with other factors for each image. The sums of an image are one thread's. */
#include "graph/ops/oplib.h"

static size_t pixels_of(const struct nn_shape *x) { return (size_t)x->dim[2] * (size_t)x->dim[3]; }

static void run(const struct step *s, const struct crew *crew)
{
    const struct nn_shape *shape = &s->node->shape;
    const size_t C = (size_t)shape->dim[1], pixels = pixels_of(shape);
    const struct range r = share_of(crew, (size_t)shape->dim[0] * pixels, 16);
    const float *x = s->in[0], *factor = s->in[1];
    float *y = s->out;
    for (size_t i = r.from, n; i < r.to; i += n) {
        n = least(pixels - i % pixels, r.to - i);
        kn->affine_channel_f32(n, C, 1, x + i * C, factor + i / pixels * C, NULL, y + i * C);
    }
}

static void run_scale(const struct step *s, const struct crew *crew)
{
    const struct nn_shape *shape = &s->in_node[0]->shape;
    const size_t C = (size_t)shape->dim[1], pixels = pixels_of(shape), image = pixels * C;
    const struct range r = share_of(crew, (size_t)shape->dim[0], 1);
    const float *x = s->in[0], *dy = s->in[1];
    float *ds = s->out;
    for (size_t n = r.from; n < r.to; n++)
        kn->dot_channel_f32(pixels, C, 1, x + n * image, dy + n * image, ds + n * C);
}

static void grad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const nn_value x = in_of(g, id, 0), factor = in_of(g, id, 1);
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_gate, x.id, NO_ATTR, dy, factor);
    if (grad_wanted(g, id, 1))
        dx[1] = EMIT(g, &op_gate_scale, factor.id, NO_ATTR, x, dy);
}

/* Of H W products for each channel of each image, all but one are followed by a sum. */
static double flops_scale(const struct nn_graph *g, const struct node *n)
{
    return 2.0 * (double)shape_elements(&input_of(g, n, 0)->shape) -
           (double)shape_elements(&n->shape);
}

nn_value nn_gate_(nn_value x, nn_value s, const char *at)
{
    if (!operand_ok(x, NN_F32, 4, 4, "gate", at) || !operand_ok(s, NN_F32, 2, 2, "gate", at))
        return value_failed;
    const struct nn_shape shape = node_of(x)->shape, factors = node_of(s)->shape;
    char tx[64], ts[64];
    if (shape.dim[0] != factors.dim[0] || shape.dim[1] != factors.dim[1])
        return graph_fail(x.graph, at, "gate", "%s has not one factor for each channel of %s",
                          shape_text(&factors, x.graph->batch, ts),
                          shape_text(&shape, x.graph->batch, tx));
    return node_add(x.graph, &op_gate, shape, NN_F32, NO_ATTR, 2, (nn_value[]){x, s}, at);
}

const struct op op_gate = {
    .name = "gate",
    .flags = OP_IN_PLACE,
    .grad = grad,
    .run = run,
};

const struct op op_gate_scale = {
    .name = "gate_scale",
    .flops = flops_scale,
    .run = run_scale,
};
