/* attend.h — attention of one sequence to another: Bahdanau, Cho, Bengio 2015; Luong, Pham, Manning
 * 2015.
 *
 * For each of the T queries q of a sample, over its S keys k_j and values x_j:
 *
 *     e_j   = v . tanh(q + k_j)     if v is given (additive), else scale q . k_j (dot)
 *     alpha = softmax of e_j over j < length, 0 behind it
 *     y     = sum_j alpha_j x_j
 *
 * and backward, from dy,
 *
 *     dx_j  = sum_t alpha_j dy      de = alpha (d - sum alpha d), d_j = dy . x_j
 *     additive  g_j = de_j v (1 - tanh(q + k_j)^2),  dq = sum_j g_j,  dk_j = sum_t g_j,
 *               dv = sum de_j tanh(q + k_j)          the tanh is made again: nothing of size T S A is kept
 *     dot       dq = scale sum_j de_j k_j,           dk_j = scale sum_t de_j q
 *
 * All arrays are dense. A length outside [0, S] gives NaN, length 0 gives y = 0. */
#ifndef ATTEND_H
#define ATTEND_H

#include <stddef.h>
#include <stdint.h>

struct kn_attend {
    int N, T, S, A, E;     /* T >= 1, S >= 1, A >= 1, E >= 1 */
    const float *query;    /* [N,T,A] */
    const float *keys;     /* [N,S,A] */
    const float *values;   /* [N,S,E]; may be the keys, then E = A */
    const float *v;        /* [A]; NULL: dot */
    float scale;           /* of dot */
    const int32_t *length; /* [N]; NULL: S each */
    float *y, *alpha;      /* [N,T,E]; [N,T,S], which backward reads */
    const float *dy;       /* backward, all of them: */
    float *dquery, *dkeys, *dvalues,
        *dv; /* dvalues = dkeys where values are the keys; dv NULL for dot */
};

#endif
