/* gemm_thin — C = A B with so few terms that A's rows stay in registers.
 *
 * Such a product is bound by writing C. A tile of gemm_block() would write
 * fourteen rows at a time, 128 bytes each; here a row or four are written from
 * one end to the other. The terms are added in the order of gemm_tile(), so
 * the result has the same bits. */
#include "kernels/gemm_core.h"
#include "kernels/gemm_unroll.h"

enum {
    REGISTERS = VF == 8 || VF == 1 ? 12 : 24, /* for elements of A */
    ROWS = 4,
    CHUNK = 256 /* columns that wait for the epilogue */
};

struct thin {
    struct gemm_x a;
    const float *b;
    float *c;
    size_t ldb, ldc;
    int cols;
    bool add;
};

INLINE void thin_rows(const int rows, const int K, const struct thin *t)
{
    vf a[ROWS][GEMM_THIN_K];
    UNROLL for (int i = 0; i < rows; i++)
    {
        UNROLL for (int k = 0; k < K; k++) a[i][k] =
            vf_set(t->a.at[(size_t)i * t->a.row + (size_t)k * t->a.k]);
    }
    const size_t cols = (size_t)t->cols;
    for (size_t j = 0; j < cols; j += VF) {
        const size_t n = cols - j < VF ? cols - j : VF;
        vf sum[ROWS];
        UNROLL for (int i = 0; i < rows; i++) sum[i] = vf_set(0.0f);
        UNROLL for (int k = 0; k < K; k++)
        {
            const float *const from = t->b + (size_t)k * t->ldb + j;
            const vf b = n == VF ? vf_load(from) : vf_load_n(from, n, 0.0f);
            UNROLL for (int i = 0; i < rows; i++) sum[i] = vf_fma(a[i][k], b, sum[i]);
        }
        UNROLL for (int i = 0; i < rows; i++)
        {
            float *const to = t->c + (size_t)i * t->ldc + j;
            if (t->add)
                sum[i] = vf_load_n(to, n, 0.0f) + sum[i];
            if (n == VF)
                vf_store(to, sum[i]);
            else
                vf_store_n(to, sum[i], n);
        }
    }
}

/* Rows at a time for K terms. */
#define HEIGHT(K) \
    ((REGISTERS) / (K) >= ROWS ? ROWS : (REGISTERS) / (K) >= 1 ? (REGISTERS) / (K) : 1)

/* clang-format off */
#define DEFINE(K) \
    static void several_##K(const struct thin *t) { thin_rows(HEIGHT(K), K, t); } \
    static void one_##K(const struct thin *t) { thin_rows(1, K, t); }
#define EACH(f) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12)
EACH(DEFINE)
#define ENTRY(K) {HEIGHT(K), several_##K, one_##K},
static const struct { int height; void (*several)(const struct thin *), (*one)(const struct thin *); }
    by_terms[] = {{0}, EACH(ENTRY)};
/* clang-format on */

_Static_assert(sizeof by_terms / sizeof *by_terms == GEMM_THIN_K + 1, "one entry for each K");

void KN(gemm_thin)(const struct kn_gemm *g, const float *a, const float *b, float *c,
                   const struct kn_epilogue *e, int i0, int i1, int j0, int j1)
{
    _Alignas(64) float wait[ROWS * CHUNK];
    const bool plain = !e->bias && !e->residual && !e->act && !e->grad;
    const int height = by_terms[g->K].height, chunk = plain ? j1 - j0 : CHUNK;
    for (int i = i0; i < i1;) {
        const int rows = i1 - i < height ? 1 : height;
        for (int j = j0; j < j1; j += chunk) {
            const int cols = j1 - j < chunk ? j1 - j : chunk;
            const struct thin t = {
                .a = g->ta ? (struct gemm_x){a + i, 1, g->lda}
                           : (struct gemm_x){a + (size_t)i * g->lda, g->lda, 1},
                .b = b + j,
                .ldb = g->ldb,
                .c = plain ? c + (size_t)i * g->ldc + j : wait,
                .ldc = plain ? g->ldc : CHUNK,
                .cols = cols,
                .add = plain && e->accumulate,
            };
            (rows == height ? by_terms[g->K].several : by_terms[g->K].one)(&t);
            if (!plain)
                KN(gemm_finish)(e, i, rows, j, cols, wait, CHUNK, c, g->ldc);
        }
        i += rows;
    }
}
