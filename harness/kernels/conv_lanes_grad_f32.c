/* conv_lanes_grad_f32.c — gradient of the weights, sixteen images to a vector.
 *
 *     dw[o,u,v,c] = sum_{n,i,j} dy[n,i,j,o] x[n, i stride + u - pad, j stride + v - pad, c]
 *
 * A tile is OUTPUTS channels of dy times SOURCES vectors of x: the taps of one
 * kernel row on one channel (then a pixel of x serves all of them from L1), or
 * neighbouring channels at one tap where a row has few taps. Its sums stay in
 * registers while the pixels of a block of images stream past, then rest in
 * `work` until the next block, so that each image is brought near only once.
 * Lanes are added up at the very end. Where the weights are few, the images are cut
 * into pieces, as many as the shape says, with sums of their own: then a thread reads
 * only the images that it wrote itself. (A cache line that two cores have read costs
 * the next one to write it 27 ns on a virtual EPYC; that was a third of a LeNet-5 step.)
 * A sum runs over (block, pixel) ascending, then pieces, then lanes, whoever owns it. */
#include "kernels/conv_parts.h"

enum {
    HALVES = KN_LANES / VF,
    MAX_OUTPUTS = 4,
    OUTPUTS = VF == 8 || VF == 1 ? 2 : 4, /* with 16 registers 2 x 5 must do */
    SOURCES = 6,
    FEW_TAPS = 3, /* below it a tile takes channels instead */
    TILE_FLOATS = OUTPUTS * SOURCES * VF,
    MOST_PIECES = 8,
};

#define INLINE static inline __attribute__((always_inline))

/* The problem as the tiles see it. Groups are as equal as can be. */
struct grad {
    const struct kn_conv *c;
    const float *x, *dy;
    float *dw, *sums;
    bool by_taps;      /* a tile's sources are taps, else channels */
    int group, groups; /* sources in a tile; tiles along the taps or channels */
    int outputs;       /* outputs in a tile */
};

struct tile {
    const struct kn_conv *c;
    const float *x, *dy; /* first row and column of one block, one half */
    float *sums;
    int u, v, nb, na;
    int channel;
    int o[MAX_OUTPUTS];
    int row_from, row_to; /* target rows that tap row u meets */
    int col_from, col_to; /* target columns that any of the taps meets */
    int in_from, in_to;   /* those that all of them meet */
    int col_step;         /* source columns from one source vector to the next: 1 or 0 */
    ptrdiff_t step;       /* the same in floats */
};

INLINE void add_pixel(int na, int nb, vf sum[][SOURCES], const float *dy, const ptrdiff_t o[],
                      const vf s[])
{
#pragma GCC unroll 8
    for (int a = 0; a < na; a++) {
        const vf d = vf_load(dy + o[a]);
#pragma GCC unroll 8
        for (int b = 0; b < nb; b++)
            sum[a][b] = vf_fma(d, s[b], sum[a][b]);
    }
}

/* A pixel beside the border: taps outside the image read 0. */
INLINE void add_edge(const struct tile *t, int na, int nb, vf sum[][SOURCES], int i, int j,
                     const ptrdiff_t o[])
{
    const struct kn_conv *c = t->c;
    const ptrdiff_t row = i * c->stride + t->u - c->pad, col = j * c->stride + t->v - c->pad;
    const float *x = t->x + (row * c->W + col) * c->C * KN_LANES;
    const float *dy = t->dy + ((ptrdiff_t)i * c->OW + j) * c->O * KN_LANES;
    vf s[SOURCES];
#pragma GCC unroll 8
    for (int b = 0; b < nb; b++) {
        const ptrdiff_t at = col + b * t->col_step;
        s[b] = at >= 0 && at < c->W ? vf_load(x + b * t->step) : vf_set(0);
    }
    add_pixel(na, nb, sum, dy, o, s);
}

INLINE void sum_tile(const struct tile *t, int na, int nb)
{
    const struct kn_conv *c = t->c;
    const ptrdiff_t pixel = (ptrdiff_t)c->C * KN_LANES, target = (ptrdiff_t)c->O * KN_LANES;
    vf sum[MAX_OUTPUTS][SOURCES];
    ptrdiff_t o[MAX_OUTPUTS];
#pragma GCC unroll 8
    for (int a = 0; a < na; a++) {
        o[a] = (ptrdiff_t)t->o[a] * KN_LANES;
#pragma GCC unroll 8
        for (int b = 0; b < nb; b++)
            sum[a][b] = vf_load(t->sums + (a * nb + b) * VF);
    }
    for (int i = t->row_from; i < t->row_to; i++) {
        for (int j = t->col_from; j < t->in_from; j++)
            add_edge(t, na, nb, sum, i, j, o);
        const ptrdiff_t row = i * c->stride + t->u - c->pad;
        const ptrdiff_t col = t->in_from * c->stride + t->v - c->pad;
        const float *x = t->x + (row * c->W + col) * pixel;
        const float *dy = t->dy + ((ptrdiff_t)i * c->OW + t->in_from) * target;
        for (int j = t->in_from; j < t->in_to; j++, x += c->stride * pixel, dy += target) {
            vf s[SOURCES];
#pragma GCC unroll 8
            for (int b = 0; b < nb; b++) {
                s[b] = vf_load(x + b * t->step);
                IN_REGISTER(s[b]);
            }
            add_pixel(na, nb, sum, dy, o, s);
        }
        for (int j = t->in_to; j < t->col_to; j++)
            add_edge(t, na, nb, sum, i, j, o);
    }
#pragma GCC unroll 8
    for (int a = 0; a < na; a++)
#pragma GCC unroll 8
        for (int b = 0; b < nb; b++)
            vf_store(t->sums + (a * nb + b) * VF, sum[a][b]);
}

typedef void tile_fn(const struct tile *t);

/* clang-format off */
#define TILE(A, B) static void tile_##A##_##B(const struct tile *t) { sum_tile(t, A, B); }
#define TILES(A) TILE(A, 1) TILE(A, 2) TILE(A, 3) TILE(A, 4) TILE(A, 5) TILE(A, 6)
TILES(1) TILES(2) TILES(3) TILES(4)

#define ROW(A) {tile_##A##_1, tile_##A##_2, tile_##A##_3, tile_##A##_4, tile_##A##_5, tile_##A##_6}
static tile_fn *const tile_fns[MAX_OUTPUTS][SOURCES] = {ROW(1), ROW(2), ROW(3), ROW(4)};
/* clang-format on */

/* The targets q in [from, to) for which tap v stays inside: 0 <= q stride + v - pad < extent. */
static void reach(int extent, int targets, int stride, int pad, int v, int *from, int *to)
{
    const int past = extent + pad - v; /* q stride < past */
    *from = v < pad ? (pad - v + stride - 1) / stride : 0;
    *to = past > 0 ? least(targets, (past + stride - 1) / stride) : 0;
    *from = least(*from, targets);
    *to = most(*from, *to);
}

/* Line l of the tiles: one kernel row and one group of sources. */
static struct tile line_of(const struct grad *g, int l)
{
    const struct kn_conv *c = g->c;
    const int per_row = g->by_taps ? g->groups * c->C : g->groups * c->KW;
    const int rest = l % per_row, group = rest % g->groups * g->group;
    struct tile t = {.c = c, .u = l / per_row};
    t.v = g->by_taps ? group : rest / g->groups;
    t.channel = g->by_taps ? rest / g->groups : group;
    t.nb = least(g->group, (g->by_taps ? c->KW : c->C) - group);
    t.col_step = g->by_taps ? 1 : 0;
    t.step = (g->by_taps ? c->C : 1) * (ptrdiff_t)KN_LANES;
    reach(c->H, c->OH, c->stride, c->pad, t.u, &t.row_from, &t.row_to);
    /* the last tap leaves the image first on the right, the first one on the left */
    const int last = t.v + (t.nb - 1) * t.col_step;
    reach(c->W, c->OW, c->stride, c->pad, t.v, &t.in_from, &t.col_to);
    reach(c->W, c->OW, c->stride, c->pad, last, &t.col_from, &t.in_to);
    t.col_from = least(t.col_from, t.in_from);
    t.col_to = most(t.col_to, t.in_to);
    t.in_from = least(t.in_from, t.col_to);
    t.in_to = most(t.in_from, t.in_to);
    return t;
}

/* The next outputs from `o` on that see the tile's channel; false when there are none. */
static bool take_outputs(const struct grad *g, struct tile *t, int *o)
{
    const struct kn_conv *c = g->c;
    for (t->na = 0; *o < c->O && t->na < g->outputs; ++*o)
        if (!c->mask || c->mask[(ptrdiff_t)*o * c->C + t->channel])
            t->o[t->na++] = *o;
    return t->na > 0;
}

static int lines(const struct grad *g)
{
    return g->c->KH * g->groups * (g->by_taps ? g->c->C : g->c->KW);
}

/* Adds one block of images to a tile. */
static void add_block(const struct grad *g, struct tile *t, int block)
{
    const struct kn_conv *c = g->c;
    for (int half = 0; half < HALVES; half++) {
        const ptrdiff_t lane = (ptrdiff_t)half * VF;
        t->x = g->x + ((ptrdiff_t)block * c->H * c->W * c->C + t->channel) * KN_LANES + lane;
        t->dy = g->dy + (ptrdiff_t)block * c->OH * c->OW * c->O * KN_LANES + lane;
        tile_fns[t->na - 1][t->nb - 1](t);
    }
}

static void write_tile(const struct grad *g, const struct tile *t)
{
    const struct kn_conv *c = g->c;
    for (int a = 0; a < t->na; a++)
        for (int b = 0; b < t->nb; b++) {
            const ptrdiff_t tap =
                ((ptrdiff_t)t->o[a] * c->KH + t->u) * c->KW + t->v + b * t->col_step;
            const ptrdiff_t channel = t->channel + (t->col_step ? 0 : b);
            g->dw[tap * c->C + channel] = vf_sum(vf_load(t->sums + (a * t->nb + b) * VF));
        }
}

enum step { COUNT, CLEAR, ADD, WRITE };

/* Does `step` to the tiles [from, to), and returns how many there are in all. */
static size_t sweep(const struct grad *g, enum step step, size_t from, size_t to, int block)
{
    size_t tile = 0;
    for (int l = 0; l < lines(g); l++) {
        struct tile t = line_of(g, l);
        for (int o = 0; take_outputs(g, &t, &o); tile++) {
            if (tile < from || tile >= to || step == COUNT)
                continue;
            t.sums = g->sums + tile * TILE_FLOATS;
            if (step == CLEAR)
                memset(t.sums, 0, TILE_FLOATS * sizeof(float));
            else if (step == ADD)
                add_block(g, &t, block);
            else
                write_tile(g, &t);
        }
    }
    return tile;
}

static int even_group(int n, int most_of_them)
{
    const int groups = (n + most_of_them - 1) / most_of_them;
    return (n + groups - 1) / groups;
}

static struct grad plan(const struct kn_conv *c)
{
    struct grad g = {.c = c, .by_taps = c->mask || c->KW >= FEW_TAPS || c->KW >= c->C};
    const int sources = g.by_taps ? c->KW : c->C;
    g.group = even_group(sources, SOURCES);
    g.groups = (sources + g.group - 1) / g.group;
    g.outputs = even_group(c->O, OUTPUTS);
    return g;
}

/* How many pieces the images are cut into: their sums stay small beside the images. */
static int pieces_of(const struct grad *g, size_t tiles)
{
    const struct kn_conv *c = g->c;
    const size_t pixels = (size_t)c->H * (size_t)c->W * (size_t)c->C +
                          (size_t)c->OH * (size_t)c->OW * (size_t)c->O;
    const size_t most = (size_t)c->N * pixels / 2 / (tiles * TILE_FLOATS + 1);
    int pieces = 1;
    while (2 * pieces <= least(c->N / KN_LANES, MOST_PIECES) && 2 * (size_t)pieces <= most)
        pieces *= 2;
    return pieces;
}

/* This thread's share of all (piece, tile), whole pieces first. */
static void sum_pieces(struct grad g, const struct crew *crew, int pieces, size_t tiles)
{
    size_t from, to;
    crew_share(crew, (size_t)pieces * tiles, 1, &from, &to);
    for (int p = 0; p < pieces; p++, g.sums += tiles * TILE_FLOATS) {
        const size_t base = (size_t)p * tiles, end = base + tiles;
        if (to <= base || from >= end)
            continue;
        const size_t first = from > base ? from - base : 0, last = to < end ? to - base : tiles;
        const int blocks = g.c->N / KN_LANES;
        sweep(&g, CLEAR, first, last, 0);
        for (int block = blocks * p / pieces; block < blocks * (p + 1) / pieces; block++)
            sweep(&g, ADD, first, last, block);
    }
}

static void run_pieces(const struct grad *g, const struct crew *crew)
{
    const size_t tiles = sweep(g, COUNT, 0, 0, 0);
    const int pieces = pieces_of(g, tiles);
    sum_pieces(*g, crew, pieces, tiles);
    if (pieces > 1)
        crew_wait(crew);
    size_t from, to;
    crew_share(crew, tiles, 1, &from, &to);
    float *const sums = g->sums + from * TILE_FLOATS;
    for (int p = 1; p < pieces; p++)
        KN(add_f32)
    ((to - from) * TILE_FLOATS, sums, sums + (size_t)p * tiles * TILE_FLOATS, sums);
    sweep(g, WRITE, from, to, 0);
}

/* A kernel as large as the image makes one pixel: dw [O][K] = dy^T x over N images,
 * a matrix product of so few terms that adding up the lanes would cost more than it. */
static bool is_product(const struct kn_conv *c)
{
    return c->OH == 1 && c->OW == 1 && c->KH == c->H && c->KW == c->W && !c->mask;
}

static struct kn_gemm product(const struct kn_conv *c, float *x, float *dy, float *dw)
{
    const size_t O = (size_t)c->O, K = (size_t)c->H * (size_t)c->W * (size_t)c->C;
    return (struct kn_gemm){.M = c->O,
                            .N = (int)K,
                            .K = c->N,
                            .ta = true,
                            .a = dy,
                            .lda = O,
                            .b = x,
                            .ldb = K,
                            .c = dw,
                            .ldc = K};
}

/* Floats of n images of `size` floats, up to the next cache line. */
static size_t images(int n, size_t size) { return ((size_t)n * size + 15) / 16 * 16; }

/* y [N][size] = x [N/16][size][16] */
static void leave_lanes(int N, size_t size, const struct crew *crew, const float *x, float *y)
{
    size_t from, to;
    crew_share(crew, size, KN_LANES, &from, &to);
    for (size_t n = 0; n < (size_t)N; n += KN_LANES)
        KN(transpose_f32)
    (to - from, KN_LANES, x + n * size + from * KN_LANES, KN_LANES, y + n * size + from, size);
}

static void run_product(const struct kn_conv *c, const struct crew *crew, const float *x,
                        const float *dy, float *dw, float *work)
{
    const size_t O = (size_t)c->O, K = (size_t)c->H * (size_t)c->W * (size_t)c->C;
    float *const flat_dy = work + images(c->N, K), *const rest = flat_dy + images(c->N, O);
    leave_lanes(c->N, K, crew, x, work);
    leave_lanes(c->N, O, crew, dy, flat_dy);
    crew_wait(crew);
    const struct kn_gemm g = product(c, work, flat_dy, dw);
    KN(gemm_f32)(&g, crew, rest);
}

size_t KN(conv_lanes_grad_work)(const struct kn_conv *c, int threads)
{
    if (is_product(c)) {
        const struct kn_gemm g = product(c, NULL, NULL, NULL);
        const size_t x = images(c->N, (size_t)g.N), dy = images(c->N, (size_t)g.M);
        return (x + dy) * sizeof(float) + KN(gemm_work_f32)(&g, threads);
    }
    const struct grad g = plan(c);
    const size_t tiles = sweep(&g, COUNT, 0, 0, 0);
    return (size_t)pieces_of(&g, tiles) * tiles * TILE_FLOATS * sizeof(float);
}

void KN(conv_lanes_grad_weight)(const struct kn_conv *c, const struct crew *crew, const float *x,
                                const float *dy, float *dw, void *work)
{
    if (is_product(c)) {
        run_product(c, crew, x, dy, dw, work);
        return;
    }
    struct grad g = plan(c);
    g.x = x, g.dy = dy, g.dw = dw, g.sums = work;
    run_pieces(&g, crew);
    if (!c->mask)
        return;
    size_t from, to;
    const size_t C = (size_t)c->C, taps = (size_t)c->KH * (size_t)c->KW;
    crew_share(crew, (size_t)c->O * taps * C, 1, &from, &to);
    for (size_t i = from; i < to; i++)
        if (!c->mask[i / C / taps * C + i % C])
            dw[i] = 0;
}
