/* shape.c — arithmetic on shapes, and the two orders of a rank-4 tensor.
 *
 * A shape ends at its first zero. Logical order is what nn.h speaks ([N,C,H,W]);
 * memory order puts axis 1 last ([N,H,W,C]) so that channels fill vectors. Ranks
 * other than 4 have one order only. */
#include "graph/graph.h"

#include <stdio.h>
#include <string.h>

int shape_rank(const struct nn_shape *s)
{
    int rank = 0;
    while (rank < NN_MAX_RANK && s->dim[rank])
        rank++;
    return rank;
}

size_t shape_elements(const struct nn_shape *s)
{
    size_t n = 1;
    for (int i = 0; i < NN_MAX_RANK && s->dim[i]; i++)
        n *= (size_t)s->dim[i];
    return n;
}

bool shape_equal(const struct nn_shape *a, const struct nn_shape *b)
{
    const int rank = shape_rank(a);
    return rank == shape_rank(b) && memcmp(a->dim, b->dim, (size_t)rank * sizeof a->dim[0]) == 0;
}

int shape_axis(const struct nn_shape *s, int axis)
{
    const int rank = shape_rank(s), i = axis < 0 ? axis + rank : axis;
    return i >= 0 && i < rank ? i : -1;
}

const char *shape_text(const struct nn_shape *s, int batch, char text[64])
{
    size_t used = (size_t)snprintf(text, 64, "[");
    for (int i = 0; i < NN_MAX_RANK && s->dim[i]; i++) {
        const char *comma = i ? "," : "";
        const bool is_batch = i == 0 && s->dim[0] == batch;
        used += is_batch ? (size_t)snprintf(text + used, 64 - used, "N")
                         : (size_t)snprintf(text + used, 64 - used, "%s%d", comma, s->dim[i]);
    }
    snprintf(text + used, 64 - used, "]");
    return text;
}

size_t shape_last(const struct nn_shape *s)
{
    const int rank = shape_rank(s);
    return rank ? (size_t)s->dim[rank - 1] : 1;
}

size_t shape_rows(const struct nn_shape *s) { return shape_elements(s) / shape_last(s); }

size_t shape_row(const struct nn_shape *s)
{
    return shape_rank(s) == 4 ? (size_t)s->dim[1] : shape_last(s);
}

size_t shape_moments_at(const struct node *n) { return (shape_elements(&n->shape) + 15) / 16 * 16; }

size_t shape_moments_columns(const struct node *n)
{
    return (size_t)n->shape.dim[1] * (n->layout == LANES ? KN_LANES : 1);
}

/* [outer][channels][inner] <-> [outer][inner][channels]: the same loop both ways. */
static void swap_inner(size_t outer, size_t rows, size_t cols, const float *from, float *to)
{
    for (size_t o = 0; o < outer; o++, from += rows * cols, to += rows * cols)
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < cols; j++)
                to[j * rows + i] = from[i * cols + j];
}

static size_t pixels(const struct nn_shape *s) { return (size_t)s->dim[2] * (size_t)s->dim[3]; }

void layout_to_memory(const struct nn_shape *s, const float *logical, float *memory)
{
    if (shape_rank(s) == 4)
        swap_inner((size_t)s->dim[0], (size_t)s->dim[1], pixels(s), logical, memory);
    else
        memcpy(memory, logical, shape_elements(s) * sizeof *memory);
}

void layout_to_logical(const struct nn_shape *s, const float *memory, float *logical)
{
    if (shape_rank(s) == 4)
        swap_inner((size_t)s->dim[0], pixels(s), (size_t)s->dim[1], memory, logical);
    else
        memcpy(logical, memory, shape_elements(s) * sizeof *memory);
}
