/* gemm_plan.h — how a matrix product is done: gemm_plan.c decides, gemm_f32.c obeys. */
#ifndef GEMM_PLAN_H
#define GEMM_PLAN_H

#include "kernels/gemm_core.h"

enum { GEMM_X_ROOMS = GEMM_X_PACKED ? 32 : 16 }; /* panels of X that are copied at a time */

/* Only `dots` and `few` change the order of a sum, and they follow from the whole
 * product alone; the rest may depend on the number of threads. */
struct gemm_plan {
    bool thin;      /* by gemm_thin() */
    bool dots, few; /* by gemm_dot() or gemm_few() */
    bool swapped; /* C^T = B^T A^T: tiles have columns of C for rows, rows of C lie along the lanes
                   */
    bool copied;  /* X is copied because its rows collide in the caches */
    int stays;    /* tiles of X that stay in L2 while Y passes by, or 0: the other way round */
    bool fetch;   /* the operands may not be in L2 yet */
    bool near;    /* they and C are small beside L2 */
    int height;   /* of a tile */
    int rows, cols; /* of threads; rows * cols = threads */
};

struct gemm_plan KN(gemm_plan)(const struct kn_gemm *g, int threads);

/* gemm_few() does this product, so that it wants that scratch. */
bool KN(gemm_few_pay)(const struct kn_gemm *g);

#endif
