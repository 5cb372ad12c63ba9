/* parts.c — concatenation without copying.
 *
 * A concatenation along the last axis in memory, of images the channels, is a matrix with its
 * pieces as columns side by side. A piece whose op can leave room between its rows is written
 * there at once, and nothing is left of the concatenation but the memory. A slice along that axis,
 * as the gradient of such a concatenation consists of, is columns of a matrix that exists: it stays
 * there if all who read it can step over what lies between.
 *
 *     node.whole   the node whose memory it is: the concatenation, or what the slice is cut from
 *     node.offset  the first float in it
 *     node.ld      floats from row to row of the whole
 *
 * Ops say what they can: op.reads_apart, op.writes_apart. Who reads a piece that lies apart must
 * be able to; a piece that is no such case is copied as ever, beside the others. This pass is
 * the last one: no node moves any more. */
#include "graph/graph.h"

#include <stdlib.h>

/* Along which a matrix of rows is cut into columns. */
static bool is_last_in_memory(const struct node *n)
{
    const int rank = shape_rank(&n->shape);
    return n->type == NN_F32 && n->layout == PLAIN && n->attr.axis == (rank == 4 ? 1 : rank - 1);
}

/* A concatenation that joins something else than rows copies blocks of several rows. */
static bool reads_apart(const struct node *n, int k)
{
    return (n->op->reads_apart >> k & 1) && (n->op != &op_concat || is_last_in_memory(n));
}

/* May a node's rows lie apart, as far as its readers and the program's are concerned? Malloc'ed. */
static bool *find_open(const struct nn_graph *g)
{
    int *uses = graph_uses(g);
    bool *open = xmalloc((size_t)g->nodes * sizeof *open);
    for (int i = 0; i < g->nodes; i++)
        for (int k = 0; k < g->node[i].inputs; k++)
            uses[g->node[i].in[k]] -= reads_apart(&g->node[i], k);
    for (int i = 0; i < g->nodes; i++)
        open[i] = uses[i] == 0;
    free(uses);
    return open;
}

static bool can_be_piece(const struct node *n)
{
    return n->whole < 0 && n->grad_of < 0 && n->op->writes_apart && n->op->writes_apart(n);
}

static void place_pieces(struct nn_graph *g, int id, const bool *open)
{
    const struct node *n = &g->node[id];
    if (n->op != &op_concat || n->grad_of >= 0 || !is_last_in_memory(n))
        return;
    size_t at = 0;
    for (int k = 0; k < n->inputs; k++) {
        struct node *piece = &g->node[n->in[k]];
        if (open[n->in[k]] && can_be_piece(piece)) {
            piece->whole = id;
            piece->offset = at;
            piece->ld = shape_row(&n->shape);
        }
        at += shape_row(&piece->shape);
    }
}

static void leave_slice(struct nn_graph *g, int id, const bool *open)
{
    struct node *n = &g->node[id];
    if (n->op != &op_slice || n->grad_of >= 0 || !open[id] || !is_last_in_memory(n))
        return;
    const struct node *from = &g->node[n->in[0]];
    if (from->ld || (from->op->flags & OP_LEAF))
        return;
    n->whole = n->in[0];
    n->offset = (size_t)n->attr.from;
    n->ld = shape_row(&from->shape);
}

void graph_place_parts(struct nn_graph *g)
{
    bool *open = find_open(g);
    for (int i = 0; i < g->nodes; i++)
        place_pieces(g, i, open);
    for (int i = 0; i < g->nodes; i++)
        leave_slice(g, i, open);
    free(open);
}
