/* attend_core.h — one query of attend.h, for attend_f32.c and the loop of recurrent layers. */
#ifndef ATTEND_CORE_H
#define ATTEND_CORE_H

#include "kernels/kernel.h"

/* What a sample's queries attend to. */
struct attend_to {
    int S, A, E, count; /* count: of keys that take part, in [0, S]; else all results are NaN */
    const float *keys, *values, *v;
    float scale;
    const float *powers; /* of the keys, see attend_powers(), or NULL */
};

/* That of sample n. */
static inline struct attend_to attend_to_of(const struct kn_attend *a, size_t n)
{
    const size_t S = (size_t)a->S;
    return (struct attend_to){.S = a->S,
                              .A = a->A,
                              .E = a->E,
                              .count = a->length ? a->length[n] : a->S,
                              .keys = a->keys + n * S * (size_t)a->A,
                              .values = a->values + n * S * (size_t)a->E,
                              .v = a->v,
                              .scale = a->scale};
}

/* All T queries of a sample, dense, and the gradients of their scores. */
struct attend_queries {
    size_t T;
    const float *q, *alpha, *dy, *de; /* [T,A], [T,S], [T,E], [T,S] */
};

/* What they have in common: [S,A], [S,E], [A]; dvalues may be dkeys, which is both then. dv is not
 * touched without v. */
struct attend_sums {
    float *dkeys, *dvalues, *dv;
};

/* p_i = e^(2 x_i), unless an |x_i| is so large that a product of two might overflow: then false.
 * With those of a query and of a key tanh(q + k) = 1 - 2 / (1 + p_q p_k), of which each is made once
 * and not with each other: half the work. The error is 2^-21, where vf_tanh's is relative. */
bool KN(attend_powers)(size_t n, const float *x, float *p);

/* alpha [S] and y [E] of query q [A]; room [A]. */
void KN(attend_row)(const struct attend_to *to, const float *q, float *alpha, float *y,
                    float *room);

/* dq [A], which is not q, and the scores' gradients de [S] of one query; of all of them the sums,
 * which need not wait in memory while queries come one by one; room [A], [T,A]. 0 where count is
 * none: the forward pass has told. */
void KN(attend_row_grad)(const struct attend_to *to, const float *q, const float *alpha,
                         const float *dy, float *de, float *dq, float *room);
void KN(attend_sums_grad)(const struct attend_to *to, const struct attend_queries *x,
                          const struct attend_sums *sums, float *room);

#endif
