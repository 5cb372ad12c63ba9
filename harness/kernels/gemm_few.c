/* gemm_few — C = A B where C has few rows and B is stored [K][N].
 *
 * The time goes into reading B, which passes by once, STRIP rows at a time from
 * left to right: that many streams the prefetchers can follow, while a panel of
 * gemm_block() would take 128 bytes from each of thousands of rows. The sums
 * wait in the thread's scratch, which stays in L2. Terms are added in the order of k. */
#include "kernels/gemm_core.h"
#include "kernels/gemm_unroll.h"

enum {
    MR = VF == 8 ? 2 : 4,
    NV = VF == 8 ? 4 : 6,
    STRIP = 8,
    AHEAD = 128 /* floats */
};

struct strip {
    int rows, k;     /* rows of C; terms in this strip */
    struct gemm_x x; /* of A */
    const float *b;  /* first row of the strip, first column of this thread */
    size_t ldb, lds;
    float *sums; /* [rows][lds] */
};

INLINE void few_tile(const int mr, const int nv, const struct strip *s, int i, size_t j,
                     size_t last)
{
    vf acc[MR][NV];
    const float *b = s->b + j, *a = s->x.at + (size_t)i * s->x.row;
    float *const to = s->sums + (size_t)i * s->lds + j;
    UNROLL for (int r = 0; r < mr; r++)
    {
        UNROLL for (int v = 0; v < nv; v++) acc[r][v] = vf_load(to + (size_t)r * s->lds + v * VF);
    }
    for (int k = 0; k < s->k; k++, b += s->ldb, a += s->x.k) {
        vf y[NV];
        UNROLL for (int v = 0; v < nv; v++)
        {
            y[v] =
                v == nv - 1 && last < VF ? vf_load_n(b + v * VF, last, 0.0f) : vf_load(b + v * VF);
            __builtin_prefetch(b + v * VF + AHEAD);
        }
        UNROLL for (int r = 0; r < mr; r++)
        {
            const vf x = vf_set(a[(size_t)r * s->x.row]);
            UNROLL for (int v = 0; v < nv; v++) acc[r][v] = vf_fma(x, y[v], acc[r][v]);
        }
    }
    UNROLL for (int r = 0; r < mr; r++)
    {
        UNROLL for (int v = 0; v < nv; v++) vf_store(to + (size_t)r * s->lds + v * VF, acc[r][v]);
    }
}

/* clang-format off */
#define DEFINE(mr) \
    static void wide_##mr(const struct strip *s, int i, size_t j) { few_tile(mr <= MR ? mr : 1, NV, s, i, j, VF); } \
    static void one_##mr(const struct strip *s, int i, size_t j, size_t last) { few_tile(mr <= MR ? mr : 1, 1, s, i, j, last); }
DEFINE(1) DEFINE(2) DEFINE(3) DEFINE(4)
static void (*const wide[])(const struct strip *, int, size_t) = {wide_1, wide_2, wide_3, wide_4};
static void (*const one[])(const struct strip *, int, size_t, size_t) = {one_1, one_2, one_3, one_4};
/* clang-format on */

static void strip_run(const struct strip *s, size_t cols)
{
    const int tiles = (s->rows + MR - 1) / MR;
    size_t j = 0;
    while (j < cols) {
        const bool full = j + NV * VF <= cols;
        const size_t last = cols - j < VF ? cols - j : VF;
        for (int t = 0; t < tiles; t++) {
            const int i = s->rows * t / tiles, mr = s->rows * (t + 1) / tiles - i;
            if (full)
                wide[mr - 1](s, i, j);
            else
                one[mr - 1](s, i, j, last);
        }
        j += full ? NV * VF : VF;
    }
}

size_t KN(gemm_few_work)(int rows, int cols)
{
    return sizeof(float) * (size_t)rows * (size_t)((cols + VF - 1) / VF * VF);
}

void KN(gemm_few)(const struct kn_gemm *g, const float *a, const float *b, float *c,
                  const struct kn_epilogue *e, int j0, int j1, float *work)
{
    const size_t cols = (size_t)(j1 - j0), lds = (cols + VF - 1) / VF * VF;
    struct strip s = {.rows = g->M, .ldb = g->ldb, .lds = lds, .sums = work};
    memset(work, 0, (size_t)g->M * lds * sizeof *work);
    for (int k = 0; k < g->K; k += STRIP) {
        s.k = g->K - k < STRIP ? g->K - k : STRIP;
        s.x = g->ta ? (struct gemm_x){a + (size_t)k * g->lda, 1, g->lda, NULL}
                    : (struct gemm_x){a + k, g->lda, 1, NULL};
        s.b = b + (size_t)k * g->ldb + j0;
        strip_run(&s, cols);
    }
    if (cols > 0)
        KN(gemm_finish)(e, 0, g->M, j0, (int)cols, work, lds, c, g->ldc);
}
