/* gemm_core.h — the inside of the matrix multiply, for gemm and the convolutions.
 *
 * Everything is built on one product of a block,
 *
 *     C [rows,cols] = epilogue(X [rows,K] Y [K,cols])
 *
 * where Y lies along the vector lanes and the elements of X are broadcast:
 *
 *     for a panel of Y       GEMM_NR columns, kc rows of it, packed into the L2 cache
 *       for a panel of X     up to GEMM_MR rows, read where they are or copied
 *         gemm_tile          GEMM_MR x GEMM_NR sums in registers
 *
 * Where the panels come from is a callback, so that a convolution can gather them
 * from images. Rounding: the terms of each element are added with one fused
 * multiply-add each, in the order of k within blocks of gemm_kc(K); blocks are
 * added in order. That is so for every shape of tile and path through the code,
 * thus the bits of C depend on neither threads nor blocking of rows and columns. */
#ifndef GEMM_CORE_H
#define GEMM_CORE_H

#include "kernels/kernel.h"

/* As many sums as the registers hold next to NV vectors of Y and one of X. */
enum {
    GEMM_MR = VF == 16  ? 14
              : VF == 8 ? 6
              : VF == 4 ? 8
                        : 4,
    GEMM_NV = VF == 4 ? 3 : 2,
    GEMM_NR = GEMM_NV * VF,
    GEMM_LEAN = VF == 8 || VF == 16, /* rounds with and without fetching are loops of their own */
    GEMM_X_PACKED = VF == 8,         /* panels of X are packed along i and stay, see x_stays */
    GEMM_KC = GEMM_X_PACKED ? 320 : 800, /* a panel of Y or else of X stays in L1 */
    GEMM_KC_WIDE = 400,                  /* instead, where L2 then holds a thousand columns of Y; */
    GEMM_KC_MORE = 112, /* so many terms are rather added to a block than made one of their own */
    GEMM_KC_PITCH = GEMM_KC + 16, /* row pitch of a copied panel: rows must not share a set of L1 */
    GEMM_MR_PITCH = GEMM_X_PACKED ? GEMM_MR : (GEMM_MR + VF - 1) / VF * VF, /* if along i */
    GEMM_X_ROOM = GEMM_MR_PITCH * GEMM_KC_PITCH,
    GEMM_PANELS = 64, /* of Y, at most, in a block */
    GEMM_TILES = 64   /* of X, at most, that stay while Y passes by */
};

/* X[i][k] is at[i * row + k * k]; one of the two strides is 1. keep may say where the first tile
 * that uses it shall pack it while multiplying: [kc][GEMM_MR_PITCH] where row is 1, else
 * [rows][GEMM_KC_PITCH]. */
struct gemm_x {
    const float *at;
    size_t row, k;
    float *keep;
};

/* The panel that is then there. */
static inline struct gemm_x gemm_x_kept(const struct gemm_x *x)
{
    return x->k == 1 ? (struct gemm_x){x->keep, GEMM_KC_PITCH, 1, NULL}
                     : (struct gemm_x){x->keep, 1, GEMM_MR_PITCH, NULL};
}

/* Y[k][j] is at[k * k + j]. A packed panel has k = GEMM_NR, zeros behind the last column
 * and keep = NULL. Of one that is not, keep says where the first tile that uses it
 * shall pack it while multiplying. */
struct gemm_y {
    const float *at;
    size_t k;
    float *keep;
};

/* A piece of memory that will be needed soon: rows of `cols` contiguous floats, ld apart. */
struct gemm_region {
    const float *at;
    size_t ld;
    int rows, cols;
};

/* What results go through on their way to memory: rows of C and of the epilogue's residual and y,
 * each `ld` floats apart, of at most GEMM_NR floats. Fetched a row at a time while sums are made,
 * or they would be waited for one by one when these are done; where two are not needed they may be
 * the same. */
struct gemm_ahead {
    float *c;
    const float *residual, *y;
    size_t ld_c, ld_residual, ld_y;
    int rows;
};

static inline void gemm_ahead_row(struct gemm_ahead *a)
{
    enum { L2 = 2, NEXT = GEMM_NR > 16 ? 16 : 0 }; /* floats in a cache line */
    if (a->rows == 0)
        return;
    __builtin_prefetch(a->c, 1, L2);
    __builtin_prefetch(a->c + NEXT, 1, L2);
    __builtin_prefetch(a->residual, 0, L2);
    __builtin_prefetch(a->residual + NEXT, 0, L2);
    __builtin_prefetch(a->y, 0, L2);
    __builtin_prefetch(a->y + NEXT, 0, L2);
    a->c += a->ld_c;
    a->residual += a->ld_residual;
    a->y += a->ld_y;
    a->rows--;
}

/* A region on its way into the L2 cache, a few lines with every few terms of a tile:
 * asked for all at once it would hold up the loads that the tile itself waits for. */
struct gemm_fetch {
    const float *at;
    size_t ld;
    int steps, left, pairs; /* two lines of two rows in a step */
    struct gemm_ahead results;
};

static inline struct gemm_fetch gemm_fetch_of(struct gemm_region r)
{
    enum { STEP = 32 }; /* floats */
    const int steps = (r.cols + STEP - 1) / STEP;
    return (struct gemm_fetch){
        .at = r.at, .ld = r.ld, .steps = steps, .left = steps, .pairs = (r.rows + 1) / 2};
}

/* So many packed rows of Y, which lie one after the other. */
static inline struct gemm_fetch gemm_fetch_panel(const float *y, int kc)
{
    enum { ROW = 256 }; /* floats */
    return gemm_fetch_of((struct gemm_region){y, ROW, kc * GEMM_NR / ROW, ROW});
}

/* One product and where its operands come from.
 * x(b, i, n, k, kc, room)  rows [i, i+n), n <= GEMM_MR, terms [k, k+kc), kc <= GEMM_KC: points into
 *                          the operand, or fills room (GEMM_X_ROOM floats) and points there.
 * y(b, j, n, k, kc, room)  the same for columns [j, j+n), n <= GEMM_NR; room is [kc][GEMM_NR]
 * soon_x, soon_y           NULL, or the memory that such a call will read */
struct gemm_block {
    int K;
    const void *of_x, *of_y;
    struct gemm_x (*x)(const struct gemm_block *b, int i, int n, int k, int kc, float *room);
    struct gemm_y (*y)(const struct gemm_block *b, int j, int n, int k, int kc, float *room);
    struct gemm_region (*soon_x)(const struct gemm_block *b, int i, int n, int k, int kc);
    struct gemm_region (*soon_y)(const struct gemm_block *b, int j, int n, int k, int kc);
    float *c;
    size_t ldc;
    bool transposed; /* element (i, j) of C is c[j * ldc + i]; the epilogue counts rows and columns
                        there */
    bool near;       /* C is small beside L2: not fetched */
    int height;      /* of tiles; 0 means GEMM_MR */
    int x_stays;     /* tiles of X that stay in L2 while Y passes by, or 0: Y stays. Panels that x()
                        copies need that much more scratch; so does Y where X has more tiles. */
    const struct kn_epilogue *epilogue;
};

/* K in so many equal blocks, a multiple of a round of the micro-kernel. */
static inline int gemm_kc_of(int K, int blocks)
{
    return blocks <= 1 ? K : ((K + blocks - 1) / blocks + 3) / 4 * 4;
}

/* Terms in one block of the sum over K: a function of K and the machine alone, see Rounding. */
static inline int gemm_kc(int K)
{
    enum { WIDE_L2 = 2 << 20 };
    if (GEMM_X_PACKED || kn_caches()->l2 < WIDE_L2)
        return gemm_kc_of(K, (K + GEMM_KC - 1) / GEMM_KC);
    return gemm_kc_of(K, (K - GEMM_KC_MORE + GEMM_KC_WIDE - 1) / GEMM_KC_WIDE);
}

/* Columns of a block, a multiple of GEMM_NR: half of the L2 cache. */
static inline int gemm_nc(int kc)
{
    const size_t panel = sizeof(float) * GEMM_NR * (size_t)(kc > 0 ? kc : 1);
    const size_t n = kn_caches()->l2 / 4 * 3 / panel;
    return GEMM_NR * (int)(n < 1 ? 1 : n > GEMM_PANELS ? GEMM_PANELS : n);
}

/* Bytes of one thread's scratch for gemm_block() with this K and up to cols columns; the same if
 * X has more tiles than stay. */
size_t KN(gemm_block_work)(int K, int cols);
size_t KN(gemm_block_work_kept)(int K, int cols);

/* Rows [i0, i1) and columns [j0, j1) of the product; work is this thread's own, 64-byte aligned. */
void KN(gemm_block)(const struct gemm_block *b, int i0, int i1, int j0, int j1, void *work);

/* C [mr,cols] = X Y + plus, or relu of it, in which NaN stays; 1 <= mr <= GEMM_MR,
 * 1 <= cols <= GEMM_NR, any kc >= 0. Rows of plus lie ld_plus apart: it is C itself, of which this
 * is one more block of terms, or a bias (ld_plus 0), or a residual, or NULL. */
struct gemm_tile {
    int cols, kc;
    const float *plus;
    size_t ld_plus;
    bool relu;
    struct gemm_x x;
    struct gemm_y y;
    float *c;
    size_t ldc;
    bool far; /* C is to be fetched while sums are made */
    struct gemm_fetch *fetch;
};
void KN(gemm_tile)(int mr, const struct gemm_tile *t);

/* Rows [i, i+rows) x columns [j, j+cols) of C: C = e(t), t [rows][ldt] being a tile at (i, j).
 * c points to C's element (0, 0). */
void KN(gemm_finish)(const struct kn_epilogue *e, int i, int rows, int j, int cols, const float *t,
                     size_t ldt, float *c, size_t ldc);

/* The same tile's memory, to be fetched. */
struct gemm_ahead KN(gemm_finish_ahead)(const struct kn_epilogue *e, int i, int rows, int j,
                                        float *c, size_t ldc);

/* Partial sums of gemm_dot() in registers: rows of A, rows of B. */
enum { GEMM_DOT_MR = VF == 8 ? 2 : VF == 1 ? 2 : 4, GEMM_DOT_NR = VF == 8 ? 4 : VF == 1 ? 4 : 6 };

/* Rows [i0, i1) and columns [j0, j1) of C = e(A B^T), A [M][lda], B [N][ldb]; gemm_dot.c. */
void KN(gemm_dot)(const struct kn_gemm *g, const float *a, const float *b, float *c,
                  const struct kn_epilogue *e, int i0, int i1, int j0, int j1);

/* Columns [j0, j1) of C = e(op(A) B), M small; work as many bytes as gemm_few_work() says;
 * gemm_few.c. */
size_t KN(gemm_few_work)(int rows, int cols);
void KN(gemm_few)(const struct kn_gemm *g, const float *a, const float *b, float *c,
                  const struct kn_epilogue *e, int j0, int j1, float *work);

enum { GEMM_THIN_K = 12 };

/* Rows [i0, i1) and columns [j0, j1) of C = e(op(A) B), 1 <= K <= GEMM_THIN_K; gemm_thin.c. */
void KN(gemm_thin)(const struct kn_gemm *g, const float *a, const float *b, float *c,
                   const struct kn_epilogue *e, int i0, int i1, int j0, int j1);

/* Packs X where x->keep says. */
struct gemm_x KN(gemm_copy_x)(const struct gemm_x *x, int rows, int kc);

/* y [cols][ldy] = x [rows][ldx] transposed, with rows up to `padded` filled with zeros. */
void KN(gemm_transpose)(int rows, int cols, const float *x, size_t ldx, float *y, size_t ldy,
                        int padded);

#endif
