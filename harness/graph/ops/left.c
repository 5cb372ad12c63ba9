/* left.c — a gradient that another node has left behind its forward node's output.
 *
 * A node has one output; one that makes several gradients at once keeps the others in the memory
 * behind the forward node's (attr.behind), and a node of this kind takes each from there, attr.from
 * floats on. Inputs: the node that made it, for the order's sake, and the forward node. */
#include "graph/ops/oplib.h"

static void run(const struct step *s, const struct crew *crew)
{
    const float *from = record_at(s->in_node[1], s->in[1]) + s->node->attr.from;
    const size_t n = shape_elements(&s->node->shape);
    copy_blocks(crew, 1, n, from, n, s->out, n);
}

static double flops(const struct nn_graph *g, const struct node *n)
{
    return (void)g, (void)n, 0.0;
}

static double bytes(const struct nn_graph *g, const struct node *n)
{
    return (void)g, 8.0 * (double)shape_elements(&n->shape);
}

nn_value left_behind(nn_value made, nn_value y, int like, size_t from)
{
    const struct attr attr = {.from = (int)from};
    return EMIT(y.graph, &op_left, like, attr, made, y);
}

const struct op op_left = {
    .name = "left",
    .flops = flops,
    .bytes = bytes,
    .run = run,
};
