/* lrn.c — Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural
 * networks. NIPS 2012, section 3.3: local response normalisation, across channels.
 *
 *     lrn  y[n,c,i,j] = x[n,c,i,j] (k + alpha / size sum_c' x[n,c',i,j]^2)^-beta
 *
 * over the `size` channels around c. Formulas of the gradient and bounds: kernels/lrn_f32.c.
 * attr: kernel is size, a alpha, b beta, inner k. Plain images: a pixel is a row of channels. */
#include "graph/ops/oplib.h"

static struct kn_lrn lrn_of(const struct node *n)
{
    const struct attr *a = &n->attr;
    return (struct kn_lrn){
        .C = n->shape.dim[1], .size = a->kernel, .alpha = a->a, .beta = a->b, .k = a->inner};
}

static struct range share_pixels(const struct step *s, const struct crew *crew)
{
    return share_of(crew, shape_elements(&s->node->shape) / (size_t)s->node->shape.dim[1], 16);
}

static void run(const struct step *s, const struct crew *crew)
{
    const struct kn_lrn o = lrn_of(s->node);
    const struct range r = share_pixels(s, crew);
    const size_t first = r.from * (size_t)o.C;
    const float *x = s->in[0];
    float *y = s->out;
    kn->lrn_f32(&o, r.to - r.from, x + first, y + first);
}

static void run_grad(const struct step *s, const struct crew *crew)
{
    const struct kn_lrn o = lrn_of(s->node);
    const struct range r = share_pixels(s, crew);
    const size_t first = r.from * (size_t)o.C;
    const float *x = s->in[0], *dy = s->in[1];
    float *dx = s->out;
    kn->lrn_grad_f32(&o, r.to - r.from, x + first, dy + first, dx + first);
}

static void grad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const nn_value x = in_of(g, id, 0);
    const struct attr attr = g->node[id].attr;
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_lrn_grad, x.id, attr, x, dy);
}

static double flops(const struct nn_graph *g, const struct node *n)
{
    return (void)g, (2.0 * n->attr.kernel + 5.0) * (double)shape_elements(&n->shape);
}

static double flops_grad(const struct nn_graph *g, const struct node *n)
{
    return (void)g, (3.0 * n->attr.kernel + 10.0) * (double)shape_elements(&n->shape);
}

nn_value nn_lrn_(nn_value x, struct nn_lrn_opts o, const char *at)
{
    if (!operand_ok(x, NN_F32, 4, 4, "lrn", at))
        return value_failed;
    if (o.size < 1 || o.size > KN_LRN_MOST)
        return graph_fail(x.graph, at, "lrn", "size %d, wanted 1 to %d", o.size, KN_LRN_MOST);
    if (!(o.k > 0.0f && o.alpha >= 0.0f && o.beta >= 0.0f))
        return graph_fail(x.graph, at, "lrn", "k %g, alpha %g, beta %g: wanted k > 0, none below 0",
                          (double)o.k, (double)o.alpha, (double)o.beta);
    const struct attr attr = {.kernel = o.size, .a = o.alpha, .b = o.beta, .inner = o.k};
    return node_add(x.graph, &op_lrn, node_of(x)->shape, NN_F32, attr, 1, &x, at);
}

const struct op op_lrn = {
    .name = "lrn",
    .grad = grad,
    .flops = flops,
    .run = run,
};

const struct op op_lrn_grad = {
    .name = "lrn_grad",
    .flops = flops_grad,
    .run = run_grad,
};
