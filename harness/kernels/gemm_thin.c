/* gemm_thin — C = A B with few terms.
 *
 * Such a product is bound by writing C. A tile of gemm_block() would write
 * fourteen rows at a time, 128 bytes each. Here four rows are written from one
 * end to the other while their elements of A stay in registers, or, if these are
 * too many, in tiles three times as wide as gemm_tile()'s. The terms are added in
 * the order of gemm_tile(), so the result has the same bits. */
#include "kernels/gemm_core.h"
#include "kernels/gemm_unroll.h"

enum {
    ROWS = 4,
    IN_REGISTERS = VF == 8 || VF == 1 ? 3 : 6, /* terms of ROWS rows of A */
    TALL = VF == 8 || VF == 1 ? 3 : 4,         /* of a tile */
    WIDE = VF == 8 || VF == 1 ? 4 : 6,         /* vectors */
    CHUNK = 256                                /* columns that wait for the epilogue */
};

struct thin {
    struct gemm_x a;
    const float *b;
    float *c;
    size_t ldb, ldc;
    int cols;
    bool add;
};

INLINE void thin_rows(const int K, const struct thin *t)
{
    vf a[ROWS][IN_REGISTERS];
    UNROLL for (int i = 0; i < ROWS; i++)
    {
        UNROLL for (int k = 0; k < K; k++) a[i][k] =
            vf_set(t->a.at[(size_t)i * t->a.row + (size_t)k * t->a.k]);
    }
    const size_t cols = (size_t)t->cols;
    for (size_t j = 0; j < cols; j += VF) {
        const size_t n = cols - j < VF ? cols - j : VF;
        vf sum[ROWS];
        UNROLL for (int i = 0; i < ROWS; i++) sum[i] = vf_set(0.0f);
        UNROLL for (int k = 0; k < K; k++)
        {
            const float *const from = t->b + (size_t)k * t->ldb + j;
            const vf b = n == VF ? vf_load(from) : vf_load_n(from, n, 0.0f);
            UNROLL for (int i = 0; i < ROWS; i++) sum[i] = vf_fma(a[i][k], b, sum[i]);
        }
        UNROLL for (int i = 0; i < ROWS; i++)
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

/* C = sum or C += sum, with n columns in the last vector. */
INLINE void thin_store(const int rows, const int nv, const bool add, const size_t n,
                       vf sum[TALL][WIDE], float *c, size_t ldc)
{
    UNROLL for (int i = 0; i < rows; i++, c += ldc)
    {
        UNROLL for (int v = 0; v < nv; v++)
        {
            const size_t m = v == nv - 1 ? n : VF;
            vf s = sum[i][v];
            if (add)
                s = vf_load_n(c + v * VF, m, 0.0f) + s;
            if (m == VF)
                vf_store(c + v * VF, s);
            else
                vf_store_n(c + v * VF, s, m);
        }
    }
}

/* A tile of C, where A has too many terms for the registers; n columns in the last vector. */
INLINE void thin_tile(const int rows, const int nv, const int K, const struct thin *t, size_t j,
                      const size_t n)
{
    vf sum[TALL][WIDE];
    const float *b = t->b + j, *a = t->a.at;
    UNROLL for (int i = 0; i < rows; i++)
    {
        UNROLL for (int v = 0; v < nv; v++) sum[i][v] = vf_set(0.0f);
    }
    for (int k = 0; k < K; k++, b += t->ldb, a += t->a.k) {
        vf y[WIDE];
        UNROLL for (int v = 0; v < nv; v++) y[v] =
            v == nv - 1 && n < VF ? vf_load_n(b + v * VF, n, 0.0f) : vf_load(b + v * VF);
        UNROLL for (int i = 0; i < rows; i++)
        {
            const vf x = vf_set(a[(size_t)i * t->a.row]);
            UNROLL for (int v = 0; v < nv; v++) sum[i][v] = vf_fma(x, y[v], sum[i][v]);
        }
    }
    if (t->add)
        thin_store(rows, nv, true, n, sum, t->c + j, t->ldc);
    else
        thin_store(rows, nv, false, n, sum, t->c + j, t->ldc);
}

INLINE void thin_tile_of(const int rows, const int nv, int K, const struct thin *t, size_t j)
{
    const size_t left = (size_t)t->cols - j - (size_t)(nv - 1) * VF;
    if (left < VF)
        thin_tile(rows, nv, K, t, j, left);
    else
        thin_tile(rows, nv, K, t, j, VF);
}

typedef void tile_fn(int K, const struct thin *t, size_t j);

/* clang-format off */
#define TILE(mr, nv) static void tile_##mr##x##nv(int K, const struct thin *t, size_t j) \
    { thin_tile_of(mr <= TALL ? mr : 1, nv <= WIDE ? nv : 1, K, t, j); }
#define TILES(mr) TILE(mr, 1) TILE(mr, 2) TILE(mr, 3) TILE(mr, 4) TILE(mr, 5) TILE(mr, 6)
TILES(1) TILES(2) TILES(3) TILES(4)
#define WIDTHS(mr) {tile_##mr##x1, tile_##mr##x2, tile_##mr##x3, tile_##mr##x4, tile_##mr##x5, tile_##mr##x6}
static tile_fn *const tiles[4][6] = {WIDTHS(1), WIDTHS(2), WIDTHS(3), WIDTHS(4)};

#define DEFINE(K) \
    static void rows_##K(const struct thin *t) { thin_rows(K <= IN_REGISTERS ? K : 1, t); }
DEFINE(1) DEFINE(2) DEFINE(3) DEFINE(4) DEFINE(5) DEFINE(6)
static void (*const by_terms[])(const struct thin *) = {NULL, rows_1, rows_2, rows_3, rows_4, rows_5, rows_6};
/* clang-format on */

/* Rows of C as a strip of tiles. */
static void strip(int rows, int K, const struct thin *t)
{
    const int vectors = (t->cols + VF - 1) / VF, parts = (vectors + WIDE - 1) / WIDE;
    for (int part = 0; part < parts; part++) {
        const int v = vectors * part / parts, nv = vectors * (part + 1) / parts - v;
        tiles[rows - 1][nv - 1](K, t, (size_t)v * VF);
    }
}

void KN(gemm_thin)(const struct kn_gemm *g, const float *a, const float *b, float *c,
                   const struct kn_epilogue *e, int i0, int i1, int j0, int j1)
{
    _Alignas(64) float wait[ROWS * CHUNK];
    const bool plain = !e->bias && !e->residual && !e->act && !e->grad;
    const bool whole_rows = g->K <= IN_REGISTERS;
    const int height = whole_rows ? ROWS : TALL, chunk = plain ? j1 - j0 : CHUNK;
    for (int i = i0; i < i1;) {
        const int rows = i1 - i < height ? i1 - i : height;
        for (int j = j0; j < j1; j += chunk) {
            const int cols = j1 - j < chunk ? j1 - j : chunk;
            const struct thin t = {
                .a = g->ta ? (struct gemm_x){a + i, 1, g->lda, NULL}
                           : (struct gemm_x){a + (size_t)i * g->lda, g->lda, 1, NULL},
                .b = b + j,
                .ldb = g->ldb,
                .c = plain ? c + (size_t)i * g->ldc + j : wait,
                .ldc = plain ? g->ldc : CHUNK,
                .cols = cols,
                .add = plain && e->accumulate,
            };
            if (whole_rows && rows == ROWS)
                by_terms[g->K](&t);
            else
                strip(rows, g->K, &t);
            if (!plain)
                KN(gemm_finish)(e, i, rows, j, cols, wait, CHUNK, c, g->ldc);
        }
        i += rows;
    }
}
