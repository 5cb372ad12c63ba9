/* conv_winograd_grad_f32.c — gradient of the weights by minimal filtering (conv_winograd.h).
 *
 *     V[p]  = inputs at point p                 [tiles][C]
 *     W[p]  = gradients of outputs at point p   [tiles][O]
 *     dU[p] = W[p]^T V[p]                       [O][C], a sum over all tiles
 *     dw    = G^T dU G
 *
 * Tiles are taken in blocks whose V and W L3 holds. All threads make those; then each thread
 * has rectangles of dU, small enough for its L2, and turns them into weights at once, so dU is
 * never whole in memory. Blocks are added in their order, as weights: the transform is linear.
 * V and W lie in panels of GEMM_NR channels, each of them one piece of memory that a product reads
 * from its beginning to its end; while it does, the next point's are fetched from L3.
 *
 * Where there are few channels, both operands of a small block stay in L2: then SLICES of the tiles
 * are summed apart, each by one thread alone, and added in their order, however many threads. */
#include "kernels/conv_winograd.h"

enum {
    BLOCK_BYTES = 12 << 20,   /* of V and W in L3 */
    SMALL_BYTES = 400 * 1024, /* of V and W in L2 */
    RECT_BYTES = 320 * 1024,  /* of dU that a thread has at hand */
    FEW_BYTES = 160 * 1024,   /* of all of dU: slices */
    SLICES = 16,
    WORTH = 64 /* tiles of a slice */
};

struct winograd_grad {
    const struct kn_conv *c;
    struct winograd_tiles tiles;
    struct winograd_image x, dy;
    int points, block, height; /* tiles of V and W; panels of W in a rectangle */
    int slices, slice;         /* so many tiles each */
    const struct crew *crew;
    float *v, *w, *rect, *dw; /* rect is this thread's */
};

static size_t up16(size_t floats) { return (floats + 15) / 16 * 16; }

/* An odd number of lines. */
static size_t odd_lines(size_t floats)
{
    const size_t lines = (floats + 15) / 16;
    return (lines | 1) * 16;
}

static int panels(int channels) { return (channels + GEMM_NR - 1) / GEMM_NR; }
static size_t group_floats(const struct winograd_grad *g) { return (size_t)g->block * GEMM_NR; }
static size_t v_plane(const struct winograd_grad *g)
{
    return odd_lines(group_floats(g) * (size_t)panels(g->c->C));
}
static size_t w_plane(const struct winograd_grad *g)
{
    return odd_lines(group_floats(g) * (size_t)panels(g->c->O));
}

/* ---- operands ---- */

INLINE void operands(const int m, const struct winograd_grad *g, int first, int from, int to)
{
    const float *pixels[WINOGRAD_POINTS];
    for (int t = from; t < to; t++) {
        const struct place at = winograd_place(&g->tiles, t);
        const int row = at.row * m, col = at.col * m;
        const size_t r = (size_t)(t - first) * GEMM_NR;
        const struct winograd_points v = {g->v + r, v_plane(g), group_floats(g)};
        const struct winograd_points w = {g->w + r, w_plane(g), group_floats(g)};
        winograd_pixels(&g->x, at.image, row - g->c->pad, col - g->c->pad, m + 2, pixels);
        winograd_scatter(winograd_input, m, m + 2, pixels, g->c->C, v);
        winograd_pixels(&g->dy, at.image, row, col, m, pixels);
        winograd_scatter(winograd_grad, m, m, pixels, g->c->O, w);
    }
}

/* ---- products ---- */

/* A rectangle of dU: rows [i, i + rows), which are whole panels of W or end with O, and one panel
 * of columns, over `tiles` tiles. */
struct rect {
    int i, rows, panel, cols, tiles;
};

static size_t rect_plane(const struct winograd_grad *g)
{
    return (size_t)(g->height * GEMM_NR | 1) * GEMM_NR;
}

static const float *w_panel(const struct winograd_grad *g, const struct rect *r, int point, int n)
{
    return g->w + (size_t)point * w_plane(g) + (size_t)(r->i / GEMM_NR + n) * group_floats(g);
}

static const float *v_panel(const struct winograd_grad *g, const struct rect *r, int point)
{
    return g->v + (size_t)point * v_plane(g) + (size_t)r->panel * group_floats(g);
}

/* Part `part` of `parts` of what point `point` will read: the rectangle's panels of W, then V's. */
static struct gemm_fetch fetch(const struct winograd_grad *g, const struct rect *r, int point,
                               int part, int parts)
{
    const int panels_w = panels(r->rows), all = (panels_w + 1) * r->tiles;
    const int first = all * part / parts, end = all * (part + 1) / parts, n = first / r->tiles;
    const float *const panel = n < panels_w ? w_panel(g, r, point, n) : v_panel(g, r, point);
    const int row = first % r->tiles, rows = least(end - first, r->tiles - row);
    return (struct gemm_fetch){.at = panel + (size_t)row * GEMM_NR,
                               .ld = GEMM_NR,
                               .steps = 1,
                               .left = 1,
                               .pairs = point < g->points ? (rows + 1) / 2 : 0};
}

/* One panel of W, rows [i, i + rows) of the rectangle. */
static void panel_product(const struct winograd_grad *g, const struct rect *r, int point, int i,
                          int rows)
{
    const int kc = gemm_kc_of(r->tiles, (r->tiles + GEMM_KC - 1) / GEMM_KC),
              heights = (rows + GEMM_MR - 1) / GEMM_MR;
    const int all = heights * panels(r->rows);
    const float *w = w_panel(g, r, point, i / GEMM_NR), *const v = v_panel(g, r, point);
    float *const sums = g->rect + (size_t)point * rect_plane(g) + (size_t)i * GEMM_NR;
    for (int k = 0; k < r->tiles; k += kc)
        for (int t = 0, from = 0, mr; t < heights; t++, from += mr) {
            struct gemm_fetch next = {.pairs = 0};
            if (k == 0)
                next = fetch(g, r, point + 1, i / GEMM_NR * heights + t, all);
            mr = rows / heights + (t < rows % heights);
            const struct gemm_tile tile = {
                .cols = r->cols,
                .kc = least(kc, r->tiles - k),
                .x = {w + (size_t)k * GEMM_NR + from, 1, GEMM_NR, NULL},
                .y = {v + (size_t)k * GEMM_NR, GEMM_NR, NULL},
                .c = sums + (size_t)from * GEMM_NR,
                .ldc = GEMM_NR,
                .plus = k > 0 ? sums + (size_t)from * GEMM_NR : NULL,
                .ld_plus = GEMM_NR,
                .fetch = &next,
            };
            KN(gemm_tile)(mr, &tile);
        }
}

static void product(const struct winograd_grad *g, const struct rect *r, int point)
{
    for (int i = 0; i < r->rows; i += GEMM_NR)
        panel_product(g, r, point, i, least(GEMM_NR, r->rows - i));
}

/* ---- results ---- */

static void put(float *to, vf v, size_t n, bool add)
{
    if (add)
        v = vf_load_n(to, n, 0.0f) + v;
    vf_store_n(to, v, n);
}

INLINE void results(const int m, const struct winograd_grad *g, const struct rect *r, bool add)
{
    const int n = m + 2, C = g->c->C;
    const size_t step = rect_plane(g);
    for (int i = 0; i < r->rows; i++)
        for (int v = 0; v < r->cols; v += VF) {
            const float *const from = g->rect + (size_t)i * GEMM_NR + v;
            const int c = r->panel * GEMM_NR + v;
            float *const to = g->dw + (size_t)(r->i + i) * 9 * (size_t)C + c;
            vf u[WINOGRAD_POINTS], w[9];
            UNROLL for (int p = 0; p < n * n; p++) u[p] = vf_load(from + (size_t)p * step);
            winograd_2d(winograd_weight_grad, m, n, 3, u, w);
            UNROLL for (int tap = 0; tap < 9; tap++)
                put(to + tap * C, w[tap], (size_t)least(VF, C - c), add);
        }
}

/* ---- who does what ---- */

static void run_rect(const struct winograd_grad *g, int index, int tiles, bool add)
{
    const int across = panels(g->c->C), panel = index % across;
    const int i = index / across * g->height * GEMM_NR;
    const struct rect r = {
        .i = i,
        .rows = least(g->height * GEMM_NR, g->c->O - i),
        .panel = panel,
        .cols = least(GEMM_NR, (g->c->C - panel * GEMM_NR + VF - 1) / VF * VF),
        .tiles = tiles,
    };
    for (int p = 0; p < g->points; p++)
        product(g, &r, p);
    if (g->tiles.m == 2)
        results(2, g, &r, add);
    else
        results(4, g, &r, add);
}

/* Tiles [begin, end). */
static void run_tiles(const struct winograd_grad *g, int begin, int end)
{
    const int down = (panels(g->c->O) + g->height - 1) / g->height, rects = down * panels(g->c->C);
    size_t from, to, first, last;
    crew_share(g->crew, (size_t)rects, 1, &first, &last);
    for (int b = begin; b < end; b += g->block) {
        const int tiles = least(g->block, end - b);
        crew_share(g->crew, (size_t)tiles, 1, &from, &to);
        if (g->tiles.m == 2)
            operands(2, g, b, b + (int)from, b + (int)to);
        else
            operands(4, g, b, b + (int)from, b + (int)to);
        crew_wait(g->crew);
        for (int r = (int)first; r < (int)last; r++)
            run_rect(g, r, tiles, b > begin);
        if (b + tiles < end)
            crew_wait(g->crew);
    }
}

static struct winograd_grad plan(const struct kn_conv *c, int m)
{
    struct winograd_grad g = {.c = c, .points = (m + 2) * (m + 2)};
    g.tiles = winograd_tiles(m, c->N, c->OH, c->OW);
    g.x = (struct winograd_image){.H = c->H, .W = c->W, .C = c->C};
    g.dy = (struct winograd_image){.H = c->OH, .W = c->OW, .C = c->O};
    const size_t point = (size_t)g.points * sizeof(float);
    const size_t tile = point * (size_t)(panels(c->O) + panels(c->C)) * GEMM_NR;
    const bool few = point * (size_t)c->O * (size_t)panels(c->C) * GEMM_NR <= FEW_BYTES;
    g.slices = few ? least(SLICES, (g.tiles.count + WORTH - 1) / WORTH) : 1;
    g.slice = (g.tiles.count + g.slices - 1) / g.slices;
    const int most_tiles = most(2 * GEMM_MR, (int)((few ? SMALL_BYTES : BLOCK_BYTES) / tile));
    const int blocks = (g.slice + most_tiles - 1) / most_tiles;
    g.block = (g.slice + blocks - 1) / blocks;
    g.height = least(panels(c->O), most(1, (int)(RECT_BYTES / point / GEMM_NR / GEMM_NR)));
    return g;
}

static size_t weights(const struct winograd_grad *g)
{
    return up16((size_t)g->c->O * 9 * (size_t)g->c->C);
}

/* V and W, which threads share unless there are slices. */
static size_t operand_floats(const struct winograd_grad *g)
{
    return (v_plane(g) + w_plane(g)) * (size_t)g->points;
}

static size_t own_floats(const struct winograd_grad *g)
{
    const size_t zeros = up16((size_t)most(g->c->C, g->c->O));
    return rect_plane(g) * (size_t)g->points + zeros + (g->slices > 1 ? operand_floats(g) : 0);
}

static size_t shared_floats(const struct winograd_grad *g)
{
    return g->slices > 1 ? weights(g) * (size_t)g->slices : operand_floats(g);
}

static size_t work_bytes(const struct kn_conv *c, int m, int threads)
{
    const struct winograd_grad g = plan(c, m);
    return sizeof(float) * (shared_floats(&g) + own_floats(&g) * (size_t)threads);
}

/* dw = the slices' sums, in order. */
static void add_slices(const struct winograd_grad *g, const float *sums, float *dw)
{
    size_t from, to;
    crew_share(g->crew, (size_t)g->c->O * 9 * (size_t)g->c->C, VF, &from, &to);
    for (size_t i = from; i < to; i += VF) {
        const size_t n = to - i < VF ? to - i : VF;
        vf sum = vf_load_n(sums + i, n, 0.0f);
        for (int s = 1; s < g->slices; s++)
            sum = sum + vf_load_n(sums + (size_t)s * weights(g) + i, n, 0.0f);
        vf_store_n(dw + i, sum, n);
    }
}

static void run_slices(const struct winograd_grad *g, float *sums, float *dw)
{
    struct winograd_grad mine = *g;
    size_t from, to;
    crew_share(g->crew, (size_t)g->slices, 1, &from, &to);
    mine.crew = CREW_ALONE;
    for (size_t s = from; s < to; s++) {
        const int begin = (int)s * g->slice;
        mine.dw = sums + s * weights(g);
        run_tiles(&mine, begin, least(begin + g->slice, g->tiles.count));
    }
    crew_wait(g->crew);
    add_slices(g, sums, dw);
}

static void run_grad(const struct kn_conv *c, int m, const struct crew *crew, const float *x,
                     const float *dy, float *dw, void *work)
{
    struct winograd_grad g = plan(c, m);
    float *const shared = work;
    float *const own = shared + shared_floats(&g) + own_floats(&g) * (size_t)crew->thread;
    const size_t zeros = up16((size_t)most(c->C, c->O));
    float *const none = own + rect_plane(&g) * (size_t)g.points;
    zero_floats(none, (int)zeros);
    g.rect = own;
    g.v = g.slices > 1 ? none + zeros : shared;
    g.w = g.v + v_plane(&g) * (size_t)g.points;
    g.x.at = x;
    g.dy.at = dy;
    g.x.zeros = g.dy.zeros = none;
    g.dw = dw;
    g.crew = crew;
    if (g.slices > 1)
        run_slices(&g, shared, dw);
    else
        run_tiles(&g, 0, g.tiles.count);
}

#define ENTRIES(name, m)                                                                          \
    size_t KN(name##_grad_work)(const struct kn_conv *c, int threads)                             \
    {                                                                                             \
        return work_bytes(c, m, threads);                                                         \
    }                                                                                             \
    void KN(name##_grad_weight)(const struct kn_conv *c, const struct crew *crew, const float *x, \
                                const float *dy, float *dw, void *work)                           \
    {                                                                                             \
        run_grad(c, m, crew, x, dy, dw, work);                                                    \
    }
ENTRIES(conv_winograd2, 2)
ENTRIES(conv_winograd4, 4)
