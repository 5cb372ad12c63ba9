/* inside.c — updates where the gradient is made.
 *
 * The gradient of a fully connected layer's weights is a product of two thin matrices: it costs
 * little to make, much to write and to read again, and in a large classifier it is as large as
 * all the rest of a step's memory together. So it is never whole: each thread makes a piece that
 * stays in its cache, hands it to the update, and makes the next (ops/matmul.c, matmul_update;
 * Pudipeddi et al. 2020 and Lv et al. 2023 fuse the two for the same reason).
 *
 * A product becomes such an update if it alone is a large parameter's gradient; it moves behind
 * whoever else reads that parameter, as the gradient by data does. What the optimizer needs to know
 * of the whole gradient (its norm, for clipping) is not to be had then:
 * program_options.update_inside is the caller's word that it does not ask.
 *
 * Runs when nothing else will move. */
#include "graph/graph.h"

#include <stdlib.h>

enum {
    NONE = -1,
    LARGE = 1 << 20, /* floats: beyond the second cache with weights and moments */
    THIN = 256, /* rows of both matrices: beyond, making a gradient costs more than moving it */
};

static bool is_thin_product(const struct nn_graph *g, const struct node *n)
{
    const struct attr *a = &n->attr;
    return n->op == &op_matmul && n->inputs == 2 && shape_rank(&n->shape) == 2 && a->ta && !a->tb &&
           !a->act && !a->act_grad && shape_rows(&g->node[n->in[0]].shape) <= THIN;
}

/* The last node that reads each node's memory, through views too. Malloc'ed. */
static int *find_last_readers(const struct nn_graph *g)
{
    int *last = xcalloc((size_t)g->nodes, sizeof *last);
    for (int i = g->nodes; i-- > 0;) {
        const struct node *n = &g->node[i];
        const int until = node_is_view(g, n) && last[i] > i ? last[i] : i;
        for (int k = 0; k < n->inputs; k++)
            last[n->in[k]] = last[n->in[k]] > until ? last[n->in[k]] : until;
    }
    return last;
}

static bool is_assigned(const struct nn_graph *g, int param)
{
    for (int i = 0; i < g->assigns; i++)
        if (g->assign[i].param == param || g->assign[i].value == param)
            return true;
    return false;
}

/* The node behind which `id` may change the parameter whose gradient it is, or NONE. */
static int place_of(const struct nn_graph *g, int id, const int *last)
{
    const struct node *n = &g->node[id];
    const int param = n->grad_of;
    if (param < 0 || shape_elements(&n->shape) < LARGE || !is_thin_product(g, n) || last[id] ||
        is_assigned(g, param))
        return NONE;
    return last[param] > id ? last[param] : id;
}

static void make_update(struct node *n)
{
    n->op = &op_matmul_update;
    n->in[n->inputs++] = n->grad_of;
    n->grad_of = -1;
}

void graph_update_inside(struct nn_graph *g)
{
    int *last = find_last_readers(g), count = 0, updates = 0;
    int *at = xmalloc((size_t)g->nodes * sizeof *at),
        *order = xmalloc((size_t)g->nodes * sizeof *at);
    for (int i = 0; i < g->nodes; i++) {
        at[i] = place_of(g, i, last);
        updates += at[i] != NONE;
    }
    for (int i = 0; updates && i < g->nodes; i++) {
        if (at[i] == NONE || at[i] == i)
            order[count++] = i;
        for (int k = 0; k < i; k++)
            if (at[k] == i)
                order[count++] = k;
    }
    for (int i = 0; i < g->nodes; i++)
        if (at[i] != NONE)
            make_update(&g->node[i]);
    if (updates)
        graph_arrange(g, order, count);
    free(order);
    free(at);
    free(last);
}
