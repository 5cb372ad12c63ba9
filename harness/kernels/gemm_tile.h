/* gemm_tile.h — the micro-kernel: GEMM_MR x GEMM_NR sums held in registers.
 *
 *     for each k: for each row i: acc[i][:] += X[i][k] * Y[k][:]
 *
 * It is compiled for every height and width, so that no tile computes rows it
 * does not need, for X contiguous along k or along i, and once more each to pack Y and to pack X
 * while multiplying: the few stores more in each k are hidden behind the sums.
 *
 * gemm_tile.c leaves a round of terms to the compiler; an instruction set whose registers are
 * scarce has one by hand (gemm_tile.avx2.c). Each defines four_terms() behind this header. */
#ifndef GEMM_TILE_H
#define GEMM_TILE_H

#include "kernels/gemm_aside.h"
#include "kernels/gemm_core.h"
#include "kernels/gemm_unroll.h"

enum {
    AHEAD = 8, /* rows of Y fetched early while it is packed; afterwards it is in cache */
    STORES_EARLY = VF == 16, /* see last_round() */
    GROUP = 3, /* rows that share a pointer: x86 addresses p, p + row and p + 2 row at no cost */
    GROUPS = (GEMM_MR + GROUP - 1) / GROUP,
    /* Rows from which on X is packed while multiplying, as tiles are equal and there are few lower
     * ones. Where whole panels are packed before, none is. */
    KEEP_X_MR = GEMM_X_PACKED ? GEMM_MR + 1 : GEMM_MR / 2
};

struct form {
    int mr, nv;
    bool by_rows;      /* X is contiguous along k */
    bool keep, keep_x; /* at most one of them */
};

INLINE bool copies_rows(const struct form f) { return f.by_rows && f.keep_x; }

struct cursor {
    const float *x[GROUPS], *y;
    float *keep, *keep_x;
    size_t row, xk, yk, last; /* last: columns in the last vector */
};

/* Hides from the compiler how a pointer came about, or it would keep dozens of
 * sums of pointers and strides in registers and memory. */
INLINE void opaque(const float **p) { __asm__("" : "+r"(*p)); }

/* sum += a b. Where sums take most registers, in its place: left to itself gcc 12 moves them from
 * register to register, and some into memory. Elsewhere a is better broadcast by the instruction. */
INLINE void add_product(const struct form f, vf *sum, vf a, vf b)
{
#ifdef __AVX512F__
    if (f.nv > 1) {
        __asm__("vfmadd231ps %2, %1, %0" : "+v"(*sum) : "v"(a), "vm"(b));
        return;
    }
#endif
    (void)f;
    *sum = vf_fma(a, b, *sum);
}

INLINE vf load_y(const struct form f, const struct cursor *at, int v)
{
    return f.keep && v == f.nv - 1 ? vf_load_n(at->y + v * VF, at->last, 0.0f)
                                   : vf_load(at->y + v * VF);
}

/* X's elements of one k on their way into a packed panel; rows that are not there stay unwritten. */
INLINE void keep_x(const struct form f, struct cursor *at)
{
    __builtin_prefetch(at->x[0] + AHEAD * at->xk);
    UNROLL for (int i = 0; i < f.mr; i += VF)
    {
        const size_t n = f.mr - i < VF ? (size_t)(f.mr - i) : VF;
        vf_store_n(at->keep_x + i, vf_load_n(at->x[0] + i, n, 0.0f), n);
    }
    at->keep_x += GEMM_MR_PITCH;
}

INLINE void term(const struct form f, const int k, struct cursor *at, vf acc[GEMM_MR][GEMM_NV])
{
    vf b[GEMM_NV];
    UNROLL for (int v = 0; v < f.nv; v++)
    {
        b[v] = load_y(f, at, v);
        if (f.keep) {
            __builtin_prefetch(at->y + AHEAD * at->yk + v * VF);
            vf_store(at->keep + v * VF, b[v]);
        }
    }
    UNROLL for (int i = 0; i < f.mr; i++)
    {
        const vf a = vf_set(f.by_rows ? at->x[i / GROUP][(size_t)(i % GROUP) * at->row + (size_t)k]
                                      : at->x[0][i]);
        UNROLL for (int v = 0; v < f.nv; v++) add_product(f, &acc[i][v], a, b[v]);
    }
    at->y += at->yk;
    opaque(&at->y);
    if (f.keep)
        at->keep += GEMM_NR;
    if (f.keep_x && !copies_rows(f))
        keep_x(f, at);
    if (!f.by_rows) {
        at->x[0] += at->xk;
        opaque(&at->x[0]);
    }
}

/* n terms, after which X's pointers are moved. */
INLINE void terms(const struct form f, const int n, struct cursor *at, vf acc[GEMM_MR][GEMM_NV])
{
    UNROLL for (int k = 0; k < n; k++) term(f, k, at, acc);
    if (f.by_rows) {
        UNROLL for (int g = 0; g * GROUP < f.mr; g++)
        {
            at->x[g] += n;
            opaque(&at->x[g]);
        }
    }
}

/* STEP terms of whole vectors of Y. */
INLINE void four_terms(const struct form f, struct cursor *at, vf acc[GEMM_MR][GEMM_NV]);

/* Where rows of C go, and what is added to them on the way. */
struct way {
    float *c;
    const float *plus;
    size_t ldc, ld_plus, relu;
};

static struct way way_of(const struct gemm_tile *t)
{
    return (struct way){t->c, t->plus, t->ldc, t->ld_plus, t->relu};
}

/* The next row of C; ragged: the last vector has only `last` columns. It asks for every row what is
 * to be done, which costs next to nothing, rather than be compiled once more for each answer. */
INLINE void store_row(const struct form f, const bool ragged, vf acc[GEMM_NV], struct way *w,
                      size_t last)
{
    __asm__("" : "+r"(w->plus), "+r"(w->relu));
    if (w->plus) {
        UNROLL for (int v = 0; v < f.nv; v++)
        {
            const vf plus = ragged && v == f.nv - 1 ? vf_load_n(w->plus + v * VF, last, 0.0f)
                                                    : vf_load(w->plus + v * VF);
            acc[v] = plus + acc[v];
        }
        w->plus += w->ld_plus;
    }
    if (w->relu) {
        UNROLL for (int v = 0; v < f.nv; v++) acc[v] = vf_max(vf_set(0.0f), acc[v]);
    }
    UNROLL for (int v = 0; v < f.nv; v++)
    {
        if (ragged && v == f.nv - 1)
            vf_store_n(w->c + v * VF, acc[v], last);
        else
            vf_store(w->c + v * VF, acc[v]);
    }
    w->c += w->ldc;
}

INLINE void store(const struct form f, const bool ragged, vf acc[GEMM_MR][GEMM_NV],
                  const struct gemm_tile *t, size_t last)
{
    struct way w = way_of(t);
    UNROLL for (int i = 0; i < f.mr; i++) store_row(f, ragged, acc[i], &w, last);
}

/* STEP terms of one row after the other, which is stored when it has them: so many stores at once, two
 * cycles each on Zen 4, would hold up the next tile's sums. */
INLINE void last_round(const struct form f, struct cursor *at, vf acc[GEMM_MR][GEMM_NV],
                       const struct gemm_tile *t)
{
    vf b[STEP][GEMM_NV];
    struct way w = way_of(t);
    UNROLL for (int k = 0; k < STEP; k++, at->y += at->yk)
    {
        UNROLL for (int v = 0; v < f.nv; v++) b[k][v] = vf_load(at->y + v * VF);
    }
    UNROLL for (int i = 0; i < f.mr; i++)
    {
        UNROLL for (int k = 0; k < STEP; k++)
        {
            const vf a =
                vf_set(f.by_rows ? at->x[i / GROUP][(size_t)(i % GROUP) * at->row + (size_t)k]
                                 : at->x[0][(size_t)k * at->xk + (size_t)i]);
            UNROLL for (int v = 0; v < f.nv; v++) add_product(f, &acc[i][v], a, b[k][v]);
        }
        store_row(f, false, acc[i], &w, VF);
    }
}

/* While the first terms are summed up. */
static void fetch_rows(const float *at, size_t ld, int rows, int cols)
{
    for (int i = 0; i < rows; i++, at += ld) {
        __builtin_prefetch(at, 1, 2);
        __builtin_prefetch(at + cols - 1, 1, 2);
    }
}

static void fetch_results(const struct gemm_tile *t, int rows)
{
    fetch_rows(t->c, t->ldc, rows, t->cols);
    if (t->plus && t->plus != t->c && t->ld_plus > 0)
        fetch_rows(t->plus, t->ld_plus, rows, t->cols);
}

INLINE void tile(const struct form f, const struct gemm_tile *t)
{
    vf acc[GEMM_MR][GEMM_NV];
    struct gemm_x x = t->x;
    struct gemm_fetch *const fetch = t->fetch;
    struct copying copying = {.kc = 0};
    if (copies_rows(f)) {
        copying = copying_of(&x, f.mr, t->kc);
        x = gemm_x_kept(&x);
    }
    struct cursor at = {
        .y = t->y.at, .keep = t->y.keep, .keep_x = x.keep, .row = x.row, .xk = x.k, .yk = t->y.k};
    at.last = (size_t)(t->cols - (f.nv - 1) * VF);
    UNROLL for (int i = 0; i < GEMM_MR; i++)
    {
        UNROLL for (int v = 0; v < GEMM_NV; v++) acc[i][v] = vf_set(0.0f);
    }
    if (t->far)
        fetch_results(t, f.mr);
    UNROLL for (int g = 0; g * GROUP < f.mr; g++)
    {
        at.x[g] = x.at + (size_t)(g * GROUP) * x.row;
        opaque(&at.x[g]);
    }
    const bool early = STORES_EARLY && !f.keep && !f.keep_x && at.last == VF && t->kc >= STEP;
    int k = t->kc - (early ? STEP : 0);
    for (; k >= STEP && (!GEMM_LEAN || copies_rows(f) || is_busy(fetch)); k -= STEP) {
        if (copies_rows(f))
            copy_some(&copying);
        fetch_some(fetch);
        gemm_ahead_row(&fetch->results);
        four_terms(f, &at, acc);
    }
    for (; GEMM_LEAN && k >= STEP; k -= STEP)
        four_terms(f, &at, acc);
    for (; k > 0; k--)
        terms(f, 1, &at, acc);
    if (early)
        last_round(f, &at, acc, t);
    else if (VF == 1 || at.last == VF)
        store(f, false, acc, t, VF);
    else
        store(f, true, acc, t, at.last);
}

typedef void tile_fn(const struct gemm_tile *t);

/* clang-format off */
#define DEFINE(name, mr, nv, ...) \
    static void name##_##mr##x##nv(const struct gemm_tile *t) \
    { tile((struct form){mr <= GEMM_MR ? mr : 1, nv <= GEMM_NV ? nv : 1, __VA_ARGS__}, t); }
#define WIDTHS(mr, nv) \
    DEFINE(rows, mr, nv, true, false, false) DEFINE(rows_keep, mr, nv, true, true, false) \
    DEFINE(rows_keep_x, mr, nv, true, false, true) \
    DEFINE(cols, mr, nv, false, false, false) DEFINE(cols_keep, mr, nv, false, true, false) \
    DEFINE(cols_keep_x, mr, nv, false, false, true)
#define HEIGHT(mr) WIDTHS(mr, 1) WIDTHS(mr, 2) WIDTHS(mr, 3)
#define HEIGHTS(f) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14)
HEIGHTS(HEIGHT)

/* Heights and widths that this instruction set has no registers for are never made. */
#define PICK(name, mr, nv, least) \
    (mr >= least && mr <= GEMM_MR && nv <= GEMM_NV ? name##_##mr##x##nv : NULL)
#define ROW(name, mr, least) \
    {PICK(name, mr, 1, least), PICK(name, mr, 2, least), PICK(name, mr, 3, least)}
#define ENTRY(mr) {{ROW(rows, mr, 1), ROW(rows_keep, mr, 1), ROW(rows_keep_x, mr, KEEP_X_MR)}, \
                   {ROW(cols, mr, 1), ROW(cols_keep, mr, 1), ROW(cols_keep_x, mr, KEEP_X_MR)}},
enum { PLAIN, KEEP, KEEP_X };
static tile_fn *const tiles[14][2][3][3] = { HEIGHTS(ENTRY) };
/* clang-format on */

void KN(gemm_tile)(int mr, const struct gemm_tile *t)
{
    struct gemm_tile copied;
    if (t->x.keep && (t->y.keep || mr < KEEP_X_MR)) { /* not while multiplying */
        copied = *t;
        copied.x = KN(gemm_copy_x)(&t->x, mr, t->kc);
        t = &copied;
    }
    const int keep = t->y.keep ? KEEP : t->x.keep ? KEEP_X : PLAIN;
    tiles[mr - 1][t->x.k != 1][keep][(t->cols + VF - 1) / VF - 1](t);
}

#endif
