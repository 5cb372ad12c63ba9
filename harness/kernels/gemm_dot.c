/* gemm_dot — C = A B^T where one of the two has few rows: sums along the lanes.
 *
 *     C[i][j] = sum_k A[i][k] B[j][k]
 *
 * Both operands are contiguous along k, so nothing is packed and each row of the
 * long operand is read once, straight from memory: with few rows the time goes
 * into that. GEMM_DOT_MR x GEMM_DOT_NR vectors of partial sums are in registers;
 * lane l adds the terms k = l mod VF in order, and in the end the lanes are added.
 * The order of the sum differs from that of gemm_block(); gemm_f32 chooses by
 * the shape of the whole product. */
#include "kernels/gemm_core.h"
#include "kernels/gemm_unroll.h"

enum {
    MR = GEMM_DOT_MR,
    NR = GEMM_DOT_NR,
    AHEAD = 256 /* floats of B fetched early; the prefetchers stop at each page */
};

/* sums[i * nr + j] = lane sums of acc[i][j] */
INLINE void add_lanes(const int mr, const int nr, vf acc[MR][NR], float *sums)
{
    vf flat[MR * NR];
    UNROLL for (int i = 0; i < mr; i++)
    {
        UNROLL for (int j = 0; j < nr; j++) flat[i * nr + j] = acc[i][j];
    }
    UNROLL for (int n = 0; n < mr * nr; n += VF)
    {
        vf_store(sums + n, vf_sums(flat + n, mr * nr - n < VF ? mr * nr - n : VF));
    }
}

INLINE void dot_tile(const int mr, const int nr, int K, const float *a, size_t lda, const float *b,
                     size_t ldb, float *sums)
{
    vf acc[MR][NR];
    UNROLL for (int i = 0; i < mr; i++)
    {
        UNROLL for (int j = 0; j < nr; j++) acc[i][j] = vf_set(0.0f);
    }
    int k = 0;
    for (; k + VF <= K; k += VF, a += VF, b += VF) {
        vf y[NR];
        UNROLL for (int j = 0; j < nr; j++)
        {
            y[j] = vf_load(b + (size_t)j * ldb);
            __builtin_prefetch(b + (size_t)j * ldb + AHEAD);
        }
        UNROLL for (int i = 0; i < mr; i++)
        {
            const vf x = vf_load(a + (size_t)i * lda);
            UNROLL for (int j = 0; j < nr; j++) acc[i][j] = vf_fma(x, y[j], acc[i][j]);
        }
    }
    if (k < K) {
        const size_t left = (size_t)(K - k);
        UNROLL for (int i = 0; i < mr; i++)
        {
            const vf x = vf_load_n(a + (size_t)i * lda, left, 0.0f);
            UNROLL for (int j = 0; j < nr; j++) acc[i][j] =
                vf_fma(x, vf_load_n(b + (size_t)j * ldb, left, 0.0f), acc[i][j]);
        }
    }
    add_lanes(mr, nr, acc, sums);
}

typedef void dot_fn(int K, const float *a, size_t lda, const float *b, size_t ldb, float *sums);

/* clang-format off */
#define DEFINE(mr, nr) \
    static void dot_##mr##x##nr(int K, const float *a, size_t lda, const float *b, size_t ldb, float *sums) \
    { dot_tile(mr <= MR ? mr : 1, nr <= NR ? nr : 1, K, a, lda, b, ldb, sums); }
#define HEIGHT(mr) DEFINE(mr, 1) DEFINE(mr, 2) DEFINE(mr, 3) DEFINE(mr, 4) DEFINE(mr, 5) DEFINE(mr, 6)
HEIGHT(1) HEIGHT(2) HEIGHT(3) HEIGHT(4)
#define PICK(mr, nr) (mr <= MR && nr <= NR ? dot_##mr##x##nr : NULL)
#define ROW(mr) {PICK(mr, 1), PICK(mr, 2), PICK(mr, 3), PICK(mr, 4), PICK(mr, 5), PICK(mr, 6)}
static dot_fn *const dots[4][6] = {ROW(1), ROW(2), ROW(3), ROW(4)};
/* clang-format on */

/* Equal parts of [from, to), none longer than `most`, one after the other. */
struct parts {
    int at, n, left;
};

static struct parts parts_of(int from, int to, int most)
{
    return (struct parts){from, 0, (to - from + most - 1) / most};
}

/* The next part is [p->at, p->at + p->n), if there is one. */
static bool parts_next(struct parts *p, int to)
{
    p->at += p->n;
    if (p->left == 0)
        return false;
    p->n = (to - p->at + p->left - 1) / p->left;
    p->left--;
    return true;
}

void KN(gemm_dot)(const struct kn_gemm *g, const float *a, const float *b, float *c,
                  const struct kn_epilogue *e, int i0, int i1, int j0, int j1)
{
    const bool tall = i1 - i0 > j1 - j0; /* the longer operand passes by once */
    _Alignas(64) float sums[MR * NR + VF];
    struct parts down = parts_of(i0, i1, MR), across = parts_of(j0, j1, NR);
    struct parts *const outer = tall ? &down : &across, *const inner = tall ? &across : &down;
    const struct parts again = *inner;
    const int last = tall ? i1 : j1, end = tall ? j1 : i1;
    while (parts_next(outer, last))
        for (*inner = again; parts_next(inner, end);) {
            const int i = down.at, j = across.at;
            dots[down.n - 1][across.n - 1](g->K, a + (size_t)i * g->lda, g->lda,
                                           b + (size_t)j * g->ldb, g->ldb, sums);
            KN(gemm_finish)(e, i, down.n, j, across.n, sums, (size_t)across.n, c, g->ldc);
        }
}
