/* pool.c — windows over images: the largest element, or the sum.
 *
 *     max_pool  y[n,c,i,j] = max of x over the window    dx: dy, to the first element that
 *                                                            equals y, window by window
 *     sum_pool  y[n,c,i,j] = f sum of x over the window  dx: f dy, to every element
 *
 * [N,C,H,W] -> [N,C,H',W'], H' = (H + 2 pad - kernel) / stride + 1, rounded down, or up with
 * `ceil`, as Caffe does: then the last window may hang over, but begins inside of the image or
 * its left padding. f = attr.a is 1, or 1 / kernel^2 for nn_avg_pool(), which therefore counts
 * padding, and what hangs over, as zeros. Windows
 * overlap when stride < kernel (Krizhevsky 2012). In lanes an image has 16 C channels
 * and there are N/16 of them, which is all that the kernels need to know. */
#include "graph/ops/oplib.h"

static struct kn_pool pool_of(const struct node *x, const struct node *y, const struct attr *a)
{
    const int lanes = x->layout == LANES ? KN_LANES : 1;
    const int32_t *in = x->shape.dim, *out = y->shape.dim;
    return (struct kn_pool){
        .N = in[0] / lanes,
        .C = in[1] * lanes,
        .H = in[2],
        .W = in[3],
        .OH = out[2],
        .OW = out[3],
        .kernel_h = a->kernel,
        .kernel_w = a->kernel,
        .stride = a->stride,
        .pad = a->pad,
    };
}

static void run_max_pool(const struct step *s, const struct crew *crew)
{
    const struct kn_pool p = pool_of(s->in_node[0], s->node, &s->node->attr);
    const struct range r = share_of(crew, (size_t)p.N * (size_t)p.OH, 1);
    kn->max_pool_f32(&p, r.from, r.to, s->in[0], s->out);
}

static void run_sum_pool(const struct step *s, const struct crew *crew)
{
    const struct kn_pool p = pool_of(s->in_node[0], s->node, &s->node->attr);
    const struct range r = share_of(crew, (size_t)p.N * (size_t)p.OH, 1);
    kn->sum_pool_f32(&p, s->node->attr.a, r.from, r.to, s->in[0], s->out);
}

static void run_max_pool_grad(const struct step *s, const struct crew *crew)
{
    const struct kn_pool p = pool_of(s->node, s->in_node[1], &s->node->attr);
    const struct range r = share_of(crew, (size_t)p.N, 1);
    kn->max_pool_grad_f32(&p, r.from, r.to, s->in[0], s->in[1], s->in[2], s->out);
}

static void run_sum_pool_grad(const struct step *s, const struct crew *crew)
{
    const struct kn_pool p = pool_of(s->node, s->in_node[0], &s->node->attr);
    const struct range r = share_of(crew, (size_t)p.N, 1);
    kn->sum_pool_grad_f32(&p, s->node->attr.a, r.from, r.to, s->in[0], s->out);
}

/* ---------------------------------------------------------------- gradient */

static void grad_max_pool(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const struct attr attr = attr_unfused(&g->node[id].attr);
    const nn_value x = in_of(g, id, 0);
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_max_pool_grad, x.id, attr, x, value_of(g, id), dy);
}

static void grad_sum_pool(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const struct attr attr = attr_unfused(&g->node[id].attr);
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_sum_pool_grad, g->node[id].in[0], attr, dy);
}

/* Windows of a pooling step times the elements of each; forward: n is the output. */
static double flops_forward(const struct nn_graph *g, const struct node *n)
{
    (void)g;
    const double window = (double)n->attr.kernel * n->attr.kernel;
    return window * (double)shape_elements(&n->shape);
}

static double flops_backward(const struct nn_graph *g, const struct node *n)
{
    const struct node *dy = input_of(g, n, n->inputs - 1);
    const double window = (double)n->attr.kernel * n->attr.kernel;
    return window * (double)shape_elements(&dy->shape);
}

/* ------------------------------------------------------------ construction */

/* Windows along an axis of `size`; 0 if none fits. */
static int32_t windows(int32_t size, struct nn_pool_opts o, int stride)
{
    const int64_t room = (int64_t)size + 2 * (int64_t)o.pad - o.kernel,
                  usable = room + (o.ceil ? stride - 1 : 0);
    if (usable < 0)
        return 0;
    const int64_t n = usable / stride + 1;
    return (int32_t)(o.ceil && (n - 1) * stride >= (int64_t)size + o.pad ? n - 1 : n);
}

static nn_value apply(nn_value x, const struct op *op, struct nn_pool_opts o, bool mean,
                      const char *name, const char *at)
{
    if (!operand_ok(x, NN_F32, 4, 4, name, at))
        return value_failed;
    struct nn_graph *g = x.graph;
    struct nn_shape shape = node_of(x)->shape;
    char text[64];
    shape_text(&shape, g->batch, text);
    const int stride = o.stride ? o.stride : o.kernel;
    if (o.kernel < 1 || stride < 1 || o.pad < 0 || o.pad >= o.kernel)
        return graph_fail(g, at, name,
                          "kernel %d, stride %d, pad %d: wanted kernel >= 1, "
                          "stride >= 1 and 0 <= pad < kernel",
                          o.kernel, stride, o.pad);
    for (int axis = 2; axis < 4; axis++) {
        shape.dim[axis] = windows(shape.dim[axis], o, stride);
        if (!shape.dim[axis])
            return graph_fail(g, at, name, "a window of %d does not fit %s with pad %d", o.kernel,
                              text, o.pad);
    }
    const float window = (float)o.kernel * (float)o.kernel;
    const struct attr attr = {
        .kernel = o.kernel, .stride = stride, .pad = o.pad, .a = mean ? 1.0f / window : 1.0f};
    return node_add(g, op, shape, NN_F32, attr, 1, &x, at);
}

nn_value nn_max_pool_(nn_value x, struct nn_pool_opts o, const char *at)
{
    return apply(x, &op_max_pool, o, false, "max_pool", at);
}

nn_value nn_avg_pool_(nn_value x, struct nn_pool_opts o, const char *at)
{
    return apply(x, &op_sum_pool, o, true, "avg_pool", at);
}

nn_value nn_sum_pool_(nn_value x, struct nn_pool_opts o, const char *at)
{
    return apply(x, &op_sum_pool, o, false, "sum_pool", at);
}

const struct op op_max_pool = {
    .name = "max_pool",
    .grad = grad_max_pool,
    .flops = flops_forward,
    .run = run_max_pool,
};

const struct op op_max_pool_grad = {
    .name = "max_pool_grad",
    .flops = flops_backward,
    .run = run_max_pool_grad,
};

const struct op op_sum_pool = {
    .name = "sum_pool",
    .grad = grad_sum_pool,
    .flops = flops_forward,
    .run = run_sum_pool,
};

const struct op op_sum_pool_grad = {
    .name = "sum_pool_grad",
    .flops = flops_backward,
    .run = run_sum_pool_grad,
};
