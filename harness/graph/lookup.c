/* lookup.c — a linear layer behind an embedding becomes an embedding of its results.
 *
 *     gather(t, i) w^T + b  =  gather(t w^T + b, i)
 *
 * Where the table has fewer rows than places ask for one, the right side multiplies less:
 * 65 characters instead of 64 x 64 places in a batch of a character model, in all three
 * products, for the gradient then sums the places' dy by row before it multiplies. The
 * same numbers come out, but for the order of some sums. */
#include "graph/graph.h"

#include <stdlib.h>

enum { TABLE, INDEX };

/* Only then is the sum by row, which replaces two of the products, a small part of them. */
static bool pays(const struct nn_graph *g, const struct node *gather)
{
    enum { FEWER = 2 };
    const size_t rows = (size_t)g->node[gather->in[TABLE]].shape.dim[0];
    return rows * FEWER <= shape_rows(&gather->shape);
}

/* A layer that takes a part of w's columns has its gradient made elsewhere, from the places. */
static bool has_whole_weight(const struct nn_graph *g, const struct node *linear)
{
    return shape_last(&g->node[linear->in[1]].shape) == shape_last(&g->node[linear->in[0]].shape);
}

static bool is_pair(const struct nn_graph *g, const int *uses, int id)
{
    const struct node *linear = &g->node[id];
    if (linear->op != &op_linear || linear->attr.residual_in || linear->attr.act ||
        !has_whole_weight(g, linear))
        return false;
    const struct node *gather = &g->node[linear->in[0]];
    return gather->op == &op_gather && uses[linear->in[0]] == 1 && pays(g, gather);
}

/* Node `id` and its input change places. */
static void swap(struct nn_graph *g, int id)
{
    const int first = g->node[id].in[0];
    struct node gather = g->node[first], linear = g->node[id];
    const struct nn_shape results = linear.shape;
    linear.in[0] = gather.in[TABLE];
    linear.shape = g->node[gather.in[TABLE]].shape;
    linear.shape.dim[1] = (int)shape_last(&results);
    linear.forward = first;
    gather.in[TABLE] = first;
    gather.shape = results;
    gather.wants_grad = linear.wants_grad;
    gather.forward = id;
    g->node[first] = linear;
    g->node[id] = gather;
}

/* The product now stands where the embedding did, perhaps before the weights that it reads. */
static void move_behind_inputs(struct nn_graph *g, const bool *moved, const int *behind)
{
    int *order = xmalloc((size_t)g->nodes * sizeof *order), count = 0;
    for (int i = 0; i < g->nodes; i++) {
        if (behind[i] >= 0)
            order[count++] = behind[i];
        if (!moved[i])
            order[count++] = i;
    }
    graph_arrange(g, order, count);
    free(order);
}

void graph_look_up_products(struct nn_graph *g)
{
    const size_t nodes = (size_t)g->nodes;
    int *uses = graph_uses(g), *behind = xmalloc(nodes * sizeof *behind), found = 0;
    bool *moved = xcalloc(nodes, sizeof *moved);
    for (int i = 0; i < g->nodes; i++) {
        behind[i] = -1;
        if (!is_pair(g, uses, i))
            continue;
        behind[i] = g->node[i].in[0];
        moved[behind[i]] = true;
        swap(g, i);
        found++;
    }
    if (found)
        move_behind_inputs(g, moved, behind);
    free(uses);
    free(behind);
    free(moved);
}
