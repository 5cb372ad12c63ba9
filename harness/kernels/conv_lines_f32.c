/* conv_lines_f32.c — forward and backward to the data, sources read in place.
 *
 * The points of one grid row lie beside each other in the source: point i of a tile
 * reads `line` floats at x + i * step for each kernel row, and neighbours share
 * most of them. So a tile needs no copies, only a stride; where patches overhang
 * the image on the left or right, the row's lines are first copied between zeros.
 * Kernel rows above and below the image are left out. Best for few channels, where
 * copying patches would cost as much as their products; the weights, which each
 * grid row reads anew, should stay in L2. */
#include "kernels/conv_patch.h"

#if defined __GNUC__ && !defined __clang__
#define UNROLL _Pragma("GCC unroll 16")
#else
#define UNROLL _Pragma("unroll")
#endif
#define INLINE static inline __attribute__((always_inline))

enum {
    GROUP = 3, /* rows that share a pointer: x86 addresses p, p + row and p + 2 row at no cost */
    GROUPS = (GEMM_MR + GROUP - 1) / GROUP,
    FEW_POINTS = 6, /* a row shorter than that makes poor tiles */
    FAR_APART = 512 /* floats from point to point: beyond, points share sets of the L1 cache */
};

/* sum[i][j] = sum over u < lines, k < line of x[u * pitch + i * step + k] y[u * line + k][j] */
struct tile {
    const float *x, *y; /* y [lines * line][GEMM_NR] */
    size_t step, pitch;
    int lines, line;
    float *c;
    size_t ldc;
    bool add, relu;            /* to what c holds; the last of all */
    const float *bias;         /* of the tile's columns, or NULL */
    size_t ahead;              /* floats from x to the next tile's */
    struct gemm_ahead results; /* of the next tile */
};

/* Hides from the compiler how a pointer came about, or it would keep more of them
 * than there are registers. */
INLINE void opaque(const float **p) { __asm__("" : "+r"(*p)); }

INLINE vf load_some(const float *p, size_t n) { return n == VF ? vf_load(p) : vf_load_n(p, n, 0); }

/* The sums of one column of vectors, n of its floats, go to c. */
INLINE void store_sums(const struct tile *t, int mr, int v, size_t n, vf sum[][GEMM_NV])
{
    const vf bias = t->bias ? load_some(t->bias + v * VF, n) : vf_set(0);
    const vf floor_of_all = vf_set(t->relu ? 0 : -INFINITY);
    UNROLL for (int i = 0; i < mr; i++)
    {
        float *to = t->c + (size_t)i * t->ldc + v * VF;
        vf s = sum[i][v];
        if (t->add)
            s = s + load_some(to, n);
        s = vf_max(floor_of_all, s + bias); /* data second: NaN stays NaN */
        if (n == VF)
            vf_store(to, s);
        else
            vf_store_n(to, s, n);
    }
}

INLINE void sum_tile(const struct tile *t, int mr, int nv, int cols)
{
    enum { LINE = 16, L2 = 2 }; /* a cache line for every term is a little more than a tile reads */
    vf sum[GEMM_MR][GEMM_NV];
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int v = 0; v < nv; v++) sum[i][v] = vf_set(0);
    struct gemm_ahead results = t->results;
    const size_t step = t->step;
    const float *y = t->y, *line = t->x;
    for (int u = 0; u < t->lines; u++, line += t->pitch) {
        const float *x[GROUPS];
        UNROLL for (int g = 0; g * GROUP < mr; g++)
        {
            x[g] = line + (size_t)(g * GROUP) * step;
            opaque(&x[g]);
        }
        for (int k = 0; k < t->line; k++, y += GEMM_NR) {
            vf b[GEMM_NV];
            __builtin_prefetch(line + t->ahead + k * LINE, 0, L2);
            gemm_ahead_row(&results);
            UNROLL for (int v = 0; v < nv; v++) b[v] = vf_load(y + v * VF);
            UNROLL for (int i = 0; i < mr; i++)
            {
                const vf a = vf_set(x[i / GROUP][(size_t)(i % GROUP) * step + (size_t)k]);
                UNROLL for (int v = 0; v < nv; v++) sum[i][v] = vf_fma(a, b[v], sum[i][v]);
            }
        }
    }
    UNROLL for (int v = 0; v < nv; v++)
    {
        const size_t n = (size_t)(cols - v * VF);
        if (n >= VF)
            store_sums(t, mr, v, VF, sum);
        else
            store_sums(t, mr, v, n, sum);
    }
}

typedef void tile_fn(const struct tile *t, int cols);

/* clang-format off */
#define TILE(mr, nv) \
    static void tile_##mr##x##nv(const struct tile *t, int cols) \
    { sum_tile(t, mr <= GEMM_MR ? mr : 1, nv <= GEMM_NV ? nv : 1, cols); }
#define HEIGHTS(f) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14)
#define DEFINE(mr) TILE(mr, 1) TILE(mr, 2) TILE(mr, 3)
HEIGHTS(DEFINE)

#define ENTRY(mr) {tile_##mr##x1, tile_##mr##x2, tile_##mr##x3},
static tile_fn *const tile_fns[14][3] = {HEIGHTS(ENTRY)};
/* clang-format on */

/* ---- one row of a grid ---- */

/* The kernel rows [u0, u1) of grid row (image, row) that lie inside, and their lines. */
struct lines {
    int u0, u1;
    const float *at;
    size_t pitch;
};

/* Floats of a line from the first point's patch to the last one's end. */
static int line_floats(const struct patches *p)
{
    return ((p->cols.points - 1) * p->cols.source_step + p->cols.taps) * p->C;
}

static bool overhangs(const struct patches *p)
{
    return p->cols.source < 0 || p->cols.source * p->C + line_floats(p) > p->W * p->C;
}

static struct lines lines_of(const struct patches *p, int image, int row, float *room)
{
    const int top = row * p->rows.source_step + p->rows.source;
    struct lines l = {.u0 = least(p->rows.taps, most(0, -top)),
                      .u1 = least(p->rows.taps, p->H - top)};
    if (l.u0 >= l.u1 || p->cols.taps == 0)
        return (struct lines){0, 0, p->source, 0};
    const int left = p->cols.source * p->C;
    if (!overhangs(p)) {
        l.at = patch_source(p, image, row, l.u0) + left;
        l.pitch = (size_t)p->W * (size_t)p->C;
        return l;
    }
    l.at = room;
    l.pitch = (size_t)line_floats(p);
    for (int u = l.u0; u < l.u1; u++, room += l.pitch)
        copy_clipped(room, patch_source(p, image, row, u), p->W * p->C, left, line_floats(p));
    return l;
}

/* A grid row's target: its points are `ld` floats apart. */
struct row {
    float *target;
    size_t ld;
    struct kn_epilogue e; /* moved along */
    bool plain;           /* nothing to do but what a tile can */
};

static struct row row_of(const struct conv_grid *g, int image, int row)
{
    const struct conv_pass *p = g->pass;
    const struct grid *rows = &g->patches.rows, *cols = &g->patches.cols;
    const int h = rows->target + row * rows->target_step;
    const size_t at =
        (((size_t)image * (size_t)p->TH + (size_t)h) * (size_t)p->TW + (size_t)cols->target) *
        p->ld;
    struct row r = {p->target + at, (size_t)cols->target_step * p->ld, *p->e, false};
    r.plain = !(r.e.residual || r.e.act > KN_ACT_RELU || r.e.grad);
    if (r.e.residual)
        r.e.residual += at;
    if (r.e.y)
        r.e.y += at;
    return r;
}

/* A grid row is cut into tiles of nearly equal heights, and these run down each panel. */
static int tile_start(const struct patches *p, int n)
{
    const int points = p->cols.points, tiles = (points + GEMM_MR - 1) / GEMM_MR;
    return points * n / tiles;
}

/* The results of the tile after the one at point i of columns j; `next` is the row after r. */
static struct gemm_ahead expect(const struct patches *p, const struct row *r,
                                const struct row *next, int i, int j, int j0, int j1)
{
    const bool down = i < p->cols.points, across = j + GEMM_NR < j1;
    const struct row *const of = down || across ? r : next;
    const int from = down ? i : 0, rows = least(GEMM_MR, p->cols.points - from);
    return KN(gemm_finish_ahead)(&of->e, from, rows,
                                 down     ? j
                                 : across ? j + GEMM_NR
                                          : j0,
                                 of->target, of->ld);
}

static void aim(struct tile *t, const struct row *r, int i, int j)
{
    t->c = r->target + (size_t)i * r->ld + j;
    t->ldc = r->ld;
    t->add = r->e.accumulate;
    t->relu = r->e.act == KN_ACT_RELU;
    t->bias = r->e.bias ? r->e.bias + j : NULL;
}

/* Columns [j0, j1) of a grid row. */
static void run_row(const struct conv_grid *g, const struct lines *l, const struct row *r,
                    const struct row *next, int j0, int j1)
{
    const struct patches *p = &g->patches;
    _Alignas(64) float sums[GEMM_MR * GEMM_NR];
    struct tile t = {.step = (size_t)(p->cols.source_step * p->C),
                     .pitch = l->pitch,
                     .lines = l->u1 - l->u0,
                     .line = patch_line(p),
                     .c = sums,
                     .ldc = GEMM_NR};
    for (int j = j0; j < j1; j += GEMM_NR) {
        const int cols = least(GEMM_NR, j1 - j);
        t.y = g->packed + (size_t)j * (size_t)patch_size(p) + l->u0 * t.line * GEMM_NR;
        for (int n = 0, i = 0, end; i < p->cols.points; n++, i = end) {
            end = tile_start(p, n + 1);
            t.x = l->at + (size_t)i * t.step;
            t.ahead = (size_t)(end - i) * t.step;
            t.results = expect(p, r, next, end, j, j0, j1);
            if (r->plain)
                aim(&t, r, i, j);
            tile_fns[end - i - 1][(cols + VF - 1) / VF - 1](&t, cols);
            if (!r->plain)
                KN(gemm_finish)(&r->e, i, end - i, j, cols, sums, GEMM_NR, r->target, r->ld);
        }
    }
}

/* ---- the grid ---- */

/* Columns [j0, j1) of grid row i, just done, to its moments. */
static void add_moments(const struct moments *m, const struct row *r, int i, int j0, int j1)
{
    KN(conv_moments_add)
    (m, (size_t)i * m->width, m->width, (size_t)j0, (size_t)(j1 - j0), r->target + j0, r->ld);
}

/* Columns [j0, j1) of grid rows [from, to), counted through all images. */
static void run_rows(const struct conv_grid *g, int from, int to, int j0, int j1)
{
    const int height = g->patches.rows.points;
    float *const room = (float *)(void *)g->pass->scratch;
    if (from >= to || j0 >= j1)
        return;
    struct row r = row_of(g, from / height, from % height);
    for (int i = from; i < to; i++) {
        const int after = least(i + 1, to - 1);
        const struct row next = row_of(g, after / height, after % height);
        const struct lines l = lines_of(&g->patches, i / height, i % height, room);
        run_row(g, &l, &r, &next, j0, j1);
        if (g->pass->moments.sums)
            add_moments(&g->pass->moments, &r, i, j0, j1);
        r = next;
    }
}

void KN(conv_lines)(const struct conv_grid *g)
{
    const struct conv_pass *p = g->pass;
    const size_t rows = (size_t)g->patches.N * (size_t)g->patches.rows.points;
    const size_t TC = (size_t)p->TC, panels = (TC + GEMM_NR - 1) / GEMM_NR;
    const size_t all = (size_t)p->crew->threads;
    size_t from = 0, to = rows, j0 = 0, j1 = TC;
    if (g->patches.cols.points == 0)
        return;
    if ((rows + all - 1) / all * panels > (panels + all - 1) / all * rows)
        crew_share(p->crew, TC, GEMM_NR, &j0, &j1);
    else if (p->moments.sums)
        moments_share(&p->moments, p->crew, &from, &to);
    else
        crew_share(p->crew, rows, 1, &from, &to);
    run_rows(g, (int)from, (int)to, (int)j0, (int)j1);
}

bool KN(conv_lines_suit)(const struct conv_pass *p)
{
    const struct kn_conv *c = p->c;
    const int SC = p->back ? c->O : c->C, step = p->back ? 1 : c->stride;
    const int points = p->back ? p->TW / c->stride : p->TW;
    const size_t panels = ((size_t)p->TC + GEMM_NR - 1) / GEMM_NR * GEMM_NR;
    const size_t weights = (size_t)SC * (size_t)c->KH * (size_t)c->KW * panels * sizeof(float);
    return points >= FEW_POINTS && step * SC <= FAR_APART && weights <= kn_caches()->l2 / 8 * 5;
}

size_t KN(conv_lines_bytes)(const struct conv_pass *p)
{
    const struct kn_conv *c = p->c;
    size_t most_floats = 0;
    for (int part = 0; part < (p->back ? c->stride * c->stride : 1); part++) {
        const struct patches g = KN(conv_patches)(c, p->back, part, NULL);
        const size_t n = (size_t)most(0, line_floats(&g)) * (size_t)g.rows.taps;
        most_floats = n > most_floats ? n : most_floats;
    }
    return most_floats * sizeof(float);
}
