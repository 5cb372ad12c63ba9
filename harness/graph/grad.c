/* grad.c — reverse-mode differentiation, as ordinary nodes.
 *
 * From the loss backwards, each node's op appends the nodes that carry the
 * gradient dy of its output on to its inputs. A value that was read several times
 * gets the sum of what its readers send. Nothing is appended where no parameter
 * is upstream (node.wants_grad). The node that ends up holding a parameter's
 * gradient is marked grad_of and will be written straight into the gradient block.
 *
 * Invariant: a gradient has the shape and the layout of the value it belongs to. */
#include "graph/graph.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What the readers of a forward node have sent so far; -1: nothing. A node whose second result alone
 * was read (attr.also) gets no dy. */
struct sums {
    int *id;
};

/* The nodes that follow are node `id`'s gradient. */
static void enter(struct nn_graph *g, int id)
{
    memcpy(g->row, g->node[id].row, sizeof g->row);
    g->pass = BACKWARD;
    g->forward = id;
}

static bool same_kind(const struct node *a, const struct node *b)
{
    return shape_equal(&a->shape, &b->shape) && a->layout == b->layout;
}

static void send(struct nn_graph *g, struct sums *s, int id, nn_value d)
{
    assert(d.graph == g && same_kind(node_of(d), &g->node[id]));
    if (s->id[id] < 0) {
        s->id[id] = d.id;
        return;
    }
    enter(g, id);
    s->id[id] = NODE(g, &op_add, g->node[id].shape, (struct attr){0}, value_of(g, s->id[id]), d).id;
}

static bool reads_also(const struct node *n) { return n->attr.also[0] || n->attr.also[1]; }

static void differentiate(struct nn_graph *g, int id, struct sums *s)
{
    const struct op *op = g->node[id].op;
    if (op->flags & (OP_LEAF | OP_NO_GRAD))
        return;
    assert(op->grad);
    nn_value dx[NODE_INPUTS];
    for (int i = 0; i < NODE_INPUTS; i++)
        dx[i] = value_failed;
    enter(g, id);
    op->grad(g, id, value_of(g, s->id[id]), dx);
    for (int i = 0; i < g->node[id].inputs; i++)
        if (dx[i].id >= 0 && grad_wanted(g, id, i))
            send(g, s, g->node[id].in[i], dx[i]);
}

/* A node of its own with the value of `id`: c x with c = 1. */
static int copy_of(struct nn_graph *g, int id)
{
    return NODE(g, &op_scale, g->node[id].shape, (struct attr){.a = 1.0f}, value_of(g, id)).id;
}

/* Can the node write into a place chosen by us, and by nobody else? */
static bool owns_memory(const struct nn_graph *g, int id)
{
    const struct node *n = &g->node[id];
    return !(n->op->flags & OP_LEAF) && n->grad_of < 0 && n->pass == BACKWARD &&
           !node_is_view(g, n);
}

static void mark_gradient(struct nn_graph *g, int param, int grad)
{
    enter(g, param);
    if (!owns_memory(g, grad))
        grad = copy_of(g, grad);
    g->node[grad].grad_of = param;
}

/* All assignments read before any writes: a value that is a parameter, or a view of one, is
 * copied. */
static void own_assigned_values(struct nn_graph *g)
{
    g->pass = UPDATE;
    for (int i = 0; i < g->assigns; i++) {
        int home = g->assign[i].value;
        while (node_is_view(g, &g->node[home]))
            home = g->node[home].in[0];
        g->forward = g->assign[i].param;
        if (g->node[home].op->flags & OP_LEAF)
            g->assign[i].value = copy_of(g, g->assign[i].value);
    }
    g->pass = FORWARD;
    g->forward = -1;
}

bool graph_derive(struct nn_graph *g)
{
    own_assigned_values(g);
    const int forwards = g->nodes;
    if (g->loss < 0)
        return true; /* another learning rule */
    struct sums s = {xmalloc((size_t)forwards * sizeof *s.id)};
    memset(s.id, -1, (size_t)forwards * sizeof *s.id);

    enter(g, g->loss);
    s.id[g->loss] =
        node_add(g, &op_constant, NN_SCALAR, NN_F32, (struct attr){.init = NN_ONES}, 0, NULL, NULL)
            .id;
    for (int id = g->loss; id >= 0 && !g->error[0]; id--)
        if ((s.id[id] >= 0 || reads_also(&g->node[id])) && g->node[id].wants_grad)
            differentiate(g, id, &s);
    for (int id = 0; id < forwards && !g->error[0]; id++)
        if (g->node[id].op == &op_param && s.id[id] >= 0)
            mark_gradient(g, id, s.id[id]);

    g->pass = FORWARD;
    g->forward = -1;
    free(s.id);
    return !g->error[0];
}
