/* plan.h — where every result of a step lives, and for how long.
 *
 * Time is counted in steps of the program: a buffer is born at the step that
 * writes it and dies at the last step that reads it; at a step's own time its
 * inputs and its output are alive together. Buffers that are never alive together
 * may share memory of the one arena. A concatenation whose pieces are written in place
 * (parts.c) is born with the first of them. */
#ifndef PLAN_H
#define PLAN_H

#include "graph/graph.h"

enum { PLAN_ALIGN = 64 };

struct plan {
    int steps;                      /* nodes that compute something, in order */
    int *step;                      /* their ids */
    int *home;                      /* of each node: itself, or what it is a view or a part of */
    int *buffer;                    /* of each node: its buffer, or -1 outside the arena */
    struct program_buffer *buffers; /* .node: the node for which a buffer was made */
    int count;
    size_t bytes; /* of the arena */
};

/* Leaves, gradients of parameters and views of them are not in the arena. The loss, metrics,
 * values to assign, and what is read behind the step live to the end. */
void plan_make(struct plan *plan, const struct nn_graph *g);
void plan_release(struct plan *plan);

static inline size_t result_bytes(const struct node *n)
{
    return shape_elements(&n->shape) * sizeof(float); /* int32_t alike */
}

/* With what lies behind it: moments, or what an op keeps for its gradient or leaves for others. */
static inline size_t node_bytes(const struct node *n)
{
    if (n->attr.behind)
        return (shape_moments_at(n) + n->attr.behind) * sizeof(float);
    if (!n->attr.pieces)
        return result_bytes(n);
    const size_t moments = kn_moments_floats((size_t)n->attr.pieces, shape_moments_columns(n));
    return (shape_moments_at(n) + moments) * sizeof(float);
}

#endif
