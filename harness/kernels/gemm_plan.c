/* gemm_plan — which operand lies along the lanes, what is copied, who does what.
 *
 * A model of cycles compares C = A B with C^T = B^T A^T and every split of the
 * threads into rows and columns. Its constants were measured on Zen 4; only their
 * proportions matter. */
#include "kernels/gemm_plan.h"

#include <stdio.h>

/* A product as the micro-kernel sees it: X [rows,K] is broadcast, Y [K,cols] lies along the lanes.
 */
struct view {
    int rows, cols, K;
    bool swapped, turned_x, turned_y; /* X has its columns contiguous; Y must be transposed */
    bool finished;                    /* results go through more than their sum */
    size_t ld_x, ld_y;
};

static struct view view(const struct kn_gemm *g, bool swapped)
{
    const struct kn_epilogue *const e = &g->epilogue;
    const bool finished = e->bias || e->residual || e->act || e->grad;
    return swapped ? (struct view){g->N, g->M, g->K, true, !g->tb, !g->ta, finished, g->ldb, g->lda}
                   : (struct view){g->M,     g->N,   g->K,  false, g->ta, g->tb && !g->packed_b,
                                   finished, g->lda, g->ldb};
}

/* Cycles per float of an operand of that size for the time that it does not hide. */
static double reading(double floats)
{
    const struct kn_caches *c = kn_caches();
    const double bytes = floats * sizeof(float);
    return bytes <= (double)c->l2 / 2 ? 0 : bytes <= (double)c->l3 / 2 ? 0.1 : 0.9;
}

/* Rows that lie a multiple of 4 KiB apart share one set of the L1 cache, which has
 * fewer ways than a tile has rows. */
static bool rows_collide(size_t ld)
{
    enum { L1_WAY = 4096, LINE = 64 };
    const size_t off = ld * sizeof(float) % L1_WAY, near = off < L1_WAY / 2 ? off : L1_WAY - off;
    return near < LINE / 4;
}

/* Columns far apart share sets of L2, or each lies on a page of its own, of which the first level
 * of the TLB holds fewer than a panel has. */
static bool x_collides(const struct view *v)
{
    enum { L2_WAYS = 8, LINE = 64, PAGE = 4096 };
    const size_t stride = v->ld_x * sizeof(float);
    if (!v->turned_x)
        return rows_collide(v->ld_x);
    if (stride >= PAGE && !GEMM_X_PACKED)
        return true;
    const size_t way = kn_caches()->l2 / L2_WAYS, twos = stride & -stride;
    const size_t step = twos < LINE ? LINE : twos < way ? twos : way;
    return way / step * L2_WAYS < 2 * (size_t)gemm_kc(v->K);
}

/* Whether X stays in L2 while Y passes by. The other way round C is written row by
 * row, which is faster where Y fits and X has many rows. */
static bool x_stays(const struct view *v, int rows, int cols)
{
    enum { FEW_ROWS = 256 };
    const int kc = gemm_kc(v->K);
    const size_t x = sizeof(float) * (size_t)rows * (size_t)kc,
                 y = sizeof(float) * (size_t)cols * (size_t)kc;
    return (y > kn_caches()->l2 / 4 * 3 || rows <= FEW_ROWS) && x <= kn_caches()->l2 / 2;
}

/* Packed, X is read once from far away for all panels of Y. */
static bool packing_pays(const struct view *v)
{
    return GEMM_X_PACKED && sizeof(float) * (size_t)v->rows * (size_t)v->K > kn_caches()->l2 / 4;
}

static int tiles_in_l2(int K)
{
    const size_t tile = sizeof(float) * GEMM_MR_PITCH * (size_t)(K > 0 ? gemm_kc(K) : 1);
    const int tiles = (int)(kn_caches()->l2 / 16 * 9 / tile);
    return tiles < 1 ? 1 : tiles < GEMM_X_ROOMS ? tiles : GEMM_X_ROOMS;
}

/* Two threads that write one row of C side by side at the same time take lines from
 * each other, the prefetchers' guesses most of all. Whether it is the same time
 * depends on the order of the loops. */
static double seam(const struct view *v, int rows, int cols, int down, int across)
{
    enum { SAME_TIME = 1000, ANOTHER_TIME = 30 };
    const bool by_columns = x_stays(v, rows, cols);
    if (v->swapped)
        return (double)v->cols * (down - 1) * (by_columns ? SAME_TIME : ANOTHER_TIME);
    return (double)v->rows * (across - 1) * (by_columns ? ANOTHER_TIME : SAME_TIME);
}

/* Cycles per float of Y that is transposed: from afar, or where rows collide, loads are waited for.
 */
static double turning_y(const struct view *v)
{
    const bool far = sizeof(float) * (size_t)v->K * (size_t)v->cols > 4 * kn_caches()->l2;
    return far || rows_collide(v->ld_y) ? 0.35 : 0.2;
}

/* Cycles per float of X that is copied: with terms, unless whole panels are turned before. */
static double copying_x(const struct view *v)
{
    return v->turned_x ? 0.1 : GEMM_X_PACKED ? 0.3 : 0.05;
}

/* Cycles of a thread that has rows x cols of the product. */
static double cycles(const struct view *v, int rows, int cols)
{
    enum { PER_TILE = 30 };
    const double vectors = (cols + VF - 1) / VF, tiles = (rows + GEMM_MR - 1) / GEMM_MR, K = v->K;
    const double height = rows / tiles, latency = 4.0 / GEMM_NV;
    const double sums = vectors * tiles * fmax(height, latency) * K;
    const double memory = K * (rows * reading(K * v->rows) + cols * reading(K * v->cols));
    const double packing = (v->turned_y ? turning_y(v) : 0.02) * cols * K +
                           (x_collides(v) ? copying_x(v) : 0) * rows * K;
    const double blocks = ceil(K / fmax(1, gemm_kc(v->K)));
    const double turning = (blocks + (v->finished ? 0.3 : 0)) * rows * cols;
    const double storing = v->swapped ? turning : blocks * 1.5 * vectors * rows;
    return fmax(sums, memory) + packing + storing + PER_TILE * tiles * vectors;
}

/* The best split of the threads, and its cycles. */
static double split(const struct view *v, int threads, struct gemm_plan *best)
{
    const int vectors = (v->cols + VF - 1) / VF;
    double least = INFINITY;
    for (int across = 1; across <= threads; across++) {
        if (threads % across)
            continue;
        const int down = threads / across, rows = (v->rows + down - 1) / down;
        const int cols = (vectors + across - 1) / across * VF;
        const double c = cycles(v, rows, cols) + seam(v, rows, cols, down, across);
        if (c < least) {
            least = c;
            *best = (struct gemm_plan){.swapped = v->swapped, .rows = down, .cols = across};
        }
    }
    return least;
}

/* Sums along the lanes: nothing to pack, but lanes to add. */
static bool dots_pay(const struct kn_gemm *g)
{
    enum { FEW = 16 };
    struct gemm_plan p = {0};
    if (g->ta || !g->tb || g->packed_b || (g->M > FEW && g->N > FEW) || g->K < 2 * VF)
        return false;
    const struct view straight = view(g, false), swapped = view(g, true);
    const double tiles = ceil((double)g->M / GEMM_DOT_MR) * ceil((double)g->N / GEMM_DOT_NR);
    const double sums = (double)g->M * g->N * ((g->K + VF - 1) / VF),
                 ends = 5.0 * g->M * g->N + 30 * tiles;
    const double few = fmin(g->M, g->N), loads = 1 + 1 / few; /* a lone row cannot keep up */
    return loads * sums + ends < fmin(split(&straight, 1, &p), split(&swapped, 1, &p));
}

bool KN(gemm_few_pay)(const struct kn_gemm *g)
{
    enum { FEW = 8, LEAST = 96 };
    return g->M <= FEW && !g->tb && !g->packed_b && g->N >= LEAST && g->K > FEW;
}

/* Few terms, and rows of C long enough to be worth a row of A in registers. */
static bool thin_pays(const struct kn_gemm *g)
{
    enum { LEAST = 64 };
    return g->K >= 1 && g->K <= GEMM_THIN_K && g->N >= LEAST && !g->tb && !g->packed_b;
}

struct gemm_plan KN(gemm_plan)(const struct kn_gemm *g, int threads)
{
    enum { REUSE = 4 }; /* panels from which on a copy of X pays */
    if (KN(gemm_few_pay)(g))
        return (struct gemm_plan){.few = true, .rows = 1, .cols = threads};
    if (thin_pays(g)) {
        const bool low = g->M < 4 * threads;
        return (struct gemm_plan){
            .thin = true, .rows = low ? 1 : threads, .cols = low ? threads : 1};
    }
    if (dots_pay(g))
        return (struct gemm_plan){
            .dots = true, .rows = g->M > g->N ? threads : 1, .cols = g->M > g->N ? 1 : threads};
    const struct view straight = view(g, false), swapped = view(g, true);
    struct gemm_plan p = {.rows = 1, .cols = 1}, q = p;
    const double c = split(&straight, threads, &p);
    if (!g->packed_b && split(&swapped, threads, &q) < c)
        p = q;
    const struct view *v = p.swapped ? &swapped : &straight;
    const int rows = (v->rows + p.rows - 1) / p.rows, cols = (v->cols + p.cols - 1) / p.cols;
    const bool collides = x_collides(v),
               at_no_cost = collides && !v->turned_x && !GEMM_X_PACKED && rows > GEMM_MR / 2;
    p.copied = at_no_cost || ((collides || packing_pays(v)) && cols > REUSE * GEMM_NR);
    p.height = collides && !p.copied && !v->turned_x ? (GEMM_MR + 1) / 2
                                                     : GEMM_MR; /* half have ways enough */
    p.fetch =
        sizeof(float) * (size_t)v->K * ((size_t)v->rows + (size_t)v->cols) > kn_caches()->l2 / 4;
    p.near = !p.fetch && sizeof(float) * (size_t)v->rows * (size_t)v->cols <= kn_caches()->l2 / 4;
    p.stays = p.copied && GEMM_X_PACKED ? tiles_in_l2(v->K)
              : x_stays(v, rows, cols) && rows <= (p.copied ? GEMM_X_ROOMS : GEMM_TILES) * p.height
                  ? GEMM_TILES
                  : 0;
    return p;
}

void KN(gemm_how)(const struct kn_gemm *g, int threads, char how[KN_HOW])
{
    const struct gemm_plan p = KN(gemm_plan)(g, threads);
    const char *const path = p.few ? "few rows" : p.thin ? "thin" : p.dots ? "dots" : "tiles";
    snprintf(how, KN_HOW, "%s%s%s%s %dx%d", path, p.swapped ? " swapped" : "",
             p.copied ? " copied" : "", p.stays ? " staying" : "", p.rows, p.cols);
}
