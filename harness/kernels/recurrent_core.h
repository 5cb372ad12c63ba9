/* recurrent_core.h — what the two directions of recurrent.h share: who does which part, and the
 * product of a step with the cell fused behind it.
 *
 * A step is one or two products [rows,K] x [K,G H]. The weights are packed once for all steps: a
 * block of GEMM_NR hidden units has the panels of its gates side by side, and as soon as the sums
 * of a block for some rows are made, the cell takes them, still in L1, and leaves what the next
 * step's product reads.
 *
 * Samples do not meet in the loop, so that threads own samples and never wait; where there are
 * too few, several threads own units of the same samples and wait once a product. Samples are dealt
 * to threads by length, the longest first: those still running are the first ones of each.
 * The order of every sum is that of gemm_core.h: neither split nor lengths change a bit.
 *
 * Attention (recurrent_attend_f32.c) puts its own products and rows between: the query's before a
 * step, gradients by context and query after it. What it makes stands in the row behind what the
 * next product reads anyway, and its weights below U: c behind h, unless a GRU wants U h alone, and
 * backward dq behind the gates' gradient. */
#ifndef RECURRENT_CORE_H
#define RECURRENT_CORE_H

#include "kernels/gemm_core.h"

#include "kernels/each.h"
#include "kernels/gemm_unroll.h"
#include "kernels/vec_math.h"

enum {
    RNN_GATES = 4,
    RNN_STREAMS = 10,
    RNN_PITCH = 16 /* floats: rows must not share a set of L1 */
};

/* What is about to be read or written at a row of the sequence: rows of ld floats, from `shift`
 * rows further on. */
struct stream {
    const float *at;
    size_t ld;
    int shift;
};

/* One thread's part of the work. Slots are its samples, in the order in which they end. */
struct rnn_job {
    const struct kn_recurrent *r;
    const struct crew *crew;
    bool crowded;         /* other threads have units of the same samples: */
    struct crew across;   /* those; no barrier of their own */
    int G, slots, active; /* active: the slots that take part in the step at hand */
    int unit, units_end;  /* units [unit, units_end), a multiple of GEMM_NR from 0 */
    int longest;          /* steps of the longest sample of all */
    int *sample, *length;
    size_t *at;  /* of each slot: n T + t of the step at hand */
    float *sums; /* [GEMM_MR][RNN_GATES GEMM_NR] */
    float *x[2],
        *xb; /* my slots' rows of what products read; backward and forward have their own */
    size_t ldx, ldb;
    float *carry, *peep; /* by sample: [N,H], [N,3H] */
    float *packed, *packed_b;
    float *zeros; /* [H] */
    struct rnn_attend {
        float *packed_query, *packed_context;
        float *q, *c, *da; /* my slots' rows of the query, the context, da of a GRU */
        size_t ldq, ldc, ldda;
        float *dv; /* by sample: [N], lddv apart */
        size_t lddv;
        float *dc, *dq, *de;  /* of all steps: [N,T,E], [N,T,A], [N,T,S] */
        float *powers, *good; /* of the keys, [N,S,A]; 0 for a sample that has none, [N] */
        float *room;          /* [T,A], mine */
    } attend;
};

/* Sums of a block of units for some slots: gate g of row i is sums + i * ld + g * GEMM_NR. */
struct rnn_tile {
    int slot, rows, unit, units;
    const float *sums;
    size_t ld;
};

struct rnn_product {
    const float *x; /* of slot 0; NULL: 0 */
    size_t ldx;
    int units, K, gates;
    const float *w; /* as KN(recurrent_pack)() left it */
    struct stream soon[RNN_STREAMS];
    int streams;
    void (*finish)(const struct rnn_job *j, const struct rnn_tile *t, void *arg);
    void *arg;
};

/* Splits the work; floats from `work` on are shared, then each thread's own. */
struct rnn_job KN(recurrent_job)(const struct kn_recurrent *r, const struct crew *crew, void *work);

/* Step s of my samples, counted from each one's start: sets active and at[]. */
void KN(recurrent_at)(struct rnn_job *j, int s);

void KN(recurrent_product)(const struct rnn_job *j, const struct rnn_product *p);

/* Weights of a product with K terms for so many units of each gate: rows of w, ld floats apart, are
 * units if `turned` (forward), else terms (backward). */
struct rnn_weights {
    const float *w;
    size_t ld;
    bool turned;
    int units, K, gates;
    int first, all; /* they are terms [first, first + K) of `all`; 0: they are all */
};

/* Packs them into panels. Every thread packs a part; wait before use. */
void KN(recurrent_pack)(const struct rnn_job *j, const struct rnn_weights *w, float *packed);

/* Floats of such panels. */
size_t KN(recurrent_packed)(int units, int K, int gates);

/* Terms of a step's forward product beside h: those of c. */
static inline int rnn_beside(const struct kn_recurrent *r)
{
    return r->cell == KN_GRU || r->cell == KN_GRU_BEFORE ? 0 : r->attend.E;
}

/* This thread's share of n things that belong to the samples of its group. */
static inline void rnn_share(const struct rnn_job *j, size_t n, size_t grain, size_t *from,
                             size_t *to)
{
    crew_share(&j->across, n, grain, from, to);
}

/* ---- attention: all but the first do nothing without it */

/* Floats of scratch: what the crew shares, and each thread's own. */
size_t KN(recurrent_attend_floats)(const struct kn_recurrent *r);
size_t KN(recurrent_attend_own)(const struct kn_recurrent *r);
void KN(recurrent_attend_cut)(struct rnn_job *j, size_t slot, float *shared, float *own);

/* Before the loop: packs Wq and Wc, clears what lies behind ends; backward, `terms` being where dq
 * begins in a row of x (forward: 0), zeroes it. Wait before use. */
void KN(recurrent_attend_begin)(const struct rnn_job *j, int terms);

/* Before a step's products: from the rows x of its state makes q, alpha and c, which it puts behind
 * h, or of which it adds Wc c to the gates; `zero`: h is 0. */
void KN(recurrent_attend_step)(const struct rnn_job *j, float *x, bool zero);

/* After them: from the rows of da, the gates' gradient, makes those of c, then of q; dq to rows ldx
 * apart. */
void KN(recurrent_attend_step_grad)(const struct rnn_job *j, const float *da, float *dq);

/* After the loop: dkeys, dvalues, dv. */
void KN(recurrent_attend_end)(const struct rnn_job *j);

/* Zeros, or NaN where the length is none, behind each of my samples' ends. */
void KN(recurrent_clear)(const struct rnn_job *j, float *rows, size_t ld, size_t from, size_t to);

/* cell, of n units from v on, for all units of a row: whole vectors, then what is left. */
#define EACH_UNIT(units, cell)                       \
    do {                                             \
        size_t v = 0;                                \
        for (; v + VF <= (size_t)(units); v += VF) { \
            const size_t n = VF;                     \
            cell;                                    \
        }                                            \
        if (v < (size_t)(units)) {                   \
            const size_t n = (size_t)(units)-v;      \
            cell;                                    \
        }                                            \
    } while (0)

/* Rows from a sample's step to the next one. */
static inline int rnn_onward(const struct rnn_job *j) { return j->r->reverse ? -1 : 1; }

#endif
