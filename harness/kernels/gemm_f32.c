/* gemm_f32 — C = epilogue(op(A) op(B)); gemm.h says what, gemm_core.h how.
 *
 * This file finds the panels and gives each thread its part; gemm_plan.c decides. */
#include "kernels/gemm_plan.h"

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
    return m->turned ? (struct gemm_x){m->at + (size_t)k * m->ld + i, 1, m->ld, NULL}
                     : (struct gemm_x){m->at + (size_t)i * m->ld + k, m->ld, 1, NULL};
}

/* By the first tile that uses it. */
static struct gemm_x x_copied(const struct gemm_block *b, int i, int n, int k, int kc, float *room)
{
    struct gemm_x x = x_in_place(b, i, n, k, kc, room);
    x.keep = room;
    return x;
}

/* As [kc][GEMM_MR_PITCH], however it lies. */
static struct gemm_x x_packed(const struct gemm_block *b, int i, int n, int k, int kc, float *room)
{
    const struct gemm_x x = x_copied(b, i, n, k, kc, room);
    if (x.k != 1)
        return KN(gemm_copy_x)(&x, n, kc);
    KN(gemm_transpose)
    (n, kc, x.at, x.row, room, GEMM_MR_PITCH, (GEMM_MR + VF - 1) / VF * VF);
    return (struct gemm_x){room, 1, GEMM_MR_PITCH, NULL};
}

static struct gemm_region region(const struct matrix *m, int i, int rows, int j, int cols)
{
    return m->turned ? (struct gemm_region){m->at + (size_t)j * m->ld + i, m->ld, cols, rows}
                     : (struct gemm_region){m->at + (size_t)i * m->ld + j, m->ld, rows, cols};
}

static struct gemm_region soon_x(const struct gemm_block *b, int i, int n, int k, int kc)
{
    return region(b->of_x, i, n, k, kc);
}

static struct gemm_region soon_y(const struct gemm_block *b, int j, int n, int k, int kc)
{
    return region(b->of_y, k, kc, j, n);
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

/* ---- the product ------------------------------------------------------------ */

static size_t work_of_thread(const struct kn_gemm *g)
{
    const int wide = g->M > g->N ? g->M : g->N, tiles = (wide + GEMM_MR - 1) / GEMM_MR;
    const size_t rooms =
        sizeof(float) * GEMM_X_ROOM * (size_t)(tiles < GEMM_X_ROOMS ? tiles : GEMM_X_ROOMS);
    const size_t bytes = KN(gemm_few_pay)(g) ? KN(gemm_few_work)(g->M, g->N)
                         : GEMM_X_PACKED     ? KN(gemm_block_work_kept)(g->K, wide) + rooms
                                             : KN(gemm_block_work)(g->K, wide) + rooms;
    return (bytes + 63) / 64 * 64;
}

size_t KN(gemm_work_f32)(const struct kn_gemm *g, int threads)
{
    return work_of_thread(g) * (size_t)threads;
}

/* This thread's part of product `index`. */
static void product(const struct kn_gemm *g, size_t index, const struct gemm_plan *p,
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
        .x = !p->copied      ? x_in_place
             : GEMM_X_PACKED ? x_packed
                             : x_copied,
        .y = g->packed_b ? y_prepacked : y_panel,
        .soon_x = p->fetch ? soon_x : NULL,
        .soon_y = p->fetch && !g->packed_b ? soon_y : NULL,
        .near = p->near,
        .height = p->height,
        .x_stays = p->stays,
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
    if (p->thin) {
        KN(gemm_thin)(g, a.at, b.at, block.c, &e, (int)i0, (int)i1, (int)j0, (int)j1);
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
    const struct gemm_plan p = KN(gemm_plan)(g, team->threads);
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
