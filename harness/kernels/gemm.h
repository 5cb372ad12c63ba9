/* gemm.h — single-precision matrix multiply with everything that a layer needs.
 *
 *     C = epilogue(op(A) op(B)),  op(A) [M,K], op(B) [K,N], C [M,N], row-major
 *
 * Goto & van de Geijn 2008; Van Zee & van de Geijn 2015: op(A) and op(B) are
 * packed into panels that fit the caches and multiplied by a register-blocked
 * micro-kernel; the epilogue is applied to a tile of C while it is still in L1.
 * Small, skinny and batched shapes have paths of their own, chosen by the shape
 * of the whole problem, never by a thread's share of it: each element of C is the
 * same sum in the same order for any number of threads. */
#ifndef GEMM_H
#define GEMM_H

#include <stdbool.h>
#include <stddef.h>

/* SILU is for normalisation only; products have no epilogue with it. */
enum kn_act { KN_ACT_NONE, KN_ACT_RELU, KN_ACT_TANH, KN_ACT_SIGMOID, KN_ACT_SILU };

/* What happens to v = op(A) op(B) on its way to memory, in this order; {0}: nothing.
 *     v += C           if accumulate
 *     v += bias[j]     j the column (for convolutions the output channel)
 *     v += residual[i][j]
 *     v  = act(v)      tanh: outer tanh(inner v)
 *     v *= act'(y)     if grad: the derivative of `grad` where its OUTPUT was y[i][j]
 * residual and y have C's shape; their row strides are 0 when equal to ldc. They, as
 * a, b and bias, must not overlap C: it holds partial sums meanwhile. */
struct kn_epilogue {
    bool accumulate;
    int act, grad;      /* enum kn_act */
    float inner, outer; /* of tanh, in act or grad; 0 means 1 */
    const float *bias, *residual, *y;
    size_t ld_residual, ld_y; /* 0 means ldc */
    float *moments;           /* conv_f32 only: leaves sums of what it stores; conv.h */
};

struct kn_gemm {
    int M, N, K; /* K = 0 gives the epilogue of 0 */
    bool ta,
        tb; /* A is stored [K][lda] when ta, else [M][lda]; B [N][ldb] when tb, else [K][ldb] */
    const float *a, *b;
    float *c;
    size_t lda, ldb, ldc;                /* row strides in floats */
    int batch;                           /* so many independent products, 0 means 1 */
    size_t stride_a, stride_b, stride_c; /* from one to the next; residual and y follow stride_c */
    struct kn_epilogue epilogue;
    const float *packed_b; /* B as gemm_pack_f32() left it, or NULL; b is then not read */
};

/* The table's entries (kernels.def):
 * gemm_work_f32(g, threads)    bytes of scratch that gemm_f32 wants, 64-byte aligned; depends on
 *                              shape and flags only, pointers are not looked at.
 * gemm_f32(g, crew, work)      every thread of the crew calls it with the same g and work. On
 * return a thread's own share of C is written; others' after crew_wait(). gemm_packed_f32(g) floats
 * of the packed form of B; 0 where packing would not pay: then leave packed_b NULL.
 * gemm_pack_f32(g, crew, p)    packs B; crew_wait() before use. */

#endif
