/* conv_moments.h — sums for a batch normalisation, made while a convolution's results are still in
 * the caches (conv.h: e->moments), so that nobody has to read them again for it.
 *
 * Results come in units: an output row of an image, or a tile of minimal filtering. Pieces are runs
 * of units, cut by the shape alone, and a piece belongs to one thread: its rows are added one after
 * the other, in their order (a tile of minimal filtering as one). So the bits depend on neither
 * threads nor blocking.
 *
 * The shift of a piece is its own first row: whatever the mean, nothing cancels in
 * squares - sum^2 / n. Each sum is below (rows of a piece) 2^-24 of the sum of its magnitudes off;
 * a piece has at most MOMENTS_ROWS rows and those of one unit. */
#ifndef CONV_MOMENTS_H
#define CONV_MOMENTS_H

#include "kernels/kernel.h"
#include <assert.h>


#include "kernels/each.h"

enum {
    MOMENTS_ROWS = 256,  /* sums and shift are 3 / 256 of what they describe, */
    MOMENTS_FEWEST = 16, /* or at most 3 / 16, */
    MOMENTS_GRAIN = 24   /* where the pieces would not come out even for crews of up to 8 */
};

/* The pieces of one pass; sums is NULL when they are not wanted. */
struct moments {
    float *rows, *sums;          /* [pieces], [pieces][KN_MOMENTS][columns] */
    size_t columns;              /* channels and their lanes */
    size_t units, width, pieces; /* width: rows of a unit */
};

static inline size_t moments_least(size_t a, size_t b) { return a < b ? a : b; }

static inline size_t moments_pieces(size_t units, size_t width)
{
    const size_t rows = units * width, wanted = (rows + MOMENTS_ROWS - 1) / MOMENTS_ROWS;
    const size_t even = (wanted + MOMENTS_GRAIN - 1) / MOMENTS_GRAIN * MOMENTS_GRAIN;
    const size_t some = rows / MOMENTS_FEWEST > 0 ? rows / MOMENTS_FEWEST : 1;
    return moments_least(moments_least(even, some), units);
}

/* The same by lanes: pieces end where a block of images does, because blocks are done together. */
static inline size_t moments_pieces_in_blocks(size_t blocks, size_t height, size_t width)
{
    const size_t each = (height * width + MOMENTS_ROWS - 1) / MOMENTS_ROWS;
    return blocks * moments_least(each, height);
}

static inline struct moments moments_of(const struct kn_epilogue *e, size_t columns, size_t units,
                                        size_t width, size_t pieces)
{
    return (struct moments){.rows = e->moments,
                            .sums = e->moments + kn_moments_counts(pieces),
                            .columns = columns,
                            .units = units,
                            .width = width,
                            .pieces = pieces};
}

/* The first unit of a piece; the piece of a unit. */
static inline size_t moments_start(const struct moments *m, size_t piece)
{
    assert(m->pieces > 0);
    return m->units * piece / m->pieces;
}

static inline size_t moments_piece(const struct moments *m, size_t unit)
{
    assert(m->units > 0);
    return ((unit + 1) * m->pieces - 1) / m->units;
}

/* A thread's share of the units, in whole pieces. */
static inline void moments_share(const struct moments *m, const struct crew *crew, size_t *from,
                                 size_t *to)
{
    crew_share(crew, m->pieces, 1, from, to);
    *from = moments_start(m, *from);
    *to = moments_start(m, *to);
}

/* Where a piece has its numbers of column j on; its rows are counted with its first column. */
static inline float *moments_at(const struct moments *m, size_t piece, size_t j, bool first,
                                size_t rows)
{
    if (j == 0)
        m->rows[piece] = (first ? 0.0f : m->rows[piece]) + (float)rows;
    return m->sums + piece * KN_MOMENTS * m->columns + j;
}

/* Adds rows [row, row + rows), counted through all units, of columns [j, j + cols): y, ld apart.
 * Of each column they come in order. */
void KN(conv_moments_add)(const struct moments *m, size_t row, size_t rows, size_t j, size_t cols,
                          const float *y, size_t ld);

#endif
