/* channel_tile.h — [rows][C][lanes] as a matrix of long rows, for kernels that have
 * numbers for each channel.
 *
 * They work on tiles of TILE columns of the matrix [rows][C lanes]. Where a row is
 * shorter than NARROW, as many rows as fit into that count as one: narrow layers would
 * leave most lanes of a vector empty. */
#ifndef CHANNEL_TILE_H
#define CHANNEL_TILE_H

#include "kernels/each.h"

enum { NARROW = 128, TILE = 512 };

/* The same memory as fewer, longer rows: `rows` of them with `columns` floats, and
 * `rest` floats behind them. */
struct shape {
    size_t rows, columns, rest;
};

/* How many rows make one: at most NARROW floats, and whole cache lines if there is a choice. */
static inline size_t rows_to_one(size_t columns)
{
    const size_t fit = columns < NARROW ? NARROW / columns : 1;
    size_t line = 64 / sizeof(float);
    for (size_t c = columns; line > 1 && c % 2 == 0; c /= 2)
        line /= 2;
    return fit < line ? fit : fit - fit % line;
}

static inline struct shape regroup(size_t rows, size_t C, size_t lanes)
{
    const size_t columns = C * lanes, group = rows_to_one(columns);
    return (struct shape){rows / group, columns * group, rows % group * columns};
}

/* The channel of each column in turn. Tiles start with a channel: they are multiples of lanes. */
struct column {
    size_t lane, channel;
};

static inline void next_column(struct column *at, size_t C, size_t lanes)
{
    if (++at->lane < lanes)
        return;
    at->lane = 0;
    if (++at->channel == C)
        at->channel = 0;
}

/* p[j] = v[channel of column j], for n columns */
static inline void spread(size_t n, size_t C, size_t lanes, const float *v, float p[TILE])
{
    struct column at = {0, 0};
    if (lanes == 1 && n <= C)
        memcpy(p, v, n * sizeof *p);
    else
        for (size_t j = 0; j < n; j++, next_column(&at, C, lanes))
            p[j] = v[at.channel];
}

/* sum[channel of column j] += p[j] */
static inline void gather(size_t n, size_t C, size_t lanes, const float p[TILE], double *sum)
{
    struct column at = {0, 0};
    for (size_t j = 0; j < n; j++, next_column(&at, C, lanes))
        sum[at.channel] += (double)p[j];
}

static inline size_t tile_width(size_t from, size_t columns)
{
    return columns - from < TILE ? columns - from : TILE;
}

#endif
