/* dropout.c — Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov: Dropout. JMLR 15, 2014;
 * Huang, Sun, Liu, Sedra, Weinberger: Deep Networks with Stochastic Depth. ECCV 2016.
 *
 *     dropout    y = m x / (1 - p)     dx = m dy / (1 - p)     m = 0 with probability p = attr.a
 *     drop_path  the same with one m for each sample           (axis 0), else 1
 *
 * in the inverted form, which leaves evaluation a plain copy. The mask is never
 * stored: element i of it is number i of a stream that belongs to the node and the
 * step, so the gradient, the same operation on dy with the same stream, draws it
 * anew, and any number of threads draws the same one. Lanes have sixteen samples side
 * by side: drop_path takes its images plain. */
#include <string.h>

#include "base/rng.h"
#include "graph/ops/oplib.h"

static void run(const struct step *s, const struct crew *crew)
{
    const struct range r = share_elements(s, crew);
    const struct attr *k = &s->node->attr;
    const float *x = s->in[0];
    float *y = s->out;
    if (s->state->training)
        kn->dropout_f32(r.to - r.from, r.from, s->state->seed, k->stream + s->state->steps, k->a,
                        x + r.from, y + r.from);
    else if (x != y)
        memcpy(y + r.from, x + r.from, (r.to - r.from) * sizeof *y);
}

/* What sample i is multiplied by. */
static float kept(const struct step *s, size_t i)
{
    const struct attr *k = &s->node->attr;
    float u;
    if (!s->state->training)
        return 1.0f;
    kn->uniform_f32(1, i, s->state->seed, k->stream + s->state->steps, 0.0f, 1.0f, &u);
    return u < k->a ? 0.0f : 1.0f / (1.0f - k->a);
}

static void run_path(const struct step *s, const struct crew *crew)
{
    const size_t sample = shape_elements(&s->node->shape) / (size_t)s->node->shape.dim[0];
    const struct range r = share_elements(s, crew);
    const float *x = s->in[0];
    float *y = s->out;
    for (size_t i = r.from, n; i < r.to; i += n) {
        n = least(sample - i % sample, r.to - i);
        kn->scale_f32(n, kept(s, i / sample), x + i, y + i); /* also by 0: NaN shows */
    }
}

/* The same numbers for dy. */
static void derive(struct nn_graph *g, int id, const struct op *op, nn_value dy,
                   nn_value dx[NODE_INPUTS])
{
    const struct attr attr = {.a = g->node[id].attr.a, .stream = g->node[id].attr.stream};
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, op, id, attr, dy);
}

static void grad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    derive(g, id, &op_dropout, dy, dx);
}

static void grad_path(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    derive(g, id, &op_drop_path, dy, dx);
}

static nn_value apply(nn_value x, float p, const struct op *op, int least_rank, const char *at)
{
    if (!operand_ok(x, NN_F32, least_rank, NN_MAX_RANK, op->name, at))
        return value_failed;
    if (!(p >= 0.0f && p < 1.0f))
        return graph_fail(x.graph, at, op->name, "p is %g, wanted 0 <= p < 1", (double)p);
    /* The low half counts steps, the high half tells the nodes of a graph apart. */
    const uint64_t node = (uint64_t)(uint32_t)x.graph->nodes << 32;
    const struct attr attr = {.a = p, .stream = rng_stream(op->name) ^ node};
    return node_add(x.graph, op, node_of(x)->shape, NN_F32, attr, 1, &x, at);
}

nn_value nn_dropout_(nn_value x, float p, const char *at)
{
    return apply(x, p, &op_dropout, 0, at);
}

nn_value nn_drop_path_(nn_value x, float p, const char *at)
{
    return apply(x, p, &op_drop_path, 1, at);
}

const struct op op_dropout = {
    .name = "dropout",
    .flags = OP_IN_PLACE | OP_ANY_LAYOUT,
    .grad = grad,
    .run = run,
};

const struct op op_drop_path = {
    .name = "drop_path",
    .flags = OP_IN_PLACE,
    .grad = grad_path,
    .run = run_path,
};
