/* conv_winograd_f32.c — forward and backward to the data by minimal filtering (conv_winograd.h).
 *
 * Backward to the data is the forward pass over dy, with the weights flipped and transposed
 * and 2 - pad for the padding; below, sources and targets are the images of either.
 *
 *     U[p] = weights at point p         [K][GEMM_NR] for each panel of target channels
 *     V[p] = inputs at point p          [tiles][K], K source channels
 *     M[p] = V[p] U[p]                  [tiles][channels of one panel]
 *     target = e(A^T M A)
 *
 * Nothing of that is ever whole in memory. Either each thread has tiles of its own, V of some
 * tiles stays in its L2 cache, and U, made by all threads before, passes by. Or, where the
 * weights are large or the tiles few, each thread has panels of its own: it makes their U when
 * it needs it, and V, made by all threads before, passes by (a block of V that L3 holds). M is
 * a few rows of tiles and never leaves L2. Both ways give the same bits.
 *
 * Rounding: the largest error of a layer, over the largest sum |w| |x| of its outputs, is below
 * 5e-7 with m = 2 and 2e-6 with m = 4 for random layers in all three passes (tests/t_winograd.c;
 * seen: 1.2e-7 and 4.4e-7). A tile shares its errors, NaN too. */
#include "kernels/conv_winograd.h"

enum {
    CHUNK_BYTES = 320 * 1024, /* of V and M of the tiles that a thread has at hand */
    SUMS_BYTES = 320 * 1024,  /* of M alone, when V is elsewhere */
    BLOCK_BYTES = 16 << 20,   /* of V in L3 */
    LARGE_BYTES = 12 << 20,   /* of U: rather by panels */
    TERMS = 32                /* of the weights that are turned at a time */
};

struct winograd {
    const struct kn_conv *c;
    bool back, by_panels;
    struct winograd_image source;
    struct winograd_tiles tiles;
    int points, K, TH, TW, TC, pad, panels;
    int block, chunk; /* tiles of V, of M */
    size_t pitch;     /* of a row of V */
    size_t ld;        /* floats from pixel to pixel of the target */
    struct finish finish;
    struct moments moments; /* units are tiles */
    const struct crew *crew;
    const float *w;
    float *target;
    float *u, *v, *sums, *zeros, *turned; /* the last three and either u or v are this thread's */
};

static size_t up16(size_t floats) { return (floats + 15) / 16 * 16; }

/* An odd number of lines, so that the planes of a tile do not share sets of the caches. */
static size_t plane(const struct winograd *g)
{
    const size_t floats = up16((size_t)g->block * g->pitch);
    return floats / 16 % 2 ? floats : floats + 16;
}

static size_t panel_floats(const struct winograd *g)
{
    return (size_t)g->points * (size_t)g->K * GEMM_NR;
}

/* ---- weights ---- */

/* Nine rows of taps: term k of tap t is at[t][k * step], GEMM_NR target channels. */
struct taps {
    const float *at[9];
    size_t step;
};

/* Terms [k, k + kc) of target channels [j, j + n) with zeros behind them. */
static struct taps taps_of(const struct winograd *g, int j, int n, int k, int kc)
{
    const size_t C = (size_t)g->c->C;
    struct taps t = {.step = GEMM_NR};
    for (size_t tap = 0; tap < 9; tap++) {
        float *const to = g->turned + tap * TERMS * GEMM_NR;
        t.at[tap] = to;
        if (!g->back) {
            KN(gemm_transpose)
            (n, kc, g->w + ((size_t)j * 9 + tap) * C + k, 9 * C, to, GEMM_NR, GEMM_NR);
            continue;
        }
        const float *from = g->w + ((size_t)k * 9 + 8 - tap) * C + j;
        if (n == GEMM_NR)
            t.at[tap] = from;
        for (int i = 0; n < GEMM_NR && i < kc; i++, from += 9 * C) {
            copy_floats(to + i * GEMM_NR, from, n);
            zero_floats(to + i * GEMM_NR + n, GEMM_NR - n);
        }
    }
    if (g->back && n == GEMM_NR)
        t.step = 9 * C;
    return t;
}

INLINE void weights(const int m, const struct winograd *g, struct taps t, int kc, float *u)
{
    const int n = m + 2;
    const size_t step = (size_t)g->K * GEMM_NR;
    for (int k = 0; k < kc; k++, u += GEMM_NR)
        for (int v = 0; v < GEMM_NR; v += VF) {
            vf w[9], to[WINOGRAD_POINTS];
            UNROLL for (int i = 0; i < 9; i++) w[i] = vf_load(t.at[i] + (size_t)k * t.step + v);
            winograd_2d(winograd_weight, m, 3, n, w, to);
            UNROLL for (int i = 0; i < n; i++) UNROLL for (int q = 0; q < n; q++)
                vf_store(u + (size_t)(i * n + q) * step + v, to[i * n + q]);
        }
}

static void make_panel(const struct winograd *g, int panel, float *u)
{
    const int j = panel * GEMM_NR, n = least(GEMM_NR, g->TC - j);
    for (int k = 0; k < g->K; k += TERMS) {
        const int kc = least(TERMS, g->K - k);
        const struct taps t = taps_of(g, j, n, k, kc);
        if (g->tiles.m == 2)
            weights(2, g, t, kc, u + (size_t)k * GEMM_NR);
        else
            weights(4, g, t, kc, u + (size_t)k * GEMM_NR);
    }
}

/* ---- inputs ---- */

/* V of tiles [from, to); the block begins with tile `first`. */
static void make_inputs(const struct winograd *g, int first, int from, int to)
{
    const float *pixels[WINOGRAD_POINTS];
    const int m = g->tiles.m;
    for (int t = from; t < to; t++) {
        const struct place at = winograd_place(&g->tiles, t);
        const struct winograd_points v = {g->v + (size_t)(t - first) * g->pitch, plane(g), GEMM_NR};
        winograd_pixels(&g->source, at.image, at.row * m - g->pad, at.col * m - g->pad, m + 2,
                        pixels);
        if (m == 2)
            winograd_scatter(winograd_input, 2, 4, pixels, g->K, v);
        else
            winograd_scatter(winograd_input, 4, 6, pixels, g->K, v);
    }
}

/* ---- products ---- */

/* Rows of V at one point. */
struct rows {
    const float *at;
    int count, tiles; /* cut into so many equal tiles */
};

static int tile_start(const struct rows *r, int t)
{
    const int taller = r->count % r->tiles;
    return t * (r->count / r->tiles) + least(t, taller);
}

static struct gemm_fetch fetch_rows(const struct winograd *g, const float *at, int rows)
{
    enum { STEP = 32 }; /* floats */
    const int steps = (g->K + STEP - 1) / STEP;
    return (struct gemm_fetch){
        .at = at, .ld = g->pitch, .steps = steps, .left = steps, .pairs = (rows + 1) / 2};
}

/* What a thread's products will meet next and L2 does not hold: the panel of the next point where
 * tiles are its own, else the next rows of V. */
static struct gemm_fetch soon(const struct winograd *g, const struct rows *r, int t, const float *u,
                              bool last)
{
    if (!g->by_panels) { /* half of it with each of the first two tiles */
        const size_t K = (size_t)g->K, half = (K + 1) / 2, from = K + (size_t)t * half;
        const int pairs = last || t > 1 ? 0 : (int)(half + 1) / 2;
        return (struct gemm_fetch){
            .at = u + from * GEMM_NR, .ld = GEMM_NR, .steps = 1, .left = 1, .pairs = pairs};
    }
    if (t + 1 < r->tiles)
        return fetch_rows(g, r->at + (size_t)tile_start(r, t + 1) * g->pitch,
                          tile_start(r, t + 2) - tile_start(r, t + 1));
    return fetch_rows(g, r->at + plane(g), last ? 0 : tile_start(r, 1));
}

/* M of one point, a panel's columns; `last`: of the points. */
static void product(const struct winograd *g, const struct rows *r, const float *u, int cols,
                    bool last, float *sums)
{
    const int K = g->K, kc = gemm_kc(K);
    for (int k = 0; k < K; k += kc)
        for (int t = 0; t < r->tiles; t++) {
            const int i = tile_start(r, t);
            struct gemm_fetch fetch = soon(g, r, t, u, last);
            const struct gemm_tile tile = {
                .cols = cols,
                .kc = least(kc, K - k),
                .x = {r->at + (size_t)i * g->pitch + k, g->pitch, 1, NULL},
                .y = {u + (size_t)k * GEMM_NR, GEMM_NR, NULL},
                .c = sums + (size_t)i * (size_t)cols,
                .ldc = (size_t)cols,
                .plus = k > 0 ? sums + (size_t)i * (size_t)cols : NULL,
                .ld_plus = (size_t)cols,
                .fetch = &fetch,
            };
            KN(gemm_tile)(tile_start(r, t + 1) - i, &tile);
        }
}

/* ---- outputs ---- */

/* The pixels of a tile that lie inside the target image. */
struct part {
    int rows, cols;
    size_t at, line; /* the first one's element, from line to line */
};

static struct part part_of(const struct winograd *g, int tile)
{
    const struct place p = winograd_place(&g->tiles, tile);
    const int m = g->tiles.m, row = p.row * m, col = p.col * m;
    const size_t TW = (size_t)g->TW;
    const size_t pixel = ((size_t)p.image * (size_t)g->TH + (size_t)row) * TW + (size_t)col;
    return (struct part){least(m, g->TH - row), least(m, g->TW - col), pixel * g->ld, TW * g->ld};
}

/* Pixels y, [m][m], of full vectors of target channels from j on; for moments y gets what was
 * stored.
 */
static void store_full(const struct winograd *g, struct part p, int j, vf *y)
{
    const struct finish *const f = &g->finish;
    const vf bias = f->e.bias ? vf_load(f->e.bias + j) : vf_set(0.0f);
    for (int r = 0; r < p.rows; r++)
        for (int c = 0; c < p.cols; c++) {
            const size_t at = p.at + (size_t)r * p.line + (size_t)c * g->ld + (size_t)j;
            vf v = y[r * g->tiles.m + c];
            if (f->e.accumulate)
                v = v + vf_load(g->target + at);
            if (f->e.bias)
                v = v + bias;
            v = f->plain ? v : finish_vector(f, v, at);
            vf_store(g->target + at, v);
            if (g->moments.sums)
                y[r * g->tiles.m + c] = v;
        }
}

/* The same for the n < VF channels that are left. */
static void store_ragged(const struct winograd *g, struct part p, int j, int n, vf *y)
{
    float row[4 * VF];
    for (int r = 0; r < p.rows; r++) {
        const size_t pixel = (p.at + (size_t)r * p.line) / g->ld;
        for (int c = 0; c < p.cols; c++)
            vf_store(row + c * VF, y[r * g->tiles.m + c]);
        KN(gemm_finish)
        (&g->finish.e, (int)pixel, p.cols, j, n, row, VF, g->target, g->ld);
        if (g->moments.sums)
            for (int c = 0; c < p.cols; c++)
                y[r * g->tiles.m + c] =
                    vf_get(g->target + (pixel + (size_t)c) * g->ld + j, (size_t)n);
    }
}

/* The pixels of a tile, still in registers, to their piece: [m][m], n channels from j on. Lines of
 * pixels have chains of their own. */
static void add_moments(const struct winograd *g, struct part p, int tile, int j, size_t n,
                        const vf *y)
{
    const struct moments *m = &g->moments;
    const size_t piece = moments_piece(m, (size_t)tile);
    const bool first = moments_start(m, piece) == (size_t)tile;
    float *const to = moments_at(m, piece, (size_t)j, first, (size_t)p.rows * (size_t)p.cols),
                 *const sums = to + m->columns, *const all_squares = sums + m->columns;
    const vf shift = first ? y[0] : vf_get(to, n), zero = vf_set(0.0f);
    vf sum = first ? zero : vf_get(sums, n), squares = first ? zero : vf_get(all_squares, n);
    for (int r = 0; r < p.rows; r++) {
        vf line = zero, line_squares = zero;
        for (int c = 0; c < p.cols; c++) {
            const vf far = y[r * g->tiles.m + c] - shift;
            line = line + far;
            line_squares = vf_fma(far, far, line_squares);
        }
        sum = sum + line;
        squares = squares + line_squares;
    }
    if (first)
        vf_put(to, shift, n);
    vf_put(sums, sum, n);
    vf_put(all_squares, squares, n);
}

INLINE void outputs(const int m, const struct winograd *g, int tile, int j, const float *sums,
                    size_t step)
{
    const struct part part = part_of(g, tile);
    const int n = m + 2, width = least(GEMM_NR, g->TC - j);
    for (int v = 0; v < width; v += VF) {
        vf t[WINOGRAD_POINTS], y[WINOGRAD_OUT];
        UNROLL for (int i = 0; i < n; i++) UNROLL for (int q = 0; q < n; q++) t[i * n + q] =
            vf_load(sums + (size_t)(i * n + q) * step + v);
        winograd_2d(winograd_output, m, n, m, t, y);
        if (width - v >= VF)
            store_full(g, part, j + v, y);
        else
            store_ragged(g, part, j + v, width - v, y);
        if (g->moments.sums)
            add_moments(g, part, tile, j + v, (size_t)least(VF, width - v), y);
    }
}

/* Tiles [tile, tile + rows) of one panel; v is their first row. */
static void run_panel(const struct winograd *g, int tile, int rows, const float *v, int panel,
                      const float *u)
{
    const int j = panel * GEMM_NR, cols = least(GEMM_NR, (g->TC - j + VF - 1) / VF * VF);
    const size_t row = (size_t)cols, step = (size_t)(g->chunk | 1) * row;
    const size_t terms = (size_t)g->K * GEMM_NR;
    struct rows r = {v, rows, (rows + GEMM_MR - 1) / GEMM_MR};
    for (int p = 0; p < g->points; p++, r.at += plane(g), u += terms)
        product(g, &r, u, cols, p + 1 == g->points, g->sums + (size_t)p * step);
    for (int t = 0; t < rows; t++) {
        if (g->tiles.m == 2)
            outputs(2, g, tile + t, j, g->sums + (size_t)t * row, step);
        else
            outputs(4, g, tile + t, j, g->sums + (size_t)t * row, step);
    }
}

/* ---- who does what ---- */

/* [from, to) in equal pieces of at most g->chunk. */
static int piece(const struct winograd *g, int from, int to)
{
    const int pieces = (to - from + g->chunk - 1) / g->chunk;
    return pieces ? (to - from + pieces - 1) / pieces : 0;
}

static void by_tiles(struct winograd *g)
{
    size_t from, to;
    crew_share(g->crew, (size_t)g->panels, 1, &from, &to);
    for (int p = (int)from; p < (int)to; p++)
        make_panel(g, p, g->u + (size_t)p * panel_floats(g));
    crew_wait(g->crew);
    if (g->moments.sums)
        moments_share(&g->moments, g->crew, &from, &to);
    else
        crew_share(g->crew, (size_t)g->tiles.count, 1, &from, &to);
    const int step = piece(g, (int)from, (int)to);
    for (int t = (int)from; t < (int)to; t += step) {
        const int rows = least(step, (int)to - t);
        make_inputs(g, t, t, t + rows);
        for (int p = 0; p < g->panels; p++)
            run_panel(g, t, rows, g->v, p, g->u + (size_t)p * panel_floats(g));
    }
}

static void by_panels(struct winograd *g)
{
    size_t from, to, first, last;
    crew_share(g->crew, (size_t)g->panels, 1, &first, &last);
    for (int b = 0; b < g->tiles.count; b += g->block) {
        const int end = least(b + g->block, g->tiles.count), step = piece(g, b, end);
        crew_share(g->crew, (size_t)(end - b), 1, &from, &to);
        make_inputs(g, b, b + (int)from, b + (int)to);
        crew_wait(g->crew);
        for (int p = (int)first; p < (int)last; p++) {
            make_panel(g, p, g->u);
            for (int t = b; t < end; t += step)
                run_panel(g, t, least(step, end - t), g->v + (size_t)(t - b) * g->pitch, p, g->u);
        }
        if (end < g->tiles.count)
            crew_wait(g->crew);
    }
}

static struct winograd plan(const struct kn_conv *c, int m, int pass, int threads)
{
    const bool back = pass == CONV_GRAD_DATA;
    struct winograd g = {.c = c, .back = back, .points = (m + 2) * (m + 2)};
    g.TH = back ? c->H : c->OH;
    g.TW = back ? c->W : c->OW;
    g.TC = back ? c->C : c->O;
    g.ld = c->ld_y && !back ? c->ld_y : (size_t)g.TC;
    g.K = back ? c->O : c->C;
    g.pad = back ? 2 - c->pad : c->pad;
    g.source =
        (struct winograd_image){.H = back ? c->OH : c->H, .W = back ? c->OW : c->W, .C = g.K};
    g.tiles = winograd_tiles(m, c->N, g.TH, g.TW);
    g.panels = (g.TC + GEMM_NR - 1) / GEMM_NR;
    g.pitch = up16((size_t)g.K);
    g.pitch += g.pitch % 256 == 0 ? 16 : 0; /* rows of a tile must not share a set of L1 */
    const size_t tile = (size_t)g.points * sizeof(float); /* of one channel */
    const bool large = panel_floats(&g) * (size_t)g.panels * sizeof(float) > LARGE_BYTES;
    const bool few = g.tiles.count < 2 * threads * GEMM_MR;
    g.by_panels = (large || few) && g.panels >= threads;
    const size_t row = tile * (GEMM_NR + (g.by_panels ? 0 : g.pitch));
    const size_t chunk = (g.by_panels ? SUMS_BYTES : CHUNK_BYTES) / row / GEMM_MR * GEMM_MR;
    g.chunk = most(2 * GEMM_MR, (int)chunk);
    g.block = g.by_panels ? most(g.chunk, (int)(BLOCK_BYTES / (tile * g.pitch))) : g.chunk;
    g.chunk = least(g.chunk, g.tiles.count);
    g.block = least(g.block, g.tiles.count);
    return g;
}

/* Floats of each piece of scratch, in the order in which they lie: what threads share first. */
static size_t shared_floats(const struct winograd *g)
{
    const size_t u = panel_floats(g) * (size_t)g->panels, v = plane(g) * (size_t)g->points;
    return up16(g->by_panels ? v : u);
}

static size_t own_floats(const struct winograd *g, size_t size[4])
{
    const size_t u = panel_floats(g), v = plane(g) * (size_t)g->points;
    size[0] = up16(g->by_panels ? u : v);
    size[1] = (size_t)(g->chunk | 1) * GEMM_NR * (size_t)g->points;
    size[2] = 9 * TERMS * GEMM_NR;
    size[3] = up16((size_t)g->K + VF);
    return size[0] + size[1] + size[2] + size[3];
}

static size_t work_bytes(const struct kn_conv *c, int m, int pass, int threads)
{
    const struct winograd g = plan(c, m, pass, threads);
    size_t size[4];
    return sizeof(float) * (shared_floats(&g) + own_floats(&g, size) * (size_t)threads);
}

static size_t pieces(const struct kn_conv *c, int m)
{
    return moments_pieces((size_t)winograd_tiles(m, c->N, c->OH, c->OW).count,
                          (size_t)m * (size_t)m);
}

static void run(const struct kn_conv *c, int m, int pass, const struct kn_epilogue *e,
                const struct crew *crew, const float *source, const float *w, float *target,
                void *work)
{
    struct winograd g = plan(c, m, pass, crew->threads);
    size_t size[4];
    float *const shared = work;
    float *const own = shared + shared_floats(&g) + own_floats(&g, size) * (size_t)crew->thread;
    g.u = g.by_panels ? own : shared;
    g.v = g.by_panels ? shared : own;
    g.sums = own + size[0];
    g.turned = g.sums + size[1];
    g.zeros = g.turned + size[2];
    zero_floats(g.zeros, (int)size[3]);
    g.source.at = source;
    g.source.zeros = g.zeros;
    g.finish = finish_of(e);
    if (e && e->moments)
        g.moments =
            moments_of(e, (size_t)c->O, (size_t)g.tiles.count, (size_t)m * (size_t)m, pieces(c, m));
    g.crew = crew;
    g.w = w;
    g.target = target;
    (g.by_panels ? by_panels : by_tiles)(&g);
}

#define ENTRIES(name, m)                                                                       \
    size_t KN(name##_pieces)(const struct kn_conv *c) { return pieces(c, m); }                 \
    size_t KN(name##_work)(const struct kn_conv *c, int pass, int threads)                     \
    {                                                                                          \
        return work_bytes(c, m, pass, threads);                                                \
    }                                                                                          \
    void KN(name)(const struct kn_conv *c, int pass, const struct kn_epilogue *e,              \
                  const struct crew *crew, const float *source, const float *w, float *target, \
                  void *work)                                                                  \
    {                                                                                          \
        run(c, m, pass, e, crew, source, w, target, work);                                     \
    }
ENTRIES(conv_winograd2, 2)
ENTRIES(conv_winograd4, 4)
