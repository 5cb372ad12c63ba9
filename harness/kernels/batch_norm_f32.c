/* batch_norm_f32 — the passes of batch normalisation over memory (Ioffe & Szegedy 2015).
 * x is [rows][C][lanes]; what is written small is a number a channel, [C]:
 *
 *   norm_moments   sum = sum (x - shift)        squares = sum (x - shift)^2
 *   norm           y = act(a x + b + r)         r [rows][C][lanes] or NULL
 *   norm_sums      sum = sum g                  products = sum g (x - mean)
 *   norm_grad      dx = a g + q (x - mean) + s
 *
 * with g = dy act'(a x + b): the activation's derivative comes from x, which has to be
 * read anyway, so y is not. Two passes forward and two backward, each bound by memory.
 * y of norm and dy may be columns of a wider matrix (ld_y, ld_dy): then narrow rows stay apart.
 *
 * The caller's shift is any value of the channel's own, which takes the cancellation out
 * of squares - sum^2 / n. Sums run down the columns, four rows at a time into sums of
 * ROWS rows, those into a total, a channel's columns in double: the error of each is below
 * (ROWS / 4 + 8 + rows / ROWS) 2^-24 times the sum of the magnitudes. NaN passes through. */
#include "kernels/kernel.h"

#include "kernels/channel_tile.h"
#include "kernels/vec_math.h"

enum {
    FEW = 16,
    ROWS = 256,
    SUMS = 2,
    STRIP = 4,
    AHEAD = 1024,   /* floats of rows that lie apart, fetched so long before */
    AHEAD_ROWS = 32 /* at most: no hardware guesses what comes behind a gap */
};

/* What a pass has spread over the columns of a tile. */
struct tile {
    size_t n; /* columns */
    float a[TILE], b[TILE], mean[TILE], q[TILE], s[TILE];
};

static inline void spread_tile(struct tile *t, const struct kn_norm *k, size_t from, size_t columns)
{
    t->n = tile_width(from, columns);
    const size_t first = from / k->lanes;
    if (k->a)
        spread(t->n, k->C, k->lanes, k->a + first, t->a);
    if (k->b)
        spread(t->n, k->C, k->lanes, k->b + first, t->b);
    if (k->mean)
        spread(t->n, k->C, k->lanes, k->mean + first, t->mean);
    if (k->q)
        spread(t->n, k->C, k->lanes, k->q + first, t->q);
    if (k->s)
        spread(t->n, k->C, k->lanes, k->s + first, t->s);
}

/* ld: of an operand whose rows lie apart, or 0. */
static inline struct shape shape_of(const struct kn_norm *k, size_t ld)
{
    if (ld)
        return (struct shape){k->rows, k->C * k->lanes, 0};
    return regroup(k->rows, k->C, k->lanes);
}

/* How far ahead of a row that lies apart the one to fetch is; 0 where rows are dense. */
static inline size_t ahead_of(size_t ld, size_t width)
{
    const size_t rows = AHEAD / width + 1;
    return ld ? ld * (rows < AHEAD_ROWS ? rows : AHEAD_ROWS) : 0;
}

/* 1 / (1 + e^-z) to 2^-24 of 1, by the tangent: what a product with z needs, for half the price of
 * vf_sigmoid(), whose relative error is small where the sigmoid is, too. */
static inline vf sigmoid(vf z)
{
    const vf half = vf_set(0.5f);
    return vf_fma(half, vf_tanh(half * z), half);
}

static inline vf activate(int act, vf z)
{
    if (act == KN_ACT_RELU)
        return vf_max(vf_set(0.0f), z); /* data second: NaN stays NaN */
    if (act == KN_ACT_SILU)
        return z * sigmoid(z);
    return z;
}

/* dy act'(z) */
static inline vf slope(int act, vf z, vf dy)
{
    const vf one = vf_set(1.0f), zero = vf_set(0.0f);
    if (act == KN_ACT_RELU)
        return dy * vf_select(vf_less(zero, z), one, z * zero);
    if (act != KN_ACT_SILU)
        return dy;
    const vf s = sigmoid(z);
    return dy * s * vf_fma(z, one - s, one);
}

/* The gradient by z at column j, n floats wide. */
static inline vf gradient(const struct tile *t, int act, size_t j, size_t n, vf x, vf dy)
{
    if (act == KN_ACT_NONE)
        return dy;
    return slope(act, vf_fma(vf_get(t->a + j, n), x, vf_get(t->b + j, n)), dy);
}

/* ------------------------------------------------------------- elementwise */

static inline void norm_rows(const struct tile *t, int act, size_t rows, size_t ld, size_t ld_y,
                             size_t width, const float *x, const float *r, float *y)
{
    const size_t ahead = ld == ld_y ? 0 : ahead_of(ld_y, width);
    for (size_t row = 0; row < rows; row++)
        for (size_t j = 0; j < width; j += VF) {
            const size_t n = width - j < VF ? width - j : VF, at = row * ld + j;
            if (ahead)
                __builtin_prefetch(y + row * ld_y + ahead + j, 1);
            vf z = vf_fma(vf_get(t->a + j, n), vf_get(x + at, n), vf_get(t->b + j, n));
            if (r)
                z = z + vf_get(r + at, n);
            vf_put(y + row * ld_y + j, activate(act, z), n);
        }
}

static inline void norm(const struct kn_norm *k, int act, const float *x, const float *r, float *y)
{
    const struct shape s = shape_of(k, k->ld_y);
    const size_t behind = s.rows * s.columns, ld_y = k->ld_y ? k->ld_y : s.columns;
    struct tile t;
    for (size_t from = 0; from < s.columns; from += TILE) {
        spread_tile(&t, k, from, s.columns);
        norm_rows(&t, act, s.rows, s.columns, ld_y, t.n, x + from, r ? r + from : NULL, y + from);
        if (s.rest) /* then there is one tile only, and it is still at hand */
            norm_rows(&t, act, 1, 0, 0, s.rest, x + behind, r ? r + behind : NULL, y + behind);
    }
}

void KN(norm_f32)(const struct kn_norm *k, const float *x, const float *r, float *y)
{
    if (k->act == KN_ACT_RELU)
        norm(k, KN_ACT_RELU, x, r, y);
    else if (k->act == KN_ACT_SILU)
        norm(k, KN_ACT_SILU, x, r, y);
    else
        norm(k, KN_ACT_NONE, x, r, y);
}

static inline void grad_rows(const struct tile *t, int act, size_t rows, size_t ld, size_t ld_dy,
                             size_t width, const float *x, const float *dy, float *dx)
{
    const size_t ahead = ld == ld_dy ? 0 : ahead_of(ld_dy, width);
    for (size_t row = 0; row < rows; row++)
        for (size_t j = 0; j < width; j += VF) {
            const size_t n = width - j < VF ? width - j : VF, at = row * ld + j;
            if (ahead)
                __builtin_prefetch(dy + row * ld_dy + ahead + j);
            const vf v = vf_get(x + at, n);
            const vf g = gradient(t, act, j, n, v, vf_get(dy + row * ld_dy + j, n));
            const vf far = v - vf_get(t->mean + j, n);
            vf_put(dx + at,
                   vf_fma(vf_get(t->a + j, n), g,
                          vf_fma(vf_get(t->q + j, n), far, vf_get(t->s + j, n))),
                   n);
        }
}

static inline void norm_grad(const struct kn_norm *k, int act, const float *x, const float *dy,
                             float *dx)
{
    const struct shape s = shape_of(k, k->ld_dy);
    const size_t behind = s.rows * s.columns, ld_dy = k->ld_dy ? k->ld_dy : s.columns;
    struct tile t;
    for (size_t from = 0; from < s.columns; from += TILE) {
        spread_tile(&t, k, from, s.columns);
        grad_rows(&t, act, s.rows, s.columns, ld_dy, t.n, x + from, dy + from, dx + from);
        if (s.rest)
            grad_rows(&t, act, 1, 0, 0, s.rest, x + behind, dy + behind, dx + behind);
    }
}

void KN(norm_grad_f32)(const struct kn_norm *k, const float *x, const float *dy, float *dx)
{
    if (k->act == KN_ACT_RELU)
        norm_grad(k, KN_ACT_RELU, x, dy, dx);
    else if (k->act == KN_ACT_SILU)
        norm_grad(k, KN_ACT_SILU, x, dy, dx);
    else
        norm_grad(k, KN_ACT_NONE, x, dy, dx);
}

/* -------------------------------------------------------------------- sums */

/* Rows that are summed: x, and dy or NULL. */
struct operands {
    size_t rows, ld, ld_dy, ahead;
    const float *x, *dy;
};

static inline struct operands rows_from(const struct operands *o, size_t first, size_t rows)
{
    return (struct operands){rows,
                             o->ld,
                             o->ld_dy,
                             o->ahead,
                             o->x + first * o->ld,
                             o->dy ? o->dy + first * o->ld_dy : NULL};
}

/* Two sums over at most FEW rows for `vectors` vectors of columns from j on, the last of them n
 * floats wide: those of norm_sums, or without dy those of norm_moments. They stay in registers. */
static inline void sum_strip(const struct tile *t, int act, int vectors, size_t n,
                             const struct operands *o, size_t j, float total[SUMS][TILE])
{
    vf plain[STRIP], times[STRIP], mean[STRIP];
    for (int v = 0; v < vectors; v++) {
        plain[v] = times[v] = vf_set(0.0f);
        mean[v] = vf_get(t->mean + j + (size_t)v * VF, n);
    }
    for (size_t r = 0; r < o->rows; r++)
        for (int v = 0; v < vectors; v++) {
            const size_t column = j + (size_t)v * VF;
            if (o->ahead)
                __builtin_prefetch(o->dy + r * o->ld_dy + o->ahead + column);
            const vf here = vf_get(o->x + r * o->ld + column, n), far = here - mean[v];
            vf g = far;
            if (o->dy)
                g = gradient(t, act, column, n, here, vf_get(o->dy + r * o->ld_dy + column, n));
            plain[v] = plain[v] + g;
            times[v] = vf_fma(g, far, times[v]);
        }
    for (int v = 0; v < vectors; v++) {
        float *const to[SUMS] = {total[0] + j + v * VF, total[1] + j + v * VF};
        vf_put(to[0], vf_get(to[0], n) + plain[v], n);
        vf_put(to[1], vf_get(to[1], n) + times[v], n);
    }
}

/* All columns of a few rows before the next ones: memory is met in its order. */
static inline void add_few(const struct tile *t, int act, size_t width, const struct operands *o,
                           float part[SUMS][TILE])
{
    size_t j = 0;
    for (; j + STRIP * VF <= width; j += STRIP * VF)
        sum_strip(t, act, STRIP, VF, o, j, part);
    for (; j + VF <= width; j += VF)
        sum_strip(t, act, 1, VF, o, j, part);
    if (j < width)
        sum_strip(t, act, 1, width - j, o, j, part);
}

static inline void sum_rows(const struct tile *t, int act, size_t width, const struct operands *o,
                            float total[SUMS][TILE])
{
    float part[SUMS][TILE];
    for (int i = 0; i < SUMS; i++)
        memset(total[i], 0, width * sizeof total[i][0]);
    for (size_t from = 0; from < o->rows; from += ROWS) {
        const size_t to = o->rows - from < ROWS ? o->rows : from + ROWS;
        for (int i = 0; i < SUMS; i++)
            memset(part[i], 0, width * sizeof part[i][0]);
        for (size_t r = from, n; r < to; r += n) {
            n = to - r < FEW ? to - r : FEW;
            const struct operands few = rows_from(o, r, n);
            add_few(t, act, width, &few, part);
        }
        for (int i = 0; i < SUMS; i++)
            EACH(width, total[i], AT(total[i]) + AT(part[i]));
    }
}

static inline void reduce(const struct kn_norm *k, int act, const float *x, const float *dy,
                          float *out[SUMS])
{
    const struct shape s = shape_of(k, k->ld_dy);
    const size_t behind = s.rows * s.columns, row = k->C * k->lanes;
    const size_t ld_dy = k->ld_dy ? k->ld_dy : s.columns;
    struct tile t;
    float total[SUMS][TILE];
    for (size_t from = 0; from < s.columns; from += TILE) {
        double sum[SUMS][TILE] = {{0}};
        spread_tile(&t, k, from, s.columns);
        const size_t ahead = ahead_of(k->ld_dy, t.n);
        const struct operands o = {s.rows, s.columns, ld_dy,
                                   ahead,  x + from,  dy ? dy + from : NULL};
        sum_rows(&t, act, t.n, &o, total);
        for (int i = 0; i < SUMS; i++)
            gather(t.n, k->C, k->lanes, total[i], sum[i]);
        if (s.rest) {
            const struct operands rest = {1, 0, 0, 0, x + behind, dy ? dy + behind : NULL};
            sum_rows(&t, act, s.rest, &rest, total);
            for (int i = 0; i < SUMS; i++)
                gather(s.rest, k->C, k->lanes, total[i], sum[i]);
        }
        const size_t channels = (t.n < row ? t.n : row) / k->lanes;
        for (int i = 0; i < SUMS; i++)
            for (size_t c = 0; c < channels; c++)
                out[i][from / k->lanes + c] = (float)sum[i][c];
    }
}

void KN(norm_moments_f32)(const struct kn_norm *k, const float *x, float *sum, float *squares)
{
    reduce(k, KN_ACT_NONE, x, NULL, (float *[SUMS]){sum, squares});
}

void KN(norm_sums_f32)(const struct kn_norm *k, const float *x, const float *dy, float *sum,
                       float *products)
{
    float *out[SUMS] = {sum, products};
    if (k->act == KN_ACT_RELU)
        reduce(k, KN_ACT_RELU, x, dy, out);
    else if (k->act == KN_ACT_SILU)
        reduce(k, KN_ACT_SILU, x, dy, out);
    else
        reduce(k, KN_ACT_NONE, x, dy, out);
}
