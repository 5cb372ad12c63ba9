/* dropout.c — Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov: Dropout. JMLR 15, 2014.
 *
 *     y = m x / (1 - p)     dx = m dy / (1 - p)     m = 0 with probability p = attr.a, else 1
 *
 * in the inverted form, which leaves evaluation a plain copy. The mask is never
 * stored: element i of it is number i of a stream that belongs to the node and the
 * step, so the gradient, the same operation on dy with the same stream, draws it
 * anew, and any number of threads draws the same one. */
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

static void grad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const struct attr attr = {.a = g->node[id].attr.a, .stream = g->node[id].attr.stream};
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_dropout, id, attr, dy);
}

nn_value nn_dropout_(nn_value x, float p, const char *at)
{
    if (!operand_ok(x, NN_F32, 0, NN_MAX_RANK, "dropout", at))
        return value_failed;
    if (!(p >= 0.0f && p < 1.0f))
        return graph_fail(x.graph, at, "dropout", "p is %g, wanted 0 <= p < 1", (double)p);
    /* The low half counts steps, the high half tells the nodes of a graph apart. */
    const uint64_t node = (uint64_t)(uint32_t)x.graph->nodes << 32;
    const struct attr attr = {.a = p, .stream = rng_stream("dropout") ^ node};
    return node_add(x.graph, &op_dropout, node_of(x)->shape, NN_F32, attr, 1, &x, at);
}

const struct op op_dropout = {
    .name = "dropout",
    .flags = OP_IN_PLACE | OP_ANY_LAYOUT,
    .grad = grad,
    .run = run,
};
