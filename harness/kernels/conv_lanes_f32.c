/* conv_lanes_f32.c — convolution of sixteen images at a time, one to a vector
 * lane: forward, and backward to the data.
 *
 * Both are one loop: target pixels gather source pixels through taps, and along
 * the channels a source vector is multiplied by one weight for each target
 * channel. A tile of PIXELS x OUTPUTS sums stays in registers; each source vector
 * serves OUTPUTS sums, each weight PIXELS. The pixels of a tile are any that meet
 * the same taps: neighbours in a row, and where the border leaves a column by
 * itself, the same pixel of several blocks of images. So no tap outside the image
 * is ever multiplied, and there is neither padding nor a test in the inner loop.
 *
 * A sum runs over (tap row, tap column, channel), ascending; neither tiles nor
 * threads change that order. */
#include "kernels/conv_moments.h"
#include "kernels/conv_parts.h"

enum {
    HALVES = KN_LANES / VF,              /* vectors to a block of images */
    MAX_PIXELS = 4,                      /* 24 sums: 32 registers hold them */
    PIXELS = VF == 8 || VF == 1 ? 2 : 4, /* with 16 registers 12 must do */
    OUTPUTS = 6,
};

/* One pass over one problem. */
struct pass {
    struct axis rows, cols;
    int blocks, SC, TC; /* of 16 images; channels of source and target */
    ptrdiff_t wu, wv;   /* from tap to tap in the weights, */
    ptrdiff_t wk, wp;   /* from source channel, target channel to the next */
    const float *source, *w;
    float *target;
    struct finish finish;
    struct moments moments; /* units are rows of blocks */
};

struct tile {
    const float *x[MAX_PIXELS]; /* the first tap's source */
    float *y[MAX_PIXELS];
    const float *w, *bias; /* bias may be NULL */
    int nu, nv, nk;        /* taps down, across, source channels */
    ptrdiff_t xu, xv, wu, wv, wk, wp;
};

#define INLINE static inline __attribute__((always_inline))

/* Stores sums with their bias but no more of the epilogue. */
INLINE void sum_tile(const struct tile *a, int pixels, int outputs, ptrdiff_t wk, ptrdiff_t wp)
{
    vf sum[MAX_PIXELS][OUTPUTS];
    const float *x[MAX_PIXELS];
#pragma GCC unroll 8
    for (int t = 0; t < pixels; t++) {
        x[t] = a->x[t];
#pragma GCC unroll 8
        for (int p = 0; p < outputs; p++)
            sum[t][p] = vf_set(0);
    }
    for (int u = 0; u < a->nu; u++)
        for (int v = 0; v < a->nv; v++) {
            const float *w = a->w + u * a->wu + v * a->wv;
            ptrdiff_t k = u * a->xu + v * a->xv;
            for (const ptrdiff_t end = k + (ptrdiff_t)a->nk * KN_LANES; k < end;
                 k += KN_LANES, w += wk) {
                vf s[MAX_PIXELS];
#pragma GCC unroll 8
                for (int t = 0; t < pixels; t++)
                    s[t] = vf_load(x[t] + k);
#pragma GCC unroll 8
                for (int p = 0; p < outputs; p++) {
                    const vf weight = vf_set(w[p * wp]);
#pragma GCC unroll 8
                    for (int t = 0; t < pixels; t++)
                        sum[t][p] = vf_fma(s[t], weight, sum[t][p]);
                }
            }
        }
#pragma GCC unroll 8
    for (int p = 0; p < outputs; p++) {
        const vf bias = vf_set(a->bias ? a->bias[p] : 0);
#pragma GCC unroll 8
        for (int t = 0; t < pixels; t++)
            vf_store(a->y[t] + p * KN_LANES, sum[t][p] + bias);
    }
}

/* Forward weights lie [target][taps, source channel], backward ones
 * [source channel][taps][target]: one of the two strides is known. */
typedef void tile_fn(const struct tile *a);

/* clang-format off */
#define TILE(T, P)                                                                       \
    static void forward_##T##_##P(const struct tile *a) { sum_tile(a, T, P, 1, a->wp); } \
    static void backward_##T##_##P(const struct tile *a) { sum_tile(a, T, P, a->wk, 1); }
#define TILES(T) TILE(T, 1) TILE(T, 2) TILE(T, 3) TILE(T, 4) TILE(T, 5) TILE(T, 6)
TILES(1) TILES(2) TILES(3) TILES(4)

#define ROW(way, T) {way##_##T##_1, way##_##T##_2, way##_##T##_3, \
                     way##_##T##_4, way##_##T##_5, way##_##T##_6}
#define ROWS(way) {ROW(way, 1), ROW(way, 2), ROW(way, 3), ROW(way, 4)}
static tile_fn *const tile_fns[2][MAX_PIXELS][OUTPUTS] = {ROWS(forward), ROWS(backward)};
/* clang-format on */

/* What a thread does of a pass: rows of all blocks counted as one range, and panels
 * of OUTPUTS channels. */
struct share {
    size_t row_from, row_to, panel_from, panel_to;
};

/* Rows are the better half to split, because a thread then meets the images that it
 * met in the layer before; channels when that leaves threads idle. */
static struct share share_of(const struct pass *p, const struct crew *crew)
{
    const size_t rows = (size_t)p->blocks * (size_t)p->rows.targets;
    const size_t panels = ((size_t)p->TC + OUTPUTS - 1) / OUTPUTS, all = (size_t)crew->threads;
    struct share s = {0, rows, 0, panels};
    if ((rows + all - 1) / all * panels > (panels + all - 1) / all * rows)
        crew_share(crew, panels, 1, &s.panel_from, &s.panel_to);
    else if (p->moments.sums)
        moments_share(&p->moments, crew, &s.row_from, &s.row_to);
    else
        crew_share(crew, rows, 1, &s.row_from, &s.row_to);
    return s;
}

/* The target pixels of one row, one run of columns with equal taps, some blocks. */
struct run {
    int row, col, cols, block, blocks;
    struct span u, v;
};

/* Points the tile at `pixels` pixels of the run from number `first` on, columns
 * running fastest; `offset` gets their places in the target. */
static void place_pixels(const struct pass *p, const struct run *r, int first, int pixels,
                         struct tile *a, size_t offset[])
{
    const int advance = p->cols.backward ? 1 : p->cols.stride;
    int col = first % r->cols, half = first / r->cols;
    for (int t = 0; t < pixels; t++) {
        const int block = r->block + half / HALVES, lane = half % HALVES * VF;
        const ptrdiff_t from =
            ((ptrdiff_t)block * p->rows.sources + r->u.source) * p->cols.sources + r->v.source +
            col * advance;
        const ptrdiff_t to =
            ((ptrdiff_t)block * p->rows.targets + r->row) * p->cols.targets + r->col + col;
        a->x[t] = p->source + from * p->SC * KN_LANES + lane;
        offset[t] = (size_t)(to * p->TC * KN_LANES + lane);
        if (++col == r->cols)
            col = 0, half++;
    }
}

static void finish_tile(const struct pass *p, const struct tile *a, const size_t offset[],
                        int pixels, int panel, int outputs)
{
    const struct finish *f = &p->finish;
    for (int t = 0; t < pixels; t++)
        for (int o = 0; o < outputs; o++) {
            const size_t at = offset[t] + (size_t)(panel + o) * KN_LANES;
            vf v = vf_load(a->y[t] + o * KN_LANES);
            if (f->e.accumulate)
                v = v + vf_load(p->target + at);
            if (f->e.accumulate && f->e.bias)
                v = v + vf_set(f->e.bias[panel + o]);
            vf_store(p->target + at, finish_vector(f, v, at));
        }
}

static void run_tile(const struct pass *p, const struct run *r, const struct share *s, int first,
                     int pixels, struct tile *a)
{
    _Alignas(64) float sums[MAX_PIXELS][OUTPUTS * KN_LANES];
    size_t offset[MAX_PIXELS];
    place_pixels(p, r, first, pixels, a, offset);
    const float *w = p->w + r->u.first * p->wu + r->v.first * p->wv;
    for (int panel = (int)s->panel_from * OUTPUTS; panel < (int)s->panel_to * OUTPUTS;
         panel += OUTPUTS) {
        const int outputs = least(OUTPUTS, p->TC - panel);
        for (int t = 0; t < pixels; t++)
            a->y[t] = p->finish.plain ? p->target + offset[t] + panel * KN_LANES : sums[t];
        a->w = w + panel * p->wp;
        a->bias = p->finish.e.bias && !p->finish.e.accumulate ? p->finish.e.bias + panel : NULL;
        tile_fns[p->rows.backward][pixels - 1][outputs - 1](a);
        if (!p->finish.plain)
            finish_tile(p, a, offset, pixels, panel, outputs);
    }
}

static void run_run(const struct pass *p, const struct run *r, const struct share *s)
{
    struct tile a = {
        .nu = r->u.count,
        .nv = r->v.count,
        .nk = p->SC,
        .xu = (ptrdiff_t)axis_source_step(&p->rows) * p->cols.sources * p->SC * KN_LANES,
        .xv = (ptrdiff_t)axis_source_step(&p->cols) * p->SC * KN_LANES,
        .wu = p->wu * axis_tap_step(&p->rows),
        .wv = p->wv * axis_tap_step(&p->cols),
        .wk = p->wk,
        .wp = p->wp,
    };
    if (!p->cols.backward) { /* (tap column, channel) is contiguous on both sides */
        a.nk *= a.nv;
        a.nv = 1;
    }
    const int pixels = r->cols * r->blocks * HALVES;
    for (int first = 0; first < pixels; first += PIXELS)
        run_tile(p, r, s, first, least(PIXELS, pixels - first), &a);
}

/* Ends the run of columns that begins at r->col: they meet the same taps, and their
 * sources are evenly spaced. */
static void widen(const struct axis *a, struct run *r)
{
    const int advance = a->backward ? 1 : a->stride;
    r->v = axis_span(a, r->col);
    for (r->cols = 1; r->col + r->cols < a->targets; r->cols++) {
        const struct span next = axis_span(a, r->col + r->cols);
        if (next.count != r->v.count || next.first != r->v.first ||
            next.source != r->v.source + r->cols * advance)
            return;
    }
}

/* The thread's channels of row `row`, still in L2, of blocks [from, to). */
static void add_moments(const struct pass *p, const struct share *s, size_t row, size_t from,
                        size_t to)
{
    const struct moments *const m = &p->moments;
    const size_t j = s->panel_from * OUTPUTS * KN_LANES, last = s->panel_to * OUTPUTS * KN_LANES;
    for (size_t b = from; b < to && j < m->columns; b++) {
        const size_t first = (b * (size_t)p->rows.targets + row) * m->width;
        KN(conv_moments_add)
        (m, first, m->width, j, moments_least(last, m->columns) - j,
         p->target + first * m->columns + j, m->columns);
    }
}

static void run_pass(const struct pass *p, const struct crew *crew)
{
    const struct share s = share_of(p, crew);
    const size_t height = (size_t)p->rows.targets;
    for (size_t i = 0; i < height; i++) {
        /* blocks b with row_from <= b height + i < row_to */
        const size_t from = s.row_from > i ? (s.row_from - i + height - 1) / height : 0;
        const size_t to = s.row_to > i ? (s.row_to - i + height - 1) / height : 0;
        struct run r = {.row = (int)i, .block = (int)from, .blocks = (int)(to - from)};
        r.u = axis_span(&p->rows, r.row);
        for (; from < to && r.col < p->cols.targets; r.col += r.cols) {
            widen(&p->cols, &r);
            run_run(p, &r, &s);
        }
        if (p->moments.sums)
            add_moments(p, &s, i, from, to);
    }
}

size_t KN(conv_lanes_pieces)(const struct kn_conv *c)
{
    return moments_pieces_in_blocks((size_t)c->N / KN_LANES, (size_t)c->OH, (size_t)c->OW);
}

size_t KN(conv_lanes_work)(const struct kn_conv *c, int pass, int threads)
{
    (void)pass, (void)threads;
    return conv_masked_bytes(c);
}

void KN(conv_lanes)(const struct kn_conv *c, int pass, const struct kn_epilogue *e,
                    const struct crew *crew, const float *source, const float *w, float *target,
                    void *work)
{
    const bool back = pass == CONV_GRAD_DATA;
    const ptrdiff_t wv = c->C, wu = wv * c->KW, wo = wu * c->KH;
    struct pass p = {
        .rows = {back ? c->OH : c->H, back ? c->H : c->OH, c->KH, c->stride, c->pad, back},
        .cols = {back ? c->OW : c->W, back ? c->W : c->OW, c->KW, c->stride, c->pad, back},
        .blocks = c->N / KN_LANES,
        .SC = back ? c->O : c->C,
        .TC = back ? c->C : c->O,
        .wu = wu,
        .wv = wv,
        .wk = back ? wo : 1,
        .wp = back ? 1 : wo,
        .source = source,
        .target = target,
        .w = conv_masked(c, crew, w, work),
        .finish = finish_of(e),
    };
    if (e && e->moments)
        p.moments = moments_of(e, (size_t)c->O * KN_LANES, (size_t)p.blocks * (size_t)c->OH,
                               (size_t)c->OW, KN(conv_lanes_pieces)(c));
    run_pass(&p, crew);
}
