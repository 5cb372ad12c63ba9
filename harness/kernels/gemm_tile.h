/* gemm_tile.h — the micro-kernel: GEMM_MR x GEMM_NR sums held in registers.
 *
 *     for each k: for each row i: acc[i][:] += X[i][k] * Y[k][:]
 *
 * It is compiled for every height and width, so that no tile computes rows it
 * does not need, for X contiguous along k or along i, and once more to pack Y, or X
 * along i, while multiplying: the few stores more in each k are hidden behind the sums.
 *
 * gemm_tile.c leaves a round of terms to the compiler; an instruction set whose registers are
 * scarce has one by hand (gemm_tile.avx2.c). Each defines four_terms() behind this header. */
#ifndef GEMM_TILE_H
#define GEMM_TILE_H

#include "kernels/gemm_core.h"
#include "kernels/gemm_unroll.h"

enum {
    STEP = 4,  /* terms to a round of the loop */
    AHEAD = 8, /* rows of Y fetched early while it is packed; afterwards it is in cache */
    GROUP = 3, /* rows that share a pointer: x86 addresses p, p + row and p + 2 row at no cost */
    GROUPS = (GEMM_MR + GROUP - 1) / GROUP
};

struct form {
    int mr, nv;
    bool by_rows; /* X is contiguous along k */
    bool keep, keep_x;
};

/* X's rows on their way into a copy that lies packed, a few pieces in every round and always ahead
 * of the terms, which are read there: rows that share a set of L1 push each other out of it. */
struct copying {
    const float *from;
    float *to;
    size_t row;
    int rows, row_now, k, kc, pieces; /* in a round, of VF elements */
};

struct cursor {
    const float *x[GROUPS], *y;
    float *keep, *keep_x;
    size_t row, xk, yk, last; /* last: columns in the last vector */
};

/* Hides from the compiler how a pointer came about, or it would keep dozens of
 * sums of pointers and strides in registers and memory. */
INLINE void opaque(const float **p) { __asm__("" : "+r"(*p)); }

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
        UNROLL for (int v = 0; v < f.nv; v++) acc[i][v] = vf_fma(a, b[v], acc[i][v]);
    }
    at->y += at->yk;
    opaque(&at->y);
    if (f.keep)
        at->keep += GEMM_NR;
    if (f.keep_x && !f.by_rows)
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

/* C = acc or C += acc; ragged: the last vector has only `last` columns. */
INLINE void store(const struct form f, const bool add, const bool ragged, vf acc[GEMM_MR][GEMM_NV],
                  const struct gemm_tile *t, size_t last)
{
    float *c = t->c;
    UNROLL for (int i = 0; i < f.mr; i++, c += t->ldc)
    {
        UNROLL for (int v = 0; v < f.nv; v++)
        {
            const bool part = ragged && v == f.nv - 1;
            float *const to = c + v * VF;
            vf s = acc[i][v];
            if (add)
                s = (part ? vf_load_n(to, last, 0.0f) : vf_load(to)) + s;
            if (part)
                vf_store_n(to, s, last);
            else
                vf_store(to, s);
        }
    }
}

/* acc = max(least, acc + bias) while it is still in registers. */
INLINE void add_bias(const struct form f, vf acc[GEMM_MR][GEMM_NV], const struct gemm_tile *t,
                     size_t last)
{
    const vf least = vf_set(t->least);
    vf bias[GEMM_NV];
    UNROLL for (int v = 0; v < f.nv; v++) bias[v] =
        v == f.nv - 1 ? vf_load_n(t->bias + v * VF, last, 0.0f) : vf_load(t->bias + v * VF);
    UNROLL for (int i = 0; i < f.mr; i++)
    {
        UNROLL for (int v = 0; v < f.nv; v++) acc[i][v] = vf_max(least, acc[i][v] + bias[v]);
    }
}

INLINE void fetch_some(struct gemm_fetch *f)
{
    enum { LINE = 16, L2 = 2 };
    if (f->pairs == 0)
        return;
    const float *const p = f->at;
    __builtin_prefetch(p, 0, L2);
    __builtin_prefetch(p + LINE, 0, L2);
    __builtin_prefetch(p + f->ld, 0, L2);
    __builtin_prefetch(p + f->ld + LINE, 0, L2);
    f->at = p + 2 * LINE;
    if (--f->left == 0) {
        f->left = f->steps;
        f->at += 2 * f->ld - (size_t)f->steps * 2 * LINE;
        f->pairs--;
    }
}

INLINE void copy_piece(struct copying *c)
{
    const int left = c->kc - c->k;
    const vf x = vf_load_n(c->from + (size_t)c->row_now * c->row + c->k,
                           (size_t)(left < VF ? left : VF), 0.0f);
    vf_store(c->to + c->row_now * GEMM_KC_PITCH + c->k, x);
    if (++c->row_now == c->rows) {
        c->row_now = 0;
        c->k += VF;
    }
}

INLINE void copy_some(struct copying *c)
{
    for (int i = 0; i < c->pieces && c->k < c->kc; i++)
        copy_piece(c);
}

/* What the first round reads is there at once. */
static struct copying copying_of(const struct gemm_x *x, int rows, int kc)
{
    struct copying c = {.from = x->at, .to = x->keep, .row = x->row, .rows = rows, .kc = kc};
    c.pieces = rows * ((STEP + VF - 1) / VF);
    copy_some(&c);
    c.pieces = (rows * STEP + VF - 1) / VF;
    return c;
}

/* While the first terms are summed up. */
INLINE void fetch_results(const struct form f, const struct gemm_tile *t)
{
    const float *to = t->c;
    UNROLL for (int i = 0; i < f.mr; i++, to += t->ldc)
    {
        opaque(&to);
        __builtin_prefetch(to, 1, 2);
        __builtin_prefetch(to + f.nv * VF - 1, 1, 2);
    }
}

INLINE void tile(const struct form f, const struct gemm_tile *t)
{
    vf acc[GEMM_MR][GEMM_NV];
    struct gemm_x x = t->x;
    struct gemm_fetch *const fetch = t->fetch;
    struct copying copying = {.kc = 0};
    if (f.by_rows && f.keep_x) {
        copying = copying_of(&x, f.mr, t->kc);
        x = (struct gemm_x){x.keep, GEMM_KC_PITCH, 1, NULL};
    }
    struct cursor at = {
        .y = t->y.at, .keep = t->y.keep, .keep_x = x.keep, .row = x.row, .xk = x.k, .yk = t->y.k};
    at.last = (size_t)(t->cols - (f.nv - 1) * VF);
    UNROLL for (int i = 0; i < GEMM_MR; i++)
    {
        UNROLL for (int v = 0; v < GEMM_NV; v++) acc[i][v] = vf_set(0.0f);
    }
    if (t->far)
        fetch_results(f, t);
    UNROLL for (int g = 0; g * GROUP < f.mr; g++)
    {
        at.x[g] = x.at + (size_t)(g * GROUP) * x.row;
        opaque(&at.x[g]);
    }
    int k = t->kc;
    for (; k >= STEP && (!GEMM_LEAN || fetch->pairs > 0 || fetch->results.rows > 0); k -= STEP) {
        if (f.by_rows && f.keep_x)
            copy_some(&copying);
        fetch_some(fetch);
        gemm_ahead_row(&fetch->results);
        four_terms(f, &at, acc);
    }
    for (; GEMM_LEAN && k >= STEP; k -= STEP)
        four_terms(f, &at, acc);
    for (; k > 0; k--)
        terms(f, 1, &at, acc);
    if (t->bias)
        add_bias(f, acc, t, at.last);
    if (at.last == VF) {
        if (t->add)
            store(f, true, false, acc, t, VF);
        else
            store(f, false, false, acc, t, VF);
    } else {
        if (t->add)
            store(f, true, true, acc, t, at.last);
        else
            store(f, false, true, acc, t, at.last);
    }
}

typedef void tile_fn(const struct gemm_tile *t);

/* clang-format off */
#define DEFINE(name, mr, nv, ...) \
    static void name##_##mr##x##nv(const struct gemm_tile *t) \
    { tile((struct form){mr <= GEMM_MR ? mr : 1, nv <= GEMM_NV ? nv : 1, __VA_ARGS__}, t); }
#define WIDTHS(mr, nv) \
    DEFINE(rows, mr, nv, true, false, false) DEFINE(rows_keep, mr, nv, true, true, false) \
    DEFINE(rows_keep_x, mr, nv, true, false, true) DEFINE(rows_keep_both, mr, nv, true, true, true) \
    DEFINE(cols, mr, nv, false, false, false) DEFINE(cols_keep, mr, nv, false, true, false) \
    DEFINE(cols_keep_x, mr, nv, false, false, true) DEFINE(cols_keep_both, mr, nv, false, true, true)
#define HEIGHT(mr) WIDTHS(mr, 1) WIDTHS(mr, 2) WIDTHS(mr, 3)
#define HEIGHTS(f) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14)
HEIGHTS(HEIGHT)

/* Heights and widths that this instruction set has no registers for are never made. */
#define PICK(name, mr, nv) (mr <= GEMM_MR && nv <= GEMM_NV ? name##_##mr##x##nv : NULL)
#define ROW(name, mr) {PICK(name, mr, 1), PICK(name, mr, 2), PICK(name, mr, 3)}
#define ENTRY(mr) {{{ROW(rows, mr), ROW(rows_keep, mr)}, \
                    {ROW(rows_keep_x, mr), ROW(rows_keep_both, mr)}}, \
                   {{ROW(cols, mr), ROW(cols_keep, mr)}, \
                    {ROW(cols_keep_x, mr), ROW(cols_keep_both, mr)}}},
static tile_fn *const tiles[14][2][2][2][3] = { HEIGHTS(ENTRY) };
/* clang-format on */

void KN(gemm_tile)(int mr, const struct gemm_tile *t)
{
    tiles[mr - 1][t->x.k != 1][t->x.keep != NULL][t->y.keep != NULL][(t->cols + VF - 1) / VF - 1](
        t);
}

#endif
