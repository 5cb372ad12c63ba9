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

/* Rows of X are read in place. */
static struct gemm_x x_in_place(const struct gemm_block *b, int i, int n, int k, int kc,
                                float *room)
{
    const struct matrix *m = b->of_x;
    (void)n, (void)kc, (void)room;
    return m->turned ? (struct gemm_x){m->at + (size_t)k * m->ld + i, 1, m->ld}
                     : (struct gemm_x){m->at + (size_t)i * m->ld + k, m->ld, 1};
}

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

static size_t work_of_thread(const struct kn_gemm *g)
{
    const int wide = g->M > g->N ? g->M : g->N;
    return (KN(gemm_block_work)(g->K, wide) + 63) / 64 * 64;
}

size_t KN(gemm_work_f32)(const struct kn_gemm *g, int threads)
{
    return work_of_thread(g) * (size_t)threads;
}

/* This thread's part of one product, split in two dimensions at most by a factor of `threads`. */
static void product(const struct kn_gemm *g, size_t index, const struct crew *crew, void *work)
{
    const struct matrix a = {g->a ? g->a + index * g->stride_a : NULL, g->lda, g->ta};
    const struct matrix b = {g->b ? g->b + index * g->stride_b : NULL, g->ldb, g->tb};
    const struct matrix packed = {g->packed_b, padded(g->N), false};
    struct kn_epilogue e = g->epilogue;
    e.ld_residual = e.ld_residual ? e.ld_residual : g->ldc;
    e.ld_y = e.ld_y ? e.ld_y : g->ldc;
    if (e.residual)
        e.residual += index * g->stride_c;
    if (e.y)
        e.y += index * g->stride_c;
    const struct gemm_block block = {
        .K = g->K,
        .of_x = &a,
        .of_y = g->packed_b ? &packed : &b,
        .x = x_in_place,
        .y = g->packed_b ? y_prepacked : y_panel,
        .c = g->c + index * g->stride_c,
        .ldc = g->ldc,
        .epilogue = &e,
    };
    size_t j0, j1;
    crew_share(crew, (size_t)g->N, GEMM_NR, &j0, &j1);
    KN(gemm_block)(&block, 0, g->M, (int)j0, (int)j1, work);
}

void KN(gemm_f32)(const struct kn_gemm *g, const struct crew *crew, void *work)
{
    const size_t batch = g->batch > 0 ? (size_t)g->batch : 1;
    void *const mine = (char *)work + (size_t)crew->thread * work_of_thread(g);
    if (batch == 1) {
        product(g, 0, crew, mine);
        return;
    }
    size_t from, to;
    crew_share(crew, batch, 1, &from, &to);
    for (size_t i = from; i < to; i++)
        product(g, i, CREW_ALONE, mine);
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
