/* attend_core.h — one query of attend.h, for attend_f32.c and the loop of recurrent layers. */
#ifndef ATTEND_CORE_H
#define ATTEND_CORE_H

#include "kernels/kernel.h"

/* What a sample's queries attend to. */
struct attend_to {
    int S, A, E, count; /* count: of keys that take part, in [0, S]; else all results are NaN */
    const float *keys, *values, *v;
    float scale;
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

/* Sums that grow with each query: [S,A], [S,E], [A]. dv is not touched without v. */
struct attend_sums {
    float *dkeys, *dvalues, *dv;
};

/* alpha [S] and y [E] of query q [A]. */
void KN(attend_row)(const struct attend_to *to, const float *q, float *alpha, float *y);

/* dq [A], which is not q, and what it adds to the sums; de [S] is scratch. Nothing where count is
 * none: the forward pass has told. */
void KN(attend_row_grad)(const struct attend_to *to, const float *q, const float *alpha,
                         const float *dy, float *de, float *dq, const struct attend_sums *sums);

#endif
