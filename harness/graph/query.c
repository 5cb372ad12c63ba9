/* query.c — what graph and data tell each other before there is a program: which images a network
 * wants and how many classes it tells apart, for the harness looks for data by that; and how many
 * different tokens and steps the data has, because layers are as large as that. */
#include <assert.h>
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

bool graph_stops_gradients(const struct nn_graph *g)
{
    bool stops = false;
    for (int i = 0; i < g->nodes; i++)
        stops |= g->node[i].op == &op_stop_grad && grad_wanted(g, i, 0);
    return stops;
}

/* ------------------------------------------------------------ facts of the data */

enum { FACTS = sizeof((struct nn_graph *)0)->facts / sizeof((struct nn_graph *)0)->facts[0] };

/* Where the facts of that input are; g->told if nothing is known of it. */
static int place_of(const struct nn_graph *g, const char *name)
{
    int i = 0;
    while (i < g->told && strcmp(g->facts[i].name, name) != 0)
        i++;
    return i;
}

static int place_for(struct nn_graph *g, const char *name)
{
    const int i = place_of(g, name);
    assert(i < FACTS);
    if (i == g->told)
        g->facts[g->told++].name = arena_strdup(g->arena, name);
    return i;
}

void graph_set_tokens(struct nn_graph *g, const char *name, int tokens)
{
    assert(tokens > 0);
    g->facts[place_for(g, name)].tokens = tokens;
}

void graph_set_length(struct nn_graph *g, const char *name, int steps)
{
    assert(steps > 0);
    g->facts[place_for(g, name)].length = steps;
}

int nn_tokens(struct nn_graph *g, const char *name, int fallback)
{
    if (!g)
        return fallback;
    const int known = place_of(g, name);
    if (known == FACTS) {
        (void)graph_fail(g, NULL, "tokens",
                         "'%s' is one input more than the %d that may be asked about", name, FACTS);
        return fallback;
    }
    const int i = place_for(g, name);
    g->facts[i].answered = g->facts[i].tokens ? g->facts[i].tokens : fallback;
    return g->facts[i].answered;
}

int graph_tokens(const struct nn_graph *g, const char *name)
{
    const int i = place_of(g, name);
    return i < g->told ? g->facts[i].answered : 0;
}

int nn_length(struct nn_graph *g, const char *name, int fallback)
{
    if (!g)
        return fallback;
    const int i = place_of(g, name);
    return i < g->told && g->facts[i].length ? g->facts[i].length : fallback;
}
