/* recompute.c — normalised activations, made again instead of kept.
 *
 * What the backward pass needs decides how much memory a deep network takes. Of a convolution
 * with batch norm it needs two images: the convolution's output x, which the norm's gradient reads,
 * and the normalised y, which the next convolution's gradient by weights reads. y is one cheap
 * pass over x, so it is dropped after the forward pass and made again just before that gradient,
 * and then x is in the cache when the norm's own gradient asks for it (Chen et al. 2016: Training
 * deep nets with sublinear memory cost; Bulo et al. 2018 do the same to this very pair).
 *
 * Where that costs no time: y's reader computes so much that one more pass does not count, and both
 * images are small enough for x to be still in the last cache afterwards. Measured, elsewhere it
 * costs one to six percent of a step. A y with a residual stays: it is made from the y of the
 * block before. */
#include "graph/graph.h"

#include <stdlib.h>

enum {
    NONE = -1,
    LEAST = 1 << 18, /* floats: smaller ones are not worth a barrier */
    MOST = 3 << 20,  /* x, y and dy of so many fit into 32 MiB together */
    WORK = 128,      /* multiply-adds of the reader for each float of y */
};

struct readers {
    bool forward;
    int first; /* of the backward pass, or NONE */
};

static struct readers *find_readers(const struct nn_graph *g)
{
    struct readers *r = xmalloc((size_t)g->nodes * sizeof *r);
    for (int i = 0; i < g->nodes; i++)
        r[i] = (struct readers){false, NONE};
    for (int i = g->nodes; i-- > 0;)
        for (int k = 0; k < g->node[i].inputs; k++)
            if (g->node[i].pass == BACKWARD)
                r[g->node[i].in[k]].first = i;
            else
                r[g->node[i].in[k]].forward = true;
    return r;
}

/* Is node `id` read by node `from` or a later one? */
static bool is_read_from(const struct nn_graph *g, int id, int from)
{
    for (int i = from; i < g->nodes; i++)
        for (int k = 0; k < g->node[i].inputs; k++)
            if (g->node[i].in[k] == id)
                return true;
    return false;
}

static bool is_worth(const struct nn_graph *g, const struct node *n, const struct readers *r)
{
    const size_t elements = shape_elements(&n->shape);
    if (n->op != &op_batch_norm || n->pass != FORWARD || n->attr.residual_in || !r->forward ||
        r->first == NONE || elements < LEAST || elements > MOST)
        return false;
    const struct node *reader = &g->node[r->first];
    return reader->op->macs && reader->op->macs(g, reader) >= WORK * (double)elements &&
           is_read_from(g, n->in[0], r->first);
}

/* Where nodes are made again: at[i] is the reader before which node i is, or NONE. */
static int *choose(const struct nn_graph *g, int *count)
{
    struct readers *r = find_readers(g);
    int *at = xmalloc((size_t)g->nodes * sizeof *at);
    for (int i = 0; i < g->nodes; i++) {
        at[i] = is_worth(g, &g->node[i], &r[i]) ? r[i].first : NONE;
        *count += at[i] != NONE;
    }
    free(r);
    return at;
}

void graph_recompute(struct nn_graph *g)
{
    int again = 0, count = 0;
    int *at = choose(g, &again);
    int *order = xmalloc((size_t)(g->nodes + again) * sizeof *order);
    for (int i = 0; i < g->nodes; i++) {
        for (int k = 0; again && k < i; k++)
            if (at[k] == i)
                order[count++] = k;
        order[count++] = i;
    }
    if (again)
        graph_arrange(g, order, count);
    free(order);
    free(at);
}
