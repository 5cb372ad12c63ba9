/* channel_f32 — a number for each channel: added, multiplied, or summed up.
 * x is [rows][C][lanes]; a, b, da and db are [C].
 *
 *   add_channel     y = x + b        affine_channel  y = a x + b   (rounded once; b NULL: 0)
 *   sum_channel    db = sum x        dot_channel    da = sum x dy
 *
 * Everything works on the tiles of channel_tile.h. Sums run down the columns, four rows at
 * a time into sums of ROWS rows, those into a total; a channel's columns are added
 * in double. With R = rows, or R = rows C lanes / NARROW + 1 where rows are narrow, the
 * error is below (ROWS / 4 + 8 + R / ROWS) 2^-24 sum |x|. The order depends on
 * (rows, C, lanes) only. */
#include "kernels/kernel.h"

#include "kernels/channel_tile.h"

enum { ROWS = 256 };

/* y = a x + b with a row of a and b for the whole tile; a is NULL for 1. */
static inline void affine_rows(size_t rows, size_t ld, size_t n, const float *a, const float *b,
                               const float *x, float *y)
{
    for (size_t r = 0; r < rows; r++) {
        const float *const from = x + r * ld;
        float *const to = y + r * ld;
        if (a)
            EACH(n, to, vf_fma(AT(a), AT(from), AT(b)));
        else
            EACH(n, to, AT(from) + AT(b));
    }
}

static inline void affine(size_t rows, size_t C, size_t lanes, const float *x, const float *a,
                          const float *b, float *y)
{
    const struct shape s = regroup(rows, C, lanes);
    float row_a[TILE], row_b[TILE] = {0};
    for (size_t from = 0; from < s.columns; from += TILE) {
        const size_t n = tile_width(from, s.columns);
        if (b)
            spread(n, C, lanes, b + from / lanes, row_b);
        if (a)
            spread(n, C, lanes, a + from / lanes, row_a);
        affine_rows(s.rows, s.columns, n, a ? row_a : NULL, row_b, x + from, y + from);
        if (s.rest) /* then there is one tile only, and it is still at hand */
            affine_rows(1, 0, s.rest, a ? row_a : NULL, row_b, x + s.rows * s.columns,
                        y + s.rows * s.columns);
    }
}

/* x[0] + x[ld] + …, or that of x dy unless dy is NULL: `rows` of them, n <= VF floats wide */
static inline vf few_rows(size_t rows, size_t ld, size_t n, const float *x, const float *dy)
{
    vf sum = vf_set(0.0f);
    for (size_t r = 0; r < rows; r++)
        if (dy)
            sum = vf_fma(vf_get(x + r * ld, n), vf_get(dy + r * ld, n), sum);
        else
            sum = sum + vf_get(x + r * ld, n);
    return sum;
}

/* part[j] += sum over `rows` rows, for n columns. part is whole vectors also at its end: a
 * masked store would have to reach memory before the next rows could load it. */
static inline void add_rows(size_t rows, size_t ld, size_t n, const float *x, const float *dy,
                            float part[TILE])
{
    size_t j = 0;
    for (; j + VF <= n; j += VF)
        vf_store(part + j, vf_load(part + j) + few_rows(rows, ld, VF, x + j, dy ? dy + j : NULL));
    if (j < n)
        vf_store(part + j,
                 vf_load(part + j) + few_rows(rows, ld, n - j, x + j, dy ? dy + j : NULL));
}

/* total[j] = sum over all rows, for n columns of a tile */
static inline void sum_rows(size_t rows, size_t ld, size_t n, const float *x, const float *dy,
                            float total[TILE])
{
    float part[TILE];
    memset(total, 0, n * sizeof *total);
    for (size_t from = 0; from < rows; from += ROWS) {
        const size_t to = rows - from < ROWS ? rows : from + ROWS;
        size_t r = from;
        memset(part, 0, sizeof part);
        for (; r + 4 <= to; r += 4)
            add_rows(4, ld, n, x + r * ld, dy ? dy + r * ld : NULL, part);
        for (; r < to; r++)
            add_rows(1, ld, n, x + r * ld, dy ? dy + r * ld : NULL, part);
        EACH(n, total, AT(total) + AT(part));
    }
}

/* out[c] = sum over c's columns, all of which lie in one tile */
static inline void reduce(size_t rows, size_t C, size_t lanes, const float *x, const float *dy,
                          float *out)
{
    const struct shape s = regroup(rows, C, lanes);
    for (size_t from = 0; from < s.columns; from += TILE) {
        const size_t n = tile_width(from, s.columns), behind = s.rows * s.columns;
        const size_t first = from / lanes, channels = (n < C * lanes ? n : C * lanes) / lanes;
        float total[TILE];
        double sum[TILE] = {0};
        sum_rows(s.rows, s.columns, n, x + from, dy ? dy + from : NULL, total);
        gather(n, C, lanes, total, sum);
        if (s.rest) {
            sum_rows(1, 0, s.rest, x + behind, dy ? dy + behind : NULL, total);
            gather(s.rest, C, lanes, total, sum);
        }
        for (size_t c = 0; c < channels; c++)
            out[first + c] = (float)sum[c];
    }
}

void KN(add_channel_f32)(size_t rows, size_t C, size_t lanes, const float *x, const float *b,
                         float *y)
{
    affine(rows, C, lanes, x, NULL, b, y);
}

void KN(affine_channel_f32)(size_t rows, size_t C, size_t lanes, const float *x, const float *a,
                            const float *b, float *y)
{
    affine(rows, C, lanes, x, a, b, y);
}

void KN(sum_channel_f32)(size_t rows, size_t C, size_t lanes, const float *x, float *db)
{
    reduce(rows, C, lanes, x, NULL, db);
}

void KN(dot_channel_f32)(size_t rows, size_t C, size_t lanes, const float *x, const float *dy,
                         float *da)
{
    reduce(rows, C, lanes, x, dy, da);
}
