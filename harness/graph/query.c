/* query.c — what a graph tells before it is a program: which images it wants, and how many
 * classes it tells apart. The harness looks for data by that. */
#include <string.h>

#include "graph/graph.h"

struct nn_shape graph_input(const struct nn_graph *g, const char *name)
{
    struct nn_shape shape = {{0}};
    for (int i = 0; i < g->nodes; i++) {
        const struct node *n = &g->node[i];
        if (n->op != &op_input || !n->name || strcmp(n->name, name) != 0)
            continue;
        for (int k = 0; k < NN_MAX_RANK && n->shape.dim[k + 1]; k++)
            shape.dim[k] = n->shape.dim[k + 1];
    }
    return shape;
}

int graph_classes(const struct nn_graph *g)
{
    const int output = graph_output(g);
    const int rank = output < 0 ? 0 : shape_rank(&g->node[output].shape);
    return rank ? g->node[output].shape.dim[rank - 1] : 0;
}
