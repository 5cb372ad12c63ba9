/* gemm_aside.h — what a tile does between its rounds of terms: fetches what the next ones will read,
 * copies its rows of X. A little in each round costs nothing, as sums are waited for anyway. */
#ifndef GEMM_ASIDE_H
#define GEMM_ASIDE_H

#include "kernels/gemm_core.h"
#include "kernels/gemm_unroll.h"

enum { STEP = 4 }; /* terms to a round */

/* ---- fetching --------------------------------------------------------------- */

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

INLINE bool is_busy(const struct gemm_fetch *f) { return f->pairs > 0 || f->results.rows > 0; }

/* ---- copying ---------------------------------------------------------------- */

/* X's rows on their way into a copy that lies packed, a few pieces in every round and always ahead
 * of the terms, which are read there: rows that share a set of L1 push each other out of it. */
struct copying {
    const float *from;
    float *to;
    size_t row;
    int rows, row_now, k, kc, pieces; /* in a round, of VF elements */
};

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

#endif
