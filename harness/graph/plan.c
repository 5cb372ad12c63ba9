/* plan.c — see plan.h.
 *
 * Offsets are found greedily, the largest buffer first: it goes to the lowest
 * gap among those placed before it that are alive at the same time. Pisarchyk &
 * Lee: Efficient memory management for deep neural net inference. 2020. Their
 * comparison and ours find it within a few percent of the lower bound, which is the
 * most bytes ever alive at once. */
#include "graph/plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t rounded(size_t bytes) { return (bytes + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN; }

static void find_homes_and_steps(struct plan *plan, const struct nn_graph *g)
{
    for (int i = 0; i < g->nodes; i++) {
        const struct node *n = &g->node[i];
        const bool view = node_is_view(g, n);
        plan->home[i] = n->whole > i ? n->whole /* a piece of a concatenation to come */
                        : view       ? plan->home[n->in[0]]
                        : n->op->flags & OP_UPDATES ? plan->home[n->in[2]]
                                                    : i;
        plan->buffer[i] = -1;
        if (!view && !(n->op->flags & OP_LEAF))
            plan->step[plan->steps++] = i;
    }
}

/* Until when each home is read; `steps` is the end of the program. */
static void find_last_uses(const struct plan *plan, const struct nn_graph *g, int *last)
{
    memset(last, -1, (size_t)g->nodes * sizeof *last);
    for (int s = 0; s < plan->steps; s++) {
        const struct node *n = &g->node[plan->step[s]];
        last[plan->home[plan->step[s]]] = s; /* never read, still written */
        for (int k = 0; k < n->inputs; k++)
            last[plan->home[n->in[k]]] = s;
    }
    if (g->loss >= 0)
        last[plan->home[g->loss]] = plan->steps;
    for (int i = 0; i < g->metrics; i++)
        last[plan->home[g->metric[i].node]] = plan->steps;
    for (int i = 0; i < g->assigns; i++)
        last[plan->home[g->assign[i].value]] = plan->steps;
    if (g->output >= 0)
        last[plan->home[g->output]] = plan->steps;
    for (int i = 0; i < g->shows; i++)
        last[plan->home[g->show[i].node]] = plan->steps;
    for (int i = 0; i < g->givens; i++)
        last[plan->home[g->given[i]]] = plan->steps;
}

/* May node n, run at step s, overwrite its first input? Then that input's buffer is taken over. */
static int buffer_to_take_over(const struct plan *plan, const struct nn_graph *g,
                               const struct node *n, int s, const int *last)
{
    if (!(n->op->flags & OP_IN_PLACE) || n->inputs == 0 || n->ld || g->node[n->in[0]].ld)
        return -1;
    const int home = plan->home[n->in[0]], b = plan->buffer[home];
    if (b < 0 || last[home] != s || result_bytes(&g->node[home]) != result_bytes(n))
        return -1;
    for (int k = 1; k < n->inputs; k++) /* a part of it, read at another place */
        if (plan->home[n->in[k]] == home && n->in[k] != n->in[0])
            return -1;
    return b;
}

static void make_buffers(struct plan *plan, const struct nn_graph *g, const int *last)
{
    for (int s = 0; s < plan->steps; s++) {
        const int id = plan->step[s], home = plan->home[id];
        const struct node *n = &g->node[id];
        if (n->grad_of >= 0 || n->op->flags & OP_UPDATES || plan->buffer[home] >= 0)
            continue; /* in a block of its own, or born with the first piece */
        int b = buffer_to_take_over(plan, g, n, s, last);
        if (b < 0) {
            b = plan->count++;
            plan->buffers[b] = (struct program_buffer){
                .bytes = rounded(node_bytes(&g->node[home])), .born = s, .node = home};
        }
        plan->buffers[b].dies = last[home];
        plan->buffer[home] = b;
    }
    for (int i = 0; i < g->nodes; i++)
        plan->buffer[i] = plan->buffer[plan->home[i]];
}

/* ---------------------------------------------------------------- placing */

static int larger_first(const void *a, const void *b)
{
    const struct program_buffer *x = *(struct program_buffer *const *)a,
                                *y = *(struct program_buffer *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return (x->born > y->born) - (x->born < y->born);
}

static bool alive_together(const struct program_buffer *a, const struct program_buffer *b)
{
    return a->born <= b->dies && b->born <= a->dies;
}

/* The lowest gap that fits; `placed` is sorted by offset. */
static size_t lowest_gap(struct program_buffer *const *placed, int count,
                         const struct program_buffer *b)
{
    size_t offset = 0;
    for (int i = 0; i < count; i++) {
        const struct program_buffer *p = placed[i];
        if (!alive_together(p, b))
            continue;
        if (p->offset >= offset + b->bytes)
            return offset;
        if (p->offset + p->bytes > offset)
            offset = p->offset + p->bytes;
    }
    return offset;
}

static void place(struct plan *plan)
{
    struct program_buffer **order = xmalloc((size_t)plan->count * sizeof *order);
    struct program_buffer **placed = xmalloc((size_t)plan->count * sizeof *placed);
    for (int i = 0; i < plan->count; i++)
        order[i] = &plan->buffers[i];
    qsort(order, (size_t)plan->count, sizeof(struct program_buffer *), larger_first);
    for (int i = 0; i < plan->count; i++) {
        struct program_buffer *b = order[i];
        b->offset = lowest_gap(placed, i, b);
        int k = i;
        for (; k > 0 && placed[k - 1]->offset > b->offset; k--)
            placed[k] = placed[k - 1];
        placed[k] = b;
        if (b->offset + b->bytes > plan->bytes)
            plan->bytes = b->offset + b->bytes;
    }
    free(order);
    free(placed);
}

void plan_make(struct plan *plan, const struct nn_graph *g)
{
    const size_t nodes = (size_t)g->nodes;
    *plan = (struct plan){.step = xmalloc(nodes * sizeof(int)),
                          .home = xmalloc(nodes * sizeof(int)),
                          .buffer = xmalloc(nodes * sizeof(int)),
                          .buffers = xmalloc(nodes * sizeof(struct program_buffer))};
    int *last = xmalloc(nodes * sizeof *last);
    find_homes_and_steps(plan, g);
    find_last_uses(plan, g, last);
    make_buffers(plan, g, last);
    place(plan);
    free(last);
}

void plan_release(struct plan *plan)
{
    free(plan->step);
    free(plan->home);
    free(plan->buffer);
    free(plan->buffers);
    *plan = (struct plan){0};
}
