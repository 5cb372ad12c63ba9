/* channel_f32 — a number for each channel: added, multiplied, or summed up.
 * x is [rows][C][lanes]; a, b, da and db are [C].
 *
 *   add_channel     y = x + b        affine_channel  y = a x + b   (rounded once; b NULL: 0)
 *   sum_channel    db = sum x        dot_channel    da = sum x dy
 *
 * Everything works on tiles of TILE columns of the matrix [rows][C lanes]. Where a
 * row is shorter than a tile, as many rows as fit count as one: narrow layers
 * would leave most lanes of a vector empty. Sums run down the columns, ROWS at a
 * time in float and from there on in double; the error is at most
 * (ROWS + 1) 2^-24 sum |x| and the order depends on (rows, C, lanes) only. */
#include "kernels/kernel.h"

#include "kernels/each.h"

enum { TILE = 64, ROWS = 128, VECTORS = TILE / VF };

/* The same memory as fewer, longer rows: `rows` of them with `columns` floats, and
 * `rest` floats behind them. */
struct shape {
    size_t rows, columns, rest;
};

static struct shape regroup(size_t rows, size_t C, size_t lanes)
{
    const size_t columns = C * lanes, group = columns < TILE ? TILE / columns : 1;
    return (struct shape){rows / group, columns * group, rows % group * columns};
}

/* p[j] = v[channel of column j] for one tile starting at column `from`. */
static void spread(size_t from, size_t n, size_t C, size_t lanes, const float *v, float p[TILE])
{
    for (size_t j = 0; j < n; j++)
        p[j] = v[(from + j) / lanes % C];
}

static inline size_t tile_width(size_t from, size_t columns)
{
    return columns - from < TILE ? columns - from : TILE;
}

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
            spread(from, n, C, lanes, b, row_b);
        if (a)
            spread(from, n, C, lanes, a, row_a);
        affine_rows(s.rows, s.columns, n, a ? row_a : NULL, row_b, x + from, y + from);
        if (s.rest) /* then there is one tile only, and it is still at hand */
            affine_rows(1, 0, s.rest, a ? row_a : NULL, row_b, x + s.rows * s.columns,
                        y + s.rows * s.columns);
    }
}

/* sum + x, or sum + x dy unless dy is NULL, of n <= VF floats */
static inline vf accumulate(vf sum, const float *x, const float *dy, size_t n)
{
    if (dy)
        return vf_fma(vf_get(x, n), vf_get(dy, n), sum);
    return sum + vf_get(x, n);
}

/* total[j] += sum over rows of x[r][j], or of x[r][j] dy[r][j] unless dy is NULL. */
static inline void sum_rows(size_t rows, size_t ld, size_t n, const float *x, const float *dy,
                            double total[TILE])
{
    const size_t whole = n / VF, rest = n % VF;
    for (size_t from = 0; from < rows; from += ROWS) {
        const size_t to = rows - from < ROWS ? rows : from + ROWS;
        vf sum[VECTORS];
        float part[TILE];
        for (int v = 0; v < VECTORS; v++)
            sum[v] = vf_set(0.0f);
        for (size_t r = from; r < to; r++) {
            const float *const a = x + r * ld, *const b = dy ? dy + r * ld : NULL;
            for (size_t v = 0; v < whole; v++)
                sum[v] = accumulate(sum[v], a + v * VF, b ? b + v * VF : NULL, VF);
            if (rest)
                sum[whole] =
                    accumulate(sum[whole], a + whole * VF, b ? b + whole * VF : NULL, rest);
        }
        for (int v = 0; v < VECTORS; v++)
            vf_store(part + v * VF, sum[v]);
        for (size_t j = 0; j < n; j++)
            total[j] += (double)part[j];
    }
}

/* A channel's columns all lie in one tile: TILE is a multiple of lanes. */
static inline void reduce(size_t rows, size_t C, size_t lanes, const float *x, const float *dy,
                          float *out)
{
    const struct shape s = regroup(rows, C, lanes);
    for (size_t from = 0; from < s.columns; from += TILE) {
        const size_t n = tile_width(from, s.columns), behind = s.rows * s.columns;
        double total[TILE] = {0}, channel[TILE] = {0};
        sum_rows(s.rows, s.columns, n, x + from, dy ? dy + from : NULL, total);
        if (s.rest)
            sum_rows(1, 0, s.rest, x + behind, dy ? dy + behind : NULL, total);
        const size_t first = from / lanes, channels = (n < C * lanes ? n : C * lanes) / lanes;
        for (size_t j = 0; j < n; j++)
            channel[(from + j) / lanes % C - first] += total[j];
        for (size_t c = 0; c < channels; c++)
            out[first + c] = (float)channel[c];
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
