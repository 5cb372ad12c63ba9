/* scaled.c — functions of one number that take constants with them (attr.a, attr.b).
 *
 *     scale      y = a x             dx = a dy
 *     offset     y = x + a           dx = dy
 *     tanh       y = b tanh(a x)     dx = a b (1 - (y/b)^2) dy
 *     stop_grad  y = x               none; a view, so it costs nothing
 *
 * nn_tanh() has a = b = 1; the constants are there for LeCun's 1.7159 tanh(2x/3),
 * which fuse.c folds into them. Any shape, any layout, and may overwrite x. */
#include "graph/ops/oplib.h"

static nn_value apply(nn_value x, const struct op *op, float a, float b, const char *at)
{
    if (!operand_ok(x, NN_F32, 0, NN_MAX_RANK, op->name, at))
        return value_failed;
    const struct attr attr = {.a = a, .b = b};
    return node_add(x.graph, op, node_of(x)->shape, NN_F32, attr, 1, &x, at);
}

/* ------------------------------------------------------------------- scale */

static void run_scale(const struct step *s, const struct crew *crew)
{
    const struct range r = share_elements(s, crew);
    const float *x = s->in[0];
    float *y = s->out;
    kn->scale_f32(r.to - r.from, s->node->attr.a, x + r.from, y + r.from);
}

static void grad_scale(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const struct attr attr = {.a = g->node[id].attr.a};
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_scale, id, attr, dy);
}

nn_value nn_scale_(nn_value x, float c, const char *at) { return apply(x, &op_scale, c, 0, at); }

const struct op op_scale = {
    .name = "scale",
    .flags = OP_IN_PLACE | OP_ANY_LAYOUT,
    .grad = grad_scale,
    .run = run_scale,
};

/* ------------------------------------------------------------------ offset */

static void run_offset(const struct step *s, const struct crew *crew)
{
    const struct range r = share_elements(s, crew);
    const float *x = s->in[0];
    float *y = s->out;
    kn->offset_f32(r.to - r.from, s->node->attr.a, x + r.from, y + r.from);
}

static void grad_offset(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    if (grad_wanted(g, id, 0))
        dx[0] = dy;
}

nn_value nn_offset_(nn_value x, float c, const char *at) { return apply(x, &op_offset, c, 0, at); }

const struct op op_offset = {
    .name = "offset",
    .flags = OP_IN_PLACE | OP_ANY_LAYOUT,
    .grad = grad_offset,
    .run = run_offset,
};

/* -------------------------------------------------------------------- tanh */

static void run_tanh(const struct step *s, const struct crew *crew)
{
    const struct range r = share_elements(s, crew);
    const struct attr *k = &s->node->attr;
    const float *x = s->in[0];
    float *y = s->out;
    kn->tanh_f32(r.to - r.from, k->a, k->b, x + r.from, y + r.from);
}

static void run_tanh_grad(const struct step *s, const struct crew *crew)
{
    const struct range r = share_elements(s, crew);
    const struct attr *k = &s->node->attr;
    const float *y = s->in[0], *dy = s->in[1];
    float *dx = s->out;
    kn->tanh_grad_f32(r.to - r.from, k->a, k->b, y + r.from, dy + r.from, dx + r.from);
}

static void grad_tanh(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const struct attr attr = {.a = g->node[id].attr.a, .b = g->node[id].attr.b};
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_tanh_grad, id, attr, value_of(g, id), dy);
}

static double flops_tanh(const struct nn_graph *g, const struct node *n)
{
    return (void)g, 3.0 * (double)shape_elements(&n->shape);
}

static double flops_tanh_grad(const struct nn_graph *g, const struct node *n)
{
    return (void)g, 4.0 * (double)shape_elements(&n->shape);
}

nn_value nn_tanh_(nn_value x, const char *at) { return apply(x, &op_tanh, 1.0f, 1.0f, at); }

const struct op op_tanh = {
    .name = "tanh",
    .flags = OP_IN_PLACE | OP_ANY_LAYOUT,
    .grad = grad_tanh,
    .flops = flops_tanh,
    .run = run_tanh,
};

const struct op op_tanh_grad = {
    .name = "tanh_grad",
    .flags = OP_IN_PLACE | OP_ANY_LAYOUT,
    .flops = flops_tanh_grad,
    .run = run_tanh_grad,
};

/* --------------------------------------------------------------- stop_grad */

nn_value nn_stop_grad_(nn_value x, const char *at) { return apply(x, &op_stop_grad, 0, 0, at); }

const struct op op_stop_grad = {
    .name = "stop_grad",
    .flags = OP_VIEW | OP_ANY_LAYOUT | OP_NO_GRAD,
};
