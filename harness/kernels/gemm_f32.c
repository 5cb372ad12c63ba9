/* gemm_f32 — C = epilogue(op(A) op(B)); gemm.h says what, gemm_core.h how.
 *
 * This file decides which operand lies along the lanes, how panels are found and
 * how the work is split between threads. */
#include "kernels/gemm_core.h"

/* A matrix in memory: element (i, j) is at[i * ld + j], or at[j * ld + i] if turned. */
struct matrix {
    const float *at;
    size_t ld;
    bool turned;
};

/* ---- X ---------------------------------------------------------------------- */

static struct gemm_x x_in_place(const struct gemm_block *b, int i, int n, int k, int kc,
                                float *room)
{
    const struct matrix *m = b->of_x;
    (void)n, (void)kc, (void)room;
    return m->turned ? (struct gemm_x){m->at + (size_t)k * m->ld + i, 1, m->ld}
                     : (struct gemm_x){m->at + (size_t)i * m->ld + k, m->ld, 1};
}

static void copy(int n, const float *x, float *y)
{
    int i = 0;
    for (; i + VF <= n; i += VF)
        vf_store(y + i, vf_load(x + i));
    if (i < n)
        vf_store_n(y + i, vf_load_n(x + i, (size_t)(n - i), 0.0f), (size_t)(n - i));
}

static struct gemm_x x_copied(const struct gemm_block *b, int i, int n, int k, int kc, float *room)
{
    const struct gemm_x x = x_in_place(b, i, n, k, kc, room);
    if (x.k == 1)
        for (int r = 0; r < n; r++)
            copy(kc, x.at + (size_t)r * x.row, room + r * GEMM_KC_PITCH);
    else
        for (int r = 0; r < kc; r++)
            copy(n, x.at + (size_t)r * x.k, room + r * GEMM_MR_PITCH);
    return x.k == 1 ? (struct gemm_x){room, GEMM_KC_PITCH, 1}
                    : (struct gemm_x){room, 1, GEMM_MR_PITCH};
}

static void fetch_x(const struct gemm_block *b, int i, int n, int k, int kc, int part, int parts)
{
    const struct gemm_x x = x_in_place(b, i, n, k, kc, NULL);
    const int from = (int)((int64_t)kc * part / parts),
              to = (int)((int64_t)kc * (part + 1) / parts);
    if (x.k == 1)
        for (int r = 0; r < n; r++)
            for (int c = from; c < to; c += 16)
                __builtin_prefetch(x.at + (size_t)r * x.row + c, 0, 2);
    else
        for (int r = from; r < to; r++) {
            __builtin_prefetch(x.at + (size_t)r * x.k, 0, 2);
            __builtin_prefetch(x.at + (size_t)r * x.k + n - 1, 0, 2);
        }
}

/* Rows that lie a multiple of 4 KiB apart share one set of the L1 cache, which has
 * fewer ways than a tile has rows; columns far apart share sets of L2. */
static bool x_collides(const struct matrix *m, int kc)
{
    enum { L1_WAY = 4096, L2_WAYS = 8, LINE = 64 };
    const size_t stride = m->ld * sizeof(float);
    if (!m->turned) {
        const size_t off = stride % L1_WAY, near = off < L1_WAY / 2 ? off : L1_WAY - off;
        return near < LINE / 4;
    }
    const size_t way = kn_caches()->l2 / L2_WAYS, twos = stride & -stride;
    const size_t step = twos < LINE ? LINE : twos < way ? twos : way;
    return way / step * L2_WAYS < 2 * (size_t)kc;
}

/* ---- Y ---------------------------------------------------------------------- */

/* Y where it is, or transposed. */
static struct gemm_y y_panel(const struct gemm_block *b, int j, int n, int k, int kc, float *room)
{
    const struct matrix *m = b->of_y;
    if (m->turned) {
        KN(gemm_transpose)
        (n, kc, m->at + (size_t)j * m->ld + k, m->ld, room, GEMM_NR, (n + VF - 1) / VF * VF);
        return (struct gemm_y){room, GEMM_NR, NULL};
    }
    return (struct gemm_y){m->at + (size_t)k * m->ld + j, m->ld, room};
}

/* B as gemm_pack_f32() left it: blocks of gemm_kc(K) rows, in each the panels one after the other.
 */
static struct gemm_y y_prepacked(const struct gemm_block *b, int j, int n, int k, int kc,
                                 float *room)
{
    const struct matrix *m = b->of_y;
    (void)n, (void)room;
    return (struct gemm_y){m->at + (size_t)k * m->ld + (size_t)j * (size_t)kc, GEMM_NR, NULL};
}

static size_t padded(int n) { return (size_t)(n + GEMM_NR - 1) / GEMM_NR * GEMM_NR; }

/* ---- which way and who does what --------------------------------------------- */

/* How a product is done. Only `dots` and `few` change the order of sums, and they depend on the
 * whole product alone. */
struct plan {
    bool dots, few; /* by gemm_dot() or gemm_few() */
    bool swapped; /* C^T = B^T A^T: columns of C are the rows of tiles, rows lie along the lanes */
    bool copied;  /* X */
    int rows, cols; /* of threads */
};

/* Cycles of one thread for rows x cols of C, as the lanes see it, on a machine that
 * starts one fused multiply-add of vectors per cycle. Measured on Zen 4, but only
 * the proportions matter. */
static double cycles(int rows, int cols, int K, bool turned_y, bool swapped)
{
    const double vectors = (cols + VF - 1) / VF, tiles = (rows + GEMM_MR - 1) / GEMM_MR;
    const double height = rows / tiles, latency = 4.0 / GEMM_NV;
    const double sums = vectors * tiles * (height > latency ? height : latency) * K;
    const double packing = (turned_y ? 0.35 : 0.03) * cols * K;
    const double storing = swapped ? 0.7 * rows * cols : 1.5 * vectors * rows;
    return sums + packing + storing + 30 * tiles * vectors;
}

/* Two threads that write one row of C side by side take lines from each other, the
 * prefetchers' guesses most of all; cycles for each such row, measured. */
static const double SEAM = 1000;

static double split(const struct kn_gemm *g, bool swapped, int threads, struct plan *best)
{
    const int rows = swapped ? g->N : g->M, vectors = ((swapped ? g->M : g->N) + VF - 1) / VF;
    const bool turned_y = !g->packed_b && (swapped ? !g->ta : g->tb);
    double least = INFINITY;
    for (int across = 1; across <= threads; across++) {
        if (threads % across)
            continue;
        const int down = threads / across;
        const int seams = swapped ? down - 1 : across - 1; /* in each row of C */
        const double c = SEAM * seams * g->M + cycles((rows + down - 1) / down,
                                                      (vectors + across - 1) / across * VF, g->K,
                                                      turned_y, swapped);
        if (c < least) {
            least = c;
            *best = (struct plan){.swapped = swapped, .rows = down, .cols = across};
        }
    }
    return least;
}

/* Sums along the lanes: nothing to pack, but lanes to add. */
static bool dots_pay(const struct kn_gemm *g)
{
    enum { FEW = 16 };
    struct plan p;
    if (g->ta || !g->tb || g->packed_b || (g->M > FEW && g->N > FEW) || g->K < 2 * VF)
        return false;
    const double tiles = ceil((double)g->M / GEMM_DOT_MR) * ceil((double)g->N / GEMM_DOT_NR);
    const double sums = (double)g->M * g->N * ((g->K + VF - 1) / VF),
                 ends = 5.0 * g->M * g->N + 30 * tiles;
    const double few = g->M < g->N ? g->M : g->N,
                 loads = 1 + 1 / few; /* a lone row cannot keep up */
    return loads * sums + ends < fmin(split(g, false, 1, &p), split(g, true, 1, &p));
}

/* Few rows of C, and a B that is worth streaming. */
static bool few_pay(const struct kn_gemm *g)
{
    enum { FEW = 8, LEAST = 96 };
    return g->M <= FEW && !g->tb && !g->packed_b && g->N >= LEAST && g->K > FEW;
}

static struct plan make_plan(const struct kn_gemm *g, int threads)
{
    struct plan straight, swapped;
    if (few_pay(g))
        return (struct plan){.few = true, .rows = 1, .cols = threads};
    if (dots_pay(g))
        return (struct plan){
            .dots = true, .rows = g->M > g->N ? threads : 1, .cols = g->M > g->N ? 1 : threads};
    const double c = split(g, false, threads, &straight);
    struct plan p = g->packed_b || c <= split(g, true, threads, &swapped) ? straight : swapped;
    const struct matrix x = p.swapped ? (struct matrix){.ld = g->ldb, .turned = !g->tb}
                                      : (struct matrix){.ld = g->lda, .turned = g->ta};
    p.copied = x_collides(&x, gemm_kc(g->K)) && (p.swapped ? g->M : g->N) > 2 * GEMM_NR * p.cols;
    return p;
}

static size_t work_of_thread(const struct kn_gemm *g)
{
    const int wide = g->M > g->N ? g->M : g->N;
    const size_t bytes =
        few_pay(g) ? KN(gemm_few_work)(g->M, g->N) : KN(gemm_block_work)(g->K, wide);
    return (bytes + 63) / 64 * 64;
}

size_t KN(gemm_work_f32)(const struct kn_gemm *g, int threads)
{
    return work_of_thread(g) * (size_t)threads;
}

/* This thread's part of product `index`. */
static void product(const struct kn_gemm *g, size_t index, const struct plan *p,
                    const struct crew *crew, void *work)
{
    const struct matrix a = {g->a + index * g->stride_a, g->lda, g->ta};
    const struct matrix b = g->packed_b
                                ? (struct matrix){g->packed_b, padded(g->N), false}
                                : (struct matrix){g->b + index * g->stride_b, g->ldb, g->tb};
    const struct matrix at = {a.at, a.ld, !a.turned}, bt = {b.at, b.ld, !b.turned};
    struct kn_epilogue e = g->epilogue;
    e.ld_residual = e.ld_residual ? e.ld_residual : g->ldc;
    e.ld_y = e.ld_y ? e.ld_y : g->ldc;
    if (e.residual)
        e.residual += index * g->stride_c;
    if (e.y)
        e.y += index * g->stride_c;
    const struct gemm_block block = {
        .K = g->K,
        .of_x = p->swapped ? &bt : &a,
        .of_y = p->swapped ? &at : &b,
        .x = p->copied ? x_copied : x_in_place,
        .y = g->packed_b ? y_prepacked : y_panel,
        .fetch_x = fetch_x,
        .c = g->c + index * g->stride_c,
        .ldc = g->ldc,
        .transposed = p->swapped,
        .epilogue = &e,
    };
    const struct crew down = {crew->thread / p->cols, p->rows, NULL},
                      across = {crew->thread % p->cols, p->cols, NULL};
    const size_t rows = (size_t)(p->swapped ? g->N : g->M),
                 cols = (size_t)(p->swapped ? g->M : g->N);
    size_t i0, i1, j0, j1;
    crew_share(&down, rows, 1, &i0, &i1);
    crew_share(&across, cols, g->packed_b ? GEMM_NR : VF, &j0, &j1);
    if (p->few) {
        KN(gemm_few)(g, a.at, b.at, block.c, &e, (int)j0, (int)j1, work);
        return;
    }
    if (p->dots) {
        KN(gemm_dot)(g, a.at, b.at, block.c, &e, (int)i0, (int)i1, (int)j0, (int)j1);
        return;
    }
    KN(gemm_block)(&block, (int)i0, (int)i1, (int)j0, (int)j1, work);
}

void KN(gemm_f32)(const struct kn_gemm *g, const struct crew *crew, void *work)
{
    const size_t batch = g->batch > 0 ? (size_t)g->batch : 1, threads = (size_t)crew->threads;
    void *const mine = (char *)work + (size_t)crew->thread * work_of_thread(g);
    const bool whole =
        batch % threads == 0 || batch > 8 * threads; /* products to one thread each */
    const struct crew *const team = whole ? CREW_ALONE : crew;
    const struct plan p = make_plan(g, team->threads);
    size_t from = 0, to = batch;
    if (whole)
        crew_share(crew, batch, 1, &from, &to);
    for (size_t i = from; i < to; i++)
        product(g, i, &p, team, mine);
}

size_t KN(gemm_packed_f32)(const struct kn_gemm *g)
{
    return g->batch > 1 || g->M <= GEMM_MR ? 0 : padded(g->N) * (size_t)g->K;
}

static void copy_panel(int n, int kc, struct gemm_y y, float *to)
{
    for (int k = 0; k < kc; k++, to += GEMM_NR)
        for (int v = 0; v < n; v += VF)
            vf_store(to + v, n - v < VF
                                 ? vf_load_n(y.at + (size_t)k * y.k + v, (size_t)(n - v), 0.0f)
                                 : vf_load(y.at + (size_t)k * y.k + v));
}

void KN(gemm_pack_f32)(const struct kn_gemm *g, const struct crew *crew, float *packed)
{
    const struct matrix b = {g->b, g->ldb, g->tb};
    const struct gemm_block block = {.K = g->K, .of_y = &b};
    const int kc = gemm_kc(g->K);
    size_t from, to;
    crew_share(crew, (size_t)g->N, GEMM_NR, &from, &to);
    for (int k = 0; k < g->K; k += kc) {
        const int now = g->K - k < kc ? g->K - k : kc;
        for (int j = (int)from; j < (int)to; j += GEMM_NR) {
            const int n = (int)to - j < GEMM_NR ? (int)to - j : GEMM_NR;
            float *const panel = packed + (size_t)k * padded(g->N) + (size_t)j * (size_t)now;
            const struct gemm_y y = y_panel(&block, j, n, k, now, panel);
            if (y.keep)
                copy_panel(n, now, y, panel);
        }
    }
}
