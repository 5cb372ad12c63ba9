/* rewrite.c — what the passes share: who uses a node, redirecting uses,
 * sweeping away nodes that nothing needs, and putting them into another order.
 *
 * Nodes stay in topological order throughout. A pass that replaces node a by an
 * earlier node b redirects a's users to b and leaves a behind, dead; the sweep
 * at the end compacts the array. */
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

bool node_is_view(const struct nn_graph *g, const struct node *n)
{
    return n->op->is_view ? n->op->is_view(g, n) : (n->op->flags & OP_VIEW) != 0;
}

int graph_output(const struct nn_graph *g)
{
    if (g->output >= 0)
        return g->output;
    const int judged = g->metrics ? g->metric[0].node : g->loss;
    return judged >= 0 && g->node[judged].inputs ? g->node[judged].in[0] : -1;
}

/* Calls visit for every place outside of nodes that refers to a node. */
static void each_result(struct nn_graph *g, void (*visit)(int *id, void *arg), void *arg)
{
    if (g->loss >= 0)
        visit(&g->loss, arg);
    for (int i = 0; i < g->metrics; i++)
        visit(&g->metric[i].node, arg);
    for (int i = 0; i < g->assigns; i++) {
        visit(&g->assign[i].param, arg);
        visit(&g->assign[i].value, arg);
    }
    if (g->output >= 0)
        visit(&g->output, arg);
    for (int i = 0; i < g->shows; i++)
        visit(&g->show[i].node, arg);
    for (int i = 0; i < g->givens; i++)
        visit(&g->given[i], arg);
}

static void count_one(int *id, void *arg) { ((int *)arg)[*id]++; }

static void map_one(int *id, void *arg) { *id = ((const int *)arg)[*id]; }

int *graph_uses(const struct nn_graph *g)
{
    int *uses = xcalloc((size_t)g->nodes, sizeof *uses);
    for (int i = 0; i < g->nodes; i++) {
        const struct node *n = &g->node[i];
        for (int k = 0; k < n->inputs; k++)
            uses[n->in[k]]++;
        uses[i] += n->grad_of >= 0;
    }
    each_result((struct nn_graph *)g, count_one, uses); /* count_one() changes nothing */
    if (graph_output(g) >= 0)
        uses[graph_output(g)]++;
    return uses;
}

void graph_redirect(struct nn_graph *g, const int *to)
{
    for (int i = 0; i < g->nodes; i++) {
        struct node *n = &g->node[i];
        for (int k = 0; k < n->inputs; k++)
            n->in[k] = to[n->in[k]];
    }
    graph_renumber_results(g, to);
}

void graph_renumber_results(struct nn_graph *g, const int *to)
{
    each_result(g, map_one, (void *)to); /* map_one() only reads it */
}

static bool is_dropout(const struct node *n)
{
    return n->op == &op_dropout || n->op == &op_drop_path;
}

/* They are the identity outside of training. */
void graph_drop_dropout(struct nn_graph *g)
{
    int *to = xmalloc((size_t)g->nodes * sizeof *to);
    for (int i = 0; i < g->nodes; i++)
        to[i] = is_dropout(&g->node[i]) ? to[g->node[i].in[0]] : i;
    graph_redirect(g, to);
    free(to);
}

static void mark_one(int *id, void *arg) { ((bool *)arg)[*id] = true; }

static bool is_interface(const struct node *n)
{
    return n->op == &op_input || n->op == &op_param || n->op == &op_buffer || n->grad_of >= 0;
}

/* Inputs, parameters and buffers stay even when unused: they are the program's interface. */
static void mark_needed(struct nn_graph *g, bool *needed)
{
    each_result(g, mark_one, needed);
    for (int i = g->nodes; i-- > 0;) {
        const struct node *n = &g->node[i];
        needed[i] |= is_interface(n);
        for (int k = 0; needed[i] && k < n->inputs; k++)
            needed[n->in[k]] = true;
    }
}

void graph_sweep(struct nn_graph *g)
{
    bool *needed = xcalloc((size_t)g->nodes, sizeof *needed);
    int *to = xmalloc((size_t)g->nodes * sizeof *to);
    mark_needed(g, needed);
    int kept = 0;
    for (int i = 0; i < g->nodes; i++)
        to[i] = needed[i] ? kept++ : -1;
    for (int i = 0; i < g->nodes; i++) {
        if (!needed[i])
            continue;
        struct node *n = &g->node[to[i]];
        *n = g->node[i];
        for (int k = 0; k < n->inputs; k++)
            n->in[k] = to[n->in[k]];
        n->grad_of = n->grad_of < 0 ? -1 : to[n->grad_of];
        n->forward = to[n->forward] < 0 ? to[i] : to[n->forward]; /* fused into its own gradient */
    }
    g->nodes = kept;
    graph_renumber_results(g, to);
    free(needed);
    free(to);
}

/* Where nodes are now: what the next ones read of them, and the first of two. */
struct moves {
    int *to, *first;
};

static void append(struct nn_graph *g, const struct node *n, const struct moves *moves)
{
    struct node *copy = &g->node[g->nodes++];
    *copy = *n;
    for (int k = 0; k < n->inputs; k++)
        copy->in[k] = moves->to[n->in[k]];
    copy->forward = moves->first[n->forward];
    copy->grad_of = n->grad_of < 0 ? -1 : moves->first[n->grad_of];
}

void graph_arrange(struct nn_graph *g, const int *order, int count)
{
    const size_t nodes = (size_t)g->nodes;
    struct node *const old = g->node;
    const struct moves moves = {xmalloc(nodes * sizeof(int)), xmalloc(nodes * sizeof(int))};
    memset(moves.first, -1, nodes * sizeof(int));
    g->room = count;
    g->node = xmalloc((size_t)count * sizeof *g->node);
    g->nodes = 0;
    for (int i = 0; i < count; i++) {
        const int id = order[i], place = g->nodes;
        moves.to[id] = place;
        if (moves.first[id] < 0)
            moves.first[id] = place;
        append(g, &old[id], &moves);
        if (moves.first[id] < place)
            g->node[place].pass = BACKWARD;
    }
    graph_renumber_results(g, moves.first);
    free(old);
    free(moves.to);
    free(moves.first);
}
