/* recurrent.h — the time loop of recurrent layers: Elman's network, LSTM, GRU.
 *
 * With a_t = W x_t + b, the input's part, made for all steps beforehand by one product, and U = w:
 *
 *     KN_RNN_TANH, KN_RNN_RELU   h' = act(a + U h)                              Elman 1990
 *     KN_LSTM         i,f,o = sigma(a + U h + p c), g = tanh(a + U h)            Gers 2000, 2002
 *                     c' = f c + i g,  h' = o tanh(c')     (o's peephole p_o sees c')
 *     KN_LSTM_1997    the same without f: c' = c + i g                          Hochreiter 1997
 *     KN_GRU          r,z = sigma(a + U h), q = U h + bias, n = tanh(a + r q)    reset after the product
 *                     h' = (1 - z) n + z h
 *     KN_GRU_BEFORE   the same with n = tanh(a + U (r h))                       Cho 2014
 *
 * Gates lie side by side in a row of G H floats, in PyTorch's order: i f g o (i g o), r z n. A sample
 * of length L runs over its first L steps, from the last of them if `reverse`. All arrays are dense:
 *
 *     gates  [N,T,G H]  a; overwritten by the gates if `before` is given or as the cell likes
 *     y      [N,T,H]    h'; 0 at steps that a sample does not have
 *     c_end  [N,H]      LSTM: c after each sample's last step
 *     before [N,T,H]    the h that each step began with; NULL: no backward pass will follow
 *     extra  [N,T,H]    with `before`: LSTM's c', GRU's q, or r h of KN_GRU_BEFORE
 *
 * The backward pass reads dy and what forward has left and gives
 *
 *     dgates [N,T,G H]  the gradient by a; may be `gates`; 0 at steps that a sample does not have
 *     dh0, dc0 [N,H], dpeep [3,H]   each if wanted
 *     extra             KN_GRU: the gradient by q
 *
 * so that the gradients by W, x, U and the biases are products and sums over all steps at once:
 * dU = dgates^T before; of GRU's n, extra^T before; of KN_GRU_BEFORE's n, dgates^T extra. A length
 * outside [0, T] makes the sample's y NaN.
 *
 * With attention inside the loop (attend.h; Bahdanau, Cho, Bengio 2015) a step first attends to S keys by
 * its state, and what it finds is part of its input; the cell follows as above:
 *
 *     q = Wq h,   (c, alpha) = attention of q to keys and values,   a += Wc c
 *
 * `attend` holds its sizes (A = 0: no attention), keys, values, v and `length`, how many keys; and
 *
 *     y [N,T,E], alpha [N,T,S]   c and alpha; 0 at steps that a sample does not have
 *     dquery [N,T,A]             with `before`: q; the backward pass puts the gradient by q there
 *     dy                         backward: of what reads c beside the loop; NULL: 0
 *     dkeys, dvalues, dv         backward: always written; apart from each other
 *
 * so that dWc = dgates^T y and dWq = dquery^T before. */
#ifndef RECURRENT_H
#define RECURRENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/attend.h"

enum kn_cell { KN_RNN_TANH, KN_RNN_RELU, KN_LSTM, KN_LSTM_1997, KN_GRU, KN_GRU_BEFORE };

struct kn_recurrent {
    int cell, N, T, H;
    bool reverse;
    const int32_t *length;   /* [N]; NULL: T each */
    const float *w;          /* U, [G H,H] */
    const float *bias;       /* KN_GRU: of q, [H]; NULL: 0 */
    const float *peep;       /* LSTM: p of i, f, o, [3,H]; NULL: none */
    const float *h0, *c0;    /* [N,H]; NULL: 0 */
    float *gates, *y, *c_end, *before, *extra;
    const float *dy, *dc_end; /* NULL: 0 */
    float *dgates, *dh0, *dc0, *dpeep;
    struct kn_attend attend;
    const float *query_w, *context_w; /* Wq [A,H]; Wc [G H,E], rows ld_context_w floats apart */
    size_t ld_context_w;
};

static inline int kn_cell_gates(int cell)
{
    static const int gates[] = {1, 1, 4, 3, 3, 3};
    return gates[cell];
}

static inline bool kn_cell_is_lstm(int cell) { return cell == KN_LSTM || cell == KN_LSTM_1997; }

#endif
